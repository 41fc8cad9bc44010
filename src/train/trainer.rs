//! One training step after another: a static stage that finds the cloud, then a stage in which the field
//! moves it. Numbers in, numbers out; files, logs and clocks on the wall belong to the session.

use super::config::TrainConfig;
use super::field_moments::FieldMoments;
use super::loss::{LossTerms, Target, Weights, image_loss};
use super::moments::{CloudMoments, CloudRates};
use super::perceptual::Perceptual;
use super::sampler::Sampler;
use super::schedule::{active_degree, log_linear};
use super::targets;
use crate::field::Conditions;
use crate::head::{Head, HeadSettings};
use crate::raster::{RasterSettings, Rasterizer, Rendered, SurfelGradients};
use crate::surfel::activate::{Activated, RawGradients, activate, activate_vjp};
use crate::surfel::density::{self, DensityOptions, Statistics};
use crate::surfel::init;
use crate::{Camera, Error, Result};
use data_utils::dataset::Dataset;
use std::fmt;
use std::time::{Duration, Instant};

/// After this many steps in a row without finite numbers a run ends.
const BAD_STEPS: u32 = 3;

/// The stage a run is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The cloud alone, the same for every frame.
    Coarse,
    /// The cloud and the field.
    Fine,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Stage::Coarse { "coarse" } else { "fine" })
    }
}

/// Where the time of a step went.
#[derive(Debug, Clone, Copy, Default)]
pub struct StepTimes {
    /// Reading frames and making targets.
    pub load: Duration,
    /// The field, forward.
    pub field_forward: Duration,
    /// Parameters to drawn surfels, and gradients back.
    pub activate: Duration,
    /// Drawing.
    pub raster_forward: Duration,
    /// Scoring.
    pub loss: Duration,
    /// Gradients of the drawing.
    pub raster_backward: Duration,
    /// The field, backward.
    pub field_backward: Duration,
    /// Adam and density control.
    pub optimiser: Duration,
}

/// What a step did.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// Stage of the step.
    pub stage: Stage,
    /// Number of the step in its stage, from 1.
    pub step: u64,
    /// True for the last step of the stage.
    pub stage_ends: bool,
    /// Loss terms.
    pub terms: LossTerms,
    /// LPIPS of the step's patches, 0 where it was not taken.
    pub perceptual: f32,
    /// Surfels after the step.
    pub surfels: usize,
    /// Steps skipped so far because a number was not finite.
    pub skipped: u64,
    /// Where the time went.
    pub times: StepTimes,
}

/// A head being trained.
pub struct Trainer<'a> {
    /// What the run was told.
    pub config: TrainConfig,
    /// The head so far.
    pub head: Head,
    /// The dataset.
    pub dataset: &'a Dataset,
    /// What draws.
    pub rasterizer: &'a dyn Rasterizer,
    pub(super) frames: Vec<usize>,
    pub(super) cloud_moments: CloudMoments,
    pub(super) field_moments: FieldMoments,
    pub(super) statistics: Statistics,
    pub(super) sampler: Sampler,
    pub(super) done: u64,
    pub(super) skipped: u64,
    perceptual: Option<Perceptual>,
    bad_in_a_row: u32,
}

impl<'a> Trainer<'a> {
    /// A fresh trainer: the cloud from the dataset's points, the field from the seed.
    ///
    /// # Errors
    /// [`Error::Input`] when the dataset has no training frame, no sound or no points, or weights cannot be read.
    pub fn new(
        config: TrainConfig,
        dataset: &'a Dataset,
        rasterizer: &'a dyn Rasterizer,
        device: &candle_core::Device,
    ) -> Result<Self> {
        let points = dataset.initial_points()?;
        let options = init::InitOptions {
            sh_degree: config.sh_degree,
            max_points: config.max_points,
            seed: config.seed,
            ..init::InitOptions::default()
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
        let head = Head::new(HeadSettings::new(&config, dataset, &cloud)?, cloud, device)?;
        Self::with_head(config, dataset, rasterizer, head)
    }

    pub(super) fn with_head(
        config: TrainConfig,
        dataset: &'a Dataset,
        rasterizer: &'a dyn Rasterizer,
        head: Head,
    ) -> Result<Self> {
        let frames = dataset.train_indices();
        if frames.is_empty() {
            return Err(Error::input("transforms_train.json", "a frame to train on", "none", "process the clip again"));
        }
        let perceptual = match &config.perceptual_weights {
            Some(path) if config.lambda_perceptual > 0.0 => Some(Perceptual::open(path)?),
            _ => None,
        };
        Ok(Trainer {
            cloud_moments: CloudMoments::new(&head.cloud),
            field_moments: FieldMoments::new(&head.field),
            statistics: Statistics::new(head.cloud.len()),
            sampler: Sampler::new(frames.len(), config.hard_mouths, config.seed),
            done: 0,
            skipped: 0,
            bad_in_a_row: 0,
            perceptual,
            frames,
            config,
            head,
            dataset,
            rasterizer,
        })
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
    /// Those of reading a frame; [`Error::Internal`] when three steps in a row give no finite numbers.
    pub fn step(&mut self) -> Result<StepReport> {
        let stage = if self.done < self.config.coarse_iterations { Stage::Coarse } else { Stage::Fine };
        let (step, steps) = match stage {
            Stage::Coarse => (self.done + 1, self.config.coarse_iterations),
            Stage::Fine => (self.done + 1 - self.config.coarse_iterations, self.config.fine_iterations),
        };
        let mut times = StepTimes::default();
        let mut clock = Instant::now();
        let mut lap = |part: &mut Duration| *part += std::mem::replace(&mut clock, Instant::now()).elapsed();

        let batch = if stage == Stage::Coarse { 1 } else { self.config.batch_size };
        let picks: Vec<usize> = (0..batch).map(|_| self.sampler.draw()).collect();
        let background = targets::background(&self.config, &mut self.sampler);
        let targets: Vec<Target> = picks
            .iter()
            .map(|pick| targets::target(self.dataset, self.frames[*pick], self.config.part, background))
            .collect::<Result<_>>()?;
        let cameras: Vec<Camera> = picks.iter().map(|pick| self.dataset.frames[self.frames[*pick]].camera).collect();
        lap(&mut times.load);

        let degree = active_degree(self.done, self.config.sh_interval, self.head.cloud.sh_degree);
        let (weights, deformation) = match stage {
            Stage::Coarse => (Weights::coarse(&self.config, step, self.head.settings.extent), None),
            Stage::Fine => {
                let conditions: Vec<Conditions> = picks
                    .iter()
                    .map(|pick| {
                        let freeze = self.sampler.unit() < self.config.frame_code_dropout;
                        self.head.conditions(self.dataset, self.frames[*pick], freeze)
                    })
                    .collect::<Result<_>>()?;
                let deformation = self.head.deform(&conditions)?;
                (Weights::fine(&self.config, step), Some((conditions, deformation)))
            }
        };
        lap(&mut times.field_forward);
        let deltas = deformation.as_ref().map(|(_, packed)| self.head.deltas(packed, batch));
        let activated = activate(&self.head.cloud, degree, deltas.as_ref())?;
        lap(&mut times.activate);

        let mut settings = RasterSettings { outputs: weights.outputs(), ..RasterSettings::default() };
        settings.background[..3].copy_from_slice(&background);
        let rendered = self.rasterizer.forward(&activated.batch(), &cameras, &settings)?;
        lap(&mut times.raster_forward);
        let mut loss = image_loss(&rendered, &cameras, &targets, &weights)?;
        let perceptual = match &mut self.perceptual {
            Some(p) if stage == Stage::Fine && step >= self.config.perceptual_from => {
                let side = self.config.perceptual_patch;
                let weight = self.config.lambda_perceptual;
                p.add(&rendered, &targets, side, weight, &mut self.sampler, &mut loss.gradients.color)?
            }
            _ => 0.0,
        };
        lap(&mut times.loss);

        let mut report = StepReport {
            stage,
            step,
            stage_ends: step == steps,
            terms: loss.terms,
            perceptual,
            surfels: self.head.cloud.len(),
            skipped: self.skipped,
            times,
        };
        let gradients =
            self.rasterizer.backward(&activated.batch(), &cameras, &settings, &rendered, &loss.gradients)?;
        lap(&mut report.times.raster_backward);
        let mut raw = activate_vjp(&self.head.cloud, deltas.as_ref(), &activated, &gradients)?;
        lap(&mut report.times.activate);
        self.done += 1;
        if !loss.terms.total.is_finite() || !finite(&raw) {
            return self.skip(report);
        }
        self.bad_in_a_row = 0;
        picks.iter().zip(&loss.mouth_errors).for_each(|(pick, error)| self.sampler.observe(*pick, *error));

        let extent = self.head.settings.extent;
        if let Some((conditions, packed)) = &deformation {
            self.head.add_rest_gradient(packed, self.config.lambda_motion, &mut raw.deltas);
            let field = self.head.field_backward(conditions, &raw.deltas)?;
            lap(&mut report.times.field_backward);
            let [grid, other] = [self.config.grid_lr, self.config.deformation_lr]
                .map(|[first, last]| log_linear(first, last, step, steps) as f32);
            self.field_moments.step(&mut self.head.field, &field, grid, other)?;
            let rates = CloudRates::at(&self.config, step, steps, extent, self.config.fine_cloud_lr);
            self.cloud_moments.step_embedding(&mut self.head.cloud, &field.embedding, &rates);
            if self.config.fine_cloud_lr > 0.0 {
                self.cloud_moments.step(&mut self.head.cloud, &raw, &rates);
                self.head.cloud_moved()?;
            }
        } else {
            let rates = CloudRates::at(&self.config, step, steps, extent, 1.0);
            self.cloud_moments.step(&mut self.head.cloud, &raw, &rates);
            self.control_density(step, &rendered, &activated, &gradients)?;
            if step == steps {
                self.head.cloud_moved()?;
            }
        }
        lap(&mut report.times.optimiser);
        report.surfels = self.head.cloud.len();
        Ok(report)
    }

    fn skip(&mut self, mut report: StepReport) -> Result<StepReport> {
        self.skipped += 1;
        self.bad_in_a_row += 1;
        report.skipped = self.skipped;
        if self.bad_in_a_row >= BAD_STEPS {
            return Err(Error::Internal(format!(
                "{} step {}: the loss or a gradient was not a finite number {BAD_STEPS} times in a row; \
                 the last checkpoint is good",
                report.stage, report.step
            )));
        }
        Ok(report)
    }

    /// Clones, splits and prunes surfels (3DGS, Kerbl et al. 2023, §5) as the static stage goes on.
    fn control_density(
        &mut self,
        step: u64,
        rendered: &Rendered,
        _activated: &Activated,
        gradients: &SurfelGradients,
    ) -> Result<()> {
        let c = &self.config;
        if step >= c.densify_until {
            return Ok(());
        }
        self.statistics.observe(&rendered.radii, &gradients.screen)?;
        if step < c.densify_from || !step.is_multiple_of(c.densify_every) {
            return Ok(());
        }
        let options = DensityOptions {
            gradient_threshold: c.densify_grad_threshold,
            percent_dense: c.percent_dense,
            opacity_cull: c.opacity_cull,
            max_points: c.max_points,
            extent: self.head.settings.extent,
            seed: c.seed ^ step,
        };
        let edits = density::decide(&self.head.cloud, &self.statistics, &options)?;
        edits.apply(&mut self.head.cloud)?;
        for (_, stride, adam) in self.cloud_moments.arrays(self.head.cloud.bands()) {
            edits.apply_to(&mut adam.first, stride)?;
            edits.apply_to(&mut adam.second, stride)?;
        }
        self.statistics = Statistics::new(self.head.cloud.len());
        Ok(())
    }
}

fn finite(raw: &RawGradients) -> bool {
    [&raw.positions, &raw.rotations, &raw.log_scales, &raw.opacity_logits, &raw.harmonics, &raw.deltas]
        .iter()
        .all(|values| values.iter().all(|v| v.is_finite()))
}
