//! Programs that take a little text and answer with bytes, as those that make speech do.

use super::process::{Pipe, Process};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The longest text that is given to a program, bytes: it fits into a pipe, so nobody waits for nobody.
const LONGEST: usize = 32 << 10;

/// Starts `program` with `arguments`, gives it `input` on its standard input, and returns what it writes on its standard output,
/// at most `limit` bytes. The program and what it started are ended after `time`.
///
/// # Errors
/// A sentence when it cannot be started, fails, writes more or takes longer.
pub fn answer(
    program: &Path,
    arguments: &[&str],
    input: &str,
    limit: u64,
    time: Duration,
) -> Result<Vec<u8>, String> {
    if input.len() > LONGEST {
        return Err(format!("a text of {} bytes, at most {LONGEST} are taken", input.len()));
    }
    let mut command = Command::new(program);
    command.args(arguments);
    let start = |e: std::io::Error| format!("{} does not start: {e}", program.display());
    let mut process = Process::start(&mut command, Pipe::Both, Some(time)).map_err(start)?;
    // A program that ended has closed the pipe; how it ended says more.
    let written = process.write(input.as_bytes());
    process.end_input();
    let read = process.read_to_end(limit);
    process.finish(None)?;
    written.map_err(|e| e.to_string())?;
    read.map_err(|e| e.to_string())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::time::Instant;

    fn sh(script: &str, input: &str, limit: u64, seconds: u64) -> Result<Vec<u8>, String> {
        answer(Path::new("/bin/sh"), &["-c", script], input, limit, Duration::from_secs(seconds))
    }

    #[test]
    fn a_program_answers_its_input() {
        assert_eq!(sh("tr a-z A-Z", "hello", 100, 10).unwrap(), b"HELLO");
    }

    #[test]
    fn what_a_program_says_before_it_fails_is_told() {
        let error = sh("cat >/dev/null; echo no voice >&2; exit 3", "hello", 100, 10).unwrap_err();
        assert!(error.contains("no voice") && error.contains('3'), "{error}");
        let error = answer(Path::new("/no/such/program"), &[], "", 1, Duration::from_secs(1)).unwrap_err();
        assert!(error.contains("/no/such/program"), "{error}");
    }

    #[test]
    fn a_program_that_hangs_or_says_too_much_is_ended() {
        let begin = Instant::now();
        assert!(sh("sleep 60", "hello", 100, 1).is_err());
        assert!(sh("yes", "hello", 1000, 30).is_err());
        assert!(begin.elapsed() < Duration::from_secs(20));
        assert!(sh("cat", &"x".repeat(LONGEST + 1), 100, 1).is_err());
    }
}
