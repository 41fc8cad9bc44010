//! Interpolates gaps in rows of values over time, and smooths them without lag.

/// Savitzky and Golay's fit of a cubic to five points (Anal. Chem. 36, 1964), × 70: row k holds the
/// weights for reading the fit at point k, so that the first and last two frames use the fit of the first and last five,
/// as SciPy's `savgol_filter` does.
const FIT: [[f32; 5]; 5] = [
    [69.0, 4.0, -6.0, 4.0, -1.0],
    [4.0, 54.0, 24.0, -16.0, 4.0],
    [-6.0, 24.0, 34.0, 24.0, -6.0],
    [4.0, -16.0, 24.0, 54.0, 4.0],
    [-1.0, 4.0, -6.0, 4.0, 69.0],
];

/// Smooths each run of consecutive good rows; a run ends before each of the `cuts`. Runs shorter than five frames and all
/// other rows stay as they are.
pub fn smoothed(rows: &[Vec<f32>], good: &[bool], cuts: &[usize]) -> Vec<Vec<f32>> {
    let mut out = rows.to_vec();
    let mut start = 0;
    for end in 0..=rows.len() {
        let is_good = end < rows.len() && good.get(end).copied().unwrap_or(false);
        let is_cut = end > start && cuts.contains(&end);
        if is_good && !is_cut {
            continue;
        }
        if end - start >= 5 {
            for at in start..end {
                let first = at.saturating_sub(2).clamp(start, end - 5);
                let weights = FIT[at - first];
                for (k, value) in out[at].iter_mut().enumerate() {
                    let sum: f32 = weights.iter().enumerate().map(|(i, w)| w * rows[first + i][k]).sum();
                    *value = sum / 70.0;
                }
            }
        }
        start = if is_good { end } else { end + 1 };
    }
    out
}

/// Fills missing rows by linear interpolation between their neighbours, at the ends by the nearest row; none when every
/// row is missing.
pub fn interpolated(rows: &[Option<Vec<f32>>]) -> Option<Vec<Vec<f32>>> {
    let known: Vec<usize> = (0..rows.len()).filter(|i| rows[*i].is_some()).collect();
    let row = |i: usize| rows.get(i).and_then(Option::as_ref);
    let mut out = Vec::with_capacity(rows.len());
    for at in 0..rows.len() {
        let after = known.partition_point(|k| *k < at);
        let next = known.get(after).or(known.last())?;
        let previous =
            if *next <= at { next } else { after.checked_sub(1).and_then(|i| known.get(i)).unwrap_or(next) };
        let (a, b) = (row(*previous)?, row(*next)?);
        let share = if next > previous { (at - previous) as f32 / (next - previous) as f32 } else { 0.0 };
        out.push(a.iter().zip(b).map(|(a, b)| if share > 0.0 { a + share * (b - a) } else { *a }).collect());
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cubic_stays_what_it_is_to_its_ends() {
        let rows: Vec<Vec<f32>> = (0..9).map(|t| vec![(t as f32 - 4.0).powi(3) * 0.1, 2.0]).collect();
        for (a, b) in smoothed(&rows, &[true; 9], &[]).iter().zip(&rows) {
            assert!((a[0] - b[0]).abs() < 1e-4 && (a[1] - 2.0).abs() < 1e-5);
        }
    }

    #[test]
    fn a_spike_is_halved_and_does_not_cross_a_bad_frame() {
        let rows: Vec<Vec<f32>> = (0..12).map(|t| vec![f32::from(u8::from(t == 4))]).collect();
        let mut good = [true; 12];
        good[6] = false;
        let out = smoothed(&rows, &good, &[]);
        assert!((out[4][0] - 54.0 / 70.0).abs() < 1e-5 || (out[4][0] - 34.0 / 70.0).abs() < 1e-5);
        assert_eq!(out[7..], rows[7..]);
    }

    #[test]
    fn a_jump_at_a_cut_stays_a_jump() {
        let rows: Vec<Vec<f32>> = (0..12).map(|t| vec![if t < 6 { 0.0 } else { 1.0 }]).collect();
        let near = |out: &[Vec<f32>]| out.iter().zip(&rows).all(|(a, b)| (a[0] - b[0]).abs() < 1e-5);
        assert!(near(&smoothed(&rows, &[true; 12], &[6])) && !near(&smoothed(&rows, &[true; 12], &[])));
    }

    #[test]
    fn gaps_are_bridged_and_ends_held() {
        let rows = [None, Some(vec![1.0]), None, None, Some(vec![4.0]), None];
        let out: Vec<f32> = interpolated(&rows).expect("rows").concat();
        assert_eq!(out, [1.0, 1.0, 2.0, 3.0, 4.0, 4.0]);
        assert!(interpolated(&[None, None]).is_none());
    }
}
