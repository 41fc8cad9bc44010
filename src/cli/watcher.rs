//! Shows a training run on stderr and lets Ctrl-C stop it.

use super::interrupt::Interrupt;
use super::output;
use super::progress::Progress;
use crate::Result;
use crate::train::Watcher;

/// Progress and Ctrl-C for a training run.
pub struct TrainingWatcher {
    progress: Progress,
    interrupt: Interrupt,
}

impl TrainingWatcher {
    /// Starts at `done` of `total` steps and installs the Ctrl-C handler.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the system refuses the handler.
    pub fn start(done: u64, total: u64, quiet: bool) -> Result<Self> {
        Ok(TrainingWatcher {
            progress: Progress::start("train", done, total, quiet),
            interrupt: Interrupt::get(),
        })
    }

    /// Ends the display, and with an error where the run was stopped; `what` says what was saved.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`] when the run was stopped.
    pub fn finish(self, stopped: bool, what: impl FnOnce() -> String) -> Result<()> {
        if stopped {
            return Err(self.interrupt.error(what()));
        }
        self.progress.finish();
        Ok(())
    }
}

impl Watcher for TrainingWatcher {
    fn progress(&mut self, done: u64, message: &dyn Fn() -> String) {
        self.progress.update(done, message);
    }

    fn say(&mut self, line: &str) {
        self.progress.say(line);
    }

    fn stop(&self) -> bool {
        // A reader that went away asks for the same as Ctrl-C: what was learned is saved.
        self.interrupt.raised() || output::is_gone()
    }
}
