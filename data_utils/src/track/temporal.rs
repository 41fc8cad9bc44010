//! The prior that heads move smoothly, on second differences of the poses in time, and the band matrix of all poses.

use super::math::{Banded, V3, add, product, rotation, rotation_vector, scale, sub, transposed};
use super::pose::Pose;

/// Unknowns of each pose.
const SIX: usize = 6;
/// Added to the diagonal, so that poses without any data are defined.
const HOLD: f64 = 1e-6;

/// The longest gap, in frames without a face, over which the prior connects poses: about half a second.
const LONGEST_GAP: usize = 12;

/// The prior: second differences are small.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PathPrior {
    turn: f64,
    shift: V3,
    live: Vec<bool>,
    cuts: Vec<usize>,
}

/// Frames that the prior connects: those with a face, and short gaps between them.
fn live(seen: &[bool]) -> Vec<bool> {
    let mut live = seen.to_vec();
    let known: Vec<usize> = (0..seen.len()).filter(|i| seen[*i]).collect();
    for pair in known.windows(2).filter(|p| p[1] - p[0] <= LONGEST_GAP + 1) {
        live[pair[0]..pair[1]].fill(true);
    }
    live
}

/// Interpolates the poses of frames in long gaps: between two known poses by the shortest rotation and a straight line,
/// before the first and after the last by holding these.
pub(crate) fn bridge(poses: &mut [Pose], seen: &[bool]) {
    let live = live(seen);
    let known: Vec<usize> = (0..poses.len()).filter(|i| live.get(*i) == Some(&true)).collect();
    for i in (0..poses.len()).filter(|i| live.get(*i) != Some(&true)) {
        let after = known.partition_point(|k| *k < i);
        let (before, after) = (after.checked_sub(1).and_then(|k| known.get(k)), known.get(after));
        let (Some(&a), Some(&b)) = (before.or(after), after.or(before)) else { return };
        let share = if b > a { (i - a) as f64 / (b - a) as f64 } else { 0.0 };
        let turn = rotation_vector(&product(&poses[b].rotation, &transposed(&poses[a].rotation)));
        let shift = sub(poses[b].translation, poses[a].translation);
        poses[i] = Pose {
            rotation: product(&rotation(scale(turn, share)), &poses[a].rotation),
            translation: add(poses[a].translation, scale(shift, share)),
        };
    }
}

impl PathPrior {
    /// Deviations of the second differences of the rotation (radians) and of the translation over the distance, along
    /// x, y and z, through the frames that are `seen` and short gaps between them. Before each of the `cuts` the head may jump.
    pub(crate) fn new(turn: f64, shift: V3, seen: &[bool], cuts: &[usize]) -> Self {
        PathPrior { turn, shift, live: live(seen), cuts: cuts.to_vec() }
    }

    /// Frames whose neighbours on both sides are connected to them by the prior.
    fn inner(&self, count: usize) -> impl Iterator<Item = usize> {
        (1..count.saturating_sub(1))
            .filter(|i| self.live.get(i - 1..=i + 1).is_some_and(|l| l.iter().all(|live| *live)))
            .filter(|i| !self.cuts.iter().any(|cut| [*i, i + 1].contains(cut)))
    }

    /// Second differences around frame `i` (1 ≤ i < n − 1), each divided by its standard deviation.
    fn residual(&self, poses: &[Pose], i: usize, weights: &[f64; SIX]) -> [f64; SIX] {
        let [a, b, c] = [&poses[i - 1], &poses[i], &poses[i + 1]];
        let turn =
            |from: &Pose, to: &Pose| rotation_vector(&product(&to.rotation, &transposed(&from.rotation)));
        let turn = sub(turn(b, c), turn(a, b));
        let shift = sub(sub(c.translation, b.translation), sub(b.translation, a.translation));
        std::array::from_fn(|k| weights[k] * if k < 3 { turn[k] } else { shift[k - 3] })
    }

    /// Reciprocal of the standard deviation of each unknown.
    fn weights(&self, poses: &[Pose]) -> [f64; SIX] {
        let live = || poses.iter().zip(&self.live).filter(|(_, live)| **live);
        let sum = live().map(|(p, _)| p.translation[2].abs()).sum::<f64>();
        let distance = sum / live().count().max(1) as f64;
        std::array::from_fn(|k| 1.0 / if k < 3 { self.turn } else { self.shift[k - 3] * distance.max(1e-9) })
    }

    /// Half the sum of squares.
    pub(crate) fn cost(&self, poses: &[Pose]) -> f64 {
        let weights = self.weights(poses);
        let cost = |i| self.residual(poses, i, &weights).iter().map(|r| 0.5 * r * r).sum::<f64>();
        self.inner(poses.len()).map(cost).sum()
    }

    /// Adds the prior's second derivatives and gradient. Rotations between frames are small, so the derivatives of a second
    /// difference by the unknowns of its three frames are 1, −2 and 1.
    pub(crate) fn add_to(&self, poses: &[Pose], band: &mut PoseBand) {
        const SHARES: [f64; 3] = [1.0, -2.0, 1.0];
        let weights = self.weights(poses);
        for i in self.inner(poses.len()) {
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

    /// Adds second derivatives and gradient of one frame's data.
    pub(crate) fn add_frame(&mut self, frame: usize, matrix: &[[f64; SIX]; SIX], gradient: &[f64; SIX]) {
        for a in 0..SIX {
            self.gradient[frame * SIX + a] += gradient[a];
            (0..=a).for_each(|b| self.matrix.add(frame * SIX + a, frame * SIX + b, matrix[a][b]));
        }
    }

    /// The Newton steps of all poses; none when the matrix is not positive definite.
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
        let prior = PathPrior::new(0.004, [0.0026, 0.0026, 0.0069], &[true; 6], &[]);
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
        let prior = PathPrior::new(0.004, [0.0026, 0.0026, 0.0069], &[true; 9], &[]);
        assert!(prior.cost(&poses) < 1e-12 && prior.cost(&path(9)) > 1.0);
        // A jump costs much, unless there is a cut.
        let jumped: Vec<Pose> = (0..9).map(|i| at(if i < 5 { i } else { i + 40 })).collect();
        let cut = PathPrior::new(0.004, [0.0026, 0.0026, 0.0069], &[true; 9], &[5]);
        assert!(prior.cost(&jumped) > 1.0 && cut.cost(&jumped) < 1e-12);
    }

    #[test]
    fn short_gaps_are_followed_and_long_ones_bridged() {
        let mut seen = vec![true; 60];
        seen[5..9].fill(false);
        seen[20..40].fill(false);
        seen[55..].fill(false);
        assert_eq!(live(&seen).iter().filter(|l| **l).count(), 60 - 20 - 5);
        let prior = PathPrior::new(0.004, [0.0026; 3], &seen, &[]);
        let before = path(60);
        let mut poses = before.clone();
        poses[30].translation = [9.0; 3];
        // Frames in a long gap have no data and no prior.
        assert_eq!(prior.cost(&poses), prior.cost(&before));
        bridge(&mut poses, &seen);
        assert_eq!((poses[7], poses[58]), (before[7], before[54]));
        let middle = (0..3).map(|k| 0.5 * (poses[19].translation[k] + poses[40].translation[k]));
        let between = (0..3).map(|k| 0.5 * (poses[29].translation[k] + poses[30].translation[k]));
        assert!(middle.zip(between).all(|(a, b)| (a - b).abs() < 1e-12));
        let turn = |a: usize, b: usize| {
            rotation_vector(&product(&poses[b].rotation, &transposed(&poses[a].rotation)))
        };
        for (whole, part) in turn(19, 40).into_iter().zip(turn(19, 26)) {
            assert!((part * 3.0 - whole).abs() < 1e-9, "{whole} {part}");
        }
    }
}
