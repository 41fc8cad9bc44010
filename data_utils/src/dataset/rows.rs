//! How many rows a per-frame file must have, 25 a second.

use super::check::Findings;
use crate::error::Problem;

/// A file may end up to this many rows, or three hundredths of the frames, before the video does: programs count frames by
/// a container's duration, by decoding, or leave the last window out. The last row then stands for those missing.
const SHORT: usize = 5;
/// Rates that other programs work at, rows a second.
const OTHER_RATES: [f64; 6] = [24.0, 29.97, 30.0, 50.0, 60.0, 100.0];
/// How exactly the number of rows must be that of another rate to be taken for it.
const LIKE: f64 = 0.012;

/// Whether a file of `rows` rows will do when the last one wanted is `last`; noted or refused when it is short.
pub(super) fn enough_rows(
    name: &str,
    rows: usize,
    last: u32,
    findings: &mut Findings,
    notes: &mut Vec<String>,
) -> bool {
    let wanted = last as usize + 1;
    let short = wanted.saturating_sub(rows);
    let allowed = SHORT.max(wanted * 3 / 100);
    let seconds = |rows: usize| rows as f64 / 25.0;
    let other = other_rate(rows, wanted);
    if short > allowed {
        let rate = other.map_or(String::new(), |rate| format!(", as many as at {rate} a second"));
        findings.push(Problem::new(
            name,
            format!("25 rows a second up to frame {last}, {:.2} s", seconds(wanted)),
            format!("{rows} rows, {:.2} s{rate}", seconds(rows)),
            "make it again from the video of 25 frames a second, to its end",
        ));
    } else if short > 0 {
        notes.push(format!(
            "{name} ends {short} rows before the video ({:.2} s of {:.2} s): its last row is repeated",
            seconds(rows),
            seconds(wanted)
        ));
    } else if let Some(rate) = other {
        notes.push(format!(
            "{name} has {rows} rows, {:.2} s at 25 a second, where the frames last {:.2} s: if it was made at {rate} \
             rows a second, make it again at 25",
            seconds(rows),
            seconds(wanted)
        ));
    }
    short <= allowed
}

/// The rate at which `rows` rows would last as long as `wanted` frames at 25 a second.
fn other_rate(rows: usize, wanted: usize) -> Option<f64> {
    let rate = 25.0 * rows as f64 / wanted.max(1) as f64;
    OTHER_RATES.into_iter().find(|other| wanted > 50 && (rate / other - 1.0).abs() < LIKE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_rows_may_be_missing_and_many_may_not() {
        for (rows, noted, refused) in [(100, 0, 0), (95, 1, 0), (94, 0, 1), (1, 0, 1), (150, 0, 0)] {
            let (mut findings, mut notes) = (Findings::default(), Vec::new());
            enough_rows("bs.npy", rows, 99, &mut findings, &mut notes);
            assert_eq!((notes.len(), usize::from(!findings.is_empty())), (noted, refused), "{rows} rows");
        }
    }

    #[test]
    fn rows_of_another_rate_are_named_with_both_lengths() {
        let (mut findings, mut notes) = (Findings::default(), Vec::new());
        assert!(enough_rows("aud_ds.npy", 2000, 999, &mut findings, &mut notes));
        let note = notes.pop().expect("a note");
        assert!(["80.00 s", "40.00 s", "50 rows"].iter().all(|said| note.contains(said)), "{note}");
        // One that is not long enough even at its own rate is refused.
        assert!(
            !enough_rows("aud_ds.npy", 240, 249, &mut Findings::default(), &mut notes) || notes.len() == 1
        );
        assert!(!enough_rows("aud_ds.npy", 200, 249, &mut findings, &mut notes));
        let text = findings.into_result().expect_err("refused").to_string();
        assert!(text.contains("10.00 s") && text.contains("8.00 s"), "{text}");
    }
}
