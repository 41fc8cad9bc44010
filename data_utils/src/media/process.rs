//! A child process with pipes: fed, read and ended, and killed when it makes no progress.
//!
//! What the child says on stderr is read all the time and its end is kept. A child has a process group of its own, so
//! that what it started itself ends with it. While we wait for a child, a thread watches the time since it last took or
//! gave something.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Environment variable with the seconds that ffmpeg may go without any progress, instead of 60.
pub const PATIENCE_VARIABLE: &str = "SURFELTALK_FFMPEG_PATIENCE";
const STALL: Duration = Duration::from_secs(60);
/// How long a child that makes no progress is waited for once the user asked to stop.
const IMPATIENCE: Duration = Duration::from_secs(3);
/// How long the answer to a question about a program may take.
pub(super) const ANSWER: Option<Duration> = Some(Duration::from_secs(60));
/// How often the time is looked at.
const TICK: Duration = Duration::from_millis(50);
/// How long what a child said is waited for after its end; a process that it left behind may hold the pipe.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How much of what a child says is kept, bytes.
const TAIL: usize = 4 << 10;
/// Bytes that are read or written between two looks at the progress.
const PART: usize = 256 << 10;

/// The children that are running.
static CHILDREN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
static IMPATIENT: AtomicBool = AtomicBool::new(false);

/// Kills every child, before a program that was stopped ends.
pub fn kill_children() {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|id| kill_group(*id));
}

/// Says that the user asked to stop: a child that makes no progress is only waited for a few seconds from now on.
pub fn lose_patience() {
    IMPATIENT.store(true, Ordering::Relaxed);
}

#[cfg(unix)]
fn kill_group(id: u32) {
    use nix::sys::signal::{Signal, killpg};
    // Number 0 would be our own group.
    if let Some(group) = i32::try_from(id).ok().filter(|id| *id > 0) {
        // Fails only when it has ended.
        let _ = killpg(nix::unistd::Pid::from_raw(group), Signal::SIGKILL);
    }
}

#[cfg(not(unix))]
fn kill_group(_: u32) {}

/// Which pipe connects us with the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pipe {
    /// We write what it reads.
    Input,
    /// We read what it writes.
    Output,
    /// We write what it reads, and then read what it writes.
    Both,
    /// It reads and writes files alone.
    None,
}

/// A running child; killed when it is dropped before its end.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
    said: Arc<Mutex<Tail>>,
    watch: Arc<Watch>,
}

/// The end of what a child said.
#[derive(Debug, Default)]
struct Tail {
    bytes: Vec<u8>,
    is_complete: bool,
}

/// What the thread that watches the time knows.
#[derive(Debug)]
struct Watch {
    id: u32,
    start: Instant,
    /// Longest time without progress.
    stall: Duration,
    /// Longest time in all.
    total: Option<Duration>,
    /// Milliseconds after the start since which we wait, and one more; 0 while we do not.
    waiting: AtomicU64,
    has_ended: AtomicBool,
    was_killed: AtomicBool,
}

impl Watch {
    fn look(&self) -> bool {
        let waiting = self.waiting.load(Ordering::Relaxed);
        let now = self.start.elapsed();
        let limit = if IMPATIENT.load(Ordering::Relaxed) { self.stall.min(IMPATIENCE) } else { self.stall };
        let stalls = waiting > 0 && now.saturating_sub(Duration::from_millis(waiting - 1)) > limit;
        if stalls || self.total.is_some_and(|total| now > total) {
            self.kill();
        }
        !self.has_ended.load(Ordering::Relaxed)
    }

    fn kill(&self) {
        self.was_killed.store(true, Ordering::Relaxed);
        // Under the lock, so that the number is still the child's.
        if CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).contains(&self.id) {
            kill_group(self.id);
        }
    }

    fn begin_waiting(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.waiting.store(now + 1, Ordering::Relaxed);
    }

    fn end_waiting(&self) {
        self.waiting.store(0, Ordering::Relaxed);
    }

    fn wait<T>(&self, work: impl FnOnce() -> T) -> T {
        self.begin_waiting();
        let result = work();
        self.end_waiting();
        result
    }
}

/// The longest time without progress.
fn patience() -> Duration {
    static PATIENCE: OnceLock<Duration> = OnceLock::new();
    *PATIENCE.get_or_init(|| {
        let seconds = std::env::var(PATIENCE_VARIABLE).ok().and_then(|text| text.trim().parse().ok());
        seconds.filter(|seconds| *seconds > 0).map_or(STALL, Duration::from_secs)
    })
}

impl Process {
    /// Starts a child; `total` is the longest that it may take in all, where that is known.
    pub(super) fn start(command: &mut Command, pipe: Pipe, total: Option<Duration>) -> std::io::Result<Self> {
        Self::start_with(command, pipe, total, patience())
    }

    fn start_with(
        command: &mut Command,
        pipe: Pipe,
        total: Option<Duration>,
        stall: Duration,
    ) -> std::io::Result<Self> {
        let piped =
            |wanted: Pipe| if [wanted, Pipe::Both].contains(&pipe) { Stdio::piped() } else { Stdio::null() };
        command.stdin(piped(Pipe::Input)).stdout(piped(Pipe::Output)).stderr(Stdio::piped());
        // Ctrl-C goes to every process of the terminal's group; a child must end when we say so.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let mut child = {
            let mut children = CHILDREN.lock().unwrap_or_else(PoisonError::into_inner);
            let child = command.spawn()?;
            children.insert(child.id());
            child
        };
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let said = Arc::new(Mutex::new(Tail::default()));
        // Read all the time: a child whose error pipe is full stands still.
        if let Some(errors) = child.stderr.take() {
            let said = Arc::clone(&said);
            std::thread::spawn(move || keep_tail(errors, &said));
        }
        let watch = Arc::new(Watch {
            id: child.id(),
            start: Instant::now(),
            stall,
            total,
            waiting: AtomicU64::new(0),
            has_ended: AtomicBool::new(false),
            was_killed: AtomicBool::new(false),
        });
        let watched = Arc::clone(&watch);
        std::thread::spawn(move || {
            while watched.look() {
                std::thread::sleep(TICK);
            }
        });
        Ok(Process { child, input, output, said, watch })
    }

    /// Writes to the child. A broken pipe means that it has ended; [`Process::finish`] then says why.
    pub(super) fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let Some(input) = &mut self.input else { return Err(std::io::ErrorKind::BrokenPipe.into()) };
        bytes.chunks(PART).try_for_each(|part| self.watch.wait(|| input.write_all(part)))
    }

    /// Says that nothing more will be written.
    pub(super) fn end_input(&mut self) {
        self.input = None;
    }

    /// The output, for a thread that reads it while another one writes.
    pub(super) fn take_output(&mut self) -> Option<ChildStdout> {
        self.output.take()
    }

    /// Reads at most `length` bytes and fewer only at the end of the output.
    pub(super) fn read(&mut self, length: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let Some(output) = &mut self.output else { return Ok(bytes) };
        bytes.reserve_exact(length);
        while bytes.len() < length {
            let part = (length - bytes.len()).min(PART) as u64;
            if self.watch.wait(|| output.take(part).read_to_end(&mut bytes))? == 0 {
                break;
            }
        }
        Ok(bytes)
    }

    /// Reads all of the output; more than `limit` bytes are an error.
    pub(super) fn read_to_end(&mut self, limit: u64) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let Some(mut output) = self.output.take() else { return Ok(bytes) };
        let mut part = vec![0; PART];
        loop {
            match self.watch.wait(|| output.read(&mut part)) {
                Ok(0) => return Ok(bytes),
                Ok(count) if (bytes.len() + count) as u64 > limit => {
                    self.watch.kill();
                    return Err(std::io::Error::other(format!("more than {limit} bytes")));
                }
                Ok(count) => bytes.extend_from_slice(&part[..count]),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Closes the pipes, waits for the end and returns what the child said last. A child that writes a file makes
    /// progress as long as that file changes.
    ///
    /// # Errors
    /// What the child said last and its exit status when it failed; that it was ended when it made no progress.
    pub(super) fn finish(&mut self, writes: Option<&Path>) -> Result<String, String> {
        drop((self.input.take(), self.output.take()));
        let mut state = None;
        let mut pause = Duration::from_millis(1);
        let status = loop {
            match self.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) => {
                    let now = writes.and_then(state_of);
                    if state != Some(now) {
                        state = Some(now);
                        self.watch.begin_waiting();
                    }
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(TICK);
                }
                Err(e) => return Err(e.to_string()),
            }
        };
        self.watch.end_waiting();
        let said = self.last_words();
        if self.watch.was_killed.load(Ordering::Relaxed) {
            let longest = self.watch.total.unwrap_or(self.watch.stall).as_secs();
            return Err(format!("no progress for {longest} s, so it was ended{}", after(&said)));
        }
        if status.success() { Ok(said) } else { Err(format!("{said} ({status})").trim().to_owned()) }
    }

    fn try_wait(&mut self) -> std::io::Result<Option<ExitStatus>> {
        let mut children = CHILDREN.lock().unwrap_or_else(PoisonError::into_inner);
        let status = self.child.try_wait()?;
        if status.is_some() {
            children.remove(&self.watch.id);
        }
        Ok(status)
    }

    fn last_words(&self) -> String {
        let start = Instant::now();
        loop {
            let tail = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            if tail.is_complete || start.elapsed() > LAST_WORDS {
                let said = String::from_utf8_lossy(&tail.bytes);
                let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
                return lines.join("; ");
            }
            drop(tail);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[cfg(test)]
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop((self.input.take(), self.output.take()));
        if !matches!(self.try_wait(), Ok(Some(_))) {
            kill_group(self.watch.id);
            // Both fail only when the child has ended already.
            let _ = self.child.kill();
            let _ = self.child.wait();
            CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.watch.id);
        }
        self.watch.has_ended.store(true, Ordering::Relaxed);
    }
}

fn after(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!("; it said: {said}") }
}

/// Length and time of the last change of a file.
fn state_of(path: &Path) -> Option<(u64, SystemTime)> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.len(), data.modified().ok()?))
}

fn keep_tail(mut errors: impl Read, said: &Mutex<Tail>) {
    let mut chunk = [0; 1024];
    while let Ok(count @ 1..) = errors.read(&mut chunk) {
        let mut tail = said.lock().unwrap_or_else(PoisonError::into_inner);
        tail.bytes.extend_from_slice(&chunk[..count]);
        let more = tail.bytes.len().saturating_sub(TAIL);
        tail.bytes.drain(..more);
    }
    said.lock().unwrap_or_else(PoisonError::into_inner).is_complete = true;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_long_complaint_is_kept() {
        let complaint: Vec<u8> = (0..9000u32).map(|i| b'a' + (i % 26) as u8).collect();
        let said = Mutex::new(Tail::default());
        keep_tail(&complaint[..], &said);
        assert_eq!(said.into_inner().unwrap().bytes, complaint[9000 - TAIL..]);
    }

    #[cfg(unix)]
    fn shell(script: &str, pipe: Pipe, total: Option<Duration>, stall: u64) -> Process {
        let stall = Duration::from_millis(stall);
        Process::start_with(Command::new("sh").args(["-c", script]), pipe, total, stall).unwrap()
    }

    #[cfg(unix)]
    #[test]
    fn a_child_that_fails_is_quoted() {
        let mut process = shell("echo first >&2; echo no space left >&2; exit 3", Pipe::Input, None, 60_000);
        let text = process.finish(None).unwrap_err();
        assert!(text.contains("first; no space left") && text.contains('3'), "{text}");
        let mut process = shell("echo a warning >&2", Pipe::Input, None, 60_000);
        assert_eq!(process.finish(None).unwrap(), "a warning");
    }

    #[cfg(unix)]
    #[test]
    fn a_child_that_ends_early_breaks_the_pipe_and_says_why() {
        let mut process = shell("echo cannot encode >&2; exit 1", Pipe::Input, None, 60_000);
        // More than a pipe holds, so that a write must meet the closed end.
        assert!((0..100).any(|_| process.write(&[0; 100_000]).is_err()));
        assert!(process.finish(None).unwrap_err().contains("cannot encode"));
    }

    /// A child that hangs, and whose own child holds all pipes.
    #[cfg(unix)]
    const HANGS: &str = "echo hm >&2; sleep 100; true";

    #[cfg(unix)]
    #[test]
    fn a_child_that_hangs_is_ended_with_its_own_children() {
        let start = Instant::now();
        let mut process = shell(HANGS, Pipe::Output, None, 100);
        assert!(process.read(10).unwrap().is_empty());
        let text = process.finish(None).unwrap_err();
        assert!(text.contains("no progress") && text.contains("hm"), "{text}");
        let mut process = shell(HANGS, Pipe::Input, None, 100);
        assert!((0..100).any(|_| process.write(&[0; 100_000]).is_err()));
        assert!(process.finish(None).is_err());
        // It waits for its end alone, and writes nothing.
        assert!(shell(HANGS, Pipe::None, None, 100).finish(Some(Path::new("none"))).is_err());
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }

    #[cfg(unix)]
    #[test]
    fn a_child_that_talks_without_end_is_cut_short() {
        let start = Instant::now();
        let mut process = shell("while :; do echo talk; done", Pipe::Output, None, 60_000);
        assert!(process.read_to_end(10_000).unwrap_err().to_string().contains("more than 10000 bytes"));
        let drops = "while :; do echo talk; sleep 0.01; done";
        let mut process = shell(drops, Pipe::Output, Some(Duration::from_millis(200)), 60_000);
        assert!(process.read_to_end(1 << 20).is_ok());
        assert!(process.finish(None).is_err());
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }

    #[cfg(unix)]
    #[test]
    fn a_slow_child_that_goes_on_is_not_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let script = format!("for i in 1 2 3 4 5 6; do echo $i >> {}; sleep 0.2; done", path.display());
        assert_eq!(shell(&script, Pipe::None, None, 600).finish(Some(&path)).unwrap(), "");
        let mut process = shell("for i in 1 2 3 4 5 6; do echo $i; sleep 0.2; done", Pipe::Output, None, 600);
        assert_eq!(process.read_to_end(100).unwrap(), b"1\n2\n3\n4\n5\n6\n");
        process.finish(None).unwrap();
    }
}
