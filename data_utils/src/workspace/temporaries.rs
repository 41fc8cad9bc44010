//! Temporary files that killed runs left behind.

use crate::error::{Error, Result};
use std::path::Path;

/// How deep below a folder temporary files are looked for.
const DEPTH: usize = 3;

/// Removes the temporary files (`.name.tmp`) of killed runs from a folder and the folders in it. Only for a folder that
/// is locked: another run's temporary files look the same.
///
/// # Errors
/// [`Error::Input`] when one cannot be removed.
pub fn remove_temporaries(dir: &Path) -> Result<()> {
    remove_below(dir, DEPTH)
}

fn remove_below(dir: &Path, depth: usize) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Ok(()) };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => remove_below(&path, depth - 1)?,
            Ok(kind) if kind.is_file() && name.starts_with('.') && name.ends_with(".tmp") => {
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
        for name in [".x.tmp", "a/.y.tmp", "a/b/.z.tmp", "a/kept.tmp", "a/b/.kept"] {
            std::fs::write(dir.path().join(name), "").expect("written");
        }
        remove_temporaries(dir.path()).expect("removed");
        for (name, there) in [
            (".x.tmp", false),
            ("a/.y.tmp", false),
            ("a/b/.z.tmp", false),
            ("a/kept.tmp", true),
            ("a/b/.kept", true),
        ] {
            assert_eq!(dir.path().join(name).exists(), there, "{name}");
        }
    }
}
