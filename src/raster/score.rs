//! The plain types of the loss for backends that compute it where they draw: targets, weights and terms.

use super::Outputs;
use crate::{Error, Result};
use std::any::Any;
use std::ops::Range;

/// What stands behind the head in a pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Room {
    /// The pixel, row·columns + column.
    pub at: usize,
    /// The colour, 0..1.
    pub color: [f32; 3],
}

/// Some rows and columns of an image, each from the first to the one after the last; what lies outside is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Crop {
    /// Rows.
    pub rows: [usize; 2],
    /// Columns.
    pub columns: [usize; 2],
}

impl Crop {
    /// The part inside an image of `width` columns and `height` rows; never less than no rows and no columns.
    pub fn inside(&self, width: usize, height: usize) -> Crop {
        let cut = |[first, end]: [usize; 2], most: usize| [first.min(end.min(most)), end.min(most)];
        Crop { rows: cut(self.rows, height), columns: cut(self.columns, width) }
    }

    /// Pixels of a crop that lies inside its image, at least one so that means of nothing are 0.
    pub fn area(&self) -> usize {
        ((self.rows[1] - self.rows[0]).max(1)) * ((self.columns[1] - self.columns[0]).max(1))
    }
}

/// What one frame should look like.
#[derive(Debug, Clone, Copy)]
pub struct Goal<'a> {
    /// RGB, 0..1, `[3, rows, columns]`.
    pub color: &'a [f32],
    /// 1 inside the part, 0 outside, `[rows, columns]`.
    pub mask: &'a [f32],
    /// How much the mask is trusted, 0..1, `[rows, columns]`.
    pub trust: &'a [f32],
    /// Where audio may be listened to, `[rows, columns]`.
    pub may_hear: &'a [bool],
    /// Where expression may be listened to, `[rows, columns]`.
    pub may_express: &'a [bool],
    /// Pixels in which the room behind the head is known; the drawing is laid over it there. None twice.
    pub room: &'a [Room],
    /// The lips, when they are known.
    pub lips: Option<Crop>,
    /// Eyes and brows, when they are known.
    pub eyes: Option<Crop>,
    /// Whether nothing but the lips counts.
    pub lips_alone: bool,
}

/// How much each term counts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Weights {
    /// 1 − SSIM; L1 gets the rest.
    pub dssim: f32,
    /// L1 over the lips.
    pub lips: f32,
    /// L1 over eyes and brows.
    pub eyes: f32,
    /// Cross-entropy of alpha and mask.
    pub mask: f32,
    /// Audio attention where it may not be, less frame attention there.
    pub attention_audio: f32,
    /// Expression attention where it may not be.
    pub attention_expression: f32,
    /// Normal consistency (2DGS, Huang et al. 2024, eq. 14).
    pub normal: f32,
    /// Distortion (2DGS, eq. 13).
    pub distortion: f32,
}

impl Weights {
    /// The images that the terms need.
    pub fn outputs(&self) -> Outputs {
        Outputs {
            attention: self.attention_audio > 0.0 || self.attention_expression > 0.0,
            depth: self.normal > 0.0,
            median: false,
            normal: self.normal > 0.0,
            distortion: self.distortion > 0.0,
        }
    }

    /// The loss: `(1 − dssim)·L1 + dssim·(1 − SSIM) + lips·L1 + eyes·L1 + mask·CE + …`.
    pub fn total(&self, score: &Score) -> f32 {
        (1.0 - self.dssim) * score.l1
            + self.dssim * score.dssim
            + self.lips * score.lips
            + self.eyes * score.eyes
            + self.mask * score.mask
            + self.normal * score.normal
            + self.distortion * score.distortion
            + self.attention_audio * score.attention_audio
            + self.attention_expression * score.attention_expression
    }
}

/// The terms of one frame, before their weights, or their means over some.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct Score {
    /// What was descended, [`Weights::total`].
    pub total: f32,
    /// Mean |Δ| per pixel of the mask and channel.
    pub l1: f32,
    /// 1 − SSIM, 0 where it does not count.
    pub dssim: f32,
    /// Mean |Δ| over the lips.
    pub lips: f32,
    /// Mean |Δ| over eyes and brows.
    pub eyes: f32,
    /// Mean cross-entropy of alpha and mask, 0 where it does not count.
    pub mask: f32,
    /// Mean of alpha − N·n, n the unit normal of the depth map.
    pub normal: f32,
    /// Mean distortion.
    pub distortion: f32,
    /// Audio attention less frame attention outside face and neck, over all pixels.
    pub attention_audio: f32,
    /// Expression attention outside the face, over all pixels.
    pub attention_expression: f32,
}

impl Score {
    /// The mean over some frames, added in order.
    pub fn mean(frames: &[Score]) -> Score {
        let share = 1.0 / frames.len().max(1) as f32;
        let mean = |term: fn(&Score) -> f32| frames.iter().map(|f| share * term(f)).sum();
        Score {
            total: mean(|s| s.total),
            l1: mean(|s| s.l1),
            dssim: mean(|s| s.dssim),
            lips: mean(|s| s.lips),
            eyes: mean(|s| s.eyes),
            mask: mean(|s| s.mask),
            normal: mean(|s| s.normal),
            distortion: mean(|s| s.distortion),
            attention_audio: mean(|s| s.attention_audio),
            attention_expression: mean(|s| s.attention_expression),
        }
    }

    /// How badly lips, eyes and brows were drawn.
    pub fn hardness(&self) -> f32 {
        self.lips + self.eyes
    }
}

/// Scores what only the host can: given the numbers of some frames and their pictures as they are compared
/// (`[frames, 3, rows, columns]`), adds the gradient of the whole loss to the last slice, which is laid out the same.
pub type OnHost<'a> = &'a mut dyn FnMut(Range<usize>, &[f32], &mut [f32]) -> Result<()>;

/// Goals that are on their way to where they are compared, made by [`super::Rasterizer::stage`].
pub struct Staged(pub(super) Box<dyn Any + Send>);

/// Checks goals against the frames they are for.
///
/// # Errors
/// [`Error::Internal`] when counts or sizes disagree.
pub fn check_goals(goals: &[Goal<'_>], frames: usize, [width, height]: [usize; 2]) -> Result<()> {
    let pixels = width * height;
    if goals.len() != frames || frames == 0 || pixels == 0 {
        return Err(Error::Internal(format!("{} goals for {frames} frames of {pixels} pixels", goals.len())));
    }
    for goal in goals {
        let lengths = [goal.mask.len(), goal.trust.len(), goal.may_hear.len(), goal.may_express.len()];
        if goal.color.len() != 3 * pixels || lengths != [pixels; 4] {
            return Err(Error::Internal(format!(
                "a goal of {} and {lengths:?} numbers for {pixels} pixels",
                goal.color.len()
            )));
        }
        if goal.room.iter().any(|room| room.at >= pixels) {
            return Err(Error::Internal(format!("a room outside an image of {pixels} pixels")));
        }
    }
    Ok(())
}
