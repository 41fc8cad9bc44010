//! Why something is not done.

use crate::Error;

/// Why something is not done.
#[derive(Debug)]
pub enum Refusal {
    /// All is taken; it may be tried again.
    Busy(String),
    /// It would fail again.
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Failed(error)
    }
}
