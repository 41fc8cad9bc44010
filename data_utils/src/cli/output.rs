//! What a program says. A reader that went away, or a full disk behind a log, never ends the program's work.

use crate::error::plain;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Longest note, characters.
const LONGEST: usize = 2000;
/// Whether the reader of stderr went away.
static GONE: AtomicBool = AtomicBool::new(false);

/// Shows lines on stderr, as they are.
pub fn tell(lines: impl std::fmt::Display) {
    if writeln!(std::io::stderr(), "{lines}").is_err_and(|e| e.kind() == ErrorKind::BrokenPipe) {
        GONE.store(true, Ordering::Relaxed);
    }
}

/// Shows a note on stderr: one line, without control characters.
pub fn note(text: impl AsRef<str>) {
    tell(format_args!("note: {}", plain(text.as_ref(), LONGEST)));
}

/// Shows a result on stdout.
pub fn result(lines: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    // Nobody to tell is no reason to fail: the result itself is in its files.
    let _ = writeln!(out, "{lines}").and_then(|()| out.flush());
}

/// Whether the reader of stderr went away, as `head` does after its first lines.
pub fn is_gone() -> bool {
    GONE.load(Ordering::Relaxed)
}
