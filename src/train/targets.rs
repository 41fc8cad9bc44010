//! From a frame of the dataset to what a step compares its drawing with.

use super::config::{TrainBackground, TrainConfig};
use super::loss::Target;
use super::sampler::Sampler;
use crate::Result;
use data_utils::dataset::{Dataset, FramePixels, Label, Part};

/// The colour behind head and target in this step.
pub fn background(config: &TrainConfig, sampler: &mut Sampler) -> [f32; 3] {
    match config.background_type {
        TrainBackground::Random => std::array::from_fn(|_| sampler.unit() as f32),
        TrainBackground::Black => [0.0; 3],
        TrainBackground::White => [1.0; 3],
    }
}

/// What frame `index` should look like in front of `background`.
///
/// # Errors
/// Those of reading the frame's files.
pub fn target(dataset: &Dataset, index: usize, part: Part, background: [f32; 3]) -> Result<Target> {
    let pixels = dataset.pixels(index)?;
    let mask = part_mask(&pixels, part);
    let labelled = |bits: u8| pixels.labels.iter().map(|label| label & bits != 0).collect();
    Ok(Target {
        color: masked_color(&pixels.rgb, &mask, background),
        face_or_neck: labelled(Label::FACE | Label::NECK),
        face: labelled(Label::FACE),
        mask,
        lips: dataset.frames[index].lips_rect(),
    })
}

/// The part's mask as numbers, 1 inside, `[rows, columns]`.
pub fn part_mask(pixels: &FramePixels, part: Part) -> Vec<f32> {
    pixels.part_mask(part).iter().map(|inside| f32::from(u8::from(*inside))).collect()
}

/// An RGB picture (rows, columns, channels) inside `mask`, `background` outside, as planes 0..1.
pub fn masked_color(rgb: &[u8], mask: &[f32], background: [f32; 3]) -> Vec<f32> {
    let n = mask.len();
    let mut planes = vec![0.0; 3 * n];
    for (channel, plane) in planes.chunks_exact_mut(n).enumerate() {
        for (at, value) in plane.iter_mut().enumerate() {
            let seen = f32::from(rgb[3 * at + channel]) / 255.0;
            *value = seen * mask[at] + background[channel] * (1.0 - mask[at]);
        }
    }
    planes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_the_mask_there_is_only_background() {
        let planes = masked_color(&[255, 0, 0, 10, 20, 30], &[1.0, 0.0], [0.25, 0.5, 0.75]);
        assert_eq!(planes, [1.0, 0.25, 0.0, 0.5, 0.0, 0.75]);
    }
}
