//! Placeholder until the spine stands.
fn main() {}
