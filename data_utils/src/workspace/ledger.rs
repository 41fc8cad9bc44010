//! Which files in a folder a run made, by hash: `surfeltalk.json`.

use super::digest::digest_file;
use crate::error::{Error, Result};
use crate::media::files;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Name of the file.
pub const LEDGER_FILE: &str = "surfeltalk.json";
/// Largest ledger read, bytes.
const MAX_BYTES: u64 = 16 << 20;

/// Where a file in a folder comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// There is no such file.
    Missing,
    /// The run made it, and it is as the run left it.
    Ours,
    /// The run made it, and it was changed since.
    Changed,
    /// The run did not make it.
    Foreign,
}

/// The files that one run made in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The program that made them.
    pub program: String,
    /// Hash over everything that decides what the run makes: its inputs and settings.
    pub request: String,
    /// SHA-256 by name, relative to the folder.
    pub files: BTreeMap<String, String>,
}

impl Ledger {
    /// A ledger without files.
    pub fn new(program: &str, request: String) -> Ledger {
        Ledger { program: program.to_owned(), request, files: BTreeMap::new() }
    }

    /// The ledger of a folder; none where there is no file.
    ///
    /// # Errors
    /// [`Error::Input`] when the file is there and cannot be understood: then nobody knows whose files these are.
    pub fn read(dir: &Path) -> Result<Option<Ledger>> {
        let path = dir.join(LEDGER_FILE);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = files::read_bounded(&path, MAX_BYTES)?;
        serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            let remedy = "restore the file, or use another folder";
            Error::input(path.display(), "the record of the files made here", e.to_string(), remedy)
        })
    }

    /// Adds files that were just written.
    ///
    /// # Errors
    /// [`Error::Input`] when one of them cannot be read.
    pub fn record<'a>(&mut self, dir: &Path, names: impl IntoIterator<Item = &'a str>) -> Result<()> {
        for name in names {
            let (_, hash) = digest_file(&dir.join(name))?;
            self.files.insert(name.to_owned(), hash);
        }
        Ok(())
    }

    /// Writes the ledger, as a whole or not at all.
    ///
    /// # Errors
    /// [`Error::Input`] when the folder cannot be written to.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let json =
            serde_json::to_vec_pretty(self).map_err(|e| Error::Internal(format!("{LEDGER_FILE}: {e}")))?;
        files::write_bytes(&dir.join(LEDGER_FILE), &json)
    }

    /// Where a file comes from.
    ///
    /// # Errors
    /// [`Error::Input`] when the file cannot be read.
    pub fn origin(&self, dir: &Path, name: &str) -> Result<Origin> {
        let path = dir.join(name);
        if !path.is_file() {
            return Ok(if path.exists() { Origin::Foreign } else { Origin::Missing });
        }
        Ok(match self.files.get(name) {
            None => Origin::Foreign,
            Some(hash) if *hash == digest_file(&path)?.1 => Origin::Ours,
            Some(_) => Origin::Changed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_changed_and_foreign_files_are_told_apart() {
        let dir = tempfile::tempdir().expect("a folder");
        let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
        put("ours", "1");
        put("changed", "1");
        let mut ledger = Ledger::new("render", "r".into());
        ledger.record(dir.path(), ["ours", "changed"]).expect("recorded");
        put("changed", "2");
        put("foreign", "3");
        ledger.write(dir.path()).expect("written");
        let back = Ledger::read(dir.path()).expect("read").expect("there");
        assert_eq!(back, ledger);
        let origins =
            ["ours", "changed", "foreign", "none"].map(|n| back.origin(dir.path(), n).expect("read"));
        assert_eq!(origins, [Origin::Ours, Origin::Changed, Origin::Foreign, Origin::Missing]);
        put(LEDGER_FILE, "{");
        assert_eq!(Ledger::read(dir.path()).expect_err("damaged").exit_code(), 2);
    }
}
