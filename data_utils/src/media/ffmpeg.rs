//! ffmpeg: where it is, what it can, and how its commands begin.
//!
//! Arguments go as a list, never through a shell; files are named `file:…`, so that no name can be taken for an
//! option or a protocol.

use super::process::{ANSWER, Pipe, Process};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub use super::process::{PATIENCE_VARIABLE, kill_children, lose_patience};

/// Environment variable that names the ffmpeg program; without it the search path is used.
pub const PROGRAM_VARIABLE: &str = "SURFELTALK_FFMPEG";
/// Environment variable that names what videos are written with: `auto` (or unset), `ffmpeg` or `embedded`.
pub const ENCODER_VARIABLE: &str = "SURFELTALK_ENCODER";
/// The longest answer to a question that is read, bytes.
const LONGEST_ANSWER: u64 = 1 << 20;

/// A second output that takes the picture and all sound and writes nothing. Of some containers (MPEG-TS) ffmpeg counts time from
/// the first stream that is used; with this the first of all streams, whichever is read.
pub(super) const ALL_STREAMS: [&str; 9] = ["-map", "0:V:0?", "-map", "0:a?", "-c", "copy", "-f", "null", "-"];

/// An ffmpeg that can be run, with the encoders it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ffmpeg {
    /// Path or name of ffmpeg.
    pub program: PathBuf,
    /// Path or name of ffprobe.
    pub probe: PathBuf,
    /// Whether it writes H.264 by libx264.
    pub has_h264: bool,
    /// Whether it writes AAC.
    pub has_aac: bool,
    /// Whether it writes VP9 and Opus, by libvpx and libopus.
    pub has_webm: bool,
    /// Whether it writes VP8, by libvpx.
    pub has_vp8: bool,
}

impl Ffmpeg {
    /// The ffmpeg that [`PROGRAM_VARIABLE`] names or the search path holds, or why there is none. Looked up once.
    ///
    /// # Errors
    /// One sentence that says what is missing.
    pub fn find() -> Result<Ffmpeg, String> {
        static FOUND: OnceLock<Result<Ffmpeg, String>> = OnceLock::new();
        FOUND.get_or_init(|| Ffmpeg::of(&program())).clone()
    }

    /// As [`Ffmpeg::find`], and ffprobe must be there as well.
    ///
    /// # Errors
    /// One sentence that says what is missing.
    pub fn find_with_probe() -> Result<Ffmpeg, String> {
        let found = Ffmpeg::find()?;
        match answer(&found.probe, "-version") {
            Some(_) => Ok(found),
            None => Err(format!("{} cannot be run", found.probe.display())),
        }
    }

    fn of(program: &Path) -> Result<Ffmpeg, String> {
        let list = answer(program, "-encoders").ok_or_else(|| match program.components().count() {
            1 => format!("no {} on the search path", program.display()),
            _ => format!("{} cannot be run", program.display()),
        })?;
        let has = |name: &str| list.lines().any(|line| line.split_whitespace().nth(1) == Some(name));
        let beside = program.with_file_name("ffprobe");
        let probe = if beside.is_file() { beside } else { PathBuf::from("ffprobe") };
        Ok(Ffmpeg {
            program: program.into(),
            probe,
            has_h264: has("libx264"),
            has_aac: has("aac"),
            has_webm: has("libvpx-vp9") && has("libopus"),
            has_vp8: has("libvpx"),
        })
    }

    /// Whether it can write H.264 and AAC, the pair that every player reads; otherwise what it lacks.
    ///
    /// # Errors
    /// One sentence that names the missing encoder.
    pub fn writes_mp4(&self) -> Result<(), String> {
        match (self.has_h264, self.has_aac) {
            (true, true) => Ok(()),
            (false, _) => Err(format!("{} lacks libx264", self.program.display())),
            (true, false) => Err(format!("{} lacks aac", self.program.display())),
        }
    }

    /// Whether it can write VP9 and Opus, of which a video with an alpha is made; otherwise what it lacks.
    ///
    /// # Errors
    /// One sentence that says so.
    pub fn writes_webm(&self) -> Result<(), String> {
        match self.has_webm {
            true => Ok(()),
            false => Err(format!("{} lacks libvpx-vp9 or libopus", self.program.display())),
        }
    }

    /// Whether it has zscale, which converts colours of high dynamic range. Looked up when it is asked for.
    pub fn has_zscale(&self) -> bool {
        let list = answer(&self.program, "-filters").unwrap_or_default();
        list.lines().any(|line| line.split_whitespace().nth(1) == Some("zscale"))
    }

    pub(super) fn command(&self) -> Command {
        command(&self.program)
    }
}

/// The program to run, whether it is there or not.
pub(super) fn program() -> PathBuf {
    match std::env::var_os(PROGRAM_VARIABLE) {
        Some(path) if !path.is_empty() => PathBuf::from(path),
        _ => PathBuf::from("ffmpeg"),
    }
}

/// A command of ffmpeg that says nothing but errors and opens only local files and pipes.
pub(super) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["-hide_banner", "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe"]);
    command
}

/// What a program says about itself; nothing when it cannot be run, fails or does not answer.
fn answer(program: &Path, question: &str) -> Option<String> {
    let mut command = Command::new(program);
    command.args(["-hide_banner", question]);
    let mut process = Process::start(&mut command, Pipe::Output, ANSWER).ok()?;
    let said = process.read_to_end(LONGEST_ANSWER).ok()?;
    process.finish(None).ok()?;
    Some(String::from_utf8_lossy(&said).into_owned())
}

/// A path as ffmpeg takes it: `file:` keeps a colon or a leading minus from meaning something else.
pub(super) fn file_url(path: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(path);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_told_from_one_that_lacks_an_encoder() {
        let missing = Ffmpeg::of(Path::new("no-such-program-of-this-name")).unwrap_err();
        assert_eq!(missing, "no no-such-program-of-this-name on the search path");
        if cfg!(unix) {
            let without = Ffmpeg::of(Path::new("true")).unwrap();
            assert_eq!(without.writes_mp4().unwrap_err(), "true lacks libx264");
        }
    }
}
