//! A face model fitted to the landmarks of a whole clip: one identity and one focal length, an expression and a pose
//! for each frame.
//!
//! Three steps, each Levenberg–Marquardt with analytic slopes and a Cauchy loss: every frame's pose alone (`start`);
//! identity, free offsets and focal length together with pose and expression of a hundred frames that differ
//! (`shared`, whose frames are eliminated by their Schur complement, the rest solved by preconditioned conjugate
//! gradients); pose and expression of all frames, held together by a mild prior in time (`frames`, a band matrix),
//! in turns with the offsets (`settle`).

mod errors;
mod frames;
mod priors;
mod settle;
mod shared;
mod start;
mod system;
#[cfg(test)]
mod tests;

pub use errors::FitErrors;

use super::math::{V3, add, length, scale, sub};
use super::model::{FaceModel, POINTS};
use super::pose::{Lens, Pose};
use crate::error::{Error, Result};

/// Landmarks of one frame: column and row in pixels from the image's edge, `[468]`; none where no face was found.
pub type FrameLandmarks = Option<Vec<[f64; 2]>>;

/// Coefficients stay within this many deviations.
pub(crate) const MOST_DEVIATIONS: f64 = 5.0;
/// How often offsets and frames take turns in the end.
const SETTLES: usize = 3;
/// Least number of frames with a face that a fit is made from.
const LEAST_FRAMES: usize = 3;
/// Weight of the landmarks that move most.
const LEAST_WEIGHT: f64 = 0.02;
/// Deviation of a landmark that holds still, pixels.
const NOISE: f64 = 0.35;
/// Where the tracked heads have their origin: behind and above the tip of the nose (landmark 4), metres; about where
/// the vertex mean of BFM-2009 lies, which trackers of this field use.
const ORIGIN_FROM_NOSE: V3 = [0.0, 0.0019, -0.0547];
const NOSE_TIP: usize = 4;

/// What is assumed where the clip does not tell.
#[derive(Debug, Clone, PartialEq)]
pub struct FitOptions {
    /// Width and height of the images, pixels.
    pub size: [u32; 2],
    /// Expected focal length over the longer side of the image.
    pub focal: f64,
    /// Its deviation, as a share; a small one fixes the focal length.
    pub focal_deviation: f64,
    /// Frames from which identity and focal length are taken.
    pub key_frames: usize,
    /// Deviation of the second difference in time of the rotation, radians.
    pub turn_deviation: f64,
    /// The same of the translation along x, y and z, over the distance.
    pub shift_deviation: V3,
}

impl FitOptions {
    /// What suits a head that was cropped to fill half of the image.
    pub fn new(size: [u32; 2]) -> Self {
        FitOptions {
            size,
            focal: 2.34,
            focal_deviation: 0.25,
            key_frames: 96,
            turn_deviation: 0.004,
            shift_deviation: [0.0026, 0.0026, 0.0069],
        }
    }
}

/// The fitted clip.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The lens all frames share.
    pub lens: Lens,
    /// Relative deviation of the focal length that landmarks and prior leave; as large as the prior's where the
    /// clip does not show it.
    pub focal_deviation: f64,
    /// Identity coefficients, deviations.
    pub identity: Vec<f64>,
    /// What identity leaves open: an offset of each landmark, `[468]`, metres.
    pub offsets: Vec<V3>,
    /// Expression coefficients of each frame, deviations.
    pub expression: Vec<Vec<f64>>,
    /// Pose of each frame; bridged where no face was found.
    pub poses: Vec<Pose>,
    /// The origin of the poses' world in the model's, metres.
    pub origin: V3,
    /// Which frames had landmarks.
    pub seen: Vec<bool>,
    /// How far the landmarks are from where the fit puts them.
    pub errors: FitErrors,
}

impl Fit {
    /// The person's face with the mean expression of the clip, in the poses' world, `[468]`, metres.
    pub fn mean_face(&self, model: &FaceModel) -> Vec<V3> {
        let frames = self.expression.len().max(1) as f64;
        let mean: Vec<f64> = (0..model.expression.modes())
            .map(|k| self.expression.iter().map(|row| row[k]).sum::<f64>() / frames)
            .collect();
        self.face(model, &mean)
    }

    /// The person's face with an expression, in the poses' world, `[468]`, metres.
    pub fn face(&self, model: &FaceModel, expression: &[f64]) -> Vec<V3> {
        let shape = model.shape(&self.identity, expression).into_iter().zip(&self.offsets);
        shape.map(|(p, o)| sub(add(p, *o), self.origin)).collect()
    }
}

/// Fits `model` to the landmarks of a clip, frame by frame in time.
///
/// # Errors
/// [`Error::Input`] when fewer than three frames have a face; [`Error::Internal`] for frames with another number of
/// landmarks than 468, or with coordinates that are not finite.
pub fn fit(model: &FaceModel, landmarks: &[FrameLandmarks], options: &FitOptions) -> Result<Fit> {
    let found = landmarks.iter().flatten();
    if found.clone().any(|f| f.len() != POINTS || f.as_flattened().iter().any(|v| !v.is_finite())) {
        return Err(Error::Internal("landmarks that are not 468 finite points".into()));
    }
    if found.count() < LEAST_FRAMES {
        return Err(Error::input(
            "the video",
            format!("a face in at least {LEAST_FRAMES} frames"),
            format!("one in {}", landmarks.iter().flatten().count()),
            "use a video that shows one face from the front",
        ));
    }
    let mut state = start::poses(model, landmarks, options)?;
    let key = start::key_frames(&state, landmarks, options.key_frames);
    let focal_deviation = shared::refine(model, landmarks, options, &key, &mut state)?;
    frames::refine(model, landmarks, options, &mut state)?;
    for _ in 0..SETTLES {
        settle::offsets(model, landmarks, options, &mut state);
        frames::refine(model, landmarks, options, &mut state)?;
    }
    Ok(state.finish(model, landmarks, focal_deviation))
}

/// All unknowns.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) lens: Lens,
    pub(crate) identity: Vec<f64>,
    pub(crate) offsets: Vec<V3>,
    pub(crate) expression: Vec<Vec<f64>>,
    pub(crate) poses: Vec<Pose>,
}

impl State {
    /// Mean, identity and offsets together, `[468]`.
    fn neutral(&self, model: &FaceModel) -> Vec<V3> {
        let moved = model.identity.at(&self.identity).into_iter().zip(&self.offsets);
        model.mean.iter().zip(moved).map(|(m, (i, o))| add(*m, add(i, *o))).collect()
    }

    fn finish(self, model: &FaceModel, landmarks: &[FrameLandmarks], focal_deviation: f64) -> Fit {
        let errors = FitErrors::of(model, &self, landmarks);
        let mut fit = Fit {
            lens: self.lens,
            focal_deviation,
            identity: self.identity,
            offsets: self.offsets,
            expression: self.expression,
            poses: self.poses,
            origin: [0.0; 3],
            seen: landmarks.iter().map(Option::is_some).collect(),
            errors,
        };
        let nose = fit.mean_face(model)[NOSE_TIP];
        fit.origin = add(nose, ORIGIN_FROM_NOSE);
        let origin = fit.origin;
        fit.poses.iter_mut().for_each(|p| *p = p.with_origin(origin));
        fit
    }
}

/// How much each landmark counts: those that move with the face say little about the head.
fn weights(model: &FaceModel) -> Vec<f64> {
    model.rigidity.iter().map(|r| r.max(LEAST_WEIGHT) / (NOISE * NOISE)).collect()
}

/// Root mean square distance of the model's stable points from their middle, metres, and that middle.
fn spread(model: &FaceModel, shape: &[V3]) -> (f64, V3) {
    let inverse = 1.0 / model.stable.len().max(1) as f64;
    let middle = scale(model.stable.iter().fold([0.0; 3], |sum, l| add(sum, shape[*l])), inverse);
    let squares: f64 = model.stable.iter().map(|l| length(sub(shape[*l], middle)).powi(2)).sum();
    ((squares * inverse).sqrt(), middle)
}
