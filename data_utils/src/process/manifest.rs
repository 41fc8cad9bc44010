//! What was made from what: one record a stage, with the hashes of its inputs, options and outputs, so that another run
//! does only what changed and knows which files process made. `process.json` in the dataset's folder.

use crate::error::{Error, Result};
use crate::media::files;
use crate::workspace::{digest_file, digest_text};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Name of the file.
pub const FILE: &str = "process.json";
/// Largest manifest read, bytes.
const MAX_BYTES: u64 = 64 << 20;
/// Layout of the file. Layout 1 had no hashes of single files.
const VERSION: u32 = 2;

/// The whole file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Manifest {
    version: u32,
    /// Records by stage.
    pub stages: BTreeMap<String, Record>,
}

/// What one stage did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its number on the command line.
    pub task: u8,
    /// Hash over the stage's version, options and inputs.
    pub key: String,
    /// Options that matter to it.
    pub options: BTreeMap<String, String>,
    /// What it read, by pattern.
    pub inputs: BTreeMap<String, Files>,
    /// What is there of its outputs, by pattern.
    pub outputs: BTreeMap<String, Files>,
    /// SHA-256 of each output by name; empty in layout 1.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Those outputs that were changed or put in by hand and are kept.
    #[serde(default)]
    pub by_hand: Vec<String>,
    /// The result in one line.
    pub result: String,
    /// How long it took, seconds.
    pub seconds: f64,
}

/// A file, or all files of a pattern such as `parsing/*.png`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// How many there are.
    pub count: usize,
    /// Their bytes in all.
    pub bytes: u64,
    /// SHA-256 of the file, or of the sorted names and hashes of all of them.
    pub sha256: String,
}

/// All files of a pattern, together and one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// All of them.
    pub files: Files,
    /// SHA-256 by name, relative to the folder.
    pub each: BTreeMap<String, String>,
}

impl Default for Manifest {
    fn default() -> Self {
        Manifest { version: VERSION, stages: BTreeMap::new() }
    }
}

impl Manifest {
    /// The manifest of a folder; an empty one where there is none.
    ///
    /// # Errors
    /// [`Error::Input`] when the file is there and cannot be understood: then nobody knows whose files these are.
    pub fn open(dir: &Path) -> Result<Manifest> {
        let path = dir.join(FILE);
        if !path.exists() {
            return Ok(Manifest::default());
        }
        let bytes = files::read_bounded(&path, MAX_BYTES)?;
        let refuse = |found: String| {
            let remedy = "restore the file, or add --redo to make the whole dataset anew";
            Error::input(path.display(), "the record of what process made here", found, remedy)
        };
        let found: Manifest = serde_json::from_slice(&bytes).map_err(|e| refuse(e.to_string()))?;
        match found.version {
            1 | VERSION => Ok(Manifest { version: VERSION, ..found }),
            newer => Err(refuse(format!("layout {newer}, which a newer version wrote"))),
        }
    }

    /// Writes it, as a whole or not at all.
    ///
    /// # Errors
    /// [`Error::Input`] when the place cannot be written to.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let json = serde_json::to_vec_pretty(self).map_err(|e| Error::Internal(format!("{FILE}: {e}")))?;
        files::write_bytes(&dir.join(FILE), &json)
    }
}

/// The names of the files of a pattern in `dir`, relative to it: one name, or `folder/*suffix` with the files whose
/// stem is a number (so that `parsing/*.png` has no `7_face.png`); sorted, only those that exist.
///
/// # Errors
/// [`Error::Input`] when the folder cannot be listed.
pub fn matching(dir: &Path, pattern: &str) -> Result<Vec<String>> {
    let Some((folder, _)) = pattern.split_once("/*") else {
        let there = dir.join(pattern).is_file();
        return Ok(if there { vec![pattern.to_owned()] } else { Vec::new() });
    };
    let path = dir.join(folder);
    let fail = |e: std::io::Error| Error::io(&path, "a folder that can be read", &e);
    let entries = match std::fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(fail(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(fail)?;
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if belongs(&name, pattern) && entry.path().is_file() {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a file belongs to a pattern, by its name alone.
pub fn belongs(name: &str, pattern: &str) -> bool {
    let Some((folder, suffix)) = pattern.split_once("/*") else { return name == pattern };
    let stem =
        name.strip_prefix(folder).and_then(|n| n.strip_prefix('/')).and_then(|n| n.strip_suffix(suffix));
    stem.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Counts and hashes the files of a pattern.
///
/// # Errors
/// [`Error::Input`] when one of them cannot be read.
pub fn digest(dir: &Path, pattern: &str) -> Result<Group> {
    let names = matching(dir, pattern)?;
    let paths: Vec<PathBuf> = names.iter().map(|name| dir.join(name)).collect();
    digest_all(&names, &paths)
}

/// Counts and hashes files under the names given.
///
/// # Errors
/// [`Error::Input`] when one of them cannot be read.
pub fn digest_all(names: &[String], paths: &[PathBuf]) -> Result<Group> {
    let digests: Vec<(u64, String)> = paths.par_iter().map(|p| digest_file(p)).collect::<Result<_>>()?;
    let bytes = digests.iter().map(|(bytes, _)| bytes).sum();
    let sha256 = match digests.as_slice() {
        [(_, one)] => one.clone(),
        all => {
            let line = |(path, (_, hash)): (&PathBuf, &(u64, String))| {
                format!("{} {hash}\n", path.file_name().unwrap_or_default().to_string_lossy())
            };
            digest_text(&paths.iter().zip(all).map(line).collect::<String>())
        }
    };
    let each = names.iter().cloned().zip(digests.into_iter().map(|(_, hash)| hash)).collect();
    Ok(Group { files: Files { count: paths.len(), bytes, sha256 }, each })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_pattern_changes_with_names_and_contents() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("a")).expect("made");
        let put =
            |name: &str, text: &str| std::fs::write(dir.path().join("a").join(name), text).expect("written");
        put("0.png", "x");
        put("1.png", "y");
        put("0_face.png", "not of the pattern");
        let first = digest(dir.path(), "a/*.png").expect("read");
        assert_eq!((first.files.count, first.files.bytes), (2, 2));
        put("1.png", "z");
        let second = digest(dir.path(), "a/*.png").expect("read");
        assert_ne!(first.files.sha256, second.files.sha256);
        std::fs::rename(dir.path().join("a/1.png"), dir.path().join("a/2.png")).expect("renamed");
        assert_ne!(second.files.sha256, digest(dir.path(), "a/*.png").expect("read").files.sha256);
        assert_eq!(digest(dir.path(), "none/*.png").expect("nothing").files.count, 0);
    }

    #[test]
    fn a_damaged_manifest_is_refused_and_none_is_an_empty_one() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(Manifest::open(dir.path()).expect("empty").stages.is_empty());
        let files = Files { count: 1, bytes: 3, sha256: "00".into() };
        let record = Record {
            task: 2,
            key: "k".into(),
            options: BTreeMap::new(),
            inputs: BTreeMap::from([("video".into(), files.clone())]),
            outputs: BTreeMap::from([("aud.wav".into(), files)]),
            files: BTreeMap::from([("aud.wav".into(), "00".into())]),
            by_hand: vec!["aud.wav".into()],
            result: "done".into(),
            seconds: 1.5,
        };
        let stages = BTreeMap::from([("frames".into(), record.clone())]);
        Manifest { stages, ..Manifest::default() }.write(dir.path()).expect("written");
        assert_eq!(Manifest::open(dir.path()).expect("read").stages["frames"], record);
        let bytes = std::fs::read(dir.path().join(FILE)).expect("read");
        std::fs::write(dir.path().join(FILE), &bytes[..bytes.len() / 2]).expect("written");
        assert_eq!(Manifest::open(dir.path()).expect_err("cut off").exit_code(), 2);
        std::fs::write(dir.path().join(FILE), "{\"version\": 99, \"stages\": {}}").expect("written");
        assert!(Manifest::open(dir.path()).expect_err("newer").to_string().contains("newer version"));
    }

    #[test]
    fn the_first_layout_is_still_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let text = r#"{"version": 1, "stages": {"crop": {"task": 0, "key": "k", "options": {}, "inputs": {},
            "outputs": {"anchor_box.txt": {"count": 1, "bytes": 9, "sha256": "00"}}, "result": "r", "seconds": 1.0}}}"#;
        std::fs::write(dir.path().join(FILE), text).expect("written");
        let record = &Manifest::open(dir.path()).expect("read").stages["crop"];
        assert!(record.files.is_empty() && record.outputs.contains_key("anchor_box.txt"));
    }
}
