//! Statements about voices and weights on small files made by the programs of the field; each lies in
//! `tests/data` beside the script that made it.

#![allow(clippy::unwrap_used)] // a test that cannot go on says so by panicking

mod golden;
mod sounds;
mod weights;

use std::path::PathBuf;

/// A file of `tests/data`.
fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}
