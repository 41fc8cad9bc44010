//! What a drawn frame is compared with.

use crate::{Error, Result};
use data_utils::dataset::Rect;

/// A pixel behind which the background is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BackgroundSample {
    /// The pixel, row · columns + column.
    pub pixel: usize,
    /// Colour of the background there, RGB in 0..1.
    pub color: [f32; 3],
}

/// Whether a pixel shows the inside of the mouth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MouthLabel {
    /// It is too near the edge of the lips to tell.
    #[default]
    Unknown,
    /// It shows lips or skin.
    Outside,
    /// It shows teeth, tongue or the dark between them.
    Inside,
}

/// What one frame should look like.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Target {
    /// The frame inside the part's mask and where the background is known, elsewhere the step's background colour; 0..1,
    /// `[3, rows, columns]`.
    pub color: Vec<f32>,
    /// 1 inside the part, 0 outside, `[rows, columns]`.
    pub mask: Vec<f32>,
    /// How much the mask counts, 0..1, `[rows, columns]`: less along its edge, where labels flicker.
    pub mask_confidence: Vec<f32>,
    /// Where audio may be attended to: face and neck, `[rows, columns]`.
    pub audio_mask: Vec<bool>,
    /// Where expression may be attended to: the face, `[rows, columns]`.
    pub expression_mask: Vec<bool>,
    /// Pixels behind which the background is known, each at most once; the drawing is composited over it there.
    pub background: Vec<BackgroundSample>,
    /// The crop of the lips, when landmarks are known. What lies outside the frame is ignored.
    pub lips: Option<Rect>,
    /// The crop of eyes and brows, when landmarks are known.
    pub eyes: Option<Rect>,
    /// Where the inside of the mouth is seen, `[rows, columns]`; empty when landmarks are not known.
    pub mouth: Vec<MouthLabel>,
    /// Only terms over the lips count, as in a frame drawn with another frame's blendshapes and pose.
    pub lip_only: bool,
}

/// Checks targets against the frames they are for, `[columns, rows]` pixels each.
///
/// # Errors
/// [`Error::Internal`] when counts or sizes disagree.
pub fn check_targets(targets: &[Target], frames: usize, [width, height]: [usize; 2]) -> Result<()> {
    let pixels = width * height;
    if targets.len() != frames || frames == 0 || pixels == 0 {
        return Err(Error::Internal(format!(
            "{} targets for {frames} frames of {pixels} pixels",
            targets.len()
        )));
    }
    for target in targets {
        let masks = [target.mask.len(), target.mask_confidence.len()];
        let attention = [target.audio_mask.len(), target.expression_mask.len()];
        if target.color.len() != 3 * pixels || masks != [pixels; 2] || attention != [pixels; 2] {
            return Err(Error::Internal(format!(
                "a target with {} colours, masks of {masks:?} and {attention:?} for {pixels} pixels",
                target.color.len()
            )));
        }
        if !target.mouth.is_empty() && target.mouth.len() != pixels {
            let found = target.mouth.len();
            return Err(Error::Internal(format!("labels of the mouth of {found} pixels for {pixels}")));
        }
        if target.background.iter().any(|sample| sample.pixel >= pixels) {
            return Err(Error::Internal(format!("a background sample outside an image of {pixels} pixels")));
        }
    }
    Ok(())
}

/// The part of a crop inside an image of `width` columns and `height` rows; an absent crop is empty.
pub fn crop_inside(crop: Option<Rect>, [width, height]: [usize; 2]) -> Rect {
    let Some(Rect { row0, row1, col0, col1 }) = crop else {
        return Rect { row0: 0, row1: 0, col0: 0, col1: 0 };
    };
    let (row1, col1) = (row1.min(height), col1.min(width));
    Rect { row0: row0.min(row1), row1, col0: col0.min(col1), col1 }
}

/// The corner of a square of `side` pixels around a pixel, row and column, inside an image of `[columns, rows]`, both at least
/// `side`.
pub(super) fn square_around(
    [row, column]: [usize; 2],
    side: usize,
    [width, height]: [usize; 2],
) -> [usize; 2] {
    let first =
        |centre: usize, length: usize| centre.saturating_sub(side / 2).min(length.saturating_sub(side));
    [first(row, height), first(column, width)]
}
