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

/// What frame `index` should look like in front of `background`; the mask of the part is made `margin` pixels wider.
///
/// # Errors
/// Those of reading the frame's files.
pub fn target(
    dataset: &Dataset,
    index: usize,
    part: Part,
    background: [f32; 3],
    margin: usize,
) -> Result<Target> {
    let pixels = dataset.pixels(index)?;
    let mask = widened(part_mask(&pixels, part), pixels.width as usize, margin);
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

/// A mask that also covers what lies up to `margin` pixels away, rows and columns counted separately.
pub fn widened(mut mask: Vec<f32>, width: usize, margin: usize) -> Vec<f32> {
    if margin == 0 || width == 0 {
        return mask;
    }
    let rows = mask.len() / width;
    let spread = |line: &mut [f32], get: &dyn Fn(usize) -> f32| {
        let len = line.len();
        let mut left = 0;
        for at in 0..len + margin {
            if at < len && get(at) > 0.0 {
                left = 2 * margin + 1;
            }
            if let Some(to) = at.checked_sub(margin) {
                line[to] = f32::from(u8::from(left > 0));
            }
            left = usize::saturating_sub(left, 1);
        }
    };
    let mut line = vec![0.0; width.max(rows)];
    for row in mask.chunks_exact_mut(width) {
        spread(&mut line[..width], &|at| row[at]);
        row.copy_from_slice(&line[..width]);
    }
    for column in 0..width {
        spread(&mut line[..rows], &|at| mask[at * width + column]);
        line[..rows].iter().enumerate().for_each(|(row, value)| mask[row * width + column] = *value);
    }
    mask
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
    fn a_widened_mask_reaches_exactly_the_margin() {
        let (w, h) = (9usize, 7usize);
        for margin in 0..4 {
            let mut mask = vec![0.0; w * h];
            mask[2 * w + 3] = 1.0;
            mask[6 * w + 8] = 1.0;
            let wide = widened(mask, w, margin);
            for (at, value) in wide.iter().enumerate() {
                let near =
                    |r: usize, c: usize| (at / w).abs_diff(r) <= margin && (at % w).abs_diff(c) <= margin;
                assert_eq!(*value > 0.0, near(2, 3) || near(6, 8), "margin {margin} pixel {at}");
            }
        }
    }

    #[test]
    fn outside_the_mask_there_is_only_background() {
        let planes = masked_color(&[255, 0, 0, 10, 20, 30], &[1.0, 0.0], [0.25, 0.5, 0.75]);
        assert_eq!(planes, [1.0, 0.25, 0.0, 0.5, 0.0, 0.75]);
    }
}
