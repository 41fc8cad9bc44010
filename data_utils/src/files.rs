//! Writing so that nothing is ever lost or half-written: a temporary name in the same folder, the data
//! synced, the final name by rename, the folder synced.

use crate::error::{Error, Result};
use image::RgbImage;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes `path` as a whole or not at all. `fill` gets a buffered writer; when it or anything after it
/// fails, what was at `path` before is still there. The parent folder is created when it is missing.
pub fn write_atomic(path: &Path, fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    let fail = |e: std::io::Error| Error::io(path, "a place to write to", &e);
    let parent = parent_of(path);
    std::fs::create_dir_all(&parent).map_err(fail)?;
    let temporary = tempfile::Builder::new().prefix(".").suffix(".tmp").tempfile_in(&parent).map_err(fail)?;
    let mut writer = BufWriter::new(temporary);
    fill(&mut writer).map_err(fail)?;
    let temporary = writer.into_inner().map_err(|e| fail(e.into_error()))?;
    temporary.as_file().sync_all().map_err(fail)?;
    temporary.persist(path).map_err(|e| fail(e.error))?;
    sync_dir(&parent).map_err(fail)
}

/// Writes `bytes` to `path` as a whole or not at all.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic(path, |w| w.write_all(bytes))
}

/// Writes `bytes` to `path` as a whole or not at all, without waiting for the disk.
pub fn write_bytes_fast(path: &Path, bytes: &[u8]) -> Result<()> {
    let fail = |e: std::io::Error| Error::io(path, "a place to write to", &e);
    let parent = parent_of(path);
    std::fs::create_dir_all(&parent).map_err(fail)?;
    let mut file = tempfile::Builder::new().prefix(".").suffix(".tmp").tempfile_in(&parent).map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    file.persist(path).map(drop).map_err(|e| fail(e.error))
}

/// A picture as the bytes of a PNG file.
pub fn png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .map_err(|e| Error::Internal(format!("a picture as PNG: {e}")))?;
    Ok(bytes.into_inner())
}

/// Reads a whole file, refusing one larger than `limit` bytes before any memory is taken for it.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let fail = |e: std::io::Error| Error::io(path, "a readable file", &e);
    let length = std::fs::metadata(path).map_err(fail)?.len();
    if length > limit {
        return Err(Error::input(
            path.display(),
            format!("at most {limit} bytes"),
            format!("{length} bytes"),
            "check that this is the right file",
        ));
    }
    std::fs::read(path).map_err(fail)
}

/// Makes a rename inside `dir` survive a power cut. Folders cannot be synced on Windows; there this does nothing.
pub fn sync_dir(dir: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_path_buf(),
        _ => PathBuf::from("."),
    }
}
