//! How this person moves: the statistics of the clip's head pose, brows, gaze and blinks, from which motion for any sound is
//! generated.
//!
//! Pose and expression of a frame are a vector of numbers with mean 0 and deviation 1 over the clip: three of the rotation, three
//! of the translation, and principal components of the upper-face blendshapes without blinks. The vector follows itself and the
//! sound linearly, and chance does the rest (a vector autoregression with inputs, Lütkepohl 2005, §2 and §10):
//!
//! ```text
//! x(t) = A₁·x(t−1) + … + Aₚ·x(t−p) + B·u(t) + s(t)·L·n(t)
//! ```
//!
//! with u how the loudness changes around t, n normal numbers, L the Cholesky factor of what is left over in the clip, and s how
//! lively the head is at this loudness. A process with the coefficients of a least squares fit has the autocovariances of the
//! clip, so its spectra of speed and acceleration are the clip's. It never repeats and goes on through silence without a seam. (SyncAnimation's networks hear the truth in training and a constant afterwards, with white noise on
//! top; nothing of that is here.)
//!
//! * `fit` from a clip's frames and its sound; `from_dataset` the same of a dataset
//! * `blinks` when and how the eyes close
//! * `series` poses and blendshapes as numbers and back
//! * [`generator`] motion, frame by frame
//! * `store` the arrays in a head file

mod blinks;
mod fit;
#[cfg(test)]
mod fit_tests;
mod from_dataset;
pub mod generator;
mod series;
mod store;

pub use blinks::{Blinks, LIDS};
pub use fit::{MotionFrames, fit};
pub use from_dataset::{frames_of, row_means, runs_of};
pub use generator::MotionGenerator;
pub use series::Basis;

/// Frames that a frame follows.
pub const ORDER: usize = 4;
/// Numbers that say how the loudness changes around a frame.
pub const INPUTS: usize = 3;
/// Frames around the own at which the loudness is looked at; the differences of neighbours are the inputs.
pub const HEARD_AT: [isize; INPUTS + 1] = [-4, -2, 0, 2];

/// How a person moves.
#[derive(Debug, Clone, PartialEq)]
pub struct Motion {
    /// What the numbers of a frame mean.
    pub basis: Basis,
    /// `[ORDER·d + INPUTS, d]`: what the frame before, the one before that, …, and the inputs add.
    pub weights: Vec<f64>,
    /// `[d, d]`, lower triangle: the Cholesky factor of the covariance of what is left over.
    pub noise: Vec<f64>,
    /// The first [`ORDER`] frames of the clip, the latest first, `[ORDER, d]`.
    pub start: Vec<f64>,
    /// Lowest and highest of each number: the 1st and 99th of a hundred of the clip, `[d, 2]`.
    pub limits: Vec<f64>,
    /// Weights of the channels of an audio row, and a last one that is added: the loudness, mean 0 and deviation 1 over the clip.
    pub loudness: Vec<f64>,
    /// How much livelier the head is for each deviation of loudness.
    pub liveliness: f64,
    /// When and how the eyes close.
    pub blinks: Blinks,
}

impl Motion {
    /// Numbers of a frame.
    pub fn width(&self) -> usize {
        self.basis.width()
    }

    /// The loudness that an audio row `[channels, width]` tells, in deviations from the clip's mean.
    pub fn loudness_of(&self, row: &[f32]) -> f64 {
        let channels = self.loudness.len().saturating_sub(1).max(1);
        let width = (row.len() / channels).max(1);
        let means =
            row.chunks(width).map(|steps| steps.iter().map(|v| f64::from(*v)).sum::<f64>() / width as f64);
        let sum: f64 = means.zip(&self.loudness).map(|(mean, weight)| mean * weight).sum();
        (sum + self.loudness.last().copied().unwrap_or(0.0)).clamp(-LOUDEST, LOUDEST)
    }

    /// The factor on chance at a loudness.
    pub fn lively(&self, loudness: f64) -> f64 {
        (1.0 + self.liveliness * loudness).clamp(LEAST_LIVELY, MOST_LIVELY)
    }
}

/// Deviations of loudness beyond which a sound is no louder.
const LOUDEST: f64 = 3.0;
/// The head never rests altogether, and never gets wild.
const LEAST_LIVELY: f64 = 0.25;
const MOST_LIVELY: f64 = 2.0;
