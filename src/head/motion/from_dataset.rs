//! Motion from the dataset that a head is trained on.

use super::{Motion, MotionFrames, fit};
use crate::Camera;
use crate::Result;
use crate::head::field::EXPRESSION;
use data_utils::audio;
use data_utils::audio::features::AudioFeatures;
use data_utils::dataset::{Dataset, FrameMeta, Split};

/// The loudness of frames of which nothing is heard, dB.
const NOTHING_HEARD: f32 = -100.0;

impl Motion {
    /// Learns from the frames of a dataset, of one split or all; `None` where they are too few, or the dataset has no sound file.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when the sound cannot be read.
    pub fn of(dataset: &Dataset, split: Option<Split>) -> Result<Option<Self>> {
        let Some(path) = dataset.sound_path() else { return Ok(None) };
        let levels = audio::load(&path)?.loudness_per_frame();
        let frames = frames_of(dataset, split);
        let cameras: Vec<Camera> = frames.iter().map(|frame| frame.camera).collect();
        let expressions: Vec<[f32; EXPRESSION]> = frames.iter().map(|frame| frame.expression).collect();
        let loudness: Vec<f32> = frames
            .iter()
            .map(|frame| levels.get(frame.aud_id as usize).copied().unwrap_or(NOTHING_HEARD))
            .collect();
        let audio: Vec<f32> =
            frames.iter().flat_map(|frame| row_means(&dataset.audio, frame.aud_id as usize)).collect();
        Ok(fit(&MotionFrames {
            runs: &runs_of(&frames),
            cameras: &cameras,
            expressions: &expressions,
            loudness: &loudness,
            audio: &audio,
        }))
    }
}

/// The frames of a split, or all, in the order of the film.
pub fn frames_of(dataset: &Dataset, split: Option<Split>) -> Vec<&FrameMeta> {
    let mut frames: Vec<&FrameMeta> =
        dataset.frames.iter().filter(|frame| split.is_none_or(|split| frame.split == split)).collect();
    frames.sort_by_key(|frame| frame.img_id);
    frames
}

/// Runs of consecutive frames, first and one past the last.
pub fn runs_of(frames: &[&FrameMeta]) -> Vec<[usize; 2]> {
    let mut runs: Vec<[usize; 2]> = Vec::new();
    for (at, frame) in frames.iter().enumerate() {
        let follows = at > 0 && frames[at - 1].img_id.checked_add(1) == Some(frame.img_id);
        match runs.last_mut().filter(|_| follows) {
            Some(run) => run[1] = at + 1,
            None => runs.push([at, at + 1]),
        }
    }
    runs
}

/// The means over the steps of an audio row, one for each channel; zeros beyond the last row.
pub fn row_means(audio: &AudioFeatures, row: usize) -> Vec<f32> {
    let length = audio.channels * audio.width;
    match audio.values.get(row * length..(row + 1) * length) {
        Some(row) => {
            row.chunks(audio.width).map(|steps| steps.iter().sum::<f32>() / audio.width as f32).collect()
        }
        None => vec![0.0; audio.channels],
    }
}
