//! Files in and out: reading with a bound, and the one way in which the product writes a file.
//!
//! A file is written under a temporary name in the same folder and renamed when it is whole, so nobody ever sees
//! half of one. Its mode is the one that the umask gives, as for any other program.

use crate::error::{Error, Result};
use image::RgbImage;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// What a file that was written must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A power cut: the file and its folder are synced to the disk.
    Durable,
    /// The end of the program. For many small files that can be made again; syncing each would take minutes.
    Fast,
}
use Durability::{Durable, Fast};

/// A file under a temporary name; dropped before [`AtomicFile::commit`] it is removed.
#[derive(Debug)]
pub struct AtomicFile {
    temporary: BufWriter<NamedTempFile>,
    path: PathBuf,
    durability: Durability,
}

impl AtomicFile {
    /// Starts `path` beside its final place. The parent folder is created when it is missing.
    ///
    /// # Errors
    /// [`Error::Input`] when the folder cannot be written to.
    pub fn create(path: &Path, durability: Durability) -> Result<Self> {
        let fail = |e: std::io::Error| failure(path, &e);
        let parent = parent_of(path);
        std::fs::create_dir_all(&parent).map_err(fail)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".").suffix(".tmp");
        // The umask is taken off this; without it only the owner could read the file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let temporary = BufWriter::new(builder.tempfile_in(&parent).map_err(fail)?);
        Ok(AtomicFile { temporary, path: path.to_path_buf(), durability })
    }

    /// The temporary name, for a program that writes the file itself.
    pub fn temporary_path(&self) -> &Path {
        self.temporary.get_ref().path()
    }

    /// Gives the file its final name, in place of any file that had it.
    ///
    /// # Errors
    /// [`Error::Input`] when the disk is full or the name cannot be given; what was there before is still there.
    pub fn commit(self) -> Result<()> {
        let AtomicFile { temporary, path, durability } = self;
        let fail = |e: std::io::Error| failure(&path, &e);
        let temporary = temporary.into_inner().map_err(|e| fail(e.into_error()))?;
        if durability == Durable {
            temporary.as_file().sync_all().map_err(fail)?;
        }
        temporary.persist(&path).map_err(|e| fail(e.error))?;
        if durability == Durable {
            sync_folder(&parent_of(&path)).map_err(fail)?;
        }
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.temporary.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.temporary.flush()
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.temporary.seek(to)
    }
}

/// Writes `path` durably, as a whole or not at all. `fill` gets a buffered writer; when it or anything after it
/// fails, what was at `path` before is still there. The parent folder is created when it is missing.
///
/// # Errors
/// [`Error::Input`] when the place cannot be written to or `fill` fails.
pub fn write_atomic(path: &Path, fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    let mut file = AtomicFile::create(path, Durable)?;
    fill(&mut file).map_err(|e| failure(path, &e))?;
    file.commit()
}

/// Writes `bytes` to `path` durably, as a whole or not at all.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic(path, |w| w.write_all(bytes))
}

/// Writes `bytes` to `path` as a whole or not at all, without waiting for the disk.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_bytes_fast(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(path, Fast)?;
    file.write_all(bytes).map_err(|e| failure(path, &e))?;
    file.commit()
}

/// A picture as the bytes of a PNG file.
///
/// # Errors
/// [`Error::Internal`] for a picture that PNG cannot hold.
pub fn png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .map_err(|e| Error::Internal(format!("a picture as PNG: {e}")))?;
    Ok(bytes.into_inner())
}

/// Opens a file for reading. Pipes and devices are refused: opening one may wait for ever, and reading one never end.
///
/// # Errors
/// That of the system; of kind [`ErrorKind::InvalidInput`] when it is no plain file.
pub fn open_plain(path: &Path) -> std::io::Result<File> {
    // Asked before it is opened, since opening a pipe waits for its other end; and after, since it may be another one.
    check_plain(&std::fs::metadata(path)?)?;
    let file = File::open(path)?;
    check_plain(&file.metadata()?)?;
    Ok(file)
}

fn check_plain(data: &std::fs::Metadata) -> std::io::Result<()> {
    let what = match data.file_type() {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => "a folder",
        _ => "a pipe or a device, which is no plain file",
    };
    Err(std::io::Error::new(ErrorKind::InvalidInput, what))
}

/// Reads a whole file, at most `limit` bytes of it.
///
/// # Errors
/// [`Error::Input`] when the file cannot be read, is no plain file, or is larger.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let fail = |e: std::io::Error| Error::io(path, "a readable file", &e);
    let file = open_plain(path).map_err(fail)?;
    let length = file.metadata().map_err(fail)?.len();
    let mut bytes = Vec::new();
    if length <= limit {
        bytes.reserve_exact(usize::try_from(length).unwrap_or(0));
        // Another program may still be writing to it.
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(fail)?;
    }
    let length = length.max(bytes.len() as u64);
    if length <= limit {
        return Ok(bytes);
    }
    let (expected, found) = (format!("at most {limit} bytes"), format!("{length} bytes"));
    Err(Error::input(path.display(), expected, found, "check that this is the right file"))
}

/// Makes a rename inside `folder` survive a power cut. Folders cannot be synced on Windows; there this does nothing.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn failure(path: &Path, error: &std::io::Error) -> Error {
    Error::io(path, "a place to write to", error)
}

fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_that_fails_half_way_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/model.bin");
        write_bytes(&path, b"old").unwrap();
        let failed = write_atomic(&path, |w| {
            w.write_all(b"new")?;
            Err(std::io::ErrorKind::StorageFull.into())
        });
        assert_eq!(failed.unwrap_err().exit_code(), 2);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(names(path.parent().unwrap()), ["model.bin"]);
        write_bytes_fast(&path, b"newer").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"newer");
        drop(AtomicFile::create(&path, Fast).unwrap());
        assert_eq!(names(path.parent().unwrap()), ["model.bin"]);
    }

    #[cfg(unix)]
    #[test]
    fn the_mode_is_that_of_any_other_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let mode =
            |name: &str| std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
        std::fs::write(dir.path().join("plain"), b"").unwrap();
        write_bytes(&dir.path().join("durable"), b"").unwrap();
        write_bytes_fast(&dir.path().join("fast"), b"").unwrap();
        assert_eq!([mode("durable"), mode("fast")], [mode("plain"); 2]);
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_no_files() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for path in [&pipe, &link, Path::new("/dev/null")] {
            let error = read_bounded(path, 100).unwrap_err();
            assert!(error.exit_code() == 2 && error.to_string().contains("no plain file"), "{error}");
        }
        assert!(open_plain(dir.path()).unwrap_err().to_string().contains("a folder"));
        // A link to a file is as good as the file.
        let (file, link) = (dir.path().join("file"), dir.path().join("to-file"));
        std::fs::write(&file, "abc").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read_bounded(&link, 3).unwrap(), b"abc");
    }

    #[test]
    fn a_file_beyond_its_bound_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, [0; 9]).unwrap();
        assert_eq!(read_bounded(&path, 9).unwrap().len(), 9);
        assert!(read_bounded(&path, 8).unwrap_err().to_string().contains("9 bytes"));
    }
}
