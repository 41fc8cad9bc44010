//! Temporary files that killed runs left behind.

use crate::error::{Error, Result};
use std::path::Path;

/// How deep below a folder temporary files are looked for.
const DEPTH: usize = 3;

/// Removes the temporary files of killed runs from a folder and the folders in it: those that are named as
/// [`crate::media::files::AtomicFile`] names them. Only for a folder that is locked: another run's temporary files look the same.
///
/// # Errors
/// [`Error::Input`] when one cannot be removed.
pub fn remove_temporaries(dir: &Path) -> Result<()> {
    remove_below(dir, DEPTH)
}

/// The same for the files of the folder alone, where the folders in it may be the user's.
///
/// # Errors
/// As [`remove_temporaries`].
pub fn remove_temporaries_of(dir: &Path) -> Result<()> {
    remove_below(dir, 0)
}

/// Whether a file is named as temporary files are: a dot, six letters or digits, and `.tmp`.
fn is_temporary(name: &str) -> bool {
    let random = name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp"));
    random.is_some_and(|random| random.len() == 6 && random.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn remove_below(dir: &Path, depth: usize) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Ok(()) };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => remove_below(&path, depth - 1)?,
            Ok(kind) if kind.is_file() && is_temporary(&name) => {
                std::fs::remove_file(&path)
                    .map_err(|e| Error::io(&path, "a temporary file that may be removed", &e))?;
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_files_go_and_others_stay() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(dir.path().join("a/b")).expect("made");
        for name in
            [".xAb3dE.tmp", "a/.y00000.tmp", "a/b/.zzzzzz.tmp", "a/kept.tmp", "a/b/.kept", ".mine.tmp"]
        {
            std::fs::write(dir.path().join(name), "").expect("written");
        }
        remove_temporaries_of(dir.path()).expect("removed");
        assert!(!dir.path().join(".xAb3dE.tmp").exists() && dir.path().join("a/.y00000.tmp").exists());
        remove_temporaries(dir.path()).expect("removed");
        for (name, there) in [
            (".mine.tmp", true),
            ("a/.y00000.tmp", false),
            ("a/b/.zzzzzz.tmp", false),
            ("a/kept.tmp", true),
            ("a/b/.kept", true),
        ] {
            assert_eq!(dir.path().join(name).exists(), there, "{name}");
        }
    }
}
