//! Checkpoints: everything a run needs to go on exactly where it stopped, in one file written as a whole.
//!
//! `chkpnt/<step>.safetensors` holds the head, Adam's moments, the densification statistics, the sampler and the
//! step. The newest two are kept; an old one goes only after the new one was read back.

use super::config::TrainConfig;
use super::sampler::SamplerState;
use super::trainer::{Sampling, Trainer};
use crate::gpu::Gpu;
use crate::head::backend::BranchMoments;
use crate::head::backend::adam::Adam;
use crate::head::cloud::density::DensityStats;
use crate::head::{Archive, Branch};
use crate::{Error, Result};
use data_utils::dataset::Dataset;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const FOLDER: &str = "chkpnt";
const KEPT: usize = 2;

/// The part of a checkpoint that is not arrays.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    done: u64,
    skipped: u64,
    sampler: SamplerState,
    /// Training frames and their errors that the sampler is to be told after it sampled the next batch.
    #[serde(default)]
    errors: Vec<(usize, f32)>,
    statistics: DensityStats,
    adam_steps: Vec<(String, u64)>,
}

/// The newest checkpoint in a model folder.
///
/// # Errors
/// [`Error::Input`] when the folder is there but cannot be listed.
pub fn newest(model: &Path) -> Result<Option<PathBuf>> {
    Ok(list(model)?.pop())
}

/// A checkpoint that was read.
pub(super) struct Checkpoint {
    path: PathBuf,
    archive: Archive,
    /// What is wrong with the newer ones.
    pub(super) damaged: Vec<Error>,
}

impl Checkpoint {
    /// The newest checkpoint that is not damaged; none where a folder has no checkpoint.
    ///
    /// # Errors
    /// [`Error::Input`] when the folder cannot be listed, or all checkpoints are damaged.
    pub(super) fn read_newest(model: &Path) -> Result<Option<Self>> {
        let mut damaged = Vec::new();
        for path in list(model)?.into_iter().rev() {
            match Archive::read(&path) {
                Ok(archive) => return Ok(Some(Checkpoint { path, archive, damaged })),
                Err(error) => damaged.push(error),
            }
        }
        // The newest one tells most.
        match damaged.into_iter().next() {
            None => Ok(None),
            Some(error) => Err(error),
        }
    }
}

/// True when a model folder has a checkpoint to go on from.
///
/// # Errors
/// [`Error::Input`] when the folder is there but cannot be listed.
pub fn has_any(model: &Path) -> Result<bool> {
    Ok(newest(model)?.is_some())
}

/// Takes all checkpoints out of a model folder.
///
/// # Errors
/// [`Error::Input`] when one cannot be removed.
pub fn remove_all(model: &Path) -> Result<()> {
    list(model)?.iter().try_for_each(|path| remove(path))
}

/// Everything that makes a run, as it was after some step.
pub(super) struct Snapshot {
    done: u64,
    archive: Archive,
}

impl Snapshot {
    /// The run as it is now.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when what is learned was on a device that is gone.
    pub(super) fn of(trainer: &mut Trainer<'_>) -> Result<Self> {
        Ok(Snapshot { done: trainer.done, archive: store(trainer)? })
    }

    /// Steps done then.
    pub(super) fn done(&self) -> u64 {
        self.done
    }

    /// Writes a checkpoint, reads it back, and only then removes old ones.
    ///
    /// # Errors
    /// [`Error::Input`] when the disk is full; the older checkpoints are then still there.
    pub(super) fn save(&self, model: &Path) -> Result<()> {
        let path = model.join(FOLDER).join(format!("{:08}.safetensors", self.done));
        self.archive.write(&path)?;
        Archive::read(&path)?;
        let mut all = list(model)?;
        all.retain(|old| *old != path);
        let stale = all.len().saturating_sub(KEPT - 1);
        all[..stale].iter().try_for_each(|old| remove(old))
    }
}

fn list(model: &Path) -> Result<Vec<PathBuf>> {
    let folder = model.join(FOLDER);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries =
        std::fs::read_dir(&folder).map_err(|e| Error::io(&folder, "a folder of checkpoints", &e))?;
    let mut found: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
        .filter_map(|path| path.file_stem()?.to_str()?.parse().ok().map(|step: u64| (step, path.clone())))
        .collect();
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn remove(path: &Path) -> Result<()> {
    std::fs::remove_file(path).map_err(|e| Error::io(path, "a checkpoint that may be removed", &e))
}

fn store(trainer: &mut Trainer<'_>) -> Result<Archive> {
    let mut archive = Archive::default();
    let (sampler, errors) = trainer.sampling.state();
    let (branch, moments) = trainer.backend.read_state()?;
    branch.store(&mut archive, "")?;
    let mut adam_steps = Vec::new();
    for (name, adam) in moments.iter().flat_map(|moments| moments.arrays()) {
        archive.put(format!("adam.first.{name}"), &[adam.first.len()], adam.first.clone());
        archive.put(format!("adam.second.{name}"), &[adam.second.len()], adam.second.clone());
        adam_steps.push((name, adam.steps));
    }
    let progress = Progress {
        done: trainer.done,
        skipped: trainer.skipped,
        sampler,
        errors,
        statistics: trainer.statistics.clone(),
        adam_steps,
    };
    let progress =
        serde_json::to_string(&progress).map_err(|e| Error::Internal(format!("progress as JSON: {e}")))?;
    archive.put_text("progress", progress);
    Ok(archive)
}

impl<'a> Trainer<'a> {
    /// A trainer that goes on where a checkpoint was taken.
    ///
    /// # Errors
    /// [`Error::Input`] when the checkpoint is of another part, sizes or dataset.
    pub(super) fn resume(
        config: TrainConfig,
        dataset: &'a Dataset,
        gpu: Option<&Gpu>,
        checkpoint: Checkpoint,
    ) -> Result<Self> {
        let Checkpoint { path, mut archive, .. } = checkpoint;
        let at = path.display().to_string();
        let refuse = |expected: String, found: String| {
            Error::input(path.display(), expected, found, "resume with what the run was started with")
        };
        let progress: Progress = serde_json::from_str(&archive.take_text(&at, "progress")?)
            .map_err(|e| refuse("the progress of a run".into(), e.to_string()))?;
        let branch = Branch::restore(&mut archive, "", &at, &candle_core::Device::Cpu)?;
        let kept = &branch.settings;
        if kept.part != config.part {
            return Err(refuse(format!("part {}", config.part), format!("part {}", kept.part)));
        }
        if kept.sh_degree != config.sh_degree {
            return Err(refuse(format!("sh_degree {}", config.sh_degree), kept.sh_degree.to_string()));
        }
        let steps = |name: &str| {
            let found = progress.adam_steps.iter().find(|(n, _)| n == name);
            found.map(|(_, steps)| *steps).ok_or_else(|| refuse(format!("steps of {name}"), "none".into()))
        };
        let mut load = |name: &str, adam: &mut Adam| -> Result<()> {
            let moments_of = |which: &str| format!("adam.{which}.{name}");
            let first = archive.take(&at, &moments_of("first"), 1)?;
            let second = archive.take(&at, &moments_of("second"), 1)?;
            if first.iter().any(|v| !v.is_finite()) || second.iter().any(|v| !v.is_finite() || *v < 0.0) {
                return Err(refuse(format!("finite moments of {name}"), "others".into()));
            }
            if first.len() != adam.first.len() || second.len() != adam.second.len() {
                return Err(refuse(
                    format!("{} moments of {name}", adam.first.len()),
                    first.len().to_string(),
                ));
            }
            *adam = Adam { first, second, steps: steps(name)? };
            Ok(())
        };
        let mut moments = BranchMoments::new(&branch);
        moments.arrays_mut().into_iter().try_for_each(|(name, adam)| load(&name, adam))?;
        let mut trainer = Trainer::with_branch(config, dataset, gpu, &branch, &moments)?;
        let n = branch.cloud.len();
        let s = progress.statistics;
        if [s.gradient.len(), s.views.len(), s.radius.len()] != [n; 3] {
            return Err(refuse(format!("statistics of {n} surfels"), s.gradient.len().to_string()));
        }
        trainer.statistics = s;
        let frames = trainer.frames.len();
        let sampler = trainer.sampling.sampler.clone().resume(progress.sampler);
        let sampler = sampler.filter(|_| progress.errors.iter().all(|(frame, _)| *frame < frames));
        let sampler =
            sampler.ok_or_else(|| refuse(format!("{frames} training frames"), "another number".into()))?;
        trainer.sampling = Sampling::new(sampler, progress.errors);
        trainer.done = progress.done;
        trainer.skipped = progress.skipped;
        Ok(trainer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_of_an_earlier_version_is_read() {
        // As versions wrote it whose sampler was not a step ahead.
        let text = r#"{"done":3,"skipped":1,
            "sampler":{"word_position":12,"order":[1,0],"next":1,"errors":[0.0,0.5]},
            "statistics":{"gradient":[0.0],"views":[0],"radius":[0]},
            "adam_steps":[["cloud.positions",3]]}"#;
        let progress: Progress = serde_json::from_str(text).expect("progress");
        assert_eq!((progress.done, progress.skipped, progress.sampler.next), (3, 1, 1));
        assert!(progress.errors.is_empty());
    }
}
