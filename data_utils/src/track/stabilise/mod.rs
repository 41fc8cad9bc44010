//! Stabilizes poses by following the picture: detected landmarks jitter together by half a pixel against the skin, so
//! the skin itself is the better measure of where the head is.
//!
//! Small patches of the reference view are placed on the surface: skin of the upper face without eyes and brows, and
//! hair. In each round every patch is averaged over all frames at the positions that the poses predict and found again
//! in every frame by Lucas–Kanade; then one sparse least squares adjusts all poses and the depths of the patches. Or the
//! patches are followed once by optical flow ([`FlowTracker`]). The result is measured by [`Jitter`].
//!
//! Hair is needed: without it the skin of the face moves less in the stabilized picture, but only because the poses
//! follow skin that slides over the skull. On the sample talker the error of the rotation is then four times as large.

mod amplitude;
mod bundle;
mod jitter;
mod patches;
mod pictures;
mod register;
#[cfg(test)]
mod tests;
mod tracks;
mod warp;

pub use amplitude::{Amplitude, amplitude};
pub use jitter::{Jitter, ResidualMotion};
pub use pictures::Pictures;
pub use tracks::FlowTracker;
pub use warp::warp_to_pose;

use super::depth::Mesh;
use super::math::{V3, length, product, rotation_vector, scale, sub, transposed};
use super::pose::{Lens, Pose};
use super::temporal::{self, PathPrior};
use crate::error::{Error, Result};
use patches::Patch;

/// Least number of patches for which stabilizing is better than the landmarks.
const LEAST_PATCHES: usize = 12;

/// The head in the reference frame.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// Its surface, in the poses' world.
    pub mesh: &'a Mesh,
    /// The frame in whose view the patches are defined; see [`reference_frame`].
    pub reference: usize,
    /// Pixels of that frame that show skin which hardly moves, `[height, width]`; see [`still_skin`].
    pub still: &'a [bool],
    /// Pixels of that frame that show hair, `[height, width]`.
    pub hair: Option<&'a [bool]>,
}

/// Settings of the stabilization.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StabiliseOptions {
    /// Rounds of averaging, searching and adjusting.
    pub rounds: usize,
    /// Standard deviation of the second difference of the rotation in time, radians.
    pub turn_deviation: f64,
    /// The same of the translation along x, y and z, over the distance.
    pub shift_deviation: V3,
    /// Adjust to every second patch only, so that the others measure the result.
    pub hold_out: bool,
}

impl Default for StabiliseOptions {
    fn default() -> Self {
        StabiliseOptions {
            rounds: 6,
            turn_deviation: 0.004,
            shift_deviation: [0.0026, 0.0026, 0.0069],
            hold_out: false,
        }
    }
}

/// Result of the stabilization.
#[derive(Debug, Clone, PartialEq)]
pub struct Stabilization {
    /// Numbers of patches on the face and in the hair.
    pub patches: [usize; 2],
    /// The motion that the given poses left.
    pub before: ResidualMotion,
    /// The motion that the stabilized poses leave.
    pub after: ResidualMotion,
}

/// Stabilizes `poses`; patches are followed by `flow` where it is given, otherwise by Lucas–Kanade. Frames that are not
/// `seen` follow by the prior in time alone, in long gaps by interpolation. Where the head has too little texture the
/// poses stay as they are.
///
/// # Errors
/// Those of reading a picture; [`Error::Internal`] when numbers of frames disagree.
pub fn stabilise(
    pictures: &Pictures,
    head: &Head,
    lens: &Lens,
    seen: &[bool],
    poses: &mut [Pose],
    options: &StabiliseOptions,
    flow: Option<&FlowTracker>,
) -> Result<Stabilization> {
    let all = place_patches(pictures, head, lens, seen, poses)?;
    let before = ResidualMotion::of(pictures, &held_out(&all, options.hold_out), lens, seen, poses)?;
    let mut fitted: Vec<Patch> = if options.hold_out { every_second(&all, 0) } else { all.clone() };
    let count = |face: bool| fitted.iter().filter(|p| p.face == face).count();
    let patches = [count(true), count(false)];
    if patches[0] < LEAST_PATCHES {
        return Ok(Stabilization { patches, after: before.clone(), before });
    }
    let prior = PathPrior::new(options.turn_deviation, options.shift_deviation, seen);
    let follow =
        |flow: &FlowTracker| flow.follow(&fitted, head.reference, poses, lens, seen, pictures.size());
    let tracks = flow.map(follow).transpose()?;
    for _ in 0..options.rounds {
        let shifts = match &tracks {
            Some(tracks) => tracks::shifts(tracks, &fitted, poses, lens, pictures.size()),
            None => register::register(pictures, &fitted, poses, lens, seen)?,
        };
        bundle::adjust(&mut fitted, poses, lens, &shifts, &prior)?;
    }
    temporal::bridge(poses, seen);
    let after = ResidualMotion::of(pictures, &held_out(&all, options.hold_out), lens, seen, poses)?;
    Ok(Stabilization { patches, before, after })
}

/// The motion of the face that `poses` leave in the frames.
///
/// # Errors
/// As [`stabilise`].
pub fn jitter(
    pictures: &Pictures,
    head: &Head,
    lens: &Lens,
    seen: &[bool],
    poses: &[Pose],
) -> Result<ResidualMotion> {
    let all = place_patches(pictures, head, lens, seen, poses)?;
    ResidualMotion::of(pictures, &held_out(&all, false), lens, seen, poses)
}

/// The frame whose pose is nearest to all others.
pub fn reference_frame(poses: &[Pose], seen: &[bool]) -> Option<usize> {
    let known: Vec<usize> = (0..poses.len()).filter(|i| seen.get(*i) == Some(&true)).collect();
    let spread = known.len().div_ceil(64).max(1);
    let far = |i: usize| -> f64 {
        let to = |k: &usize| {
            let turn = product(&poses[*k].rotation, &transposed(&poses[i].rotation));
            let shift =
                scale(sub(poses[*k].translation, poses[i].translation), 1.0 / poses[i].translation[2]);
            length(rotation_vector(&turn)) + length(shift)
        };
        known.iter().step_by(spread).map(to).sum()
    };
    known.iter().copied().min_by(|a, b| far(*a).total_cmp(&far(*b)))
}

/// Skin that hardly moves when the face does, `[height, width]`: the upper face without eyes and brows. `landmarks`
/// are those of the reference frame, pixels from the edge, `triangles` those between them.
pub fn still_skin(landmarks: &[[f64; 2]], triangles: &[[u32; 3]], size: [u32; 2]) -> Vec<bool> {
    patches::still_pixels(landmarks, triangles, size)
}

fn place_patches(
    pictures: &Pictures,
    head: &Head,
    lens: &Lens,
    seen: &[bool],
    poses: &[Pose],
) -> Result<Vec<Patch>> {
    let frames = [poses.len(), seen.len(), pictures.count()];
    let pose = poses.get(head.reference).filter(|_| frames.iter().all(|n| *n == frames[0]));
    let pose = pose.ok_or_else(|| {
        Error::Internal(format!("{frames:?} poses, flags and pictures, reference {}", head.reference))
    })?;
    Ok(patches::place(head.mesh, head.still, pose, lens, pictures.size(), head.hair))
}

fn every_second(patches: &[Patch], first: usize) -> Vec<Patch> {
    patches.iter().skip(first).step_by(2).cloned().collect()
}

/// The patches that measure: those on the face; with some held out, those that were not adjusted to.
fn held_out(all: &[Patch], hold_out: bool) -> Vec<Patch> {
    let mut judges = if hold_out { every_second(all, 1) } else { all.to_vec() };
    judges.retain(|p| p.face);
    judges
}
