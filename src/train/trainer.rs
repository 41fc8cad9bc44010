//! One training step after another: a static stage that finds the cloud, then a stage in which the field
//! moves it. Numbers in, numbers out; files, logs and clocks on the wall belong to the session.

use super::augment::ConditionNoise;
use super::batch::{Batch, Source};
use super::config::TrainConfig;
use super::edge_band::EdgeBand;
use super::face_measures::face_measures;
use super::first_cloud::first_cloud;
use super::position::{Position, Stage};
use super::rest::Rest;
use super::sampler::{Sampler, SamplerState};
use super::schedule::{active_degree, rates};
use super::step::StepReport;
use crate::gpu::Gpu;
use crate::head::backend::{
    self, Backend, BranchMoments, Opened, PatchInputs, StepInputs, StepOutputs, StepTargets,
};
use crate::head::cloud::density::{self, DensityOptions, DensityStats};
use crate::head::field::Conditions;
use crate::head::{Branch, BranchSettings, frame_conditions};
use crate::loss::LossTerms;
use crate::loss::patches::PatchNetwork;
use crate::{Error, Result};
use candle_core::Device;
use data_utils::dataset::Dataset;
use std::time::{Duration, Instant};

/// After this many steps in a row without finite numbers a run ends.
const BAD_STEPS: u32 = 3;
/// Surfels larger than this part of the extent go.
const MAX_SCALE: f32 = 0.1;

/// A head being trained.
pub struct Trainer<'a> {
    /// The configuration of the run.
    pub config: TrainConfig,
    /// The dataset.
    pub dataset: &'a Dataset,
    pub(super) backend: Box<dyn Backend>,
    /// Why the GPU is not used although there is one.
    pub(super) note: Option<String>,
    pub(super) settings: BranchSettings,
    pub(super) frames: Vec<usize>,
    pub(super) surfels: usize,
    pub(super) statistics: DensityStats,
    pub(super) sampling: Sampling,
    pub(super) done: u64,
    pub(super) skipped: u64,
    pub(super) edge: EdgeBand,
    patches: Option<PatchNetwork>,
    /// Whether some surfels are the inside of the mouth.
    has_mouth: bool,
    noise: ConditionNoise,
    rest: Option<Rest>,
    bad_in_a_row: u32,
}

/// The sampler, which is one step ahead: while a step runs, the frames of the next are read.
pub(super) struct Sampling {
    pub(super) sampler: Sampler,
    /// The batch of the next step with its targets.
    next: Option<(Batch, StepTargets)>,
    /// The sampler's state before the next batch was sampled, when it was.
    before: Option<SamplerState>,
    /// Training frames and their errors that the sampler is to be told after it sampled the next batch. A checkpoint holds
    /// them with the state before.
    errors: Vec<(usize, f32)>,
}

impl Sampling {
    /// Goes on from a sampler's state, and the errors that it is to be told after the next batch.
    pub(super) fn new(sampler: Sampler, errors: Vec<(usize, f32)>) -> Self {
        Sampling { sampler, next: None, before: None, errors }
    }

    /// What a checkpoint needs: the state before the next batch, and the errors of the last.
    pub(super) fn state(&self) -> (SamplerState, Vec<(usize, f32)>) {
        match &self.before {
            Some(before) => (before.clone(), self.errors.clone()),
            None => (self.sampler.state(), Vec::new()),
        }
    }
}

impl<'a> Trainer<'a> {
    /// A fresh trainer: the cloud from the dataset's points, the field from the seed. It trains on `gpu` where there is one
    /// with enough room.
    ///
    /// # Errors
    /// [`Error::Input`] when the dataset has no training frame or no points, or weights cannot be read.
    pub fn new(config: TrainConfig, dataset: &'a Dataset, gpu: Option<&Gpu>) -> Result<Self> {
        let (cloud, settings) = first_cloud(&config, dataset)?;
        let mut branch = Branch::new(settings, cloud, &Device::Cpu)?;
        let seen =
            dataset.train_indices().map(|index| frame_conditions(&branch.settings, dataset, index, true));
        let seen = seen.collect::<Result<Vec<_>>>()?;
        branch.field.set_statistics(&seen);
        let moments = BranchMoments::new(&branch);
        Self::with_branch(config, dataset, gpu, &branch, &moments)
    }

    pub(super) fn with_branch(
        config: TrainConfig,
        dataset: &'a Dataset,
        gpu: Option<&Gpu>,
        branch: &Branch,
        moments: &BranchMoments,
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
        let surfels = branch.cloud.len();
        let most = surfels.max(config.max_points);
        let Opened { mut backend, note } = backend::open(gpu, branch, most, config.batch_size);
        backend.load_state(branch, Some(moments))?;
        let patches = match &config.lpips_weights {
            Some(path) if config.weights.patch_terms().next().is_some() => {
                Some(PatchNetwork::open(path, config.lpips_patch, backend.gpu())?)
            }
            _ => None,
        };
        let sampler = Sampler::new(frames.len(), config.hard_frames, config.seed)
            .spread_over(&face_measures(dataset), config.even_frames);
        Ok(Trainer {
            backend,
            note,
            settings: branch.settings.clone(),
            surfels,
            statistics: DensityStats::new(surfels),
            sampling: Sampling::new(sampler, Vec::new()),
            done: 0,
            skipped: 0,
            bad_in_a_row: 0,
            patches,
            has_mouth: branch.cloud.mouth.surfels > 0,
            noise: ConditionNoise::of(dataset),
            rest: Rest::of(dataset, config.seed)?,
            edge: EdgeBand::of(dataset, config.mask_margin)?,
            frames,
            config,
            dataset,
        })
    }

    /// The branch as it is now.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when it was on a device that is gone.
    pub fn branch(&mut self) -> Result<&Branch> {
        Ok(self.backend.read_state()?.0)
    }

    /// Surfels of the cloud.
    pub fn surfels(&self) -> usize {
        self.surfels
    }

    /// Whether it trains on a GPU, so that what is learned goes when that goes.
    pub fn on_gpu(&self) -> bool {
        self.backend.gpu().is_some()
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
        frame_conditions(&self.settings, self.dataset, index, freeze_frame_code)
    }

    /// One step.
    ///
    /// # Errors
    /// Those of reading a frame; [`Error::Internal`] when three steps in a row give no finite numbers,
    /// [`Error::DeviceLost`] when the GPU goes away, with whatever is learned there.
    pub fn step(&mut self) -> Result<StepReport> {
        let start = Instant::now();
        let position = Position::after(self.done, &self.config);
        let (batch, targets) = self.take_batch(position)?;
        let mut load = start.elapsed();
        let next = self.sample_next()?;
        let (outputs, waited, next) = self.run(position, &batch, &targets, next)?;
        load += waited;
        self.done += 1;
        let errors = self.check(position, &batch, &outputs)?;
        errors.iter().for_each(|(frame, error)| self.sampling.sampler.observe(*frame, *error));
        self.sampling.errors = errors;
        let before = Instant::now();
        if outputs.finite && position.controls_density(&self.config) {
            self.control_density(position.step, &outputs)?;
        }
        // A frame that cannot be read ends the run after this step, which is whole and can be saved.
        self.sampling.next = next?;
        Ok(StepReport {
            stage: position.stage,
            step: position.step,
            stage_ends: position.step == position.steps,
            terms: LossTerms::mean(&outputs.terms),
            surfels: self.surfels,
            skipped: self.skipped,
            load,
            density: before.elapsed(),
            times: outputs.times,
        })
    }

    fn sample(&mut self, position: Position) -> Result<Batch> {
        let Trainer { dataset, settings, config, frames, noise, rest, sampling, .. } = self;
        let source = Source { dataset, settings, config, frames, noise, rest: rest.as_ref() };
        Batch::sample(&mut sampling.sampler, &source, position)
    }

    /// The batch of this step: the one that was prepared, or, for the first step of a run, a new one.
    fn take_batch(&mut self, position: Position) -> Result<(Batch, StepTargets)> {
        if let Some(ready) = self.sampling.next.take() {
            return Ok(ready);
        }
        let batch = self.sample(position)?;
        let errors = std::mem::take(&mut self.sampling.errors);
        errors.iter().for_each(|(frame, error)| self.sampling.sampler.observe(*frame, *error));
        let targets =
            batch.targets(self.dataset, self.config.part, &self.edge, self.has_mouth, self.backend.gpu())?;
        Ok((batch, targets))
    }

    /// Samples the batch of the step after this one, when there is one.
    fn sample_next(&mut self) -> Result<Option<Batch>> {
        if self.done + 1 >= self.config.total_iterations() {
            self.sampling.before = None;
            return Ok(None);
        }
        self.sampling.before = Some(self.sampling.sampler.state());
        self.sample(Position::after(self.done + 1, &self.config)).map(Some)
    }

    /// Runs a step while another thread reads the frames of the next; how long the step had to wait for that.
    #[expect(clippy::type_complexity, reason = "a step, a time, and what the next step starts from")]
    fn run(
        &mut self,
        position: Position,
        batch: &Batch,
        targets: &StepTargets,
        next: Option<Batch>,
    ) -> Result<(StepOutputs, Duration, Result<Option<(Batch, StepTargets)>>)> {
        let config = &self.config;
        let patches = self.patches.as_ref().map(|network| PatchInputs { network, dice: &batch.dice });
        let inputs = StepInputs {
            conditions: &batch.conditions,
            cameras: &batch.cameras,
            background: batch.background,
            targets,
            weights: &batch.weights,
            sh_degree: active_degree(self.done, config.sh_interval, self.settings.sh_degree),
            rest_weight: config.lambda_motion,
            statistics: position.controls_density(config),
            patches,
            rates: &rates(config, position, self.settings.extent),
        };
        let (dataset, edge, gpu) = (self.dataset, &self.edge, self.backend.gpu().cloned());
        let has_mouth = self.has_mouth;
        let backend = &mut self.backend;
        std::thread::scope(|scope| {
            let prepared = next.map(|batch| {
                scope.spawn(move || {
                    let targets = batch.targets(dataset, config.part, edge, has_mouth, gpu.as_ref())?;
                    Ok::<_, Error>((batch, targets))
                })
            });
            let outputs = backend.train_step(&inputs)?;
            let start = Instant::now();
            let died = |_| Error::Internal("the thread that reads frames died".into());
            let next = prepared.map(|thread| thread.join().map_err(died)?).transpose();
            Ok((outputs, start.elapsed(), next))
        })
    }

    /// Counts steps without finite numbers; the errors of the frames of a good one.
    fn check(
        &mut self,
        position: Position,
        batch: &Batch,
        outputs: &StepOutputs,
    ) -> Result<Vec<(usize, f32)>> {
        if outputs.finite {
            self.bad_in_a_row = 0;
            let errors = batch.picks.iter().zip(&outputs.terms).zip(&batch.is_mixed);
            let errors = errors.filter(|(_, is_mixed)| !**is_mixed);
            return Ok(errors.map(|((pick, terms), _)| (*pick, terms.hardness())).collect());
        }
        self.skipped += 1;
        self.bad_in_a_row += 1;
        if self.bad_in_a_row >= BAD_STEPS {
            return Err(Error::Internal(format!(
                "{} step {}: the loss or a gradient was not a finite number {BAD_STEPS} times in a row",
                position.stage, position.step
            )));
        }
        Ok(Vec::new())
    }

    /// Clones, splits and removes surfels (3DGS, Kerbl et al. 2023, §5) as the static stage goes on.
    fn control_density(&mut self, step: u64, outputs: &StepOutputs) -> Result<()> {
        let c = &self.config;
        self.statistics.add(&outputs.radii, &outputs.screen)?;
        if step < c.densify_from || !step.is_multiple_of(c.densify_every) {
            return Ok(());
        }
        let options = DensityOptions {
            extent: self.settings.extent,
            gradient_threshold: c.densify_grad_threshold,
            split_scale: c.percent_dense,
            min_opacity: c.opacity_cull,
            max_radius: None,
            max_scale: Some(MAX_SCALE),
            max_points: c.max_points,
            seed: c.seed,
            step,
        };
        let edits = density::decide(&self.backend.read_state()?.0.cloud, &self.statistics, &options)?;
        self.backend.edit(&edits)?;
        self.surfels = edits.rows.len();
        self.statistics = DensityStats::new(self.surfels);
        Ok(())
    }
}
