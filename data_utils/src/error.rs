//! One error type for the whole product. Each error says where it happened, what was expected, what
//! was found and what to do next, and knows the exit code it ends the program with. Texts that come from files are
//! shown without control characters and never longer than a few lines.

use std::fmt;
use std::path::Path;

/// Longest place and longest text from a file that a message shows, characters.
const LONGEST_PLACE: usize = 1000;
const LONGEST_FOUND: usize = 200;
/// Longest text that we wrote ourselves, characters.
const LONGEST_TEXT: usize = 2000;

/// Shorthand used by every fallible function of the product.
pub type Result<T> = std::result::Result<T, Error>;

/// Something wrong with the user's input, in the four parts a person needs to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, and the field inside it; or the flag.
    pub at: String,
    /// What should have been there.
    pub expected: String,
    /// What was there.
    pub found: String,
    /// What to do next.
    pub remedy: String,
}

impl Problem {
    /// A problem from its four parts.
    pub fn new(
        at: impl fmt::Display,
        expected: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Problem { at: at.to_string(), expected: expected.into(), found: found.into(), remedy: remedy.into() }
    }

    /// A problem of a file that could not be opened, read or written.
    pub fn io(path: &Path, expected: impl Into<String>, error: &std::io::Error) -> Self {
        let remedy = match error.kind() {
            std::io::ErrorKind::NotFound => "check the path",
            std::io::ErrorKind::PermissionDenied => "check who may read or write there",
            std::io::ErrorKind::StorageFull => "free some space",
            _ => "check the disk",
        };
        Problem::new(path.display(), expected, error.to_string(), remedy)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: expected {}, found {}; {}",
            plain(&self.at, LONGEST_PLACE),
            plain(&self.expected, LONGEST_TEXT),
            plain(&self.found, LONGEST_FOUND),
            plain(&self.remedy, LONGEST_TEXT)
        )
    }
}

/// What ended the work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user's input, one thing wrong with it. Exit code 2.
    #[error("{0}")]
    Input(Problem),
    /// The user's input, all that is wrong with it. Exit code 2.
    #[error("{}", list(.0))]
    Inputs(Vec<Problem>),
    /// Our own fault. Exit code 1.
    #[error("internal error: {}; please report it with the command that led here", plain(.0, LONGEST_TEXT))]
    Internal(String),
    /// The GPU went away; what was saved can be resumed. Exit code 3.
    #[error("the device was lost: {}; run the same command with --resume to continue", plain(.0, LONGEST_TEXT))]
    DeviceLost(String),
    /// The user stopped the work by a signal. Exit code 128 and the signal's number, 130 for Ctrl-C.
    #[error("stopped; {}", plain(.what, LONGEST_TEXT))]
    Interrupted {
        /// Number of the signal.
        signal: u8,
        /// What was saved, or that nothing was.
        what: String,
    },
}

impl Error {
    /// One thing wrong with the user's input, from the four parts of [`Problem`].
    pub fn input(
        at: impl fmt::Display,
        expected: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Error::Input(Problem::new(at, expected, found, remedy))
    }

    /// A file that could not be opened, read or written.
    pub fn io(path: &Path, expected: impl Into<String>, error: &std::io::Error) -> Self {
        Error::Input(Problem::io(path, expected, error))
    }

    /// The exit code of a program that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Input(_) | Error::Inputs(_) => 2,
            Error::Internal(_) => 1,
            Error::DeviceLost(_) => 3,
            Error::Interrupted { signal, .. } => 128u8.saturating_add(*signal),
        }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Error::Input(problem)
    }
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Error::Internal(error.to_string())
    }
}

/// A text on one line, without characters that a terminal obeys or that change the order of what is read, and cut at
/// `longest` characters.
pub fn plain(text: &str, longest: usize) -> String {
    let mut plain = String::with_capacity(text.len().min(4 * longest));
    let mut characters = text.chars();
    for c in characters.by_ref().take(longest) {
        match c {
            // Marks of the writing direction, separators of lines and the byte order mark.
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => {
                plain.extend(c.escape_default());
            }
            c if c.is_control() => plain.extend(c.escape_default()),
            c => plain.push(c),
        }
    }
    match characters.count() {
        0 => {}
        more => plain.push_str(&format!("… ({more} more characters)")),
    }
    plain
}

fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|p| format!("- {p}")).collect();
    format!("{} problems:\n{}", problems.len(), lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_holds_cannot_command_the_terminal() {
        let evil = "\u{1b}[2J\u{9b}2J\r\nerror: all is well\u{202e}\u{7}";
        let problem = Problem::new(format!("a{evil}.csv"), evil, evil, evil);
        let errors = [
            Error::Input(problem.clone()),
            Error::Internal(evil.into()),
            Error::DeviceLost(evil.into()),
            Error::Interrupted { signal: 2, what: evil.into() },
        ];
        for error in errors {
            let text = error.to_string();
            assert!(!text.contains(|c: char| c.is_control() || c == '\u{202e}'), "{text:?}");
            assert!(text.contains("\\u{1b}[2J"), "{text}");
        }
        // Each problem of a list has a line of its own, and no more.
        assert_eq!(Error::Inputs(vec![problem.clone(), problem]).to_string().lines().count(), 3);
    }

    #[test]
    fn a_message_stays_short_whatever_was_found() {
        let long = "é".repeat(600_000);
        let text = Error::input("a.json", "frames", &long, "mend it").to_string();
        assert!(text.chars().count() < 300 && text.ends_with("(599800 more characters); mend it"), "{text}");
        assert_eq!(plain("größe 頭", 7), "größe 頭");
    }

    #[test]
    fn a_stopped_run_ends_as_shells_expect() {
        let code = |signal| Error::Interrupted { signal, what: String::new() }.exit_code();
        assert_eq!([code(2), code(15), code(1)], [130, 143, 129]);
    }
}
