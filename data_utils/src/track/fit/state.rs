//! Assumptions of a fit, its unknowns, and the weights of the landmarks.

use crate::track::math::{V3, add, length, scale, sub};
use crate::track::model::FaceModel;
use crate::track::pose::{Lens, Pose};

/// Landmarks of one frame: column and row in pixels from the image's edge, `[468]`; none where no face was found.
pub type FrameLandmarks = Option<Vec<[f64; 2]>>;

/// Coefficients are limited to this many standard deviations.
pub(crate) const MOST_DEVIATIONS: f64 = 5.0;
/// Weight of the landmarks that move most.
const LEAST_WEIGHT: f64 = 0.02;
/// Standard deviation of a rigid landmark, pixels.
const NOISE: f64 = 0.35;
/// Prior assumptions about a clip.
#[derive(Debug, Clone, PartialEq)]
pub struct FitOptions {
    /// Width and height of the images, pixels.
    pub size: [u32; 2],
    /// Expected focal length over the longer side of the image.
    pub focal: f64,
    /// Its relative standard deviation; a small one fixes the focal length.
    pub focal_deviation: f64,
    /// Frames from which identity and focal length are taken.
    pub key_frames: usize,
    /// Standard deviation of the second difference of the rotation in time, radians.
    pub turn_deviation: f64,
    /// The same of the translation along x, y and z, over the distance.
    pub shift_deviation: V3,
    /// Frames before which the video is cut, so that the head may jump.
    pub cuts: Vec<usize>,
}

impl FitOptions {
    /// Values for a head that was cropped to fill about half of the image.
    pub fn new(size: [u32; 2]) -> Self {
        FitOptions {
            size,
            focal: 2.34,
            focal_deviation: 0.25,
            key_frames: 96,
            turn_deviation: 0.004,
            shift_deviation: [0.0026, 0.0026, 0.0069],
            cuts: Vec::new(),
        }
    }
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
    pub(super) fn neutral(&self, model: &FaceModel) -> Vec<V3> {
        let moved = model.identity.at(&self.identity).into_iter().zip(&self.offsets);
        model.mean.iter().zip(moved).map(|(m, (i, o))| add(*m, add(i, *o))).collect()
    }
}

/// Weights of the landmarks: those that move with the face say little about the head.
pub(super) fn weights(model: &FaceModel) -> Vec<f64> {
    model.rigidity.iter().map(|r| r.max(LEAST_WEIGHT) / (NOISE * NOISE)).collect()
}

/// Root mean square distance of the model's stable points from their middle, metres, and that middle.
pub(super) fn spread(model: &FaceModel, shape: &[V3]) -> (f64, V3) {
    let inverse = 1.0 / model.stable.len().max(1) as f64;
    let middle = scale(model.stable.iter().fold([0.0; 3], |sum, l| add(sum, shape[*l])), inverse);
    let squares: f64 = model.stable.iter().map(|l| length(sub(shape[*l], middle)).powi(2)).sum();
    ((squares * inverse).sqrt(), middle)
}
