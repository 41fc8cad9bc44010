//! How far the landmarks of a clip lie from a rigid face that is projected through given poses, and through the best poses that
//! this face can have.

use super::fit::FrameLandmarks;
use super::math::{Cholesky, V3};
use super::mobility;
use super::pose::{Lens, Pose};
use rayon::prelude::*;

/// Steps of Gauss–Newton for the pose of one frame.
const STEPS: usize = 8;
/// Added to the diagonal of its equations, as a part of it.
const DAMPING: f64 = 1e-6;

/// Distances over all seen frames and the landmarks that move least against the skull, root mean square, pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reprojection {
    /// Through the given poses.
    pub rms: f64,
    /// Through poses that are fitted to the landmarks of each frame alone (perspective n-point). They are fitted to one half of the
    /// landmarks and measured on the other, and the other way around.
    pub pnp: f64,
    /// Frames that were measured.
    pub frames: usize,
}

impl Reprojection {
    /// How many times the distance of the best poses.
    pub fn ratio(&self) -> f64 {
        self.rms / self.pnp.max(1e-9)
    }
}

/// Measures `poses` on the landmarks of a clip; `face` is the rigid face in the poses' world, `[468]`. None without a frame that
/// has a face.
pub fn reprojection(
    face: &[V3],
    landmarks: &[FrameLandmarks],
    poses: &[Pose],
    lens: &Lens,
) -> Option<Reprojection> {
    let stable = mobility::stable();
    let halves = [0, 1].map(|first| stable.iter().copied().skip(first).step_by(2).collect::<Vec<usize>>());
    let squares: Vec<[f64; 2]> = landmarks
        .par_iter()
        .zip(poses)
        .filter_map(|(points, pose)| {
            let points = points.as_ref()?;
            let of = |pose: &Pose, landmarks: &[usize]| squares(face, points, landmarks, pose, lens);
            let fitted = |k: usize| of(&fitted(face, points, &halves[k], pose, lens), &halves[1 - k]);
            Some([of(pose, &stable), fitted(0) + fitted(1)])
        })
        .collect();
    let count = squares.len() * stable.len();
    let rms = |k: usize| (squares.iter().map(|s| s[k]).sum::<f64>() / count.max(1) as f64).sqrt();
    (count > 0).then(|| Reprojection { rms: rms(0), pnp: rms(1), frames: squares.len() })
}

/// Poses that are fitted to the stable landmarks of each frame alone, from the given ones on.
pub fn poses_of_landmarks(
    face: &[V3],
    landmarks: &[FrameLandmarks],
    poses: &[Pose],
    lens: &Lens,
) -> Vec<Pose> {
    let stable = mobility::stable();
    let fit = |(points, pose): (&FrameLandmarks, &Pose)| {
        points.as_ref().map_or(*pose, |points| fitted(face, points, &stable, pose, lens))
    };
    landmarks.par_iter().zip(poses).map(fit).collect()
}

/// Sum of squared distances.
fn squares(face: &[V3], points: &[[f64; 2]], landmarks: &[usize], pose: &Pose, lens: &Lens) -> f64 {
    let square = |l: &usize| {
        let (point, seen) = (face.get(*l)?, points.get(*l)?);
        let [x, y] = lens.project(pose.to_camera(*point));
        Some((x - seen[0]).powi(2) + (y - seen[1]).powi(2))
    };
    landmarks.iter().filter_map(square).sum()
}

/// The pose with the least squares, from `pose` on.
fn fitted(face: &[V3], points: &[[f64; 2]], landmarks: &[usize], pose: &Pose, lens: &Lens) -> Pose {
    let mut best = *pose;
    let mut lowest = squares(face, points, landmarks, &best, lens);
    for _ in 0..STEPS {
        let (mut matrix, mut gradient) = (vec![0.0; 36], [0.0; 6]);
        for l in landmarks {
            let (Some(point), Some(seen)) = (face.get(*l), points.get(*l)) else { continue };
            let (at, slope) = lens.slope(&best, *point);
            for axis in 0..2 {
                let row = slope.pose[axis];
                for a in 0..6 {
                    gradient[a] -= row[a] * (at[axis] - seen[axis]);
                    (0..6).for_each(|b| matrix[a * 6 + b] += row[a] * row[b]);
                }
            }
        }
        (0..6).for_each(|a| matrix[a * 7] *= 1.0 + DAMPING);
        let Some(factor) = Cholesky::new(matrix, 6) else { break };
        factor.solve(&mut gradient);
        let next = best.moved(&gradient);
        let found = squares(face, points, landmarks, &next, lens);
        if found.is_nan() || found >= lowest {
            break;
        }
        (best, lowest) = (next, found);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::math::rotation;
    use crate::track::model::POINTS;

    /// A face that is no plane, poses that turn, and its landmarks with noise of `noise` pixels.
    fn clip(noise: f64) -> (Vec<V3>, Vec<FrameLandmarks>, Vec<Pose>, Lens) {
        let lens = Lens { focal: 1200.0, center: [256.0; 2] };
        let mut seed = 7u64;
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as f64 / (1u64 << 30) as f64 - 1.0
        };
        let face: Vec<V3> =
            (0..POINTS).map(|_| [0.07 * random(), 0.09 * random(), 0.05 * random()]).collect();
        let poses: Vec<Pose> = (0..60)
            .map(|i| {
                let t = f64::from(i) * 0.1;
                let facing = [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]];
                let turn = rotation([0.1 * t.sin(), 0.15 * (0.7 * t).cos(), 0.05 * t.cos()]);
                let rotation = crate::track::math::product(&turn, &facing);
                Pose { rotation, translation: [0.01 * t.sin(), 0.0, 0.6] }
            })
            .collect();
        let mut seen = |pose: &Pose| -> Vec<[f64; 2]> {
            let at = |p: &V3| lens.project(pose.to_camera(*p));
            face.iter().map(at).map(|[x, y]| [x + noise * random(), y + noise * random()]).collect()
        };
        let mut landmarks: Vec<FrameLandmarks> = poses.iter().map(|p| Some(seen(p))).collect();
        landmarks[9] = None;
        (face, landmarks, poses, lens)
    }

    #[test]
    fn true_poses_are_as_good_as_the_best_and_poses_that_turn_less_are_not() {
        let (face, landmarks, poses, lens) = clip(1.0);
        let right = reprojection(&face, &landmarks, &poses, &lens).expect("frames");
        // Uniform noise of ±1 pixel in two directions.
        assert!((right.rms - (2.0f64 / 3.0).sqrt()).abs() < 0.05, "{right:?}");
        assert!(right.frames == 59 && (0.85..1.05).contains(&right.ratio()), "{right:?}");
        let less: Vec<Pose> = poses
            .iter()
            .map(|p| {
                let turn = crate::track::math::rotation_vector(&crate::track::math::product(
                    &p.rotation,
                    &crate::track::math::transposed(&poses[0].rotation),
                ));
                let back = rotation(turn.map(|v| -0.4 * v));
                Pose { rotation: crate::track::math::product(&back, &p.rotation), ..*p }
            })
            .collect();
        let wrong = reprojection(&face, &landmarks, &less, &lens).expect("frames");
        assert!(wrong.ratio() > 2.0 && (wrong.pnp - right.pnp).abs() < 0.01, "{wrong:?}");
        assert!(reprojection(&face, &vec![None; 60], &poses, &lens).is_none());
    }

    #[test]
    fn poses_of_landmarks_are_the_true_ones_without_noise() {
        let (face, landmarks, poses, lens) = clip(0.0);
        let from: Vec<Pose> = poses.iter().map(|p| p.moved(&[0.02, -0.03, 0.01, 0.002, 0.0, 0.01])).collect();
        for (i, (a, b)) in poses_of_landmarks(&face, &landmarks, &from, &lens).iter().zip(&poses).enumerate()
        {
            let off = (0..3).map(|k| (a.translation[k] - b.translation[k]).abs()).fold(0.0, f64::max);
            assert!(i == 9 || off < 1e-6, "{i}: {off}");
        }
    }
}
