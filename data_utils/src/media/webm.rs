//! WebM by ffmpeg: VP9, with an alpha where the frames have one, and Opus. The one video that browsers and editors play with an
//! alpha.
//!
//! VP9 keeps the alpha as a second picture beside the first, of straight colours. ffmpeg's own decoder leaves it out; `-c:v
//! libvpx-vp9` before the input reads it.

use super::ffmpeg::{Ffmpeg, file_url};
use super::mp4::{failure, is_of_writing};
use super::pixels::PixelFormat;
use super::process::{ANSWER, Pipe, Process};
use crate::error::Result;
use std::path::Path;
use std::process::Command;

/// Bytes of ffprobe's answer that are read.
const MAX_ANSWER: u64 = 1 << 12;

/// What codes raw frames, with their alpha where they have one.
pub(super) fn code_frames(command: &mut Command, format: PixelFormat) {
    let pixels = if format == PixelFormat::Rgba8 { "yuva420p" } else { "yuv420p" };
    command.arg("-vf").arg(format!("scale=out_color_matrix=bt709:out_range=tv,format={pixels}"));
    // Alternate reference frames and an alpha exclude each other.
    command.args(["-c:v", "libvpx-vp9", "-auto-alt-ref", "0", "-b:v", "0", "-crf", "20", "-g", "125"]);
    command.args(["-deadline", "realtime", "-cpu-used", "5", "-row-mt", "1"]);
    command.args(["-color_range", "tv", "-colorspace", "bt709"]);
    command.args(["-color_primaries", "bt709", "-color_trc", "bt709"]);
}

pub(super) fn code_sound(command: &mut Command) {
    command.args(["-c:a", "libopus", "-b:a", "128k", "-ar", "48000"]);
}

/// Holds a file against the `frames` it should hold, where ffprobe is there to count them; `path` is its place. `said` is what
/// ffmpeg said although it ended well.
pub(super) fn verify(ffmpeg: &Ffmpeg, written: &Path, path: &Path, said: &str, frames: u64) -> Result<()> {
    let found = match packets(&ffmpeg.probe, written) {
        _ if is_of_writing(said) => said.to_owned(),
        Some(found) if found != frames => format!("{found} of {frames} frames"),
        None if std::fs::metadata(written).map_or(0, |data| data.len()) == 0 => "an empty file".into(),
        _ => return Ok(()),
    };
    Err(failure(path, if said.is_empty() { found } else { format!("{found}; it said: {said}") }))
}

/// Frames of a video's first picture stream; none where ffprobe does not say.
fn packets(probe: &Path, path: &Path) -> Option<u64> {
    let mut command = Command::new(probe);
    command.args(["-v", "error", "-protocol_whitelist", "file,pipe", "-select_streams", "v:0"]);
    command.args(["-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", "-i"]);
    command.arg(file_url(path));
    let mut process = Process::start(&mut command, Pipe::Output, ANSWER).ok()?;
    let said = process.read_to_end(MAX_ANSWER).ok()?;
    process.finish(None).ok()?;
    String::from_utf8_lossy(&said).trim().trim_end_matches(',').parse().ok()
}
