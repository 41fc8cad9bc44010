//! The video that a dataset was made from, as far as it takes to lay something drawn back into it: `source.json`, written by
//! `process`.
//!
//! Frame `i` of the dataset is what the video shows `i / rate` seconds after its start, cut to `window` and scaled to the
//! dataset's size.

use crate::error::{Error, Result};
use crate::media::{Ffmpeg, files};
use crate::workspace::digest_file;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Name of the file.
pub const FILE: &str = "source.json";
/// Layout of the file.
const VERSION: u32 = 1;
/// Largest file that is read, bytes.
const MAX_BYTES: u64 = 64 << 10;

/// What is known of the video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceVideo {
    version: u32,
    /// Where it was: in the dataset's folder, else absolute.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
    /// Width and height as shown, pixels.
    pub size: [u32; 2],
    /// The dataset's frames a second.
    pub rate: u32,
    /// Left, top, width and height of the crop in the video as shown, pixels.
    pub window: [u32; 4],
}

impl SourceVideo {
    /// Describes a video of the dataset in `dir`, and the crop that frames are taken from, `rate` a second.
    ///
    /// # Errors
    /// [`Error::Input`] when it cannot be read.
    pub fn of(dir: &Path, path: &Path, size: [u32; 2], rate: u32, window: [u32; 4]) -> Result<Self> {
        let (bytes, sha256) = digest_file(path)?;
        let absolute = |path: &Path| std::path::absolute(path).map_err(|e| Error::io(path, "a video", &e));
        let (dir, path) = (absolute(dir)?, absolute(path)?);
        let path = path.strip_prefix(&dir).map(Path::to_path_buf).unwrap_or(path);
        Ok(SourceVideo { version: VERSION, path, bytes, sha256, size, rate, window })
    }

    /// The bytes of `source.json`.
    ///
    /// # Errors
    /// [`Error::Internal`] when the path cannot be written as text.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|e| Error::Internal(format!("{FILE}: {e}")))
    }

    /// Reads what `process` wrote into a dataset's folder.
    ///
    /// # Errors
    /// [`Error::Input`] when it is not there, or says what cannot be.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let refuse = |found: String| {
            Error::input(
                path.display(),
                "the record of the original video",
                found,
                "run `process VIDEO --task 0 --end_task 0` with the original video in this folder, which adds it and leaves the rest",
            )
        };
        if !path.exists() {
            return Err(refuse("none: the dataset is of an earlier version or another program".into()));
        }
        let found: SourceVideo = serde_json::from_slice(&files::read_bounded(&path, MAX_BYTES)?)
            .map_err(|e| refuse(e.to_string()))?;
        let [left, top, width, height] = found.window.map(u64::from);
        let [whole_width, whole_height] = found.size.map(u64::from);
        let fits = width > 0 && height > 0 && left + width <= whole_width && top + height <= whole_height;
        match found.version {
            VERSION if fits && found.rate > 0 => Ok(found),
            VERSION => Err(refuse(format!("a crop {:?} in a video of {:?}", found.window, found.size))),
            newer => Err(refuse(format!("layout {newer}, which a newer version wrote"))),
        }
    }

    /// Finds the video: at `named` where that is given, else where it was, or under its name in the dataset's folder `dir`; and
    /// holds it against the record.
    ///
    /// # Errors
    /// [`Error::Input`] when it is not there, has another size, or is another one.
    pub fn locate(&self, dir: &Path, named: Option<&Path>, tools: &Ffmpeg) -> Result<PathBuf> {
        let beside = self.path.file_name().map(|name| dir.join(name));
        let mut places = match named {
            Some(path) => vec![path.to_path_buf()],
            None => [Some(dir.join(&self.path)), beside].into_iter().flatten().collect(),
        };
        let Some(at) = places.iter().position(|path| path.is_file()) else {
            let place = places.swap_remove(0);
            let expected = "the original video, whose frames are kept";
            return Err(Error::input(place.display(), expected, "no such file", "name it with --video"));
        };
        let path = places.swap_remove(at);
        let (bytes, sha256) = digest_file(&path)?;
        if (bytes, sha256.as_str()) == (self.bytes, &self.sha256) {
            return Ok(path);
        }
        let info = tools.probe(&path)?;
        let [width, height] = self.size;
        let found = match [info.width, info.height] == self.size {
            true => format!("another file ({bytes} bytes in place of {})", self.bytes),
            false => format!("{}×{} pixels in place of {width}×{height}", info.width, info.height),
        };
        let expected = format!("the video that {} was made from", dir.display());
        let remedy = "name that one with --video, or run process again with this one";
        Err(Error::input(path.display(), expected, found, remedy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_a_wrong_and_a_changed_record_say_what_to_do() {
        let dir = tempfile::tempdir().expect("a folder");
        let refused = || {
            let error = SourceVideo::read(dir.path()).expect_err("refused");
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains("--task 0"), "{error}");
        };
        refused();
        let video = dir.path().join("me.mp4");
        std::fs::write(&video, "a film").expect("written");
        let record = SourceVideo::of(dir.path(), &video, [1280, 720], 25, [300, 10, 600, 600]).expect("read");
        let write = |record: &SourceVideo| {
            std::fs::write(dir.path().join(FILE), record.to_json().expect("text")).expect("written");
        };
        write(&record);
        assert_eq!(SourceVideo::read(dir.path()).expect("a record"), record);
        assert_eq!(record.path, Path::new("me.mp4"), "the folder may move");
        write(&SourceVideo { window: [900, 10, 600, 600], ..record.clone() });
        refused();
        write(&SourceVideo { version: 9, ..record });
        refused();
        std::fs::write(dir.path().join(FILE), "{").expect("written");
        refused();
    }

    #[test]
    fn only_the_very_video_is_taken() {
        let tools = Ffmpeg::find().expect("ffmpeg");
        let dir = tempfile::tempdir().expect("a folder");
        let video = dir.path().join("me.mp4");
        std::fs::write(&video, "a film").expect("written");
        let record = SourceVideo::of(dir.path(), &video, [64, 64], 25, [0, 0, 64, 64]).expect("read");
        assert_eq!(record.locate(dir.path(), None, &tools).expect("found"), video);
        // Moved into another place it is named; beside the dataset it is found by itself.
        let moved = SourceVideo { path: "/nowhere/me.mp4".into(), ..record.clone() };
        assert_eq!(moved.locate(dir.path(), None, &tools).expect("found"), video);
        let gone = SourceVideo { path: "/nowhere/you.mp4".into(), ..record.clone() };
        let error = gone.locate(dir.path(), None, &tools).expect_err("gone");
        assert!(error.exit_code() == 2 && error.to_string().contains("--video"), "{error}");
        std::fs::write(&video, "another film").expect("written");
        assert_eq!(record.locate(dir.path(), None, &tools).expect_err("another").exit_code(), 2);
    }
}
