//! Ctrl-C, SIGTERM and a closed terminal ask long work to stop at the next safe place; a second signal ends the program
//! at once.

use super::output;
use crate::Error;
use data_utils::media::ffmpeg;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

static INSTALLED: OnceLock<Interrupt> = OnceLock::new();
/// Whether the first signal ends the program, as long as nobody asked for the flag or where work can be continued
/// wherever it was stopped.
static AT_ONCE: AtomicBool = AtomicBool::new(true);
/// Signals that Ctrl-C sends, and that a program gets whose reader went away.
const INTERRUPT: u8 = 2;
const BROKEN_PIPE: u8 = 13;

/// A flag that signals raise.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicU8>);

/// To be called first in a program, before there is another thread: signals are received by a thread of their own, and
/// end the program and its children until [`Interrupt::get`] is called. Where the system refuses that, they end the
/// program alone.
pub fn watch() {
    let flag = INSTALLED.get_or_init(Interrupt::default).clone();
    if let Err(error) = install(flag) {
        output::note(format!("signals are not watched: {error}"));
    }
}

impl Interrupt {
    /// The program's flag; from now on the first signal raises it, and the second ends the program.
    pub fn get() -> Self {
        AT_ONCE.store(false, Ordering::SeqCst);
        INSTALLED.get_or_init(Interrupt::default).clone()
    }

    /// True once it was asked to stop.
    pub fn raised(&self) -> bool {
        self.0.load(Ordering::SeqCst) != 0
    }

    /// What a stopped program ends with; `what` says what was saved.
    pub fn error(&self, what: impl Into<String>) -> Error {
        let signal = match self.0.load(Ordering::SeqCst) {
            // Without a signal, nobody read the output any more.
            0 => BROKEN_PIPE,
            signal => signal,
        };
        Error::Interrupted { signal, what: what.into() }
    }

    fn receive(&self, signal: u8) {
        let at_once = AT_ONCE.load(Ordering::SeqCst);
        if self.0.swap(signal, Ordering::SeqCst) != 0 || at_once {
            ffmpeg::kill_children();
            std::process::exit(128 + i32::from(signal));
        }
        ffmpeg::lose_patience();
        output::tell("\nstopping after this step; press Ctrl-C again to stop at once");
    }
}

#[cfg(unix)]
fn install(flag: Interrupt) -> std::io::Result<()> {
    use nix::sys::signal::{SigSet, Signal};
    let mut wanted = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    // A program started by nohup is to outlive its terminal.
    if !ignores_hangup() {
        wanted.add(Signal::SIGHUP);
    }
    // Every thread started later blocks them too, so that only the one that waits receives them.
    wanted.thread_block()?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        while let Ok(signal) = wanted.wait() {
            flag.receive(u8::try_from(signal as i32).unwrap_or(INTERRUPT));
        }
    })?;
    Ok(())
}

/// Whether the program was started with SIGHUP ignored.
#[cfg(unix)]
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}

#[cfg(not(unix))]
fn install(flag: Interrupt) -> std::io::Result<()> {
    ctrlc::set_handler(move || flag.receive(INTERRUPT)).map_err(std::io::Error::other)
}
