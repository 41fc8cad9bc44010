//! Initial poses: each frame on its own, with the mean face and the assumed focal length.

use super::state::{FitOptions, FrameLandmarks, State};
use super::system::{Unknowns, frame};
use crate::error::{Error, Result};
use crate::track::math::{Cholesky, M3, length, orthonormal, product, rotation_vector, scale, transposed};
use crate::track::model::{FaceModel, POINTS};
use crate::track::pose::{Lens, Pose};
use rayon::prelude::*;

/// Steps of Levenberg–Marquardt, and the damping that it starts and ends with.
const STEPS: usize = 30;
const DAMPING: [f64; 2] = [1e-3, 1e6];
/// The pose that is assumed where nothing is known: a head facing the camera, at this distance in metres.
const FACING: M3 = [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]];
const AWAY: f64 = 0.7;
/// Outer corners of the eyes.
const EYES: [usize; 2] = [33, 263];
/// Middle of the upper and of the lower lip's inner edge.
const LIPS: [usize; 2] = [13, 14];

/// Poses of all frames with a face; a frame without one gets the pose of the nearest that has one.
pub(super) fn poses(model: &FaceModel, landmarks: &[FrameLandmarks], options: &FitOptions) -> Result<State> {
    let [w, h] = options.size.map(f64::from);
    let lens = Lens { focal: options.focal * w.max(h), center: [w / 2.0, h / 2.0] };
    let found: Vec<Option<Pose>> =
        landmarks.par_iter().map(|f| f.as_ref().map(|points| pose(model, &lens, points))).collect();
    let known: Vec<usize> = (0..found.len()).filter(|i| found[*i].is_some()).collect();
    let nearest = |i: usize| {
        let k = known.iter().min_by_key(|k| k.abs_diff(i))?;
        found[*k]
    };
    let poses: Option<Vec<Pose>> = (0..found.len()).map(nearest).collect();
    let poses = poses.ok_or_else(|| Error::Internal("no frame with a face".into()))?;
    Ok(State {
        lens,
        identity: vec![0.0; model.identity.modes()],
        offsets: vec![[0.0; 3]; POINTS],
        expression: vec![vec![0.0; model.expression.modes()]; poses.len()],
        poses,
    })
}

/// The pose of one frame: the orthographic view that fits the rigid landmarks best (DeMenthon & Davis 1995), then
/// least squares in perspective.
fn pose(model: &FaceModel, lens: &Lens, points: &[[f64; 2]]) -> Pose {
    let mut best = orthographic(model, lens, points);
    let unknowns = |pose: &Pose| {
        let still = Unknowns { shape: &model.mean, expression: &[], pose, lens };
        frame(model, &still, points, &model.rigidity)
    };
    let (mut system, mut damping) = (unknowns(&best), DAMPING[0]);
    for _ in 0..STEPS {
        let Some(factor) = Cholesky::new(system.damped(damping), system.n) else { break };
        let mut step: Vec<f64> = system.gradient.iter().map(|g| -g).collect();
        factor.solve(&mut step);
        let next = best.moved(&step);
        let tried = unknowns(&next);
        if next.translation[2] > 0.0 && tried.cost < system.cost {
            let done = system.cost - tried.cost < 1e-9 * system.cost;
            (best, system, damping) = (next, tried, damping * 0.2);
            if done {
                break;
            }
        } else {
            damping *= 8.0;
            if damping > DAMPING[1] {
                break;
            }
        }
    }
    best
}

/// Column and row as linear functions of the model's points; their directions are the camera's axes.
fn orthographic(model: &FaceModel, lens: &Lens, points: &[[f64; 2]]) -> Pose {
    let (mut matrix, mut right) = (vec![0.0; 16], [[0.0; 4]; 2]);
    for (l, seen) in points.iter().enumerate() {
        let [x, y, z] = model.mean[l];
        let row = [x, y, z, 1.0];
        for a in 0..4 {
            (0..4).for_each(|b| matrix[a * 4 + b] += model.rigidity[l] * row[a] * row[b]);
            (0..2).for_each(|axis| right[axis][a] += model.rigidity[l] * row[a] * seen[axis]);
        }
    }
    let facing = Pose { rotation: FACING, translation: [0.0, 0.0, AWAY] };
    let Some(factor) = Cholesky::new(matrix, 4) else { return facing };
    right.iter_mut().for_each(|r| factor.solve(r));
    let [along, down] = right.map(|r| [r[0], r[1], r[2]]);
    let size = (length(along) + length(down)) / 2.0;
    if size.is_nan() || size <= 0.0 {
        return facing;
    }
    let place = |axis: usize| (right[axis][3] - lens.center[axis]) / size;
    Pose {
        rotation: orthonormal(&[along, down, FACING[2]]),
        translation: [place(0), place(1), lens.focal / size],
    }
}

/// Up to `count` frames that differ most in pose and mouth, in time's order: farthest points first.
pub(super) fn key_frames(state: &State, landmarks: &[FrameLandmarks], count: usize) -> Vec<usize> {
    let known: Vec<usize> = (0..landmarks.len()).filter(|i| landmarks[*i].is_some()).collect();
    let Some(&first) = known.get(known.len() / 2) else { return Vec::new() };
    let reference = transposed(&state.poses[first].rotation);
    let feature = |i: usize| -> [f64; 7] {
        let pose = &state.poses[i];
        let turn = rotation_vector(&product(&pose.rotation, &reference));
        let place = scale(pose.translation, 1.0 / pose.translation[2].max(1e-6));
        let depth = pose.translation[2] / state.poses[first].translation[2].max(1e-6);
        let open = landmarks[i].as_ref().map_or(0.0, |p| {
            let gap = |[a, b]: [usize; 2]| (p[a][0] - p[b][0]).hypot(p[a][1] - p[b][1]);
            gap(LIPS) / gap(EYES).max(1.0)
        });
        [turn[0], turn[1], turn[2] * 0.3, place[0], place[1], depth, open * 0.5]
    };
    let features: Vec<[f64; 7]> = known.iter().map(|i| feature(*i)).collect();
    let distance =
        |a: usize, b: usize| -> f64 { (0..7).map(|k| (features[a][k] - features[b][k]).powi(2)).sum() };
    let mut chosen = vec![known.len() / 2];
    let mut nearest: Vec<f64> = (0..known.len()).map(|i| distance(i, known.len() / 2)).collect();
    while chosen.len() < count.min(known.len()) {
        let far = nearest.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1));
        let Some((next, _)) = far.filter(|(_, d)| **d > 0.0) else { break };
        chosen.push(next);
        nearest.iter_mut().enumerate().for_each(|(i, d)| *d = d.min(distance(i, next)));
    }
    let mut frames: Vec<usize> = chosen.into_iter().map(|k| known[k]).collect();
    frames.sort_unstable();
    frames
}
