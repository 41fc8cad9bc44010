//! Bundle adjustment: all poses and the depths of all patches together, from where the patches were found.
//! Gauss–Newton with weights that fall with the residual (Cauchy) and with how much a patch moves by itself, the prior
//! in time, and conjugate gradients preconditioned by the band matrix of the poses.
//!
//! A head that turns half as far and is twice as deep looks almost the same (the bas-relief ambiguity, Belhumeur, Kriegman
//! & Yuille 1999), and the prior in time likes to turn less. So depths may change one by one, but the relief of the face
//! as a whole is held at that of the face model; with it the poses keep their amplitude.

use super::patches::Patch;
use super::register::Shifts;
use crate::error::{Error, Result};
use crate::track::math::{add, dot, length, median};
use crate::track::pose::{Lens, Pose};
use crate::track::temporal::{PathPrior, PoseBand};
use rayon::prelude::*;

/// Standard deviation of the change of the face's relief as a whole, as a part of it.
const RELIEF: f64 = 0.01;
/// The hair counts at most as much as the face, by this factor: it swings, and there may be more of it.
const HAIR_SHARE: f64 = 1.0;
/// Standard deviation of a good registration, pixels.
const NOISE: f64 = 0.25;
/// Scale of the Cauchy loss, pixels.
const CAUCHY: f64 = 0.7;
/// Own motion of a patch, pixels, at which its weight is halved.
const UNREST: f64 = 0.45;
/// Steps, and rounds of conjugate gradients in each.
const STEPS: usize = 4;
const ROUNDS: usize = 40;
const CLOSE: f64 = 1e-4;
const SIX: usize = 6;
/// Observations whose equations are in memory at once.
const AT_ONCE: usize = 1 << 14;

/// One patch found in one frame: weights, position, derivatives by the pose and by the depth.
struct Observation {
    frame: usize,
    patch: usize,
    /// Where it was found, pixels from the edge.
    place: [f64; 2],
    worth: [f64; 3],
}

/// The block of the normal equations that couples a pose with a depth.
struct Joint {
    frame: usize,
    patch: usize,
    value: [f64; SIX],
}

/// Adjusts poses and depths of patches so that they explain the shifts.
pub(super) fn adjust(
    patches: &mut [Patch],
    poses: &mut [Pose],
    lens: &Lens,
    shifts: &Shifts,
    prior: &PathPrior,
) -> Result<()> {
    let mut observations = Vec::new();
    for (frame, row) in shifts.iter().enumerate() {
        for (patch, shift) in row.iter().enumerate() {
            let Some(shift) = shift else { continue };
            let at = lens.project(poses[frame].to_camera(patches[patch].center()));
            let place = [at[0] + shift.by[0], at[1] + shift.by[1]];
            observations.push(Observation { frame, patch, place, worth: shift.worth });
        }
    }
    let relief = relief(patches);
    for _ in 0..STEPS {
        let calm = weights(&observations, patches, poses, lens);
        step(&observations, &calm, &relief, patches, poses, lens, prior)?;
    }
    Ok(())
}

fn residual(o: &Observation, patches: &[Patch], poses: &[Pose], lens: &Lens) -> [f64; 2] {
    let at = lens.project(poses[o.frame].to_camera(patches[o.patch].center()));
    [at[0] - o.place[0], at[1] - o.place[1]]
}

/// Weights of the patches.
fn weights(observations: &[Observation], patches: &[Patch], poses: &[Pose], lens: &Lens) -> Vec<f64> {
    let mut residuals: Vec<Vec<[f64; 2]>> = vec![Vec::new(); patches.len()];
    for o in observations {
        residuals[o.patch].push(residual(o, patches, poses, lens));
    }
    let count = |rows: &Vec<[f64; 2]>| rows.len() as f64;
    let counts: Vec<f64> = residuals.iter().map(count).collect();
    let mut weights: Vec<f64> = residuals.into_par_iter().map(|rows| calm(&rows)).collect();
    let sum = |face: bool| {
        let all = patches.iter().zip(&weights).zip(&counts);
        all.filter(|((p, _), _)| p.face == face).map(|((_, w), n)| w * n).sum::<f64>()
    };
    let (face, hair) = (sum(true), sum(false));
    if hair > HAIR_SHARE * face {
        let less = HAIR_SHARE * face / hair;
        patches.iter().zip(&mut weights).filter(|(p, _)| !p.face).for_each(|(_, w)| *w *= less);
    }
    weights
}

/// What the depths of the patches add to the face's relief, as a part of it: the slope of the depths against how deep the
/// face lies. 0 for hair.
fn relief(patches: &[Patch]) -> Vec<f64> {
    let face = || patches.iter().filter(|p| p.face);
    let count = face().count().max(1) as f64;
    let axis = face().fold([0.0; 3], |sum, p| add(sum, p.along()));
    let deep = |p: &Patch| dot(p.place(), axis) / length(axis).max(1e-12);
    let middle = face().map(deep).sum::<f64>() / count;
    let square = face().map(|p| (deep(p) - middle).powi(2)).sum::<f64>().max(1e-12);
    patches.iter().map(|p| if p.face { (deep(p) - middle) / square } else { 0.0 }).collect()
}

/// Weight of a patch with these residual positions, pixels: 1 / (1 + (m / `UNREST`)⁴), where m is the median distance
/// from the median position.
pub(super) fn calm(moved: &[[f64; 2]]) -> f64 {
    let middle = [0, 1].map(|k| median(moved.iter().map(|r| r[k]).collect()));
    let unrest = median(moved.iter().map(|r| (r[0] - middle[0]).hypot(r[1] - middle[1])).collect());
    1.0 / (1.0 + (unrest / UNREST).powi(4))
}

fn step(
    observations: &[Observation],
    calm: &[f64],
    relief: &[f64],
    patches: &mut [Patch],
    poses: &mut [Pose],
    lens: &Lens,
    prior: &PathPrior,
) -> Result<()> {
    let frames = poses.len();
    let mut band = PoseBand::new(frames);
    prior.add_to(poses, &mut band);
    let mut depth_matrix: Vec<f64> = patches.iter().map(|p| 1.0 / p.depth_deviation.powi(2)).collect();
    let mut depth_gradient: Vec<f64> = patches.iter().map(|p| p.depth / p.depth_deviation.powi(2)).collect();
    // One change of relief for all, of deviation `RELIEF`.
    let hold = 1.0 / (RELIEF * RELIEF);
    let change: f64 = patches.iter().zip(relief).map(|(p, r)| p.depth * r).sum();
    depth_gradient.iter_mut().zip(relief).for_each(|(g, r)| *g += hold * change * r);
    let mut joints = Vec::with_capacity(observations.len());
    for part in observations.chunks(AT_ONCE) {
        let equations: Vec<_> =
            part.par_iter().map(|o| equation(o, calm[o.patch], patches, poses, lens)).collect();
        for (o, e) in part.iter().zip(&equations) {
            band.add_frame(o.frame, &e.pose, &e.pose_gradient);
            depth_matrix[o.patch] += e.depth;
            depth_gradient[o.patch] += e.depth_gradient;
            joints.push(Joint { frame: o.frame, patch: o.patch, value: e.joint });
        }
    }
    let matrix = band.matrix.clone();
    let factor = band
        .matrix
        .factor()
        .ok_or_else(|| Error::Internal("poses that the patches do not determine".into()))?;
    let n = frames * SIX;
    let times = |v: &[f64]| -> Vec<f64> {
        let mut out = matrix.times(&v[..n]);
        out.extend(v[n..].iter().zip(&depth_matrix).map(|(v, m)| v * m));
        let change: f64 = v[n..].iter().zip(relief).map(|(v, r)| v * r).sum();
        out[n..].iter_mut().zip(relief).for_each(|(o, r)| *o += hold * change * r);
        for j in &joints {
            for (k, value) in j.value.iter().enumerate() {
                out[j.frame * SIX + k] += value * v[n + j.patch];
                out[n + j.patch] += value * v[j.frame * SIX + k];
            }
        }
        out
    };
    let precondition = |r: &[f64]| -> Vec<f64> {
        let mut out = r.to_vec();
        factor.solve(&mut out[..n]);
        out[n..].iter_mut().zip(&depth_matrix).for_each(|(v, m)| *v /= m);
        out
    };
    let right: Vec<f64> = band.gradient.iter().chain(&depth_gradient).map(|g| -g).collect();
    let solution = crate::track::math::conjugate_gradients(&right, times, precondition, ROUNDS, CLOSE);
    for (i, pose) in poses.iter_mut().enumerate() {
        *pose = pose.moved(&solution[i * SIX..(i + 1) * SIX]);
    }
    for (patch, d) in patches.iter_mut().zip(&solution[n..]) {
        let most = 4.0 * patch.depth_deviation;
        patch.depth = (patch.depth + d).clamp(-most, most);
    }
    Ok(())
}

/// One observation's part of the normal equations.
struct Equation {
    pose: [[f64; SIX]; SIX],
    pose_gradient: [f64; SIX],
    depth: f64,
    depth_gradient: f64,
    joint: [f64; SIX],
}

fn equation(o: &Observation, calm: f64, patches: &[Patch], poses: &[Pose], lens: &Lens) -> Equation {
    let patch = &patches[o.patch];
    let (at, slope) = lens.slope(&poses[o.frame], patch.center());
    let r = [at[0] - o.place[0], at[1] - o.place[1]];
    let robust = 1.0 / (1.0 + (r[0] * r[0] + r[1] * r[1]) / (CAUCHY * CAUCHY));
    let w = o.worth.map(|v| v * calm * robust / (NOISE * NOISE));
    let depth = [0, 1].map(|k| dot(slope.point[k], patch.along()));
    // W·x for a column x of two.
    let weigh = |x: [f64; 2]| [w[0] * x[0] + w[1] * x[1], w[1] * x[0] + w[2] * x[1]];
    let (wr, wd) = (weigh(r), weigh(depth));
    let column = |k: usize| [slope.pose[0][k], slope.pose[1][k]];
    let product = |a: [f64; 2], b: [f64; 2]| a[0] * b[0] + a[1] * b[1];
    Equation {
        pose: std::array::from_fn(|a| {
            let wa = weigh(column(a));
            std::array::from_fn(|b| product(wa, column(b)))
        }),
        pose_gradient: std::array::from_fn(|a| product(column(a), wr)),
        depth: product(depth, wd),
        depth_gradient: product(depth, wr),
        joint: std::array::from_fn(|a| product(column(a), wd)),
    }
}
