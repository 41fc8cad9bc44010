//! Progress of long work on stderr: a bar with an ETA on a terminal, a line now and then elsewhere.

use super::output;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

const LINE_EVERY: Duration = Duration::from_secs(15);

/// Progress of one piece of work.
pub struct Progress {
    bar: Option<ProgressBar>,
    what: String,
    total: u64,
    start: Instant,
    first: u64,
    last_line: Instant,
    quiet: bool,
}

impl Progress {
    /// Starts at `done` of `total` steps of `what`.
    pub fn start(what: &str, done: u64, total: u64, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        let bar = terminal.then(|| {
            let bar = ProgressBar::new(total).with_position(done);
            let style = ProgressStyle::with_template(
                "{prefix:>12} {bar:30} {pos}/{len} {per_sec} ETA {eta} {wide_msg}",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(what.to_owned());
            bar.reset_eta();
            bar
        });
        let now = Instant::now();
        Progress { bar, what: what.to_owned(), total, start: now, first: done, last_line: now, quiet }
    }

    /// Shows that `done` steps are done; `message` is only made when it is shown.
    pub fn update(&mut self, done: u64, message: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(message());
        } else if !self.quiet && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let worked = done.saturating_sub(self.first).max(1);
            let left =
                self.start.elapsed().as_secs_f64() / worked as f64 * self.total.saturating_sub(done) as f64;
            let (what, total, left) = (&self.what, self.total, duration(left));
            output::tell(format_args!("{what} {done}/{total}, ETA {left}; {}", message()));
        }
    }

    /// Says something that should stay.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::tell(line)),
            None if !self.quiet => output::tell(line),
            None => {}
        }
    }

    /// Ends the work.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        if !self.quiet {
            let took = duration(self.start.elapsed().as_secs_f64());
            output::tell(format_args!("{} done in {took}", self.what));
        }
    }
}

/// Seconds as a person reads them: `42 s`, `3 min 5 s`, `1 h 20 min`.
pub fn duration(seconds: f64) -> String {
    let s = seconds.round().max(0.0) as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations_read_naturally() {
        assert_eq!([42.2, 185.0, 4800.0].map(super::duration), ["42 s", "3 min 5 s", "1 h 20 min"]);
    }
}
