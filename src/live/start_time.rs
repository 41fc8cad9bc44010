//! `--ss`: where in the clip the poses start.

use crate::{Error, Result};
use data_utils::audio::FRAME_RATE;

/// The index of the first frame at or after a time of the source video, given as `HH:MM:SS`, `MM:SS` or seconds with
/// fractions allowed. `img_ids` are the frames' numbers, ascending and not empty.
///
/// # Errors
/// [`Error::Input`] for what is no time, or one past the end of the clip.
pub fn start_at(text: &str, img_ids: &[u32]) -> Result<usize> {
    let refuse = |expected: String| {
        Error::input("--ss", expected, format!("{text:?}"), "give the time in the source video to start from")
    };
    let malformed = || refuse("a time as HH:MM:SS".into());
    let mut seconds = 0.0;
    let fields: Vec<&str> = text.trim().split(':').collect();
    if fields.len() > 3 {
        return Err(malformed());
    }
    for (place, field) in fields.iter().enumerate() {
        let digits = |c: char| c.is_ascii_digit() || (c == '.' && place + 1 == fields.len());
        let value: f64 = field.parse().map_err(|_| malformed())?;
        if !field.chars().all(digits) || (place > 0 && value >= 60.0) {
            return Err(malformed());
        }
        seconds = seconds * 60.0 + value;
    }
    let number = (seconds * f64::from(FRAME_RATE) + 1e-6).floor();
    let start = img_ids.partition_point(|id| f64::from(*id) < number);
    if start >= img_ids.len() {
        let end = img_ids.last().map_or(0.0, |id| f64::from(*id) / f64::from(FRAME_RATE));
        return Err(refuse(format!("a time inside the clip, which ends at {end:.2} s")));
    }
    Ok(start)
}
