//! What was made from what: one record a stage, by the hashes of its inputs, options and outputs, so that a rerun
//! does only what changed. `process.json` in the dataset's folder.

use crate::error::{Error, Result};
use crate::files;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Name of the file.
pub const FILE: &str = "process.json";
/// Largest manifest read, bytes.
const MAX_BYTES: u64 = 16 << 20;
/// Layout of the file; another one is ignored and everything made again.
const VERSION: u32 = 1;

/// The whole file.
#[derive(Debug, Default, Serialize, Deserialize)]
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
    /// What it read.
    pub inputs: BTreeMap<String, Files>,
    /// What it wrote.
    pub outputs: BTreeMap<String, Files>,
    /// What came of it, in a line.
    pub result: String,
    /// How long it took.
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

impl Manifest {
    /// The manifest of a folder; an empty one where there is none that can be read.
    pub fn open(dir: &Path) -> Manifest {
        let fresh = Manifest { version: VERSION, stages: BTreeMap::new() };
        let Ok(bytes) = files::read_bounded(&dir.join(FILE), MAX_BYTES) else { return fresh };
        serde_json::from_slice::<Manifest>(&bytes).ok().filter(|m| m.version == VERSION).unwrap_or(fresh)
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

/// The files of a pattern in `dir`: one name, or `folder/*suffix` with the files whose stem is a number (so that
/// `parsing/*.png` has no `7_face.png`); sorted by name, only those that exist.
pub fn matching(dir: &Path, pattern: &str) -> Result<Vec<PathBuf>> {
    let Some((folder, suffix)) = pattern.split_once("/*") else {
        let path = dir.join(pattern);
        return Ok(if path.is_file() { vec![path] } else { Vec::new() });
    };
    let folder = dir.join(folder);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(&folder, "a folder that can be read", &e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Error::io(&folder, "a folder that can be read", &e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let number =
            name.strip_suffix(suffix).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        if number && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Counts and hashes the files of a pattern.
///
/// # Errors
/// [`Error::Input`] when one of them cannot be read.
pub fn digest(dir: &Path, pattern: &str) -> Result<Files> {
    digest_all(&matching(dir, pattern)?)
}

/// Counts and hashes files.
///
/// # Errors
/// [`Error::Input`] when one of them cannot be read.
pub fn digest_all(paths: &[PathBuf]) -> Result<Files> {
    let each: Vec<(u64, String)> = paths.par_iter().map(|p| digest_file(p)).collect::<Result<_>>()?;
    let bytes = each.iter().map(|(bytes, _)| bytes).sum();
    let sha256 = match each.as_slice() {
        [(_, one)] => one.clone(),
        all => {
            let mut hasher = Sha256::new();
            for (path, (_, hash)) in paths.iter().zip(all) {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                hasher.update(format!("{name} {hash}\n"));
            }
            hex(&hasher.finalize())
        }
    };
    Ok(Files { count: paths.len(), bytes, sha256 })
}

/// Bytes and SHA-256 of a file.
pub fn digest_file(path: &Path) -> Result<(u64, String)> {
    let fail = |e: std::io::Error| Error::io(path, "a readable file", &e);
    let mut file = File::open(path).map_err(fail)?;
    let (mut hasher, mut bytes, mut part) = (Sha256::new(), 0, vec![0u8; 1 << 16]);
    loop {
        match file.read(&mut part).map_err(fail)? {
            0 => return Ok((bytes, hex(&hasher.finalize()))),
            n => {
                hasher.update(part.get(..n).unwrap_or_default());
                bytes += n as u64;
            }
        }
    }
}

/// Hash of a few words.
pub fn digest_text(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_published_hash_and_a_folder_one_that_names_and_contents_change() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("a")).expect("made");
        std::fs::write(dir.path().join("abc"), "abc").expect("written");
        let one = digest(dir.path(), "abc").expect("read");
        // FIPS 180-2, appendix B.1.
        assert_eq!(one.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let put =
            |name: &str, text: &str| std::fs::write(dir.path().join("a").join(name), text).expect("written");
        put("0.png", "x");
        put("1.png", "y");
        put("0_face.png", "not of the pattern");
        let first = digest(dir.path(), "a/*.png").expect("read");
        assert_eq!((first.count, first.bytes), (2, 2));
        put("1.png", "z");
        let second = digest(dir.path(), "a/*.png").expect("read");
        assert_ne!(first.sha256, second.sha256);
        std::fs::rename(dir.path().join("a/1.png"), dir.path().join("a/2.png")).expect("renamed");
        assert_ne!(second.sha256, digest(dir.path(), "a/*.png").expect("read").sha256);
        assert_eq!(digest(dir.path(), "none/*.png").expect("nothing").count, 0);
    }

    #[test]
    fn a_damaged_manifest_is_an_empty_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let files = Files { count: 1, bytes: 3, sha256: "00".into() };
        let record = Record {
            task: 2,
            key: "k".into(),
            options: BTreeMap::new(),
            inputs: BTreeMap::from([("video".into(), files.clone())]),
            outputs: BTreeMap::from([("aud.wav".into(), files)]),
            result: "done".into(),
            seconds: 1.5,
        };
        let whole =
            Manifest { version: VERSION, stages: BTreeMap::from([("frames".into(), record.clone())]) };
        whole.write(dir.path()).expect("written");
        assert_eq!(Manifest::open(dir.path()).stages["frames"], record);
        let bytes = std::fs::read(dir.path().join(FILE)).expect("read");
        std::fs::write(dir.path().join(FILE), &bytes[..bytes.len() / 2]).expect("written");
        assert!(Manifest::open(dir.path()).stages.is_empty());
    }
}
