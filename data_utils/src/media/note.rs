//! What a file says of itself.

/// The comment in every video that was drawn here.
pub(super) const SYNTHETIC: &str = "synthetic pictures by surfeltalk";
