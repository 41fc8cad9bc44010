//! Whether stabilized poses still turn as far as the landmarks say. Landmarks jitter, but they neither drift nor swing; hair
//! does, and skin slides. So over half a second and more the two must agree.

use crate::track::math::{V3, product, rotation_vector, transposed};
use crate::track::pose::Pose;

/// Frames on either side over which rotations are averaged before they are compared.
const SMOOTH: usize = 6;
/// An axis around which the head turns less than this, standard deviation in radians, shows nothing.
const LEAST_TURN: f64 = 0.006;
/// Least correlation, and the range of the ratio of standard deviations, with which poses agree.
const CORRELATION: f64 = 0.9;
const RATIO: [f64; 2] = [0.9, 1.1];

/// How rotations compare with those of the landmarks around one axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Amplitude {
    /// Standard deviation over that of the landmarks' poses.
    pub ratio: f64,
    /// Correlation with them.
    pub correlation: f64,
}

impl Amplitude {
    /// How far they turn for each degree of the landmarks' poses: the slope of the regression.
    pub fn slope(&self) -> f64 {
        self.ratio * self.correlation
    }

    /// Whether the two agree.
    pub fn agrees(&self) -> bool {
        self.correlation >= CORRELATION && (RATIO[0]..=RATIO[1]).contains(&self.ratio)
    }
}

/// Compares `poses` with those that were fitted to landmarks, around x, y and z; nothing for an axis around which the head hardly
/// turns, or where fewer than two frames are `seen`.
pub fn amplitude(fitted: &[Pose], poses: &[Pose], seen: &[bool]) -> [Option<Amplitude>; 3] {
    let (fitted, poses) = (turns(fitted, seen), turns(poses, seen));
    std::array::from_fn(|axis| {
        let (a, b) = (centred(&fitted, axis), centred(&poses, axis));
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        let (aa, bb, ab) = (product(&a, &a), product(&b, &b), product(&a, &b));
        let deviation = (aa / a.len().max(1) as f64).sqrt();
        (a.len() >= 2 && deviation >= LEAST_TURN).then(|| Amplitude {
            ratio: (bb / aa).sqrt(),
            correlation: if bb > 0.0 { ab / (aa * bb).sqrt() } else { 0.0 },
        })
    })
}

/// Rotations against the first seen frame, smoothed over time.
fn turns(poses: &[Pose], seen: &[bool]) -> Vec<V3> {
    let known: Vec<&Pose> = poses.iter().zip(seen).filter(|(_, seen)| **seen).map(|(pose, _)| pose).collect();
    let Some(first) = known.first() else { return Vec::new() };
    let raw: Vec<V3> = known
        .iter()
        .map(|pose| rotation_vector(&product(&pose.rotation, &transposed(&first.rotation))))
        .collect();
    let mean = |i: usize| -> V3 {
        let near = &raw[i.saturating_sub(SMOOTH)..(i + SMOOTH + 1).min(raw.len())];
        std::array::from_fn(|k| near.iter().map(|v| v[k]).sum::<f64>() / near.len() as f64)
    };
    (0..raw.len()).map(mean).collect()
}

fn centred(turns: &[V3], axis: usize) -> Vec<f64> {
    let mean = turns.iter().map(|v| v[axis]).sum::<f64>() / turns.len().max(1) as f64;
    turns.iter().map(|v| v[axis] - mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::math::rotation;

    fn path(yaw: f64, noise: f64) -> Vec<Pose> {
        let pose = |i: usize| {
            let t = i as f64;
            let turn = [0.02 * (0.05 * t).cos(), yaw * (0.07 * t).sin() + noise * (2.9 * t).sin(), 0.0];
            Pose { rotation: rotation(turn), translation: [0.0, 0.0, 0.6] }
        };
        (0..400).map(pose).collect()
    }

    #[test]
    fn jitter_is_forgiven_and_a_halved_turn_is_not() {
        let (fitted, seen) = (path(0.05, 0.008), vec![true; 400]);
        let steady = amplitude(&fitted, &path(0.05, 0.0), &seen);
        assert!(steady[..2].iter().all(|axis| axis.is_some_and(|a| a.agrees())), "{steady:?}");
        assert_eq!(steady[2], None, "the head does not roll");
        let halved = amplitude(&fitted, &path(0.025, 0.0), &seen)[1].expect("a turn");
        assert!(!halved.agrees() && (halved.ratio - 0.5).abs() < 0.05, "{halved:?}");
        let other = amplitude(&fitted, &path(-0.05, 0.0), &seen)[1].expect("a turn");
        assert!(!other.agrees() && other.correlation < -0.9, "{other:?}");
    }
}
