//! The files that a stage has made so far, so that a run that is killed in the middle of a stage knows its own files
//! afterwards. One text file a stage in `.process/`: the key of the work in the first line, then one line a file with
//! its SHA-256 and its name, added before the file gets its final name.

use crate::error::{Error, Result};
use crate::media::files;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Folder of the journals, inside the dataset's folder.
pub const FOLDER: &str = ".process";
/// Largest journal read, bytes.
const MAX_BYTES: u64 = 64 << 20;
/// First word of a line about a file that an earlier piece of work left.
const EARLIER: &str = "earlier";

/// What was read back from a journal.
#[derive(Debug, Default)]
pub struct Entries {
    /// Key of the work it was kept for.
    pub key: String,
    /// Hashes by name of the files that this work made.
    pub made: BTreeMap<String, String>,
    /// Hashes by name of files that earlier work of the same stage made.
    pub earlier: BTreeMap<String, String>,
}

/// The journal of a stage that is running.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Mutex<File>,
    made: Mutex<BTreeMap<String, String>>,
}

/// Reads the journal of a stage; none when the stage is not in the middle of something.
///
/// # Errors
/// [`Error::Input`] when the file is there and cannot be read.
pub fn read(dir: &Path, stage: &str) -> Result<Option<Entries>> {
    let path = dir.join(FOLDER).join(stage);
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = files::read_bounded(&path, MAX_BYTES)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    let mut entries = Entries { key: lines.next().unwrap_or_default().to_owned(), ..Entries::default() };
    for line in lines {
        // The last line may be cut off; the file it was about then has no final name yet.
        let mut words = line.splitn(2, ' ');
        match (words.next(), words.next()) {
            (Some(EARLIER), Some(rest)) => {
                if let Some((hash, name)) = rest.split_once(' ') {
                    entries.earlier.insert(name.to_owned(), hash.to_owned());
                }
            }
            (Some(hash), Some(name)) => drop(entries.made.insert(name.to_owned(), hash.to_owned())),
            _ => {}
        }
    }
    Ok(Some(entries))
}

impl Journal {
    /// Starts the journal of a stage, or goes on with it when it was kept for the same work.
    ///
    /// # Errors
    /// [`Error::Input`] when the folder cannot be written to.
    pub fn start(dir: &Path, stage: &str, key: &str) -> Result<Journal> {
        let path = dir.join(FOLDER).join(stage);
        let before = read(dir, stage)?.unwrap_or_default();
        let made = if before.key == key {
            before.made
        } else {
            let mut text = format!("{key}\n");
            for (name, hash) in before.earlier.iter().chain(&before.made) {
                text.push_str(&format!("{EARLIER} {hash} {name}\n"));
            }
            files::write_bytes(&path, text.as_bytes())?;
            BTreeMap::new()
        };
        let fail = |e: std::io::Error| Error::io(&path, "a file that can be added to", &e);
        let mut file = OpenOptions::new().append(true).open(&path).map_err(fail)?;
        // A line that a kill cut off must not run into the next one.
        file.write_all(b"\n").map_err(fail)?;
        Ok(Journal { path, file: Mutex::new(file), made: Mutex::new(made) })
    }

    /// Adds a file that is about to get its final name.
    ///
    /// # Errors
    /// [`Error::Input`] when the disk is full.
    pub fn add(&self, name: &str, hash: String) -> Result<()> {
        let line = format!("{hash} {name}\n");
        self.file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(line.as_bytes())
            .map_err(|e| Error::io(&self.path, "a file that can be added to", &e))?;
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), hash);
        Ok(())
    }

    /// Whether this work has made the file.
    pub fn has(&self, name: &str) -> bool {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }

    /// Ends the journal: what it holds is in the manifest now.
    ///
    /// # Errors
    /// [`Error::Input`] when the file cannot be removed.
    pub fn finish(self) -> Result<()> {
        std::fs::remove_file(&self.path).map_err(|e| Error::io(&self.path, "a file that may be removed", &e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_made_before_a_kill_are_known_afterwards() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(read(dir.path(), "parsing").expect("read").is_none());
        let journal = Journal::start(dir.path(), "parsing", "one").expect("started");
        journal.add("parsing/0.png", "aa".into()).expect("added");
        drop(journal);
        // Cut off in the middle of a line.
        let path = dir.path().join(FOLDER).join("parsing");
        let mut text = std::fs::read_to_string(&path).expect("read");
        text.push_str("bb pars");
        std::fs::write(&path, text).expect("written");
        let journal = Journal::start(dir.path(), "parsing", "one").expect("went on");
        assert!(journal.has("parsing/0.png") && !journal.has("parsing/1.png"));
        journal.add("parsing/1.png", "cc".into()).expect("added");
        drop(journal);
        // Other work of the same stage makes its files anew and still knows the earlier ones.
        let journal = Journal::start(dir.path(), "parsing", "two").expect("started");
        assert!(!journal.has("parsing/0.png"));
        drop(journal);
        let entries = read(dir.path(), "parsing").expect("read").expect("there");
        assert_eq!(entries.key, "two");
        assert!(entries.made.is_empty());
        assert_eq!((&*entries.earlier["parsing/0.png"], &*entries.earlier["parsing/1.png"]), ("aa", "cc"));
        let journal = Journal::start(dir.path(), "parsing", "two").expect("went on");
        journal.finish().expect("removed");
        assert!(!path.exists());
    }
}
