//! From a frame of the dataset to what a step compares its drawing with.

use super::config::{TrainBackground, TrainConfig};
use super::edge_band::{EDGE_CONFIDENCE, EdgeBand};
use super::mouth_labels::mouth_labels;
use super::sampler::Sampler;
use super::torso_target::torso_target;
use crate::Result;
use crate::loss::{BackgroundSample, Target};
use crate::metrics::planes::{masked_planes, part_mask};
use data_utils::dataset::{Dataset, Label, Part};

/// The colour behind head and target in this step.
pub fn background(config: &TrainConfig, sampler: &mut Sampler) -> [f32; 3] {
    match config.background_type {
        TrainBackground::Random => std::array::from_fn(|_| sampler.unit() as f32),
        TrainBackground::Black => [0.0; 3],
        TrainBackground::White => [1.0; 3],
    }
}

/// What frame `index` should look like in front of the colour `background`, and along the mask's edge in front of the filmed
/// background. Where the inside of the mouth is seen is told when `has_mouth` is set.
///
/// # Errors
/// Those of reading the frame's files.
pub fn target(
    dataset: &Dataset,
    index: usize,
    part: Part,
    background: [f32; 3],
    edge: &EdgeBand,
    has_mouth: bool,
) -> Result<Target> {
    if part == Part::Torso {
        return torso_target(dataset, index, background, edge);
    }
    let pixels = dataset.pixels(index)?;
    let mask = part_mask(&pixels, part);
    let labelled = |bits: u8| pixels.labels.iter().map(|label| label & bits != 0).collect::<Vec<bool>>();
    let (samples, (mut color, (audio_mask, expression_mask))) = rayon::join(
        || edge.background(&pixels, &mask),
        || {
            rayon::join(
                || masked_planes(&pixels.rgb, &mask, background),
                || (labelled(Label::FACE | Label::NECK), labelled(Label::FACE)),
            )
        },
    );
    let mut mask_confidence = vec![1.0; mask.len()];
    for BackgroundSample { pixel, .. } in &samples {
        mask_confidence[*pixel] = EDGE_CONFIDENCE;
        for channel in 0..3 {
            color[channel * mask.len() + pixel] = f32::from(pixels.rgb[3 * pixel + channel]) / 255.0;
        }
    }
    let frame = &dataset.frames[index];
    let mouth = match (&frame.landmarks, frame.lips_rect()) {
        (Some(landmarks), Some(lips)) if has_mouth => mouth_labels(&pixels, landmarks, lips),
        _ => Vec::new(),
    };
    Ok(Target {
        color,
        mask,
        mask_confidence,
        audio_mask,
        expression_mask,
        background: samples,
        lips: frame.lips_rect(),
        eyes: frame.eyes_rect(),
        mouth,
        lip_only: false,
    })
}
