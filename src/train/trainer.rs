//! One training step after another: a static stage that finds the cloud, then a stage in which the field
//! moves it. Numbers in, numbers out; files, logs and clocks on the wall belong to the session.

use super::adam::Adam;
use super::augment::ConditionNoise;
use super::config::TrainConfig;
use super::draw::Drawn;
use super::field_moments::FieldRates;
use super::moments::CloudRates;
use super::mover::{self, Mover};
use super::own::{Looking, OnTheDevice, OnTheHost, Own};
use super::sampler::Sampler;
use super::schedule::{active_degree, log_linear};
use super::step::{Clock, Stage, StepReport};
use super::targets::EdgeBand;
use crate::gpu::Gpu;
use crate::head::cloud::density::{self, DensityOptions, DensityStats};
use crate::head::cloud::init;
use crate::head::cloud::surfels::EMBEDDING;
use crate::head::field::{Conditions, DeviceField};
use crate::head::{Branch, BranchSettings};
use crate::loss::perceptual::Perceptual;
use crate::raster::Rasterizer;
use crate::{Error, Result};
use candle_core::Device;
use data_utils::dataset::Dataset;

/// After this many steps in a row without finite numbers a run ends.
const BAD_STEPS: u32 = 3;
/// Surfels larger than this part of the extent go.
const MAX_SCALE: f32 = 0.1;
/// Opacity the static stage starts from.
const FIRST_OPACITY: f32 = 0.5;

/// A head being trained.
pub struct Trainer<'a> {
    /// What the run was told.
    pub config: TrainConfig,
    pub(super) head: Branch,
    /// The dataset.
    pub dataset: &'a Dataset,
    /// What draws.
    pub rasterizer: &'a dyn Rasterizer,
    pub(super) frames: Vec<usize>,
    pub(super) own: Box<dyn Own + 'a>,
    pub(super) mover: Box<dyn Mover>,
    pub(super) statistics: DensityStats,
    pub(super) sampler: Sampler,
    pub(super) done: u64,
    pub(super) skipped: u64,
    pub(super) perceptual: Option<Perceptual>,
    pub(super) noise: ConditionNoise,
    pub(super) edge: EdgeBand,
    bad_in_a_row: u32,
}

impl<'a> Trainer<'a> {
    /// A fresh trainer: the cloud from the dataset's points, the field from the seed.
    ///
    /// # Errors
    /// [`Error::Input`] when the dataset has no training frame or no points, or weights cannot be read.
    pub fn new(config: TrainConfig, dataset: &'a Dataset, rasterizer: &'a dyn Rasterizer) -> Result<Self> {
        let points = dataset.initial_points()?;
        let options = init::InitOptions {
            sh_degree: config.sh_degree,
            max_points: ((config.max_points as f64 * config.initial_share) as usize).max(1),
            opacity: FIRST_OPACITY,
            seed: config.seed,
        };
        let cloud = init::from_points(
            &init::Points {
                positions: &points.positions,
                normals: points.normals.as_deref(),
                colors: points.colors.as_deref(),
                faces: &points.faces,
            },
            &options,
        )?;
        let [width, height] = dataset.size;
        let settings = BranchSettings::new(
            config.part,
            dataset.audio.kind,
            width.max(height),
            config.seed,
            &cloud,
            config.field.clone(),
        )?;
        let mut head = Branch::new(settings, cloud, &Device::Cpu)?;
        let seen = dataset.train_indices().map(|index| head.conditions(dataset, index, true));
        head.field.set_statistics(&seen.collect::<Result<Vec<_>>>()?);
        Self::with_head(config, dataset, rasterizer, head)
    }

    pub(super) fn with_head(
        config: TrainConfig,
        dataset: &'a Dataset,
        rasterizer: &'a dyn Rasterizer,
        head: Branch,
    ) -> Result<Self> {
        let frames: Vec<usize> = dataset.train_indices().collect();
        if frames.is_empty() {
            return Err(Error::input(
                "transforms_train.json",
                "a frame to train on",
                "none",
                "process the clip again",
            ));
        }
        let perceptual = match &config.perceptual_weights {
            Some(path) if config.lambda_perceptual > 0.0 => {
                Some(Perceptual::open(path, config.perceptual_patch)?)
            }
            _ => None,
        };
        let surfels = head.cloud.len().max(config.max_points);
        // A GPU without room for the field leaves everything to the CPU.
        let fits = |gpu: &Gpu| DeviceField::fits(gpu, &head.field, surfels, config.batch_size);
        let keeper = rasterizer.keeper().filter(|keeper| fits(keeper.device()));
        let mover = mover::choose(&head, keeper.as_ref().map(|keeper| keeper.device()))?;
        let own: Box<dyn Own + 'a> = match keeper {
            Some(keeper) => Box::new(OnTheDevice::new(keeper, &head.cloud)),
            None => Box::new(OnTheHost::new(&head.cloud)),
        };
        Ok(Trainer {
            own,
            mover,
            statistics: DensityStats::new(head.cloud.len()),
            sampler: Sampler::new(frames.len(), config.hard_frames, config.seed),
            done: 0,
            skipped: 0,
            bad_in_a_row: 0,
            perceptual,
            noise: ConditionNoise::of(dataset),
            edge: EdgeBand::of(dataset, config.mask_margin)?,
            frames,
            config,
            head,
            dataset,
            rasterizer,
        })
    }

    /// The head so far.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when it was on a device that is gone.
    pub fn head(&mut self) -> Result<&Branch> {
        self.fetch()?;
        Ok(&self.head)
    }

    /// Surfels of the cloud.
    pub fn surfels(&self) -> usize {
        self.head.cloud.len()
    }

    /// Whether what is learned goes when a device goes.
    pub fn on_device(&self) -> bool {
        self.own.on_device() || self.mover.on_device()
    }

    /// Whether the rasterizer's device runs the field.
    pub fn field_is_with_rasterizer(&self) -> bool {
        !self.mover.asks_the_host()
    }

    /// Brings the host's copy of what is learned up to date.
    pub(super) fn fetch(&mut self) -> Result<()> {
        self.own.fetch(&mut self.head.cloud)?;
        self.mover.fetch(&mut self.head)?;
        if self.mover.asks_the_host() { Ok(()) } else { self.head.places_moved() }
    }

    /// Steps done of both stages.
    pub fn steps_done(&self) -> u64 {
        self.done
    }

    /// True after the last step.
    pub fn finished(&self) -> bool {
        self.done >= self.config.total_iterations()
    }

    /// The stage and the step in it that was done last.
    pub fn position(&self) -> (Stage, u64) {
        match self.done.checked_sub(self.config.coarse_iterations) {
            Some(step) if step > 0 || self.config.coarse_iterations == 0 => (Stage::Fine, step),
            _ => (Stage::Coarse, self.done),
        }
    }

    /// What drives frame `index` of the dataset; the frame code is frozen on request.
    ///
    /// # Errors
    /// [`Error::Input`] when the dataset has no sound.
    pub fn conditions(&self, index: usize, freeze_frame_code: bool) -> Result<Conditions> {
        self.head.conditions(self.dataset, index, freeze_frame_code)
    }

    /// One step.
    ///
    /// # Errors
    /// Those of reading a frame; [`Error::Internal`] when three steps in a row give no finite numbers,
    /// [`Error::DeviceLost`] when the GPU goes away, with whatever is learned there.
    pub fn step(&mut self) -> Result<StepReport> {
        let stage = if self.done < self.config.coarse_iterations { Stage::Coarse } else { Stage::Fine };
        let (step, steps) = match stage {
            Stage::Coarse => (self.done + 1, self.config.coarse_iterations),
            Stage::Fine => (self.done + 1 - self.config.coarse_iterations, self.config.fine_iterations),
        };
        let mut clock = Clock::start();
        let view = self.choose(stage, step)?;
        clock.lap(|t| &mut t.load);

        let degree = active_degree(self.done, self.config.sh_interval, self.head.cloud.sh_degree);
        let mut drawn = None;
        let statistics = stage == Stage::Coarse && step < self.config.densify_until;
        let (head, config, own, mover) = (&self.head, &self.config, &mut self.own, &mut self.mover);
        let (perceptual, view) = (self.perceptual.as_ref(), &view);
        match stage {
            Stage::Coarse => {
                let targets = view.targets(self.dataset, config.part, &self.edge)?;
                clock.lap(|t| &mut t.load);
                let targets = &targets;
                let looking = Looking { config, head, perceptual, view, targets, degree, statistics };
                drawn = Some(own.draw(&looking, None, None, &mut clock)?.0);
            }
            Stage::Fine => {
                let (dataset, edge, rasterizer) = (self.dataset, &self.edge, self.rasterizer);
                std::thread::scope(|scope| {
                    // Frames are read, and brought to who draws, while the field runs.
                    let mut targets = Some(scope.spawn(move || {
                        let targets = view.targets(dataset, config.part, edge)?;
                        let staged = rasterizer.stage(
                            &targets,
                            &view.weights,
                            dataset.size.map(|side| side as usize),
                        )?;
                        Ok::<_, Error>((targets, staged))
                    }));
                    let places = own.device_positions(&head.cloud)?;
                    mover.step(head, &view.conditions, places, &mut clock, &mut |rows, clock| {
                        let read = targets.take().and_then(|thread| thread.join().ok());
                        let died = || Error::Internal("the thread that reads frames died".into());
                        let (targets, staged) = read.ok_or_else(died)??;
                        let targets = &targets;
                        clock.lap(|t| &mut t.load);
                        let looking = Looking { config, head, perceptual, view, targets, degree, statistics };
                        let (found, gradient) = own.draw(&looking, staged, Some(rows), clock)?;
                        drawn = Some(found);
                        Ok(gradient)
                    })
                })?;
            }
        }
        let drawn = drawn.ok_or_else(|| Error::Internal("a step without a picture".into()))?;
        self.done += 1;
        let report = |trainer: &Self, times| StepReport {
            stage,
            step,
            stage_ends: step == steps,
            terms: drawn.terms,
            perceptual: drawn.perceptual,
            surfels: trainer.head.cloud.len(),
            skipped: trainer.skipped,
            times,
        };
        if !drawn.finite {
            self.skipped += 1;
            self.bad_in_a_row += 1;
            if self.bad_in_a_row >= BAD_STEPS {
                return Err(Error::Internal(format!(
                    "{stage} step {step}: the loss or a gradient was not a finite number {BAD_STEPS} times in a \
                     row; the last checkpoint is good"
                )));
            }
            return Ok(report(self, clock.times));
        }
        self.bad_in_a_row = 0;
        for ((pick, error), borrowed) in view.picks.iter().zip(&drawn.errors).zip(&view.borrowed) {
            if !borrowed {
                self.sampler.observe(*pick, *error);
            }
        }
        self.learn(stage, step, steps, &drawn)?;
        clock.lap(|t| &mut t.optimiser);
        Ok(report(self, clock.times))
    }

    /// Takes Adam's steps and controls the density.
    fn learn(&mut self, stage: Stage, step: u64, steps: u64, drawn: &Drawn) -> Result<()> {
        let extent = self.head.settings.extent;
        if stage == Stage::Coarse {
            let rates = CloudRates::at(&self.config, step, steps, extent, 1.0);
            self.own.learn(&mut self.head.cloud, &rates)?;
            self.control_density(step, drawn)?;
            if step < steps {
                return Ok(());
            }
            self.own.places(&mut self.head.cloud)?;
            return self.head.cloud_moved();
        }
        let [planes, other] = [self.config.grid_lr, self.config.deformation_lr]
            .map(|[first, last]| log_linear(first, last, step, steps) as f32);
        let rates = CloudRates::at(&self.config, step, steps, extent, self.config.fine_cloud_lr);
        let of_field = FieldRates { planes, other, embedding: rates.embedding() };
        self.mover.learn(&mut self.head, &of_field)?;
        if self.config.fine_cloud_lr > 0.0 {
            self.own.learn(&mut self.head.cloud, &rates)?;
            if self.mover.asks_the_host() {
                self.own.places(&mut self.head.cloud)?;
                self.head.places_moved()?;
            }
        }
        Ok(())
    }

    /// Clones, splits and prunes surfels (3DGS, Kerbl et al. 2023, §5) as the static stage goes on.
    fn control_density(&mut self, step: u64, drawn: &Drawn) -> Result<()> {
        let c = &self.config;
        if step >= c.densify_until {
            return Ok(());
        }
        self.statistics.add(&drawn.radii, &drawn.screen)?;
        if step < c.densify_from || !step.is_multiple_of(c.densify_every) {
            return Ok(());
        }
        let options = DensityOptions {
            extent: self.head.settings.extent,
            gradient_threshold: c.densify_grad_threshold,
            split_scale: c.percent_dense,
            min_opacity: c.opacity_cull,
            max_radius: None,
            max_scale: Some(MAX_SCALE),
            max_points: c.max_points,
            seed: c.seed,
            step,
        };
        self.own.fetch(&mut self.head.cloud)?;
        let edits = density::decide(&self.head.cloud, &self.statistics, &options)?;
        edits.apply(&mut self.head.cloud)?;
        let edit = |adam: &mut Adam, stride: usize| {
            edits.apply_moments(&mut adam.first, stride)?;
            edits.apply_moments(&mut adam.second, stride)
        };
        let arrays = self.own.moments().arrays_mut(self.head.cloud.bands());
        arrays.into_iter().try_for_each(|(_, stride, adam)| edit(adam, stride))?;
        self.mover.moments().edit_embedding(|adam| edit(adam, EMBEDDING))?;
        self.own.changed();
        self.mover.changed();
        self.statistics = DensityStats::new(self.head.cloud.len());
        Ok(())
    }
}
