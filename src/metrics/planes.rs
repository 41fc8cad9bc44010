//! Pictures as the planes that are compared.

use data_utils::dataset::{FramePixels, Part};

/// A mask as numbers, 1 inside.
pub fn mask_numbers(mask: &[bool]) -> Vec<f32> {
    mask.iter().map(|inside| f32::from(u8::from(*inside))).collect()
}

/// The part's mask of a frame as numbers, 1 inside, `[rows, columns]`.
pub fn part_mask(pixels: &FramePixels, part: Part) -> Vec<f32> {
    mask_numbers(&pixels.part_mask(part))
}

/// An RGB picture (rows, columns, channels) inside `mask`, `background` outside, as planes 0..1.
pub fn masked_planes(rgb: &[u8], mask: &[f32], background: [f32; 3]) -> Vec<f32> {
    let mut planes = Vec::with_capacity(3 * mask.len());
    let (pixels, _) = rgb.as_chunks::<3>();
    for (channel, behind) in background.into_iter().enumerate() {
        let value = |(pixel, mask): (&[u8; 3], &f32)| {
            f32::from(pixel[channel]) / 255.0 * mask + behind * (1.0 - mask)
        };
        planes.extend(pixels.iter().zip(mask).map(value));
    }
    planes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_the_mask_there_is_only_background() {
        let planes =
            masked_planes(&[255, 0, 0, 10, 20, 30], &mask_numbers(&[true, false]), [0.25, 0.5, 0.75]);
        assert_eq!(planes, [1.0, 0.25, 0.0, 0.5, 0.0, 0.75]);
    }
}
