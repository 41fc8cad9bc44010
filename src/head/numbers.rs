//! Whether the numbers of a file can be those of a head.

use crate::{Error, Result};

/// Larger than any number of a head; one that is larger was damaged, and ruins every picture.
const LARGEST: f32 = 1e6;

/// Refuses numbers that are infinite, not a number, or absurdly large. `at` names the file, `name` the array.
///
/// # Errors
/// [`Error::Input`] naming both.
pub(super) fn check_numbers(at: &str, name: &str, values: &[f32]) -> Result<()> {
    let Some(index) = values.iter().position(|v| !(-LARGEST..=LARGEST).contains(v)) else { return Ok(()) };
    Err(Error::input(
        format!("{at}, array {name}"),
        format!("finite numbers up to {LARGEST:e}"),
        format!("{:e} at {index}", values[index]),
        "use another copy of the file, an earlier iteration or checkpoint, or train again",
    ))
}
