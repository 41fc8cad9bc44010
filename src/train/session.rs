//! A whole training run: the model folder, checkpoints, logs, progress, and stopping when asked.

use super::checkpoint::{Checkpoint, Snapshot};
use super::config::TrainConfig;
use super::evaluate::{Evaluation, evaluate};
use super::events::Events;
use super::model_folder::{self, CONFIG_FILE};
use super::position::Stage;
use super::step::StepReport;
use super::torso_points::TorsoPoints;
use super::trainer::Trainer;
use crate::gpu::Gpu;
use crate::head::cloud::ViewerFrame;
use crate::head::cloud::init::Points;
use crate::head::cloud::model_dir::{CfgArgs, ModelDir};
use crate::head::{Clip, folder, view};
use crate::{Error, Result};
use data_utils::dataset::{Dataset, Part, Split};
use data_utils::workspace::{Lock, remove_temporaries};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Steps between two snapshots: some hundredths of a second's work every few seconds.
pub const SNAPSHOT_EVERY: u64 = 100;

/// Where a run reads, writes and whether it goes on.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Dataset folder, as the user named it.
    pub source_path: PathBuf,
    /// Model folder.
    pub model_path: PathBuf,
    /// Go on from the newest checkpoint.
    pub resume: bool,
    /// Start over although a model is there.
    pub overwrite: bool,
    /// Steps between two snapshots of what is learned on a GPU. They are kept in memory and written when the GPU goes away;
    /// [`SNAPSHOT_EVERY`] will do.
    pub snapshot_every: u64,
}

/// A run that can be started.
pub struct Session<'a> {
    trainer: Trainer<'a>,
    options: SessionOptions,
    folder: ModelDir,
    /// The run some steps ago, where what is learned is on a device.
    snapshot: Option<Snapshot>,
    /// What is wrong with checkpoints that were passed over.
    damaged: Vec<Error>,
    /// Keeps other runs out of the model folder.
    lock: Lock,
}

/// What a run did.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Stage and step it stopped at.
    pub at: (Stage, u64),
    /// True when it was asked to stop before the end.
    pub interrupted: bool,
    /// Surfels of the cloud.
    pub surfels: usize,
    /// Time spent in this run.
    pub time: Duration,
    /// Mean time of a step of this run.
    pub step_time: Duration,
    /// The last evaluation, when there was one.
    pub evaluation: Option<Evaluation>,
    /// Where the model is.
    pub model_path: PathBuf,
}

/// Who watches a run and may stop it.
pub trait Watcher {
    /// `done` of all steps are done; `message` says how it goes and is made only when it is called.
    fn progress(&mut self, done: u64, message: &dyn Fn() -> String);
    /// Something that should stay on the screen.
    fn say(&mut self, line: &str);
    /// True when the run should stop at the next safe place.
    fn stop(&self) -> bool;
}

impl<'a> Session<'a> {
    /// Prepares the model folder and the trainer; nothing is written when the input is refused.
    ///
    /// # Errors
    /// [`Error::Input`] when another run works in the folder, when it holds a model or files of another program and
    /// neither `resume` nor `overwrite` was asked for, when there is nothing to resume, or when the run was started
    /// with other settings or another dataset.
    pub fn open(
        config: TrainConfig,
        dataset: &'a Dataset,
        gpu: Option<&Gpu>,
        options: SessionOptions,
    ) -> Result<Self> {
        let lock = Lock::acquire(&options.model_path, "train")?;
        let folder = ModelDir::new(&options.model_path);
        let mut damaged = Vec::new();
        let trainer = if options.resume {
            let Some(mut checkpoint) = Checkpoint::read_newest(&options.model_path)? else {
                return Err(Error::input(
                    options.model_path.display(),
                    "a checkpoint to resume from",
                    "none",
                    "leave --resume away to start",
                ));
            };
            model_folder::check_resumable(&options.model_path, &config, dataset)?;
            damaged = std::mem::take(&mut checkpoint.damaged);
            let trainer = Trainer::resume(config, dataset, gpu, checkpoint)?;
            remove_temporaries(&options.model_path)?;
            write_config(&options, &trainer.config)?;
            trainer
        } else {
            if !options.overwrite {
                model_folder::check_vacant(&options.model_path)?;
            }
            let trainer = Trainer::new(config, dataset, gpu)?;
            model_folder::clear(&options.model_path)?;
            model_folder::claim(&options.model_path, dataset)?;
            write_folder(&folder, &trainer, dataset, &options)?;
            trainer
        };
        model_folder::record(&options.model_path, dataset)?;
        Ok(Session { trainer, options, folder, snapshot: None, damaged, lock })
    }

    /// The run that worked in the model folder before and ended without saying so, as `train (process 12 on host)`.
    pub fn interrupted_run(&self) -> Option<&str> {
        self.lock.interrupted()
    }

    /// What is wrong with newer checkpoints than the one that the run goes on from.
    pub fn damaged_checkpoints(&self) -> &[Error] {
        &self.damaged
    }

    /// What it trains on: "CPU, 2 threads", or the adapter's name.
    pub fn device(&self) -> String {
        self.trainer.backend.name()
    }

    /// A sentence for the user when the GPU is not used although there is one.
    pub fn note(&self) -> Option<&str> {
        self.trainer.note.as_deref()
    }

    /// The stage and step it stands at, and how many steps are done of how many.
    pub fn position(&self) -> ((Stage, u64), u64, u64) {
        (self.trainer.position(), self.trainer.steps_done(), self.trainer.config.total_iterations())
    }

    /// Trains until the end, until asked to stop, or until something fails; in each case the last thing written is a
    /// checkpoint, where the disk takes it.
    ///
    /// # Errors
    /// [`Error::Input`] when a frame cannot be read or the disk is full; [`Error::Internal`] when the loss stays infinite
    /// or not a number; [`Error::DeviceLost`] when the GPU goes away, with a checkpoint of at most
    /// [`SessionOptions::snapshot_every`] steps before.
    pub fn run(&mut self, watcher: &mut dyn Watcher) -> Result<Summary> {
        let (start, first) = (Instant::now(), self.trainer.steps_done());
        let mut events = Events::open(&self.options.model_path, first)?;
        let mut evaluation = None;
        while !self.trainer.finished() && !watcher.stop() {
            if let Err(error) = self.advance(&mut events, &mut evaluation, watcher) {
                return Err(self.save_after(error, &mut events, first));
            }
        }
        self.save_checkpoint(&mut events)?;
        let (stage, step) = self.trainer.position();
        let iteration = self.iteration_dir(stage, step);
        let steps = self.trainer.steps_done() - first;
        if steps > 0 || !iteration.exists() {
            // The last one holds the clip too, so that the head speaks without its dataset.
            let clip = match stage {
                // A torso has no clip of its own: it becomes a branch of a head.
                Stage::Coarse => None,
                Stage::Fine if self.trainer.config.part == Part::Torso => None,
                Stage::Fine => Some(Clip::of(self.trainer.dataset, self.trainer.config.part)?),
            };
            folder::save(&iteration, &[self.trainer.branch()?], clip.as_ref())?;
        }
        Ok(Summary {
            at: self.trainer.position(),
            interrupted: !self.trainer.finished(),
            surfels: self.trainer.surfels(),
            time: start.elapsed(),
            step_time: start.elapsed() / u32::try_from(steps.max(1)).unwrap_or(u32::MAX),
            evaluation,
            model_path: self.options.model_path.clone(),
        })
    }

    /// One step and all that is due after it.
    fn advance(
        &mut self,
        events: &mut Events,
        evaluation: &mut Option<Evaluation>,
        watcher: &mut dyn Watcher,
    ) -> Result<()> {
        let before = self.trainer.steps_done();
        let due = self
            .snapshot
            .as_ref()
            .is_none_or(|snapshot| before >= snapshot.done() + self.options.snapshot_every);
        if due && self.trainer.on_gpu() {
            self.snapshot = Some(Snapshot::of(&mut self.trainer)?);
        }
        let report = self.trainer.step()?;
        let done = self.trainer.steps_done();
        watcher.progress(done, &|| message(&report, evaluation.as_ref()));
        if done.is_multiple_of(self.trainer.config.log_every) {
            log(events, done, &report)?;
        }
        let config = &self.trainer.config;
        let last = self.trainer.finished();
        let (test, save) = (done.is_multiple_of(config.test_every), done.is_multiple_of(config.save_every));
        let (check, test_frames) = (done.is_multiple_of(config.checkpoint_every), config.test_frames);
        if test || last {
            let found = evaluate(&mut self.trainer, test_frames)?;
            record(events, done, &found)?;
            watcher.say(&format!("{} step {}: held-out {found}", report.stage, report.step));
            *evaluation = Some(found);
        }
        if (save || report.stage_ends) && !last {
            let (stage, step) = (report.stage, report.step);
            let folder = self.iteration_dir(stage, step);
            folder::save(&folder, &[self.trainer.branch()?], None)?;
        }
        if check {
            self.save_checkpoint(events)?;
        }
        Ok(())
    }

    /// Saves what was learned before something failed, and says so in the error.
    fn save_after(&mut self, error: Error, events: &mut Events, first: u64) -> Error {
        let saved = match (&error, &self.snapshot) {
            (Error::DeviceLost(_), Some(snapshot)) => {
                let done = snapshot.done();
                events.flush().and_then(|()| snapshot.save(&self.options.model_path)).map(|()| done)
            }
            (Error::DeviceLost(_), None) => return error,
            _ if self.trainer.steps_done() == first => return error,
            _ => self.save_checkpoint(events).map(|()| self.trainer.steps_done()),
        };
        match (error, saved) {
            (Error::Input(mut problem), Ok(done)) => {
                problem.remedy = format!("{}; step {done} is saved, add --resume to go on", problem.remedy);
                Error::Input(problem)
            }
            (Error::Internal(what), Ok(done)) => {
                Error::Internal(format!("{what} (step {done} is saved; --resume goes on from there)"))
            }
            (error, _) => error,
        }
    }

    fn iteration_dir(&self, stage: Stage, step: u64) -> PathBuf {
        match stage {
            Stage::Coarse => {
                self.options.model_path.join("point_cloud").join(format!("coarse_iteration_{step}"))
            }
            Stage::Fine => self.folder.iteration_dir(step),
        }
    }

    fn save_checkpoint(&mut self, events: &mut Events) -> Result<()> {
        events.flush()?;
        let snapshot = Snapshot::of(&mut self.trainer)?;
        snapshot.save(&self.options.model_path)?;
        if self.trainer.on_gpu() {
            self.snapshot = Some(snapshot);
        }
        Ok(())
    }
}

/// What viewers and later runs want to find beside the point clouds.
fn write_folder(
    folder: &ModelDir,
    trainer: &Trainer<'_>,
    dataset: &Dataset,
    options: &SessionOptions,
) -> Result<()> {
    let config = &trainer.config;
    let source = std::path::absolute(&options.source_path).unwrap_or_else(|_| options.source_path.clone());
    let mut args = CfgArgs::new(crate::head::PLY_DEGREE, &source.to_string_lossy(), false);
    args.set("model_path", options.model_path.to_string_lossy().as_ref());
    args.set("part", config.part.to_string().as_str());
    folder.write_cfg_args(&args)?;
    let frame = ViewerFrame::of_extent(trainer.settings.extent);
    let cameras = |split: Split| {
        let frames = dataset.frames.iter().filter(move |f| f.split == split);
        frames.map(|f| (f.img_id.to_string(), frame.camera(&view(config.part, &f.camera))))
    };
    let (test, train): (Vec<_>, Vec<_>) = (cameras(Split::Val).collect(), cameras(Split::Train).collect());
    folder.write_cameras(&test, &train)?;
    write_input(folder, &frame, trainer, dataset)?;
    write_config(options, config)
}

/// The points that the cloud started from, as viewers load them.
fn write_input(
    folder: &ModelDir,
    frame: &ViewerFrame,
    trainer: &Trainer<'_>,
    dataset: &Dataset,
) -> Result<()> {
    if trainer.config.part == Part::Torso {
        let (positions, colors) = TorsoPoints::of(dataset, trainer.config.seed)?.all();
        let points = Points { positions: &positions, colors: Some(&colors), ..Points::default() };
        let (positions, _) = frame.points(&points);
        return folder.write_input(&Points { positions: &positions, ..points });
    }
    let points = dataset.initial_points()?;
    let points = Points::from(&points);
    let (positions, normals) = frame.points(&points);
    folder.write_input(&Points { positions: &positions, normals: normals.as_deref(), ..points })
}

fn write_config(options: &SessionOptions, config: &TrainConfig) -> Result<()> {
    data_utils::media::files::write_bytes(&options.model_path.join(CONFIG_FILE), config.to_toml()?.as_bytes())
}

fn message(report: &StepReport, evaluation: Option<&Evaluation>) -> String {
    let held_out = evaluation.map_or(String::new(), |e| format!(", held-out {:.2} dB", e.psnr));
    format!("{} loss {:.4}, {} surfels{held_out}", report.stage, report.terms.total, report.surfels)
}

fn log(events: &mut Events, step: u64, report: &StepReport) -> Result<()> {
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    let times = &report.times;
    let mut values: Vec<(&str, f64)> =
        report.terms.named().map(|(name, value)| (name, f64::from(value))).collect();
    values.extend([
        ("surfels", report.surfels as f64),
        ("skipped_steps", report.skipped as f64),
        ("ms_load", ms(report.load)),
        ("ms_field_forward", ms(times.field_forward)),
        ("ms_activate", ms(times.activate)),
        ("ms_raster_forward", ms(times.raster_forward)),
        ("ms_loss", ms(times.loss)),
        ("ms_raster_backward", ms(times.raster_backward)),
        ("ms_device", ms(times.device)),
        ("ms_field_backward", ms(times.field_backward)),
        ("ms_optimizer", ms(times.optimizer)),
        ("ms_density", ms(report.density)),
    ]);
    events.scalars(&format!("train_{}", report.stage), step, &values)
}

fn record(events: &mut Events, step: u64, found: &Evaluation) -> Result<()> {
    let values = [("psnr", found.psnr), ("ssim", found.ssim), ("l1", found.l1)];
    events.scalars("test", step, &values)?;
    if let Some(picture) = &found.picture {
        let png = data_utils::media::files::png(picture)?;
        events.picture("test/truth_and_drawn", step, [picture.width(), picture.height()], &png)?;
    }
    Ok(())
}
