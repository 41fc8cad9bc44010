//! ffmpeg as a child process: frames through a pipe into H.264, then the sound joined as AAC.
//!
//! Arguments go as a list, never through a shell; files are named `file:…`, so that no name can be taken for
//! an option or a protocol. The colours are BT.709 and say so, because players guess differently.

use super::{Track, settle, temporary_for};
use crate::{Error, Result};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;

/// How much of what ffmpeg says at its end is shown.
const TAIL_BYTES: usize = 2000;
/// How long ffmpeg may take to end once it has all its input.
const PATIENCE: Duration = Duration::from_secs(600);

/// The ffmpeg of the search path when it has the encoders needed, or why not. Looked up once.
pub fn find() -> std::result::Result<PathBuf, String> {
    static FOUND: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    FOUND.get_or_init(|| probe(Path::new("ffmpeg"))).clone()
}

fn probe(program: &Path) -> std::result::Result<PathBuf, String> {
    let output = Command::new(program)
        .args(["-hide_banner", "-nostdin", "-encoders"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map_err(|_| "no ffmpeg on the search path".to_string())?;
    let list = String::from_utf8_lossy(&output.stdout);
    let has = |name: &str| list.lines().any(|line| line.split_whitespace().nth(1) == Some(name));
    match ["libx264", "aac"].into_iter().find(|name| !has(name)) {
        Some(name) => Err(format!("the ffmpeg on the search path lacks {name}")),
        None => Ok(program.to_path_buf()),
    }
}

/// Writes an MP4 by ffmpeg. Dropped before its end it stops ffmpeg and leaves nothing.
#[derive(Debug)]
pub struct FfmpegWriter {
    // Declared before the file, so that ffmpeg has ended when the file is removed.
    running: Running,
    pictures: NamedTempFile,
    program: PathBuf,
    path: PathBuf,
    sound: Option<Track>,
    frames: u64,
}

impl FfmpegWriter {
    pub(super) fn create(
        program: &Path,
        path: &Path,
        size: [u32; 2],
        fps: u32,
        sound: Option<Track>,
    ) -> Result<Self> {
        let pictures = temporary_for(path)?;
        let mut command = Command::new(program);
        command.args(["-hide_banner", "-nostdin", "-v", "error", "-y"]);
        command.args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", &format!("{}x{}", size[0], size[1])]);
        command.args(["-framerate", &fps.to_string(), "-i", "pipe:0", "-an"]);
        command.args(["-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"]);
        command.args(["-c:v", "libx264", "-preset", "medium", "-crf", "18"]);
        command.args(["-color_range", "tv", "-colorspace", "bt709"]);
        command.args(["-color_primaries", "bt709", "-color_trc", "bt709"]);
        command.args(["-movflags", "+faststart", "-f", "mp4"]).arg(file_url(pictures.path()));
        let running = Running::start(&mut command, path)?;
        let (program, path) = (program.to_path_buf(), path.to_path_buf());
        Ok(FfmpegWriter { running, pictures, program, path, sound, frames: 0 })
    }

    pub(super) fn push(&mut self, rgb: &[u8]) -> Result<()> {
        self.frames += 1;
        self.running.feed(rgb, &self.path)
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.running.end(&self.path)?;
        let Some(sound) = &self.sound else { return settle(self.pictures, &self.path) };
        // The sound is joined afterwards: only now its length is known, and ffmpeg's own way to cut it
        // (-shortest) is off by what lies in its buffers.
        let joined = temporary_for(&self.path)?;
        let mut command = Command::new(&self.program);
        command.args(["-hide_banner", "-nostdin", "-v", "error", "-y"]);
        command.arg("-i").arg(file_url(self.pictures.path()));
        command.args(["-f", "s16le", "-ar", &sound.rate.to_string(), "-ac", "1", "-i", "pipe:0"]);
        command.args(["-map", "0:v:0", "-map", "1:a:0", "-c:v", "copy"]);
        // 48 kHz: every player takes it, and an AAC frame is then shorter than a video frame.
        command.args(["-c:a", "aac", "-b:a", "128k", "-ar", "48000"]);
        command.args(["-movflags", "+faststart", "-f", "mp4"]).arg(file_url(joined.path()));
        let mut running = Running::start(&mut command, &self.path)?;
        running.feed(&sound.bytes_of(0, self.frames), &self.path)?;
        running.end(&self.path)?;
        settle(joined, &self.path)
    }
}

fn file_url(path: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(path);
    url
}

/// A child that is fed through its standard input; killed when it is dropped before its end.
#[derive(Debug)]
struct Running {
    child: Child,
    input: Option<ChildStdin>,
    errors: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    fn start(command: &mut Command, path: &Path) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        // Ctrl-C goes to every process of the terminal's group; ffmpeg must end when we say so, not before.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let mut child = command.spawn().map_err(|e| failure(path, e.to_string()))?;
        let input = child.stdin.take();
        // Read all the time: a child whose error pipe is full stands still.
        let errors = child.stderr.take().map(|errors| std::thread::spawn(move || tail_of(errors)));
        Ok(Running { child, input, errors })
    }

    fn feed(&mut self, bytes: &[u8], path: &Path) -> Result<()> {
        let written = match &mut self.input {
            Some(input) => input.write_all(bytes),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        };
        match written {
            Ok(()) => Ok(()),
            // The pipe breaks when ffmpeg has ended before us; why is in its own words.
            Err(e) => {
                self.end(path)?;
                Err(failure(path, e.to_string()))
            }
        }
    }

    fn end(&mut self, path: &Path) -> Result<()> {
        drop(self.input.take());
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if start.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(5)),
                Ok(None) => return Err(failure(path, format!("no end after {} s", PATIENCE.as_secs()))),
                Err(e) => return Err(failure(path, e.to_string())),
            }
        };
        let tail = self.errors.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        if status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&tail);
        let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        Err(failure(path, format!("{status}: {}", said.join(" | "))))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.input.take());
        // Both fail only when the child has ended already, which is what they are for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn failure(path: &Path, found: String) -> Error {
    let remedy = format!("check the disk, or set {}=embedded to do without ffmpeg", super::ENCODER_VARIABLE);
    Error::input(path.display(), "ffmpeg to write the video", found, remedy)
}

fn tail_of(mut errors: impl Read) -> Vec<u8> {
    let mut tail = Vec::new();
    let mut chunk = [0; 1024];
    while let Ok(count @ 1..) = errors.read(&mut chunk) {
        tail.extend_from_slice(&chunk[..count]);
        if tail.len() > TAIL_BYTES {
            tail.drain(..tail.len() - TAIL_BYTES);
        }
    }
    tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_told_from_one_that_lacks_an_encoder() {
        assert_eq!(
            probe(Path::new("no-such-program-of-this-name")).unwrap_err(),
            "no ffmpeg on the search path"
        );
        if cfg!(unix) {
            assert_eq!(probe(Path::new("true")).unwrap_err(), "the ffmpeg on the search path lacks libx264");
        }
    }

    #[test]
    fn only_the_end_of_a_long_complaint_is_kept() {
        let complaint: Vec<u8> = (0..9000u32).map(|i| b'a' + (i % 26) as u8).collect();
        assert_eq!(tail_of(&complaint[..]), complaint[9000 - TAIL_BYTES..]);
    }

    #[cfg(unix)]
    #[test]
    fn a_child_that_fails_is_quoted() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo first >&2; echo no space left >&2; exit 3"]);
        let mut running = Running::start(&mut command, Path::new("talk.mp4")).unwrap();
        let error = running.end(Path::new("talk.mp4")).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(text.contains("first | no space left") && text.contains("embedded"), "{text}");
    }

    #[cfg(unix)]
    #[test]
    fn a_child_that_ends_early_is_noticed_while_frames_are_pushed() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo cannot encode >&2; exit 1"]);
        let mut running = Running::start(&mut command, Path::new("talk.mp4")).unwrap();
        // More than a pipe holds, so that a write must meet the closed end.
        let error = (0..100).find_map(|_| running.feed(&[0; 100_000], Path::new("talk.mp4")).err()).unwrap();
        assert!(error.to_string().contains("cannot encode"), "{error}");
    }
}
