//! The runner: stages in the order in which they need each other, each done only when its inputs, options or
//! outputs are not those it left behind.

use super::manifest::{self, Files, Manifest, Record};
use super::options::Options;
use super::transforms;
use crate::cli::progress::Progress;
use crate::error::{Error, Result};
use crate::face::FaceModels;
use crate::files;
use crate::track::FaceModel;
use crate::video::Ffmpeg;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

/// Folder of marks that a stage has begun.
const MARKS: &str = ".process";

/// One step from the video to the dataset.
pub struct Stage {
    /// Its name in the manifest.
    pub name: &'static str,
    /// Its numbers on the command line.
    pub tasks: [u8; 2],
    /// Raised when its results change.
    pub version: u32,
    /// What it reads: patterns in the dataset's folder, or `@video`, `@landmarker`, `@parsing`, `@face_model`,
    /// `@flow`.
    pub inputs: &'static [&'static str],
    /// What it writes: patterns in the dataset's folder.
    pub outputs: &'static [&'static str],
    /// Options that matter to it.
    pub options: fn(&Options) -> Vec<(&'static str, String)>,
    /// Does it; says in a line what came of it.
    pub run: fn(&Context) -> Result<String>,
}

/// What every stage may use.
pub struct Context<'a> {
    /// The flags.
    pub options: &'a Options,
    /// The programs that read videos.
    pub tools: &'a Ffmpeg,
    /// Whether files of this stage that are there already were left by the same work, cut short.
    pub resumed: bool,
    models: &'a OnceLock<FaceModels>,
}

impl Context<'_> {
    /// The dataset's folder.
    pub fn dir(&self) -> &Path {
        &self.options.dir
    }

    /// MediaPipe's networks, read once.
    ///
    /// # Errors
    /// As [`FaceModels::open`].
    pub fn models(&self) -> Result<&FaceModels> {
        if let Some(models) = self.models.get() {
            return Ok(models);
        }
        let models = FaceModels::open(&self.options.landmarker)?;
        Ok(self.models.get_or_init(|| models))
    }

    /// Progress of a stage's `total` steps.
    pub fn progress(&self, what: &str, total: usize) -> Progress {
        Progress::start(what, 0, total as u64, self.options.quiet)
    }

    /// Whether a frame's file that is there can be kept.
    pub fn has(&self, path: &Path) -> bool {
        self.resumed && path.is_file()
    }
}

/// Runs what is asked for and not done yet, and says how long each stage took.
///
/// # Errors
/// That of the first stage that fails; everything before it stays done.
pub fn run(
    stages: &[Stage],
    options: &Options,
    tools: &Ffmpeg,
    models: FaceModels,
) -> Result<Vec<(String, f64)>> {
    let cell = OnceLock::new();
    let _ = cell.set(models);
    let wanted = wanted(stages, options.tasks);
    sweep(stages, &options.dir)?;
    let mut manifest = Manifest::open(&options.dir);
    let mut took = Vec::new();
    let mut digests = Digests { options, known: BTreeMap::new() };
    for (stage, wanted) in stages.iter().zip(wanted) {
        if !wanted {
            continue;
        }
        let inputs = digests.of(stage.inputs)?;
        let chosen: BTreeMap<String, String> =
            (stage.options)(options).into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let key = key(stage, &inputs, &chosen);
        let before = manifest.stages.get(stage.name);
        if before.is_some_and(|r| r.key == key && digests.of(stage.outputs).is_ok_and(|o| o == r.outputs)) {
            if !options.quiet {
                eprintln!("{} is done", stage.name);
            }
            continue;
        }
        // What comes of the rest is no dataset until the last stage has run.
        transforms::withdraw(&options.dir)?;
        let resumed = begin(stage, options, &key, before.is_some())?;
        manifest.stages.remove(stage.name);
        let start = Instant::now();
        let result = (stage.run)(&Context { options, tools, resumed, models: &cell })?;
        let seconds = start.elapsed().as_secs_f64();
        digests.forget(stage.outputs);
        let outputs = digests.of(stage.outputs)?;
        let record = Record { task: stage.tasks[0], key, options: chosen, inputs, outputs, result, seconds };
        if !options.quiet {
            eprintln!("{}: {}", stage.name, record.result);
        }
        manifest.stages.insert(stage.name.to_owned(), record);
        manifest.write(&options.dir)?;
        let mark = mark(options, stage);
        std::fs::remove_file(&mark).map_err(|e| Error::io(&mark, "a file that may be removed", &e))?;
        took.push((stage.name.to_owned(), seconds));
    }
    let marks = options.dir.join(MARKS);
    match std::fs::remove_dir(&marks) {
        // Other stages may have been cut short before; their marks stay.
        Err(e)
            if !matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::DirectoryNotEmpty) =>
        {
            Err(Error::io(&marks, "a folder that may be removed", &e))
        }
        _ => Ok(took),
    }
}

/// Removes temporary files that killed runs left in the folders of the stages.
fn sweep(stages: &[Stage], dir: &Path) -> Result<()> {
    let folders =
        stages.iter().flat_map(|s| s.outputs).filter_map(|o| o.split_once('/').map(|(folder, _)| folder));
    let mut folders: Vec<PathBuf> = folders.chain([".", MARKS, "report"]).map(|f| dir.join(f)).collect();
    folders.sort();
    folders.dedup();
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') && name.ends_with(".tmp") {
                std::fs::remove_file(entry.path())
                    .map_err(|e| Error::io(&entry.path(), "a file that may be removed", &e))?;
            }
        }
    }
    Ok(())
}

/// Which stages run: those asked for, and all that they read from.
fn wanted(stages: &[Stage], tasks: [u8; 2]) -> Vec<bool> {
    let mut wanted: Vec<bool> =
        stages.iter().map(|s| s.tasks[0] <= tasks[1] && tasks[0] <= s.tasks[1]).collect();
    // Stages stand in an order in which nothing is read before it is written.
    for later in (0..stages.len()).rev() {
        if wanted[later] {
            for earlier in 0..later {
                wanted[earlier] |= stages[earlier].outputs.iter().any(|o| stages[later].inputs.contains(o));
            }
        }
    }
    wanted
}

fn key(stage: &Stage, inputs: &BTreeMap<String, Files>, options: &BTreeMap<String, String>) -> String {
    let mut text = format!("{} {}\n", stage.name, stage.version);
    inputs.iter().for_each(|(name, files)| text.push_str(&format!("{name} {}\n", files.sha256)));
    options.iter().for_each(|(name, value)| text.push_str(&format!("{name}={value}\n")));
    manifest::digest_text(&text)
}

fn mark(options: &Options, stage: &Stage) -> PathBuf {
    options.dir.join(MARKS).join(stage.name)
}

/// Marks that a stage begins; true when it goes on with the same work. Otherwise what an earlier run of it left is
/// removed, and files that are not ours are refused.
fn begin(stage: &Stage, options: &Options, key: &str, ours: bool) -> Result<bool> {
    let mark = mark(options, stage);
    let begun = std::fs::read_to_string(&mark).ok();
    if begun.as_deref() == Some(key) {
        return Ok(true);
    }
    for pattern in stage.outputs {
        let mut left = manifest::matching(&options.dir, pattern)?;
        // A crop may be the video itself.
        left.retain(|path| *path != options.video);
        if let (false, Some(one), None) = (ours, left.first(), &begun) {
            return Err(Error::input(
                one.display(),
                format!("no {pattern} made by another program"),
                format!("{} of them", left.len()),
                "move them away, or work in a folder of its own",
            ));
        }
        for path in left {
            std::fs::remove_file(&path).map_err(|e| Error::io(&path, "a file that may be replaced", &e))?;
        }
    }
    files::write_bytes(&mark, key.as_bytes())?;
    Ok(false)
}

/// Hashes of files, each taken once as long as nothing writes to them.
struct Digests<'a> {
    options: &'a Options,
    known: BTreeMap<String, Files>,
}

impl Digests<'_> {
    fn of(&mut self, patterns: &[&str]) -> Result<BTreeMap<String, Files>> {
        let mut all = BTreeMap::new();
        for pattern in patterns {
            let found = match self.known.get(*pattern) {
                Some(found) => found.clone(),
                None => self.take(pattern)?,
            };
            self.known.insert((*pattern).to_owned(), found.clone());
            all.insert((*pattern).to_owned(), found);
        }
        Ok(all)
    }

    fn take(&self, pattern: &str) -> Result<Files> {
        let external = match pattern {
            "@video" => vec![self.options.video.clone()],
            "@landmarker" => vec![self.options.landmarker.clone()],
            "@parsing" => self.options.parsing.iter().cloned().collect(),
            "@flow" => self.options.flow.iter().cloned().collect(),
            "@face_model" => match &self.options.face_model {
                Some(folder) => FaceModel::files(folder),
                None => Vec::new(),
            },
            _ => return manifest::digest(&self.options.dir, pattern),
        };
        manifest::digest_all(&external)
    }

    fn forget(&mut self, patterns: &[&str]) {
        patterns.iter().for_each(|p| drop(self.known.remove(*p)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(tasks: [u8; 2], inputs: &'static [&'static str], outputs: &'static [&'static str]) -> Stage {
        Stage {
            name: "made up",
            tasks,
            version: 1,
            inputs,
            outputs,
            options: |_| Vec::new(),
            run: |_| Ok(String::new()),
        }
    }

    #[test]
    fn a_task_brings_what_it_reads_and_nothing_else() {
        let stages = [
            stage([0, 0], &["@video"], &["box"]),
            stage([2, 2], &["@video", "box"], &["frames"]),
            stage([1, 1], &["@video"], &["sound"]),
            stage([6, 6], &["frames"], &["landmarks"]),
            stage([3, 3], &["frames", "landmarks"], &["masks"]),
            stage([8, 9], &["landmarks"], &["poses"]),
        ];
        assert_eq!(wanted(&stages, [3, 3]), [true, true, false, true, true, false]);
        assert_eq!(wanted(&stages, [9, 9]), [true, true, false, true, false, true]);
        assert_eq!(wanted(&stages, [1, 1]), [false, false, true, false, false, false]);
        assert_eq!(wanted(&stages, [0, 10]), [true; 6]);
    }
}
