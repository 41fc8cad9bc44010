//! One finished picture: the drawn head over its background, alpha applied once.
//!
//! The rasterizer draws on black, so its colour already carries its alpha (premultiplied):
//! picture = colour + (1 − alpha)·background (Porter & Duff 1984, "over"). Drawn images are planar
//! `[3, rows, columns]` as [`crate::raster::Rendered`] has them; pictures are `[rows, columns, 3]`.

use super::feather::Seam;
use crate::{Error, Result};
use rayon::prelude::*;

/// What a picture is put together from.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'a> {
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// The head drawn on black, `[3, rows, columns]`.
    pub color: &'a [f32],
    /// Its alpha, `[rows, columns]`.
    pub alpha: &'a [f32],
    /// The mask of the trained part (`--use_gt_mask`), 0..1, `[rows, columns]`: the head shows only inside it.
    pub mask: Option<&'a [f32]>,
    /// What of the background stands before the head, 0..1, `[rows, columns]`; [`crate::head::clothes_mask`] makes it.
    pub before: Option<&'a [f32]>,
    /// What stands behind, 0..1, `[rows, columns, 3]`; [`super::background::BackgroundType::paint`] makes it.
    pub background: &'a [f32],
}

/// Puts the layers together and softens the `seam` along the edge of the mask, or of the alpha without one.
/// RGB, `[rows, columns, 3]`.
///
/// With a mask the head's colour and alpha are both cut by it. (SyncGaussianTalker blends the drawn colour
/// with the mask in place of alpha; where the head is not quite opaque that leaves a dark edge, because the
/// colour carries its alpha already.)
///
/// # Errors
/// [`Error::Internal`] when the layers are not of one size.
pub fn compose(layers: &Layers<'_>, seam: Seam) -> Result<Vec<u8>> {
    let mut image = blend(layers)?;
    seam.apply(&mut image, layers.mask.unwrap_or(layers.alpha), layers.size[0]);
    Ok(to_bytes(&image))
}

/// The head over its background, `[rows, columns, 3]`, not clipped.
///
/// # Errors
/// [`Error::Internal`] when the layers are not of one size.
pub fn blend(layers: &Layers<'_>) -> Result<Vec<f32>> {
    let pixels = layers.size[0] * layers.size[1];
    let lengths = [
        ("color", layers.color.len(), 3 * pixels),
        ("alpha", layers.alpha.len(), pixels),
        ("mask", layers.mask.map_or(pixels, <[f32]>::len), pixels),
        ("before", layers.before.map_or(pixels, <[f32]>::len), pixels),
        ("background", layers.background.len(), 3 * pixels),
    ];
    for (name, found, expected) in lengths {
        if found != expected {
            return Err(Error::Internal(format!(
                "{name} has {found} values, {:?} takes {expected}",
                layers.size
            )));
        }
    }
    let mut image = layers.background.to_vec();
    image.par_chunks_exact_mut(3).enumerate().for_each(|(i, pixel)| {
        let inside = layers.mask.map_or(1.0, |mask| mask[i].clamp(0.0, 1.0))
            * layers.before.map_or(1.0, |before| 1.0 - before[i].clamp(0.0, 1.0));
        let behind = 1.0 - inside * layers.alpha[i].clamp(0.0, 1.0);
        for (channel, value) in pixel.iter_mut().enumerate() {
            *value = layers.color[channel * pixels + i] * inside + *value * behind;
        }
    });
    Ok(image)
}

/// 0..1 to 0..255, rounded; what lies outside is clipped, and what is no number is black.
pub fn to_bytes(image: &[f32]) -> Vec<u8> {
    image.par_iter().map(|v| (v.clamp(0.0, 1.0) * 255.0 + 0.5) as u8).collect()
}

/// `[3, rows, columns]` to `[rows, columns, 3]` bytes: a drawn image as it is.
pub fn planar_to_bytes(image: &[f32]) -> Vec<u8> {
    let pixels = image.len() / 3;
    let interleaved: Vec<f32> = (0..3 * pixels).map(|i| image[(i % 3) * pixels + i / 3]).collect();
    to_bytes(&interleaved)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 2] = [4, 2];
    const PIXELS: usize = 8;

    fn planar(rgb: [f32; 3]) -> Vec<f32> {
        rgb.iter().flat_map(|v| [*v; PIXELS]).collect()
    }

    fn interleaved(rgb: [f32; 3]) -> Vec<f32> {
        rgb.repeat(PIXELS)
    }

    #[test]
    fn constant_layers_blend_to_the_value_of_over() {
        let color = planar([0.5 * 0.8, 0.5 * 0.4, 0.0]);
        let background = interleaved([0.2, 0.6, 1.0]);
        let layers = Layers {
            size: SIZE,
            color: &color,
            alpha: &[0.5; PIXELS],
            mask: None,
            before: None,
            background: &background,
        };
        let image = blend(&layers).unwrap();
        for pixel in image.chunks_exact(3) {
            for (found, expected) in pixel.iter().zip([0.5, 0.5, 0.5]) {
                assert!((found - expected).abs() < 1e-6, "{pixel:?}");
            }
        }
        assert_eq!(compose(&layers, Seam::default()).unwrap(), [128; 3 * PIXELS]);
    }

    #[test]
    fn a_soft_edge_over_its_own_colour_is_no_dark_edge() {
        // Alpha runs from 0 to 1; applied twice, or blended as straight colour, the middle would darken.
        let alpha: Vec<f32> = (0..PIXELS).map(|i| i as f32 / 7.0).collect();
        let color: Vec<f32> = (0..3).flat_map(|_| alpha.iter().map(|a| a * 0.7)).collect();
        let background = interleaved([0.7; 3]);
        for mask in [None, Some(&alpha[..]), Some(&[1.0; PIXELS][..]), Some(&[0.0; PIXELS][..])] {
            let layers = Layers {
                size: SIZE,
                color: &color,
                alpha: &alpha,
                mask,
                before: None,
                background: &background,
            };
            for seam in [0, 3] {
                let image = compose(&layers, Seam::new(seam).unwrap()).unwrap();
                assert!(image.iter().all(|v| v.abs_diff(179) <= 1), "mask {mask:?}: {image:?}");
            }
        }
    }

    #[test]
    fn outside_the_mask_only_the_background_shows() {
        let mut mask = [1.0; PIXELS];
        mask[5] = 0.0;
        let (color, background) = (planar([1.0, 0.0, 0.0]), interleaved([0.0, 1.0, 0.0]));
        let layers = Layers {
            size: SIZE,
            color: &color,
            alpha: &[1.0; PIXELS],
            mask: Some(&mask),
            before: None,
            background: &background,
        };
        let sixth_is_background = |layers: &Layers<'_>| {
            for (i, pixel) in compose(layers, Seam::default()).unwrap().chunks_exact(3).enumerate() {
                assert_eq!(pixel, if i == 5 { [0, 255, 0] } else { [255, 0, 0] });
            }
        };
        sixth_is_background(&layers);
        // The same the other way round.
        let before = mask.map(|inside| 1.0 - inside);
        sixth_is_background(&Layers { mask: None, before: Some(&before), ..layers });
    }

    #[test]
    fn layers_of_another_size_are_an_error() {
        let (color, background) = (planar([0.0; 3]), interleaved([0.0; 3]));
        let good = Layers {
            size: SIZE,
            color: &color,
            alpha: &[0.0; PIXELS],
            mask: None,
            before: None,
            background: &background,
        };
        assert!(blend(&good).is_ok());
        assert!(blend(&Layers { alpha: &[0.0; PIXELS - 1], ..good }).is_err());
        assert!(blend(&Layers { color: &color[1..], ..good }).is_err());
        assert!(blend(&Layers { mask: Some(&[]), ..good }).is_err());
        assert!(blend(&Layers { before: Some(&[0.0]), ..good }).is_err());
        assert!(blend(&Layers { size: [4, 3], ..good }).is_err());
    }

    #[test]
    fn bytes_are_rounded_and_clipped() {
        assert_eq!(to_bytes(&[-1.0, 0.0, 0.5, 1.0, 9.0, f32::NAN]), [0, 0, 128, 255, 255, 0]);
    }

    #[test]
    fn planes_become_pixels() {
        assert_eq!(planar_to_bytes(&[0.0, 1.0, 1.0, 0.0, 0.0, 0.0]), [0, 255, 0, 255, 0, 0]);
    }
}
