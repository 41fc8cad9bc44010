//! What is rare in a clip and must be drawn well all the same: mouths wide open and eyes closed.

use crate::metrics::landmarks::{eye_opening, mouth_opening};
use data_utils::dataset::Dataset;

/// How wide the mouth is open, and how far the eyes are closed, in each training frame; NaN where landmarks are not known.
pub(super) fn face_measures(dataset: &Dataset) -> [Vec<f32>; 2] {
    let measure = |of: fn(&[[f32; 2]; 68]) -> f64| {
        let frames = dataset.train_indices().map(|index| dataset.frames[index].landmarks.as_ref());
        frames.map(|landmarks| landmarks.map_or(f32::NAN, |points| of(points) as f32)).collect()
    };
    [measure(mouth_opening), measure(|points| -eye_opening(points))]
}
