//! L1 over a crop of a frame, for lips and eyes.

use super::frame::{Frame, FrameGradients, sign};
use super::target::crop_inside;
use data_utils::dataset::Rect;

/// Colour values in a crop, at least 3 so that a mean over nothing is 0.
pub(super) fn elements(crop: Option<Rect>, size: [usize; 2]) -> f32 {
    let crop = crop_inside(crop, size);
    (3 * (crop.row1 - crop.row0).max(1) * (crop.col1 - crop.col0).max(1)) as f32
}

/// Σ |drawn − target| over a crop; adds `weight` times its gradient.
pub(super) fn l1(frame: &Frame<'_>, crop: Option<Rect>, weight: f32, gradients: &mut FrameGradients) -> f64 {
    let (width, n) = (frame.size[0], frame.pixels());
    let crop = crop_inside(crop, frame.size);
    let mut sum = 0.0f64;
    for channel in 0..3 {
        for row in crop.row0..crop.row1 {
            for at in (crop.col0..crop.col1).map(|col| channel * n + row * width + col) {
                let difference = frame.color[at] - frame.target.color[at];
                sum += f64::from(difference.abs());
                gradients.color[at] += weight * sign(difference);
            }
        }
    }
    sum
}
