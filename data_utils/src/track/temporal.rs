//! A head does not jump: the prior on second differences of the poses in time, and the band matrix of all poses.

use super::math::{Banded, V3, product, rotation_vector, sub, transposed};
use super::pose::Pose;

/// Unknowns of a pose.
const SIX: usize = 6;
/// Keeps poses that nothing else holds: a share of a unit on the diagonal.
const HOLD: f64 = 1e-6;

/// Deviations of the second differences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PathPrior {
    /// Of the rotation, radians.
    pub(crate) turn: f64,
    /// Of the translation over the distance, along x, y, z.
    pub(crate) shift: V3,
}

impl PathPrior {
    /// Second differences around frame `i` (1 ≤ i < n − 1), each over its deviation.
    fn residual(&self, poses: &[Pose], i: usize, weights: &[f64; SIX]) -> [f64; SIX] {
        let [a, b, c] = [&poses[i - 1], &poses[i], &poses[i + 1]];
        let turn =
            |from: &Pose, to: &Pose| rotation_vector(&product(&to.rotation, &transposed(&from.rotation)));
        let turn = sub(turn(b, c), turn(a, b));
        let shift = sub(sub(c.translation, b.translation), sub(b.translation, a.translation));
        std::array::from_fn(|k| weights[k] * if k < 3 { turn[k] } else { shift[k - 3] })
    }

    /// One over the deviation of each unknown.
    fn weights(&self, poses: &[Pose]) -> [f64; SIX] {
        let frames = poses.len().max(1) as f64;
        let distance = poses.iter().map(|p| p.translation[2].abs()).sum::<f64>() / frames;
        std::array::from_fn(|k| 1.0 / if k < 3 { self.turn } else { self.shift[k - 3] * distance.max(1e-9) })
    }

    /// Half the sum of squares.
    pub(crate) fn cost(&self, poses: &[Pose]) -> f64 {
        let weights = self.weights(poses);
        let inner = 1..poses.len().saturating_sub(1);
        inner.map(|i| self.residual(poses, i, &weights).iter().map(|r| 0.5 * r * r).sum::<f64>()).sum()
    }

    /// Adds the prior's second derivatives and gradient. The turns are small, so each unknown's difference moves
    /// by 1, −2, 1 with those of the three frames.
    pub(crate) fn add_to(&self, poses: &[Pose], band: &mut PoseBand) {
        const SHARES: [f64; 3] = [1.0, -2.0, 1.0];
        let weights = self.weights(poses);
        for i in 1..poses.len().saturating_sub(1) {
            let residual = self.residual(poses, i, &weights);
            for k in 0..SIX {
                let w = weights[k];
                for (a, share) in SHARES.iter().enumerate() {
                    let row = (i - 1 + a) * SIX + k;
                    band.gradient[row] += share * w * residual[k];
                    for (b, other) in SHARES.iter().enumerate().take(a + 1) {
                        band.matrix.add(row, (i - 1 + b) * SIX + k, w * w * share * other);
                    }
                }
            }
        }
    }
}

/// Second derivatives and gradient of all poses, six unknowns each.
#[derive(Debug, Clone)]
pub(crate) struct PoseBand {
    pub(crate) matrix: Banded,
    pub(crate) gradient: Vec<f64>,
}

impl PoseBand {
    pub(crate) fn new(frames: usize) -> Self {
        let n = frames * SIX;
        let mut matrix = Banded::zeros(n, 2 * SIX);
        (0..n).for_each(|i| matrix.add(i, i, HOLD));
        PoseBand { matrix, gradient: vec![0.0; n] }
    }

    /// Adds what one frame says about its pose.
    pub(crate) fn add_frame(&mut self, frame: usize, matrix: &[[f64; SIX]; SIX], gradient: &[f64; SIX]) {
        for a in 0..SIX {
            self.gradient[frame * SIX + a] += gradient[a];
            (0..=a).for_each(|b| self.matrix.add(frame * SIX + a, frame * SIX + b, matrix[a][b]));
        }
    }

    /// The steps that bring the gradient to zero; none when the matrix is not positive definite.
    pub(crate) fn solve(self) -> Option<Vec<f64>> {
        let mut steps: Vec<f64> = self.gradient.iter().map(|g| -g).collect();
        self.matrix.factor()?.solve(&mut steps);
        Some(steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::math::rotation;

    fn path(n: usize) -> Vec<Pose> {
        let at = |i: usize| {
            let t = i as f64;
            Pose {
                rotation: rotation([0.002 * (0.9 * t).sin(), 0.004 * t, 0.003 * (0.7 * t).cos()]),
                translation: [0.001 * t, 0.0004 * t * t, 0.6 + 0.002 * (t * 1.3).sin()],
            }
        };
        (0..n).map(at).collect()
    }

    #[test]
    fn the_gradient_is_the_difference_of_the_cost() {
        let prior = PathPrior { turn: 0.004, shift: [0.0026, 0.0026, 0.0069] };
        let poses = path(6);
        let mut band = PoseBand::new(6);
        prior.add_to(&poses, &mut band);
        for unknown in 0..36 {
            // The weights follow the mean distance, which the gradient leaves out.
            let weights = prior.weights(&poses);
            let go = |h: f64| {
                let mut moved = poses.clone();
                let mut step = [0.0; 6];
                step[unknown % 6] = h;
                moved[unknown / 6] = poses[unknown / 6].moved(&step);
                let inner = 1..5;
                let squares = |i| prior.residual(&moved, i, &weights).map(|r: f64| 0.5 * r * r);
                inner.map(|i| squares(i).iter().sum::<f64>()).sum::<f64>()
            };
            let numeric = (go(1e-6) - go(-1e-6)) / 2e-6;
            let tolerance = 0.03 * numeric.abs() + 0.5;
            assert!((numeric - band.gradient[unknown]).abs() < tolerance, "{unknown}: {numeric}");
        }
    }

    #[test]
    fn a_straight_path_costs_nothing() {
        let at = |i: usize| Pose {
            rotation: rotation([0.0, 0.01 * i as f64, 0.0]),
            translation: [0.001 * i as f64, 0.0, 0.6],
        };
        let poses: Vec<Pose> = (0..9).map(at).collect();
        let prior = PathPrior { turn: 0.004, shift: [0.0026, 0.0026, 0.0069] };
        assert!(prior.cost(&poses) < 1e-12 && prior.cost(&path(9)) > 1.0);
    }
}
