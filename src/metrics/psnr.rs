//! Peak signal-to-noise ratio of pictures in 0..1, in decibels: −10 log₁₀ of the mean squared error.

use crate::{Error, Result};

/// PSNR of two arrays of the same length. Infinite when they are equal.
///
/// # Errors
/// [`Error::Internal`] when they are empty or of different lengths.
pub fn psnr(a: &[f32], b: &[f32]) -> Result<f64> {
    if a.len() != b.len() || a.is_empty() {
        return Err(Error::Internal(format!("PSNR of {} values against {}", a.len(), b.len())));
    }
    let sum: f64 = a.iter().zip(b).map(|(&x, &y)| squared(x, y)).sum();
    Ok(decibels(sum / a.len() as f64))
}

/// PSNR of two planar pictures `[channels, rows, columns]` where each pixel counts by its weight in `mask`
/// `[rows, columns]`, 0..1. `None` where the mask is empty. Infinite when they are equal under the mask.
///
/// # Errors
/// [`Error::Internal`] when lengths disagree.
pub fn psnr_masked(a: &[f32], b: &[f32], mask: &[f32]) -> Result<Option<f64>> {
    if a.len() != b.len() || mask.is_empty() || a.is_empty() || !a.len().is_multiple_of(mask.len()) {
        let found = format!("{} values against {} under a mask of {}", a.len(), b.len(), mask.len());
        return Err(Error::Internal(format!("PSNR of {found}")));
    }
    let weight: f64 = mask.iter().map(|&m| m as f64).sum::<f64>() * (a.len() / mask.len()) as f64;
    let pairs = a.chunks_exact(mask.len()).zip(b.chunks_exact(mask.len()));
    let sum: f64 = pairs
        .map(|(a, b)| a.iter().zip(b).zip(mask).map(|((&x, &y), &m)| m as f64 * squared(x, y)).sum::<f64>())
        .sum();
    Ok((weight > 0.0).then(|| decibels(sum / weight)))
}

fn squared(x: f32, y: f32) -> f64 {
    let d = x as f64 - y as f64;
    d * d
}

fn decibels(mean_squared_error: f64) -> f64 {
    -10.0 * mean_squared_error.log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_off_everywhere_is_twenty_decibels() {
        let (a, b) = (vec![0.25f32; 12], vec![0.35f32; 12]);
        assert!((psnr(&a, &b).expect("a value") - 20.0).abs() < 1e-5);
    }

    #[test]
    fn equal_pictures_have_no_noise() {
        assert_eq!(psnr(&[0.5; 3], &[0.5; 3]).expect("a value"), f64::INFINITY);
    }

    #[test]
    fn what_the_mask_hides_does_not_count() {
        // Two channels of four pixels; only the last pixel differs.
        let a = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let b = [0.0, 0.0, 0.0, 0.9, 0.1, 0.0, 0.0, 0.9];
        let value = |mask: [f32; 4]| psnr_masked(&a, &b, &mask).expect("a value");
        assert_eq!(value([0.0, 1.0, 1.0, 0.0]), Some(f64::INFINITY));
        let expected = -10.0 * (0.01f64 / 2.0).log10();
        assert!((value([1.0, 0.0, 0.0, 0.0]).expect("a number") - expected).abs() < 1e-5);
        let all = value([1.0; 4]).expect("a number");
        assert!((all - psnr(&a, &b).expect("a value")).abs() < 1e-9);
        // Half a weight counts half.
        let half = -10.0 * (0.5 * 0.01f64 / (1.5 * 2.0)).log10();
        assert!((value([0.5, 1.0, 0.0, 0.0]).expect("a number") - half).abs() < 1e-5);
        assert_eq!(value([0.0; 4]), None);
    }

    #[test]
    fn pictures_of_other_sizes_are_refused() {
        assert!(psnr(&[0.0; 3], &[0.0; 4]).is_err() && psnr(&[], &[]).is_err());
        assert!(psnr_masked(&[0.0; 3], &[0.0; 3], &[1.0; 2]).is_err());
    }
}
