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
mod follow;
mod jitter;
mod patches;
mod pictures;
mod register;
#[cfg(test)]
mod tests;
mod tracks;
mod warp;

pub use amplitude::{Amplitude, amplitude};
pub use follow::follow_slowly;
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
#[derive(Debug, Clone, PartialEq)]
pub struct StabiliseOptions {
    /// Rounds of averaging, searching and adjusting.
    pub rounds: usize,
    /// Standard deviation of the second difference of the rotation in time, radians.
    pub turn_deviation: f64,
    /// The same of the translation along x, y and z, over the distance.
    pub shift_deviation: V3,
    /// Measure the result by patches of other skin than the poses are adjusted to.
    pub hold_out: bool,
    /// Frames before which the video is cut, so that the head may jump.
    pub cuts: Vec<usize>,
}

impl Default for StabiliseOptions {
    fn default() -> Self {
        StabiliseOptions {
            rounds: 6,
            turn_deviation: 0.004,
            shift_deviation: [0.0026, 0.0026, 0.0069],
            hold_out: false,
            cuts: Vec::new(),
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
    let (mut fitted, judges) =
        if options.hold_out { patches::split(&all) } else { (all.clone(), of_the_face(all)) };
    let before = ResidualMotion::of(pictures, &judges, lens, seen, poses)?;
    let count = |face: bool| fitted.iter().filter(|p| p.face == face).count();
    let patches = [count(true), count(false)];
    if patches[0] < LEAST_PATCHES {
        return Ok(Stabilization { patches, after: before.clone(), before });
    }
    let prior = PathPrior::new(options.turn_deviation, options.shift_deviation, seen, &options.cuts);
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
    let after = ResidualMotion::of(pictures, &judges, lens, seen, poses)?;
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
    ResidualMotion::of(pictures, &of_the_face(all), lens, seen, poses)
}

/// The motion of the face that `poses` leave, on the skin that is held out with [`StabiliseOptions::hold_out`]; patches are placed as
/// for the poses `placed`.
///
/// # Errors
/// As [`stabilise`].
pub fn held_out_jitter(
    pictures: &Pictures,
    head: &Head,
    lens: &Lens,
    seen: &[bool],
    [placed, poses]: [&[Pose]; 2],
) -> Result<ResidualMotion> {
    let (_, judges) = patches::split(&place_patches(pictures, head, lens, seen, placed)?);
    ResidualMotion::of(pictures, &judges, lens, seen, poses)
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

fn of_the_face(mut all: Vec<Patch>) -> Vec<Patch> {
    all.retain(|p| p.face);
    all
}
