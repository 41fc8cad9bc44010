//! What drives a head in a frame of its own dataset.

use super::branch_settings::BranchSettings;
use crate::head::field::Conditions;
use crate::{Error, Result};
use data_utils::dataset::Dataset;

/// The conditions of frame `index` of a dataset for a branch with these settings; the frame code is frozen on request.
///
/// # Errors
/// [`Error::Input`] when the dataset was opened with another audio feature than the branch was trained with.
pub fn frame_conditions(
    settings: &BranchSettings,
    dataset: &Dataset,
    index: usize,
    freeze_frame_code: bool,
) -> Result<Conditions> {
    let frame = &dataset.frames[index];
    let audio = &dataset.audio;
    if audio.kind != settings.audio {
        return Err(Error::input(
            "--asr",
            format!("{} features, which the head was trained with", settings.audio.name()),
            audio.kind.name(),
            "use the same feature as in training",
        ));
    }
    Ok(Conditions {
        audio: audio.window(frame.aud_id as usize),
        expression: frame.expression.to_vec(),
        camera: frame.camera.token(),
        frame: if freeze_frame_code { 0.0 } else { index as f32 },
    })
}
