//! Sound through ffmpeg, for what no decoder here reads (Opus, HE-AAC, Vorbis, AC-3 and so on).

use super::ffmpeg::{self, PATIENCE, Pipe, Process, file_url};
use std::path::Path;

/// Decodes the first audio track of `path` to mono samples at `rate` Hz, at most `seconds` of them.
///
/// # Errors
/// A few words that say why there is no sound: ffmpeg is not installed, or what it said.
pub fn read(path: &Path, rate: u32, seconds: u32) -> Result<Vec<f32>, String> {
    let failed = |e: &dyn std::fmt::Display| format!("ffmpeg: {e}");
    let mut command = ffmpeg::command(&ffmpeg::program());
    command.args(["-xerror", "-i"]).arg(file_url(path));
    command.args(["-map", "0:a:0", "-ac", "1", "-ar", &rate.to_string(), "-t", &seconds.to_string()]);
    command.args(["-f", "f32le", "pipe:1"]);
    let mut process = Process::start(&mut command, Pipe::Output).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => "ffmpeg, which reads more formats, is not installed".to_string(),
        _ => failed(&e),
    })?;
    let bytes = process.read_to_end(u64::from(seconds) * u64::from(rate) * 4, PATIENCE);
    let ended = process.finish(PATIENCE);
    let bytes = bytes.map_err(|e| failed(&e))?;
    ended.map_err(|said| failed(&said))?;
    Ok(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
}
