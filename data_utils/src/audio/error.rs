//! Why a file gave no sound.

/// Why a file gave no sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// Not a format, or not a flavour of it, that this decoder reads: another one may.
    Unsupported(String),
    /// It holds no sound, and no decoder will find any.
    NoSound(String),
    /// Its channels cancel each other; this is the loudest one.
    Cancelled(usize),
    /// Longer than allowed.
    TooLong,
}
