//! Why a network cannot be run.

/// What does not fit together in a network.
#[derive(Debug)]
pub(crate) struct Misfit(pub(crate) String);
