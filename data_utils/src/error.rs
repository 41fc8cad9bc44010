//! One error type for the whole product. Each error says where it happened, what was expected, what
//! was found and what to do next, and knows the exit code it ends the program with.

use std::fmt;
use std::path::Path;

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
            std::io::ErrorKind::StorageFull => "free some space and run the same command again",
            _ => "check the disk and run the same command again",
        };
        Problem::new(path.display(), expected, error.to_string(), remedy)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, found {}; {}", self.at, self.expected, self.found, self.remedy)
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
    #[error("internal error: {0}; please report it with the command that led here")]
    Internal(String),
    /// The GPU went away; what was saved can be resumed. Exit code 3.
    #[error("the device was lost: {0}; run the same command with --resume to continue")]
    DeviceLost(String),
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

fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|p| format!("- {p}")).collect();
    format!("{} problems:\n{}", problems.len(), lines.join("\n"))
}
