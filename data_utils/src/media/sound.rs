//! Sound through ffmpeg, for what no decoder here reads, and for the tracks of videos, whose time stamps matter.

use super::ffmpeg::{self, file_url};
use super::process::{Pipe, Process};
use std::path::Path;

/// Frames that are read at once.
const BLOCK: usize = 1 << 14;
/// Shortest hole in the time stamps that is filled with silence, seconds; shorter ones are rounding.
const SHORTEST_HOLE: f64 = 0.015;

/// The samples of one audio track, as ffmpeg decodes them. They begin when the file does, and where time stamps leave a
/// hole there is silence, as in a player.
#[derive(Debug)]
pub struct Track {
    process: Process,
    channels: usize,
}

impl Track {
    /// Starts to decode audio track `index` of `path`, counted from 0, at `rate` Hz with `channels` channels.
    ///
    /// # Errors
    /// A few words that say why there is no sound: ffmpeg is not installed, or cannot be run.
    pub fn open(path: &Path, index: usize, rate: u32, channels: usize) -> Result<Self, String> {
        let mut command = ffmpeg::command(&ffmpeg::program());
        command.arg("-i").arg(file_url(path)).args(["-vn", "-map", &format!("0:a:{index}")]);
        // 1 fills holes and cuts overlaps; nothing is stretched.
        command.args(["-af", &format!("aresample={rate}:async=1:min_hard_comp={SHORTEST_HOLE}:first_pts=0")]);
        command.args(["-ac", &channels.to_string(), "-f", "f32le", "pipe:1"]).args(ffmpeg::ALL_STREAMS);
        let process = Process::start(&mut command, Pipe::Output, None).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => "ffmpeg, which reads more formats, is not installed".to_string(),
            _ => format!("ffmpeg: {e}"),
        })?;
        Ok(Track { process, channels })
    }

    /// The next samples, one list for each channel; none at the end.
    ///
    /// # Errors
    /// A few words that say what failed.
    pub fn next_block(&mut self) -> Result<Option<Vec<Vec<f32>>>, String> {
        let bytes = self.process.read(BLOCK * self.channels * 4).map_err(|e| format!("ffmpeg: {e}"))?;
        let frames = bytes.len() / (4 * self.channels);
        if frames == 0 {
            return Ok(None);
        }
        let values = bytes.as_chunks::<4>().0;
        let sample =
            |frame: usize, channel: usize| f32::from_le_bytes(values[frame * self.channels + channel]);
        Ok(Some((0..self.channels).map(|c| (0..frames).map(|f| sample(f, c)).collect()).collect()))
    }

    /// Ends ffmpeg after the last block; what it said about damaged places.
    ///
    /// # Errors
    /// What it said last, when it failed.
    pub fn finish(mut self) -> Result<String, String> {
        self.process.finish(None).map_err(|said| format!("ffmpeg: {said}"))
    }
}
