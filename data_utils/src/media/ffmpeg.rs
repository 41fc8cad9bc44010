//! ffmpeg as a child process: where it is, how it is started, fed, read and ended.
//!
//! Arguments go as a list, never through a shell; files are named `file:…`, so that no name can be taken for an
//! option or a protocol. What ffmpeg says on stderr is read all the time and its end is kept for the error message.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Environment variable that names the ffmpeg program; without it the search path is used.
pub const PROGRAM_VARIABLE: &str = "SURFELTALK_FFMPEG";
/// Environment variable that names what videos are written with: `auto` (or unset), `ffmpeg` or `embedded`.
pub const ENCODER_VARIABLE: &str = "SURFELTALK_ENCODER";
/// How long ffmpeg may take to end once it has all its input or no one reads its output.
pub const PATIENCE: Duration = Duration::from_secs(600);
/// How much of what ffmpeg says at its end is kept, in bytes.
const TAIL: usize = 4 << 10;

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
        Ok(Ffmpeg { program: program.into(), probe, has_h264: has("libx264"), has_aac: has("aac") })
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

fn answer(program: &Path, question: &str) -> Option<String> {
    let mut command = Command::new(program);
    command.args(["-hide_banner", question]).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A path as ffmpeg takes it: `file:` keeps a colon or a leading minus from meaning something else.
pub(super) fn file_url(path: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(path);
    url
}

/// Which pipe connects us with the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pipe {
    /// We write what it reads.
    Input,
    /// We read what it writes.
    Output,
    /// It reads and writes files alone.
    None,
}

/// A running child; killed when it is dropped before its end.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
    errors: Option<JoinHandle<Vec<u8>>>,
}

impl Process {
    pub(super) fn start(command: &mut Command, pipe: Pipe) -> std::io::Result<Self> {
        let piped = |wanted: Pipe| if pipe == wanted { Stdio::piped() } else { Stdio::null() };
        command.stdin(piped(Pipe::Input)).stdout(piped(Pipe::Output)).stderr(Stdio::piped());
        // Ctrl-C goes to every process of the terminal's group; a child that we feed must end when we say so.
        #[cfg(unix)]
        if pipe == Pipe::Input {
            std::os::unix::process::CommandExt::process_group(command, 0);
        }
        let mut child = command.spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        // Read all the time: a child whose error pipe is full stands still.
        let errors = child.stderr.take().map(|errors| std::thread::spawn(move || tail_of(errors)));
        Ok(Process { child, input, output, errors })
    }

    /// Writes to the child. A broken pipe means that it has ended; [`Process::finish`] then says why.
    pub(super) fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match &mut self.input {
            Some(input) => input.write_all(bytes),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Reads at most `length` bytes and fewer only at the end of the output.
    pub(super) fn read(&mut self, length: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length);
        if let Some(output) = &mut self.output {
            output.take(length as u64).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    }

    /// Reads all of the output, at most `limit` bytes; a child that takes longer than `patience` is killed.
    pub(super) fn read_to_end(&mut self, limit: u64, patience: Duration) -> std::io::Result<Vec<u8>> {
        let Some(output) = self.output.take() else { return Ok(Vec::new()) };
        let (done, outcome) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = output.take(limit).read_to_end(&mut bytes).map(|_| bytes);
            // Nobody listens any more when the patience has run out.
            drop(done.send(read));
        });
        let outcome = outcome.recv_timeout(patience);
        if outcome.is_err() {
            drop(self.child.kill());
        }
        drop(reader.join());
        let late = || std::io::Error::other(format!("still busy after {} s", patience.as_secs()));
        outcome.unwrap_or_else(|_| Err(late()))
    }

    /// Closes the pipes and waits for the end.
    ///
    /// # Errors
    /// The exit status and what the child said last, when it failed or outlasted `patience`.
    pub(super) fn finish(&mut self, patience: Duration) -> Result<(), String> {
        drop(self.input.take());
        if let Some(mut output) = self.output.take() {
            // A child that still writes must not fail for a closed pipe.
            drop(std::io::copy(&mut output, &mut std::io::sink()));
        }
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if start.elapsed() < patience => std::thread::sleep(Duration::from_millis(2)),
                Ok(None) => return Err(format!("no end after {} s", patience.as_secs())),
                Err(e) => return Err(e.to_string()),
            }
        };
        let tail = self.errors.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        if status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&tail);
        let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        Err(format!("{} ({status})", said.join("; ")))
    }

    #[cfg(test)]
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        // Both fail only when the child has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn tail_of(mut errors: impl Read) -> Vec<u8> {
    let mut tail = Vec::new();
    let mut chunk = [0; 1024];
    while let Ok(count @ 1..) = errors.read(&mut chunk) {
        tail.extend_from_slice(&chunk[..count]);
        if tail.len() > TAIL {
            tail.drain(..tail.len() - TAIL);
        }
    }
    tail
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

    #[test]
    fn only_the_end_of_a_long_complaint_is_kept() {
        let complaint: Vec<u8> = (0..9000u32).map(|i| b'a' + (i % 26) as u8).collect();
        assert_eq!(tail_of(&complaint[..]), complaint[9000 - TAIL..]);
    }

    #[cfg(unix)]
    fn shell(script: &str, pipe: Pipe) -> Process {
        Process::start(Command::new("sh").args(["-c", script]), pipe).unwrap()
    }

    #[cfg(unix)]
    #[test]
    fn a_child_that_fails_is_quoted() {
        let mut process = shell("echo first >&2; echo no space left >&2; exit 3", Pipe::Input);
        let text = process.finish(PATIENCE).unwrap_err();
        assert!(text.contains("first; no space left") && text.contains('3'), "{text}");
    }

    #[cfg(unix)]
    #[test]
    fn a_child_that_ends_early_breaks_the_pipe_and_says_why() {
        let mut process = shell("echo cannot encode >&2; exit 1", Pipe::Input);
        // More than a pipe holds, so that a write must meet the closed end.
        assert!((0..100).any(|_| process.write(&[0; 100_000]).is_err()));
        assert!(process.finish(PATIENCE).unwrap_err().contains("cannot encode"));
    }

    #[cfg(unix)]
    #[test]
    fn a_child_that_never_ends_is_killed_when_the_patience_has_run_out() {
        let mut process = shell("exec sleep 100", Pipe::Output);
        let start = Instant::now();
        assert!(process.read_to_end(100, Duration::from_millis(50)).is_err());
        assert!(process.finish(PATIENCE).is_err());
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}
