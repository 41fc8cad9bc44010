//! Poses steadied by the picture: landmarks wobble together by half a pixel against the skin, the skin itself tells
//! better where the head is.
//!
//! Little patches of the reference view lie on the surface: skin of the upper face without eyes and brows, and hair.
//! In each round every patch is averaged over all frames as the poses put it there, found again in every frame by
//! Lucas–Kanade, and one sparse least squares moves all poses and the patches' depths; or the patches are followed once
//! by optical flow ([`FlowTracker`]). What came of it is judged by [`Jitter`].
//!
//! Hair keeps the poses honest: without it the face's skin stands stiller in the picture, but only because poses follow
//! skin that slides over the skull, and on a made-up talker the rotation is four times as far from the truth.

mod bundle;
mod jitter;
mod patches;
mod pictures;
mod register;
#[cfg(test)]
mod tests;
mod tracks;
mod warp;

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

/// Least number of patches that say more about the head than its landmarks do.
const LEAST_PATCHES: usize = 12;

/// The head in the reference frame.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// Its surface, in the poses' world.
    pub mesh: &'a Mesh,
    /// The frame whose view patches are laid in; see [`reference_frame`].
    pub reference: usize,
    /// Pixels of that frame that show skin which hardly moves, `[height, width]`; see [`still_skin`].
    pub still: &'a [bool],
    /// Pixels of that frame that show hair, `[height, width]`.
    pub hair: Option<&'a [bool]>,
}

/// How much the poses are steadied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StabiliseOptions {
    /// Rounds of averaging, searching and adjusting.
    pub rounds: usize,
    /// Deviation of the second difference in time of the rotation, radians.
    pub turn_deviation: f64,
    /// The same of the translation along x, y and z, over the distance.
    pub shift_deviation: V3,
    /// Adjust to every second patch only, so that the others can judge.
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

/// What the stabiliser did.
#[derive(Debug, Clone, PartialEq)]
pub struct Stabilization {
    /// Patches on the face, and in the hair.
    pub patches: [usize; 2],
    /// What the poses left as they came.
    pub before: ResidualMotion,
    /// What they leave now.
    pub after: ResidualMotion,
}

/// Moves `poses` so that the head stands still; patches are followed by `flow` where it is given, otherwise by
/// Lucas–Kanade. Frames that are not `seen` follow by the prior in time alone, in long
/// gaps on a line. Where the head has too little texture the poses stay as they are.
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
    let all = lay(pictures, head, lens, seen, poses)?;
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

/// How far the face wanders in the frames once the poses are removed.
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
    let all = lay(pictures, head, lens, seen, poses)?;
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

fn lay(pictures: &Pictures, head: &Head, lens: &Lens, seen: &[bool], poses: &[Pose]) -> Result<Vec<Patch>> {
    let frames = [poses.len(), seen.len(), pictures.count()];
    let pose = poses.get(head.reference).filter(|_| frames.iter().all(|n| *n == frames[0]));
    let pose = pose.ok_or_else(|| {
        Error::Internal(format!("{frames:?} poses, flags and pictures, reference {}", head.reference))
    })?;
    Ok(patches::lay(head.mesh, head.still, pose, lens, pictures.size(), head.hair))
}

fn every_second(patches: &[Patch], first: usize) -> Vec<Patch> {
    patches.iter().skip(first).step_by(2).cloned().collect()
}

/// The patches that judge: those on the face, the others than were adjusted to if some are held out.
fn held_out(all: &[Patch], hold_out: bool) -> Vec<Patch> {
    let mut judges = if hold_out { every_second(all, 1) } else { all.to_vec() };
    judges.retain(|p| p.face);
    judges
}
