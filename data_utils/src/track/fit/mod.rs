//! A face model fitted to the landmarks of a whole clip: one identity and one focal length, an expression and a pose
//! for each frame.
//!
//! Three steps, each Levenberg–Marquardt with analytic derivatives and a Cauchy loss: the pose of every frame alone
//! (`start`); identity, free offsets and focal length together with pose and expression of about a hundred key frames
//! (`shared`: the frames are eliminated by their Schur complement, the rest is solved by preconditioned conjugate
//! gradients); pose and expression of all frames with a weak prior in time (`frames`, a band matrix), alternating with
//! the offsets (`offsets`).

mod errors;
mod frames;
mod offsets;
mod priors;
mod shared;
mod start;
mod state;
mod system;
#[cfg(test)]
mod tests;

pub use errors::FitErrors;
pub use state::{FitOptions, FrameLandmarks};

use super::math::{V3, add, sub};
use super::model::{FaceModel, POINTS};
use super::pose::{Lens, Pose};
use crate::error::{Error, Result};
use state::State;

/// Rounds of refining offsets and frames in turn at the end.
const OFFSET_ROUNDS: usize = 3;
/// Least number of frames with a face that a fit is made from.
const LEAST_FRAMES: usize = 3;
/// The world's origin relative to the tip of the nose (landmark 4), metres: about the mean of BFM-2009's vertices, which
/// other trackers for talking heads use as the origin.
const ORIGIN_FROM_NOSE: V3 = [0.0, 0.0019, -0.0547];
const NOSE_TIP: usize = 4;

/// The fitted clip.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The lens all frames share.
    pub lens: Lens,
    /// Relative standard deviation of the focal length, given landmarks and prior; as large as that of the prior where the
    /// clip does not determine it.
    pub focal_deviation: f64,
    /// Identity coefficients, in standard deviations.
    pub identity: Vec<f64>,
    /// Offset of each landmark from the face model, `[468]`, metres.
    pub offsets: Vec<V3>,
    /// Expression coefficients of each frame, in standard deviations.
    pub expression: Vec<Vec<f64>>,
    /// Pose of each frame; interpolated where no face was found.
    pub poses: Vec<Pose>,
    /// The origin of the poses' world in the model's coordinates, metres.
    pub origin: V3,
    /// True for frames with landmarks.
    pub seen: Vec<bool>,
    /// Distances between the landmarks and the fitted model.
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
    for _ in 0..OFFSET_ROUNDS {
        offsets::refine(model, landmarks, options, &mut state);
        frames::refine(model, landmarks, options, &mut state)?;
    }
    Ok(finish(state, model, landmarks, focal_deviation))
}

/// The fitted clip of the state that was found.
fn finish(state: State, model: &FaceModel, landmarks: &[FrameLandmarks], focal_deviation: f64) -> Fit {
    let errors = FitErrors::of(model, &state, landmarks);
    let mut fit = Fit {
        lens: state.lens,
        focal_deviation,
        identity: state.identity,
        offsets: state.offsets,
        expression: state.expression,
        poses: state.poses,
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
