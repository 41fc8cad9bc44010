//! Runs the stages in the order in which they need each other, each only when its inputs, options or outputs are not
//! those it left behind.

use super::context::{Context, Resources};
use super::digests::Digests;
use super::journal::{FOLDER, Journal};
use super::manifest::{self, Manifest, Record};
use super::message::Message;
use super::plan::{Ownership, Step, all_there, plan};
use super::probe;
use super::stage::Stage;
use crate::error::{Error, Result};
use crate::workspace::{Origin, remove_temporaries};
use std::path::Path;
use std::time::Instant;

/// Runs what is asked for and not done yet, and returns how long each stage took, seconds.
///
/// # Errors
/// [`Error::Input`] when files of somebody else would be lost, or the video is none that a head can be made of, before
/// anything is touched; that of the first stage that fails, with everything before it done.
pub fn run(stages: &[Stage], resources: &Resources) -> Result<Vec<(String, f64)>> {
    let options = resources.options;
    let dir = options.dir.as_path();
    let mut manifest = match Manifest::open(dir) {
        Err(_) if options.redo && options.tasks[0] == 0 => Manifest::default(),
        manifest => manifest?,
    };
    let ownership = Ownership::of(dir, stages, &manifest)?;
    let mut digests = Digests::new(options);
    let plan = plan(stages, options, &manifest, &ownership, &mut digests)?;
    if plan.crop_changes {
        probe::validate(options, resources.probe()?)?;
    }
    remove_temporaries(dir)?;
    let mut runner = Runner { resources, manifest: &mut manifest, ownership, digests };
    let mut took = Vec::new();
    for step in &plan.steps {
        let stage = &stages[step.index];
        if let Some(seconds) = runner.step(stage, step)? {
            took.push((stage.name.to_owned(), seconds));
        }
    }
    let journals = dir.join(FOLDER);
    match std::fs::remove_dir(&journals) {
        // Other stages may have been interrupted before; their journals stay.
        Err(e)
            if !matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::DirectoryNotEmpty) =>
        {
            Err(Error::io(&journals, "a folder that may be removed", &e))
        }
        _ => Ok(took),
    }
}

struct Runner<'a> {
    resources: &'a Resources<'a>,
    manifest: &'a mut Manifest,
    ownership: Ownership,
    digests: Digests<'a>,
}

impl Runner<'_> {
    fn dir(&self) -> &Path {
        &self.resources.options.dir
    }

    /// Runs one stage when that is needed, and returns how long it took.
    fn step(&mut self, stage: &Stage, step: &Step) -> Result<Option<f64>> {
        let recorded = self.manifest.stages.get(stage.name);
        if step.follows && !recorded.is_some_and(|record| all_there(self.dir(), record)) {
            return Ok(None);
        }
        let listener = self.resources.listener;
        let by_hand: Vec<String> = step.kept.iter().cloned().collect();
        if !by_hand.is_empty() {
            listener(Message::Kept { stage: stage.name, files: &by_hand });
        }
        let work = self.digests.work(stage)?;
        let before = self.manifest.stages.get(stage.name).cloned();
        let same = before.as_ref().is_some_and(|r| r.key == work.key);
        if let Some(record) = before.filter(|_| same && !step.redo)
            && self.is_complete(stage, &record, step)?
        {
            listener(Message::UpToDate { stage: stage.name });
            let updated = self.record(stage, Record { by_hand, ..record.clone() })?;
            if updated != record {
                self.manifest.stages.insert(stage.name.to_owned(), updated);
                self.manifest.write(self.dir())?;
            }
            return Ok(None);
        }
        if !same {
            self.invalidate(stage)?;
        }
        let journal = Journal::start(self.dir(), stage.name, &work.key)?;
        let start = Instant::now();
        let result = (stage.run)(&Context::new(self.resources, &step.kept, &journal))?;
        let seconds = start.elapsed().as_secs_f64();
        self.remove_stale(stage, step, &journal)?;
        self.digests.forget(stage.outputs);
        listener(Message::Finished { stage: stage.name, result: &result, seconds });
        let record = Record {
            task: stage.tasks[0],
            key: work.key,
            options: work.options,
            inputs: work.inputs,
            outputs: Default::default(),
            files: Default::default(),
            by_hand,
            result,
            seconds,
        };
        let record = self.record(stage, record)?;
        self.manifest.stages.insert(stage.name.to_owned(), record);
        self.manifest.write(self.dir())?;
        journal.finish()?;
        Ok(Some(seconds))
    }

    /// Whether all that a stage made is still there, as it left it or as somebody changed it.
    fn is_complete(&mut self, stage: &Stage, record: &Record, step: &Step) -> Result<bool> {
        for pattern in stage.outputs {
            let group = self.digests.group(pattern)?;
            if record.files.is_empty() {
                // The first layout knows whole patterns only.
                let before = record.outputs.get(*pattern);
                let kept = group.each.keys().any(|name| step.kept.contains(name));
                if before.is_some_and(|b| if kept { b.count > group.files.count } else { *b != group.files })
                {
                    return Ok(false);
                }
                continue;
            }
            let missing = record.files.iter().any(|(name, hash)| {
                manifest::belongs(name, pattern)
                    && group.each.get(name).is_none_or(|now| now != hash && !step.kept.contains(name))
            });
            if missing {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Fills in what is there of a stage's outputs.
    fn record(&mut self, stage: &Stage, mut record: Record) -> Result<Record> {
        record.outputs = self.digests.of(stage.outputs)?;
        record.files.clear();
        for pattern in stage.outputs {
            record.files.extend(self.digests.group(pattern)?.each.clone());
        }
        Ok(record)
    }

    /// Removes what no longer holds once a stage has made something new: files of ours alone.
    fn invalidate(&mut self, stage: &Stage) -> Result<()> {
        let mut removed = Vec::new();
        for name in stage.invalidates {
            let group = self.digests.group(name)?.clone();
            let Some(hash) = group.each.get(*name) else { continue };
            if self.ownership.origin(name, name, hash, &group)? == Origin::Ours {
                let path = self.dir().join(name);
                std::fs::remove_file(&path)
                    .map_err(|e| Error::io(&path, "a file that may be removed", &e))?;
                removed.push((*name).to_owned());
            }
        }
        self.digests.forget(stage.invalidates);
        if !removed.is_empty() {
            (self.resources.listener)(Message::Removed { files: &removed });
        }
        Ok(())
    }

    /// Removes outputs that an earlier run of a stage left and this one has not made again.
    fn remove_stale(&self, stage: &Stage, step: &Step, journal: &Journal) -> Result<()> {
        for pattern in stage.outputs {
            for name in manifest::matching(self.dir(), pattern)? {
                let path = self.dir().join(&name);
                if !step.kept.contains(&name) && !journal.has(&name) && path != self.resources.options.video {
                    std::fs::remove_file(&path)
                        .map_err(|e| Error::io(&path, "a file that may be removed", &e))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
