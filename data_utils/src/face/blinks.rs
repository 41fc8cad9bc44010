//! Counts blinks by their shape in time.

/// Frames around the most closed one in which a blink opens again, on either side.
const HALF: usize = 10;
/// Frames on either side in which no other one counts.
const APART: usize = 4;
/// Least height of a blink over the open eye before and after it: at least this, and this part of the eye's usual range.
const LEAST: [f32; 2] = [0.12, 0.4];

/// The number of blinks in `closed`, how far the eyes are closed in each frame, 0 to 1: peaks that stand out from what is before
/// and after them. How far an eye closes is measured differently for each person, so there is no one level.
pub fn blinks(closed: &[f32]) -> usize {
    blink_frames(closed).len()
}

/// The frames in which the eyes of [`blinks`] are most closed, ascending.
pub fn blink_frames(closed: &[f32]) -> Vec<usize> {
    let mut sorted = closed.to_vec();
    sorted.sort_by(f32::total_cmp);
    let quantile = |share: usize| sorted.get(sorted.len() * share / 100).copied().unwrap_or(0.0);
    let least = LEAST[0].max(LEAST[1] * (quantile(99) - quantile(50)));
    let lowest = |part: &[f32]| part.iter().copied().fold(f32::INFINITY, f32::min);
    let is_blink = |at: usize| {
        let here = closed[at];
        let near = &closed[at.saturating_sub(APART)..(at + APART + 1).min(closed.len())];
        // Of equal frames the first counts.
        let is_peak = near.iter().all(|v| *v <= here) && (at == 0 || closed[at - 1] < here);
        let before = lowest(&closed[at.saturating_sub(HALF)..=at]);
        let after = lowest(&closed[at..(at + HALF + 1).min(closed.len())]);
        is_peak && here - before.max(after) >= least
    };
    (0..closed.len()).filter(|at| is_blink(*at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eyes that are open at `open`, with a blink of `height` every 50 frames.
    fn eyes(open: f32, height: f32) -> Vec<f32> {
        let shape = [0.3, 0.8, 1.0, 0.9, 0.5, 0.2];
        (0..500).map(|t| open + height * shape.get(t % 50).copied().unwrap_or(0.0)).collect()
    }

    #[test]
    fn weak_and_strong_blinks_count_alike() {
        assert_eq!(blinks(&eyes(0.05, 0.8)), 10);
        // Eyes that are never measured as half closed.
        assert_eq!(blinks(&eyes(0.1, 0.25)), 10);
        assert_eq!(blinks(&eyes(0.1, 0.05)), 0, "trembling is no blink");
    }

    #[test]
    fn eyes_that_stay_closed_or_look_down_do_not_blink() {
        let slowly: Vec<f32> = (0..300).map(|t| 0.3 + 0.3 * (t as f32 / 40.0).sin()).collect();
        assert_eq!(blinks(&slowly), 0);
        assert_eq!(blinks(&[0.9; 50]), 0);
        assert_eq!(blinks(&[]), 0);
    }
}
