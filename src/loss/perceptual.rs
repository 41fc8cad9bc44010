//! The perceptual term: LPIPS on patches, one for each frame of a step, the lips as often as the rest.

use super::target::Target;
use crate::Result;
use crate::metrics::lpips::Lpips;
use candle_core::Device;
use rayon::prelude::*;
use std::path::Path;

/// Smallest patch the networks take, pixels.
const SMALLEST: usize = 32;

/// LPIPS weights and the side of the patches.
pub struct Perceptual {
    lpips: Lpips,
    side: usize,
}

impl Perceptual {
    /// Reads the weights.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when the file is missing or no such network.
    pub fn open(path: &Path, side: usize) -> Result<Self> {
        Ok(Perceptual { lpips: Lpips::open(&[path], &Device::Cpu)?, side: side.max(SMALLEST) })
    }

    /// The sum over some frames of the LPIPS of one patch in each, none where the lips count alone; `color` are their pictures, and `weight` times its
    /// gradient is added to `gradient` (both `[frames, 3, rows, columns]`). `w` and `h` are columns and rows, `dice` two numbers in 0..1 for each frame: half of the patches lie on the
    /// lips where they are known, the others anywhere inside the mask's bounds.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the network fails.
    pub fn add(
        &self,
        color: &[f32],
        [w, h]: [usize; 2],
        targets: &[Target],
        dice: &[[f64; 2]],
        weight: f32,
        gradient: &mut [f32],
    ) -> Result<f32> {
        let side = self.side.min(w).min(h);
        let n = w * h;
        // Convolutions of a patch are too small for many threads, so each patch takes one of its own.
        let patches = targets.par_iter().zip(dice).enumerate().map(|(frame, (target, dice))| {
            if target.lip_only {
                return Ok(None);
            }
            let [row, col] = corner(target, *dice, [h, w], side);
            let cut = |planes: &[f32]| -> Vec<f32> {
                (0..3 * side * side)
                    .map(|i| planes[i / (side * side) * n + (row + i / side % side) * w + col + i % side])
                    .collect()
            };
            let drawn = cut(&color[frame * 3 * n..][..3 * n]);
            let found = self.lpips.distance_and_gradient(&drawn, &cut(&target.color), [side, side])?;
            Ok(Some(([row, col], found)))
        });
        let mut total = 0.0;
        let patches = patches.collect::<Result<Vec<_>>>()?;
        for (patch, out) in patches.into_iter().zip(gradient.chunks_exact_mut(3 * n)) {
            let Some(([row, col], (value, slope))) = patch else { continue };
            total += value as f32;
            for (i, g) in slope.iter().enumerate() {
                out[i / (side * side) * n + (row + i / side % side) * w + col + i % side] += weight * g;
            }
        }
        Ok(total)
    }
}

/// Top left corner of a patch, row and column.
fn corner(target: &Target, [a, b]: [f64; 2], [h, w]: [usize; 2], side: usize) -> [usize; 2] {
    let place = |centre: usize, size: usize| centre.saturating_sub(side / 2).min(size - side);
    if let (Some(lips), true) = (target.lips, a < 0.5) {
        return [place((lips.row0 + lips.row1) / 2, h), place((lips.col0 + lips.col1) / 2, w)];
    }
    let a = if target.lips.is_some() { a * 2.0 - 1.0 } else { a };
    let inside = |at: &usize| target.mask[*at] > 0.0;
    let rows = (0..h).filter(|row| (row * w..(row + 1) * w).any(|at| inside(&at)));
    let (first, last) = rows.fold((h, 0), |(first, last), row| (first.min(row), last.max(row)));
    let row = if first <= last { first + (a * (last - first + 1) as f64) as usize } else { h / 2 };
    let columns: Vec<usize> = (0..w).filter(|col| inside(&(row.min(h - 1) * w + col))).collect();
    let col = columns.get((b * columns.len() as f64) as usize).copied().unwrap_or(w / 2);
    [place(row, h), place(col, w)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_utils::dataset::Rect;

    fn target(lips: Option<Rect>) -> Target {
        let mask = (0..64 * 48).map(|i| f32::from(u8::from(i % 64 > 20 && i / 64 > 10))).collect();
        Target {
            color: Vec::new(),
            mask,
            mask_confidence: Vec::new(),
            audio_mask: Vec::new(),
            expression_mask: Vec::new(),
            background: Vec::new(),
            lips,
            eyes: None,
            mouth: Vec::new(),
            lip_only: false,
        }
    }

    #[test]
    fn every_patch_lies_in_the_picture() {
        let lips = Rect { row0: 40, row1: 48, col0: 0, col1: 8 };
        for lips in [None, Some(lips)] {
            for i in 0..100 {
                let dice = [f64::from(i) / 100.0, f64::from(i * 37 % 100) / 100.0];
                let [row, col] = corner(&target(lips), dice, [48, 64], 32);
                assert!(row + 32 <= 48 && col + 32 <= 64, "{row} {col}");
            }
        }
    }

    #[test]
    fn half_of_the_patches_lie_on_the_lips() {
        let lips = Rect { row0: 20, row1: 30, col0: 30, col1: 40 };
        let on = (0..100)
            .filter(|i| corner(&target(Some(lips)), [f64::from(*i) / 100.0, 0.0], [48, 64], 32) == [9, 19]);
        assert_eq!(on.count(), 50);
    }
}
