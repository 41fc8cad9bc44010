//! Poses that follow the landmarks slowly and the picture from frame to frame.

use crate::track::math::{V3, add, orthonormal, product, rotation, rotation_vector, scale, sub, transposed};
use crate::track::pose::Pose;

/// Standard deviation of the weights over time with which the two are compared, frames, and how many frames on either side count.
const SLOW: f64 = 4.0;
const REACH: usize = 10;

/// Moves `steady` poses to the `fitted` ones as seen over a third of a second: landmarks jitter but do not drift; poses that follow the
/// picture drift with hair that swings and skin that slides, but do not jitter. Frames that are not `seen` keep their poses; before
/// each of the `cuts` the head may jump.
pub fn follow_slowly(fitted: &[Pose], steady: &mut [Pose], seen: &[bool], cuts: &[usize]) {
    let is_seen = |i: usize| seen.get(i) == Some(&true);
    let offset = |i: usize| -> (V3, V3) {
        let turn = product(&fitted[i].rotation, &transposed(&steady[i].rotation));
        (rotation_vector(&turn), sub(fitted[i].translation, steady[i].translation))
    };
    let count = fitted.len().min(steady.len());
    let offsets: Vec<Option<(V3, V3)>> = (0..count).map(|i| is_seen(i).then(|| offset(i))).collect();
    for (i, pose) in steady.iter_mut().enumerate().take(count).filter(|(i, _)| is_seen(*i)) {
        // The frames of the same shot.
        let start = cuts.iter().copied().filter(|cut| *cut <= i).max().unwrap_or(0);
        let end = cuts.iter().copied().filter(|cut| *cut > i).min().unwrap_or(count).min(count);
        let near = start.max(i.saturating_sub(REACH))..end.min(i + REACH + 1);
        let (mut turn, mut shift, mut sum) = ([0.0; 3], [0.0; 3], 0.0);
        for k in near {
            let Some((t, s)) = offsets[k] else { continue };
            let weight = (-0.5 * (k.abs_diff(i) as f64 / SLOW).powi(2)).exp();
            (turn, shift, sum) = (add(turn, scale(t, weight)), add(shift, scale(s, weight)), sum + weight);
        }
        // Frame `i` itself is one of them, so the sum is not 0.
        *pose = Pose {
            rotation: orthonormal(&product(&rotation(scale(turn, 1.0 / sum)), &pose.rotation)),
            translation: add(pose.translation, scale(shift, 1.0 / sum)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::amplitude;
    use super::*;

    fn path(share: f64, noise: f64) -> Vec<Pose> {
        let pose = |i: usize| {
            let t = i as f64 + if i < 200 { 0.0 } else { 55.0 };
            let jitter = noise * (2.9 * t).sin();
            let turn = [0.03 * (0.05 * t).cos() + jitter, share * 0.06 * (0.07 * t).sin(), 0.0];
            Pose { rotation: rotation(turn), translation: [0.01 * (0.03 * t).sin() + 0.1 * jitter, 0.0, 0.6] }
        };
        (0..400).map(pose).collect()
    }

    #[test]
    fn the_landmarks_amplitude_without_their_jitter() {
        let (seen, cuts) = (vec![true; 400], [200]);
        let (truth, fitted, mut poses) = (path(1.0, 0.0), path(1.0, 0.004), path(0.7, 0.0));
        follow_slowly(&fitted, &mut poses, &seen, &cuts);
        let compared = amplitude(&truth, &poses, &seen)[1].expect("it turns");
        assert!((compared.slope() - 1.0).abs() < 0.05, "{compared:?}");
        let off = |a: &[Pose]| -> f64 {
            let squares = a.iter().zip(&truth).map(|(a, b)| length_of(a, b).powi(2));
            (squares.sum::<f64>() / 400.0).sqrt()
        };
        // Most of the jitter is gone.
        assert!(off(&poses) < 0.6 * off(&fitted), "{} {}", off(&poses), off(&fitted));
        let kept = path(0.7, 0.0);
        let mut unseen = kept.clone();
        follow_slowly(&fitted, &mut unseen, &[false; 400], &cuts);
        assert_eq!(unseen, kept);
    }

    fn length_of(a: &Pose, b: &Pose) -> f64 {
        crate::track::math::length(rotation_vector(&product(&a.rotation, &transposed(&b.rotation))))
    }
}
