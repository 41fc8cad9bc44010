//! A soft seam between the head and what stands behind it (`--erode_size`), for heads put back onto the
//! original frame: along the edge of the mask the finished picture is blurred a little.
//!
//! edge = dilate_k(m) − erode_k(m); result = image·(1 − edge) + gauss₁₅,σ₅(image)·edge (SyncGaussianTalker).
//! Pictures are `[rows, columns, channels]`, masks `[rows, columns]`, both row-major and 0..1. Twin of
//! `shaders/composite/seam_rows.wgsl` and `seam_columns.wgsl`.

use crate::{Error, Result};
use rayon::prelude::*;

/// Pixels on either side that the blur reads.
const BLUR_RADIUS: usize = 7;
const BLUR_SIGMA_PX: f32 = 5.0;
/// The widest seam; wider ones than any face are typing errors.
const LARGEST: usize = 255;

/// Width of the seam in pixels: an odd number, or 0 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seam(usize);

impl Seam {
    /// A seam of `width` pixels as `--erode_size` gives it.
    ///
    /// # Errors
    /// [`Error::Input`] for an even number (its window has no centre) or one above 255.
    pub fn new(width: usize) -> Result<Self> {
        if width != 0 && width.is_multiple_of(2) || width > LARGEST {
            return Err(Error::input(
                "--erode_size",
                format!("0 for no seam, or an odd number of pixels up to {LARGEST}"),
                width.to_string(),
                format!("try {}", if width > LARGEST { LARGEST } else { width + 1 }),
            ));
        }
        Ok(Seam(width))
    }

    /// Pixels on either side of the edge; 0 where nothing is softened.
    pub fn radius(self) -> usize {
        self.0 / 2
    }

    /// Blurs `image` along the edge of `mask`, in place. A width of 0 or 1 changes nothing.
    pub(super) fn apply<const N: usize>(self, image: &mut [[f32; N]], mask: &[f32], width: usize) {
        let radius = self.radius();
        if radius == 0 || width == 0 {
            return;
        }
        let edge = edge_band(mask, width, radius);
        let rows = blur_rows(image, &edge, width);
        let height = image.len() / width;
        let taps = kernel();
        image.par_chunks_exact_mut(width).enumerate().for_each(|(y, row)| {
            for (x, pixel) in row.iter_mut().enumerate().filter(|(x, _)| edge[y * width + x] > 0.0) {
                let mut soft = [0.0; N];
                for (k, tap) in taps.iter().enumerate() {
                    let from = &rows[reflect(y, k, height) * width + x];
                    soft.iter_mut().zip(from).for_each(|(to, value)| *to += tap * value);
                }
                for (value, soft) in pixel.iter_mut().zip(soft) {
                    *value += (soft - *value) * edge[y * width + x];
                }
            }
        });
    }
}

/// Dilation minus erosion by a square of side 2·radius + 1, 0..1; what lies outside the picture counts for neither.
fn edge_band(mask: &[f32], width: usize, radius: usize) -> Vec<f32> {
    let high = square_extreme(mask, width, radius, f32::max);
    let low = square_extreme(mask, width, radius, f32::min);
    high.iter().zip(&low).map(|(high, low)| (high - low).clamp(0.0, 1.0)).collect()
}

fn square_extreme(
    mask: &[f32],
    width: usize,
    radius: usize,
    pick: impl Fn(f32, f32) -> f32 + Sync,
) -> Vec<f32> {
    let mut along_rows = mask.to_vec();
    along_rows.par_chunks_exact_mut(width).zip(mask.par_chunks_exact(width)).for_each(|(to, row)| {
        for shift in 1..=radius.min(width - 1) {
            to.iter_mut().zip(&row[shift..]).for_each(|(to, value)| *to = pick(*to, *value));
            to[shift..].iter_mut().zip(row).for_each(|(to, value)| *to = pick(*to, *value));
        }
    });
    let height = mask.len() / width;
    let mut both = vec![0.0; width * height];
    both.par_chunks_exact_mut(width).enumerate().for_each(|(y, to)| {
        let rows = y.saturating_sub(radius)..(y + radius + 1).min(height);
        to.copy_from_slice(&along_rows[y * width..][..width]);
        for row in rows {
            for (to, value) in to.iter_mut().zip(&along_rows[row * width..][..width]) {
                *to = pick(*to, *value);
            }
        }
    });
    both
}

/// The first half of a separable Gaussian of 15 taps: along rows, mirrored at the border (without repeating the border
/// itself), only where a pixel of the edge will read it; elsewhere 0.
fn blur_rows<const N: usize>(image: &[[f32; N]], edge: &[f32], width: usize) -> Vec<[f32; N]> {
    let taps = kernel();
    let height = image.len() / width;
    let mut blurred = vec![[0.0; N]; image.len()];
    blurred.par_chunks_exact_mut(width).enumerate().for_each(|(y, to)| {
        let row = &image[y * width..][..width];
        // The mirror brings no row nearer than it is.
        let readers = y.saturating_sub(BLUR_RADIUS)..(y + BLUR_RADIUS + 1).min(height);
        let mut is_read = vec![false; width];
        for reader in readers {
            let edge = &edge[reader * width..][..width];
            is_read.iter_mut().zip(edge).for_each(|(is_read, edge)| *is_read |= *edge > 0.0);
        }
        for (x, to) in to.iter_mut().enumerate().filter(|(x, _)| is_read[*x]) {
            for (k, tap) in taps.iter().enumerate() {
                let from = &row[reflect(x, k, width)];
                to.iter_mut().zip(from).for_each(|(to, value)| *to += tap * value);
            }
        }
    });
    blurred
}

/// Weights of the blur's taps; they add up to 1.
pub(super) fn kernel() -> [f32; 2 * BLUR_RADIUS + 1] {
    let weight = |k: usize| (-0.5 * ((k as f32 - BLUR_RADIUS as f32) / BLUR_SIGMA_PX).powi(2)).exp();
    let sum: f32 = (0..=2 * BLUR_RADIUS).map(weight).sum();
    std::array::from_fn(|k| weight(k) / sum)
}

/// Where tap `k` around `at` reads in a line of `len`, mirrored as often as needed when the line is short.
fn reflect(at: usize, k: usize, len: usize) -> usize {
    if len < 2 {
        return 0;
    }
    let period = 2 * (len - 1);
    let place = (at + k + period * BLUR_RADIUS - BLUR_RADIUS) % period;
    place.min(period - place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_width_is_refused_and_an_odd_one_named() {
        let error = Seam::new(8).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().ends_with("try 9"), "{error}");
        assert!(Seam::new(257).is_err());
        assert!(Seam::new(0).is_ok() && Seam::new(255).is_ok());
    }

    #[test]
    fn the_band_straddles_the_edge_and_nothing_else() {
        let (width, height) = (16, 9);
        let mask: Vec<f32> = (0..width * height).map(|i| f32::from(u8::from(i % width >= 8))).collect();
        let band = edge_band(&mask, width, 2);
        for (i, value) in band.iter().enumerate() {
            assert_eq!(*value, f32::from(u8::from((6..10).contains(&(i % width)))), "column {}", i % width);
        }
    }

    #[test]
    fn a_flat_picture_stays_flat() {
        let (width, height) = (21, 5);
        let mask: Vec<f32> = (0..width * height).map(|i| f32::from(u8::from(i % width < 10))).collect();
        let mut image = vec![[0.25; 3]; width * height];
        Seam(5).apply(&mut image, &mask, width);
        assert!(image.as_flattened().iter().all(|v| (v - 0.25).abs() < 1e-6));
    }

    #[test]
    fn a_step_is_softened_only_along_the_edge() {
        let (width, height) = (40, 40);
        let step = |i: usize| f32::from(u8::from(i % width >= 20));
        let mask: Vec<f32> = (0..width * height).map(step).collect();
        let mut image: Vec<[f32; 3]> = mask.iter().map(|m| [*m; 3]).collect();
        Seam(9).apply(&mut image, &mask, width);
        let row: Vec<f32> = (0..width).map(|x| image[20 * width + x][0]).collect();
        assert!(row[..16].iter().all(|v| *v == 0.0) && row[24..].iter().all(|v| *v == 1.0));
        assert!(row[16..24].windows(2).all(|pair| pair[0] < pair[1]), "{row:?}");
        assert!((row[19] + row[20] - 1.0).abs() < 1e-5, "the step stays where it was");
    }

    #[test]
    fn pictures_smaller_than_the_blur_are_blurred_too() {
        for (width, height) in [(1, 1), (2, 3), (5, 1)] {
            let mask: Vec<f32> = (0..width * height).map(|i| (i % 2) as f32).collect();
            let mut image = vec![[0.5; 3]; width * height];
            Seam(3).apply(&mut image, &mask, width);
            assert!(image.as_flattened().iter().all(|v| (v - 0.5).abs() < 1e-6));
        }
    }

    #[test]
    fn taps_are_mirrored_at_the_border() {
        let at = |tap: usize| reflect(0, tap, 20);
        assert_eq!([at(7), at(6), at(8), at(0), reflect(19, 8, 20)], [0, 1, 1, 7, 18]);
    }
}
