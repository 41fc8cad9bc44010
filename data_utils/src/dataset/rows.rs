//! How many rows a per-frame file must have.

use super::check::Findings;
use crate::error::Problem;

/// A file may end up to this many rows, or a hundredth of the frames, before the video does: counting frames by a
/// container's duration and by decoding differs by that much. The last row then stands for those missing.
const SHORT: usize = 5;

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
    let allowed = SHORT.max(wanted / 100);
    if short > allowed {
        findings.push(Problem::new(
            name,
            format!("a row for each of the frames up to {last}"),
            format!("{rows} rows"),
            "make it again from the whole video",
        ));
    } else if short > 0 {
        notes.push(format!("{name} ends {short} rows before the video: its last row is repeated"));
    }
    short <= allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_rows_may_be_missing_and_many_may_not() {
        for (rows, noted, refused) in [(100, 0, 0), (95, 1, 0), (94, 0, 1), (1, 0, 1)] {
            let (mut findings, mut notes) = (Findings::default(), Vec::new());
            enough_rows("bs.npy", rows, 99, &mut findings, &mut notes);
            assert_eq!((notes.len(), usize::from(!findings.is_empty())), (noted, refused), "{rows} rows");
        }
    }
}
