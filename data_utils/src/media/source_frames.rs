//! Frames of a video in any order, for a drawing that goes forwards and backwards through it.

use super::ffmpeg::Ffmpeg;
use super::probe::refuse;
use crate::error::{Error, Result};
use image::RgbImage;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of decoded frames that are read at once; twice as many are kept.
const BUDGET: u64 = 192 << 20;
/// Frames that are read at once, at least and at most.
const CHUNK: [u64; 2] = [8, 96];

/// Gives the frames of a video at a fixed rate by their number. Keeps two stretches of them in memory.
#[derive(Debug)]
pub struct SourceFrames {
    ffmpeg: Ffmpeg,
    path: PathBuf,
    rate: u32,
    size: [u32; 2],
    chunk: usize,
    /// The one used last at the end.
    kept: Mutex<Vec<Stretch>>,
}

#[derive(Debug)]
struct Stretch {
    first: usize,
    frames: Vec<Arc<RgbImage>>,
}

impl SourceFrames {
    /// The frames of a video, `rate` a second from its very start.
    ///
    /// # Errors
    /// As [`Ffmpeg::probe`].
    pub fn open(ffmpeg: &Ffmpeg, path: &Path, rate: u32) -> Result<Self> {
        let info = ffmpeg.probe(path)?;
        let size = [info.width, info.height];
        let bytes = 3 * u64::from(size[0]) * u64::from(size[1]);
        let chunk = (BUDGET / bytes.max(1)).clamp(CHUNK[0], CHUNK[1]) as usize;
        Ok(SourceFrames {
            ffmpeg: ffmpeg.clone(),
            path: path.into(),
            rate,
            size,
            chunk,
            kept: Mutex::default(),
        })
    }

    /// Width and height, pixels as shown.
    pub fn size(&self) -> [u32; 2] {
        self.size
    }

    /// Frame `number`.
    ///
    /// # Errors
    /// [`Error::Input`] when the video cannot be read or ends before it.
    pub fn frame(&self, number: usize) -> Result<Arc<RgbImage>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let first = number / self.chunk * self.chunk;
        let stretch = match kept.iter().position(|stretch| stretch.first == first) {
            Some(at) => kept.remove(at),
            None => {
                let stream = self.ffmpeg.frames_from(&self.path, self.rate, first)?;
                let frames = stream.take(self.chunk).map(|frame| frame.map(Arc::new));
                Stretch { first, frames: frames.collect::<Result<_>>()? }
            }
        };
        let found = stretch.frames.get(number - first).cloned();
        let end = first + stretch.frames.len();
        kept.push(stretch);
        let extra = kept.len().saturating_sub(2);
        kept.drain(..extra);
        found.ok_or_else(|| -> Error {
            refuse(
                &self.path,
                &format!("a video with a frame {number} at {} a second", self.rate),
                end.to_string(),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_in_any_order_are_those_of_one_pass() {
        let ffmpeg = Ffmpeg::find_with_probe().expect("ffmpeg and ffprobe");
        let dir = tempfile::tempdir().expect("a folder");
        // 30 and 24 frames a second, with frames that lean on later ones: to 25 some are left out or shown twice.
        for (name, rate) in [("a.mp4", "30"), ("b.mkv", "24")] {
            let path = dir.path().join(name);
            let made = std::process::Command::new(&ffmpeg.program)
                .args(["-v", "error", "-f", "lavfi", "-i", &format!("testsrc2=s=64x48:r={rate}:d=6")])
                .args(["-c:v", "libx264", "-bf", "3", "-g", "60", "-pix_fmt", "yuv420p"])
                .arg(&path)
                .status();
            assert!(made.is_ok_and(|status| status.success()), "an ffmpeg with libx264, as Debian's");
            let window = ffmpeg.window(&path, 25.0, [0, 0, 48, 48], 48).expect("frames");
            let all: Vec<RgbImage> = window.collect::<Result<_>>().expect("decoded");
            let mut source = SourceFrames::open(&ffmpeg, &path, 25).expect("opened");
            source.chunk = 16;
            for number in [0, 70, 1, 69, 68, 140, 120, 47, 48, 16, 15, all.len() - 1] {
                let frame = source.frame(number).expect("a frame");
                let cut = image::imageops::crop_imm(&*frame, 0, 0, 48, 48).to_image();
                assert!(cut == all[number], "{name} {number}");
            }
            let error = source.frame(all.len() + 20).expect_err("no such frame");
            assert_eq!(error.exit_code(), 2, "{error}");
        }
    }
}
