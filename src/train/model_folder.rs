//! The model folder of a run: whose files are in it, which of them a new run may replace, and whether a run that goes
//! on is still the same run.

use super::checkpoint;
use super::config::TrainConfig;
use crate::head::cloud::model_dir::ITERATION_FILES;
use crate::{Error, Result};
use data_utils::Problem;
use data_utils::dataset::Dataset;
use data_utils::workspace::{Ledger, Origin, digest_text, remove_temporaries};
use std::path::{Path, PathBuf};

/// The settings of a run, in its model folder.
pub const CONFIG_FILE: &str = "config.toml";

/// What a run writes when it starts.
const START_FILES: [&str; 4] = ["cfg_args", "cameras.json", "input.ply", CONFIG_FILE];
/// What it adds to while it goes on.
const LOGS: [&str; 2] = ["metrics.jsonl", "events.out.tfevents.surfeltalk"];
/// Settings that a run may change when it goes on: how long it takes, and how often it saves and reports.
const MAY_CHANGE: [&str; 7] = [
    "fine_iterations",
    "test_every",
    "test_frames",
    "save_every",
    "checkpoint_every",
    "log_every",
    "lpips_weights",
];

/// Refuses a folder in which a run would replace something that is not its own to replace. A run that was killed
/// before it saved anything leaves only files that a new run may replace.
///
/// # Errors
/// [`Error::Input`] naming the first such file.
pub(super) fn check_vacant(model: &Path) -> Result<()> {
    let refuse = |found: String| {
        let remedy = "add --resume to go on, --overwrite to start over, or name another folder";
        Err(Error::input(model.display(), "a folder without a model", found, remedy))
    };
    if let Some(path) = checkpoint::newest(model)? {
        return refuse(format!("{}, which is already trained or being trained", path.display()));
    }
    if let Some((path, _)) = iterations(model)?.first() {
        return refuse(format!("the trained model {}", path.display()));
    }
    let ledger = Ledger::read(model)?;
    for name in START_FILES {
        let origin = match &ledger {
            Some(ledger) if ledger.files.is_empty() => Origin::Ours,
            Some(ledger) => ledger.origin(model, name)?,
            None if model.join(name).exists() => Origin::Foreign,
            None => Origin::Missing,
        };
        match origin {
            Origin::Missing | Origin::Ours => {}
            Origin::Changed => return refuse(format!("{name}, which was changed by hand")),
            Origin::Foreign => return refuse(format!("{name}, which this program did not write")),
        }
    }
    match LOGS.iter().find(|name| ledger.is_none() && model.join(name).exists()) {
        Some(name) => refuse(format!("{name}, which this program did not write")),
        None => Ok(()),
    }
}

/// Removes what an earlier run left, and nothing else: checkpoints, saved iterations, logs and temporary files.
///
/// # Errors
/// [`Error::Input`] when a file cannot be removed.
pub(super) fn clear(model: &Path) -> Result<()> {
    checkpoint::remove_all(model)?;
    for (folder, files) in iterations(model)? {
        files.iter().try_for_each(|file| remove(file))?;
        // Files of somebody else keep the folder.
        let _ = std::fs::remove_dir(folder);
    }
    for name in LOGS {
        let path = model.join(name);
        if path.is_file() {
            remove(&path)?;
        }
    }
    remove_temporaries(model)
}

/// Records the files that a run has just written as its own.
///
/// # Errors
/// [`Error::Input`] when the folder cannot be written to.
pub(super) fn record(model: &Path, dataset: &Dataset) -> Result<()> {
    let mut ledger = Ledger::new("train", fingerprint(dataset));
    ledger.record(model, START_FILES.into_iter().filter(|name| model.join(name).is_file()))?;
    ledger.write(model)
}

/// Records that a run is about to write its first files. One that is killed before [`record`] leaves this.
///
/// # Errors
/// [`Error::Input`] when the folder cannot be written to.
pub(super) fn claim(model: &Path, dataset: &Dataset) -> Result<()> {
    Ledger::new("train", fingerprint(dataset)).write(model)
}

/// Refuses to go on with other settings, or with another dataset, than the run was started with.
///
/// # Errors
/// [`Error::Input`] naming every setting that differs, with its old and its new value.
pub(super) fn check_resumable(model: &Path, config: &TrainConfig, dataset: &Dataset) -> Result<()> {
    let path = model.join(CONFIG_FILE);
    if path.is_file() {
        let kept = TrainConfig::read_table(&path)?;
        let kept = TrainConfig::from_tables(&path.display().to_string(), kept, toml::Table::new())?;
        let mut problems = Vec::new();
        compare("", &table(&kept)?, &table(config)?, &mut problems);
        match problems.len() {
            0 => {}
            1 => return Err(Error::Input(problems.remove(0))),
            _ => return Err(Error::Inputs(problems)),
        }
    }
    match Ledger::read(model)? {
        Some(ledger) if ledger.request != fingerprint(dataset) => Err(Error::input(
            model.display(),
            "the dataset that the run was started with",
            "one with other frames or cameras",
            "name that dataset with --source_path, or train a new model in another folder",
        )),
        _ => Ok(()),
    }
}

/// Frames and cameras of a dataset as one hash.
fn fingerprint(dataset: &Dataset) -> String {
    let frame = |f: &data_utils::dataset::FrameMeta| {
        format!("{} {} {:?} {:?}\n", f.img_id, f.aud_id, f.split, f.camera)
    };
    digest_text(&dataset.frames.iter().map(frame).collect::<String>())
}

fn table(config: &TrainConfig) -> Result<toml::Table> {
    let text = config.to_toml()?;
    text.parse().map_err(|e| Error::Internal(format!("configuration as TOML: {e}")))
}

fn compare(prefix: &str, old: &toml::Table, new: &toml::Table, problems: &mut Vec<Problem>) {
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let name = format!("{prefix}{key}");
        match (old.get(key), new.get(key)) {
            (Some(toml::Value::Table(old)), Some(toml::Value::Table(new))) => {
                compare(&format!("{name}."), old, new, problems);
            }
            (old, new) if old != new && !MAY_CHANGE.contains(&name.as_str()) => {
                problems.push(Problem::new(
                    "--resume",
                    format!("the settings of the run, {name} {}", words(old)),
                    format!("{name} {}", words(new)),
                    "leave it out to go on, or train a new model in another folder",
                ));
            }
            _ => {}
        }
    }
}

fn words(value: Option<&toml::Value>) -> String {
    match value {
        None => "unset".into(),
        Some(toml::Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

/// The folders of saved iterations, each with those of its files that a run writes. Folders that hold none of them are
/// not ours.
fn iterations(model: &Path) -> Result<Vec<(PathBuf, Vec<PathBuf>)>> {
    let parent = model.join("point_cloud");
    if !parent.exists() {
        return Ok(Vec::new());
    }
    let fail = |e: std::io::Error| Error::io(&parent, "a folder of saved iterations", &e);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&parent).map_err(fail)? {
        let folder = entry.map_err(fail)?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let digits = name.trim_start_matches("coarse_").strip_prefix("iteration_").unwrap_or("");
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let files: Vec<PathBuf> =
            ITERATION_FILES.iter().map(|n| folder.join(n)).filter(|p| p.is_file()).collect();
        if !files.is_empty() {
            found.push((folder, files));
        }
    }
    found.sort();
    Ok(found)
}

fn remove(path: &Path) -> Result<()> {
    std::fs::remove_file(path).map_err(|e| Error::io(path, "a file that may be removed", &e))
}
