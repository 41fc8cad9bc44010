//! Structural similarity (Wang et al. 2004, eq. 13) of planar pictures in 0..1, with a Gaussian window of 11×11
//! pixels and σ = 1.5, K₁ = 0.01, K₂ = 0.03.
//!
//! Two forms, because the field reports one and trains with the other:
//! * [`ssim`] is the figure to report, in f64, averaged where the window lies inside the picture. It equals
//!   scikit-image's `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
//!   data_range=1)` averaged over channels.
//! * [`SsimLoss`] is the term of 3DGS (Kerbl et al. 2023): zeros outside the picture, averaged over all pixels,
//!   in f32, with its gradient.

use crate::{Error, Result};
use rayon::prelude::*;

/// Columns and rows of the window.
pub const WINDOW: usize = 11;
const REACH: usize = WINDOW / 2;
const SIGMA: f64 = 1.5;
pub(crate) const C1: f64 = 0.01 * 0.01;
pub(crate) const C2: f64 = 0.03 * 0.03;

/// SSIM of two planar pictures `[channels, height, width]`; under a `mask` `[height, width]` each window counts by
/// the weight at its centre, and an empty mask gives `None`.
///
/// # Errors
/// [`Error::Internal`] when lengths disagree, [`Error::Input`] when the window does not fit into the picture.
pub fn ssim(a: &[f32], b: &[f32], [height, width]: [usize; 2], mask: Option<&[f32]>) -> Result<Option<f64>> {
    let area = height * width;
    if area == 0
        || a.len() != b.len()
        || !a.len().is_multiple_of(area)
        || mask.is_some_and(|m| m.len() != area)
    {
        let found = format!("{} values against {} of {height}×{width}", a.len(), b.len());
        return Err(Error::Internal(format!("SSIM of {found}")));
    }
    if height < WINDOW || width < WINDOW {
        let expected = format!("pictures of at least {WINDOW}×{WINDOW} pixels");
        return Err(Error::input("SSIM", expected, format!("{width}×{height}"), "render at a larger size"));
    }
    let kernel = kernel();
    let inside = width - 2 * REACH;
    let weight = |row: usize, column: usize| mask.map_or(1.0, |m| m[row * width + column] as f64);
    let mut total = [0.0f64; 2];
    for (a, b) in a.chunks_exact(area).zip(b.chunks_exact(area)) {
        // x, y, x², y², xy, each row filtered along itself.
        let rows: Vec<[Vec<f64>; 5]> = (0..height)
            .into_par_iter()
            .map(|row| {
                let at = |k: usize| {
                    let (x, y) = (a[row * width + k] as f64, b[row * width + k] as f64);
                    [x, y, x * x, y * y, x * y]
                };
                let mut out: [Vec<f64>; 5] = std::array::from_fn(|_| vec![0.0; inside]);
                for column in 0..inside {
                    for (t, weight) in kernel.iter().enumerate() {
                        for (sum, value) in out.iter_mut().zip(at(column + t)) {
                            sum[column] += weight * value;
                        }
                    }
                }
                out
            })
            .collect();
        // Collected in row order before they are summed, so that threads do not change the result.
        let sums: Vec<[f64; 2]> = (REACH..height - REACH)
            .into_par_iter()
            .map(|row| {
                let mut sum = [0.0; 2];
                let around = &rows[row - REACH..=row + REACH];
                for column in 0..inside {
                    let moments: [f64; 5] = std::array::from_fn(|m| {
                        kernel.iter().zip(around).map(|(weight, filtered)| weight * filtered[m][column]).sum()
                    });
                    let w = weight(row, column + REACH);
                    sum[0] += w * similarity(moments);
                    sum[1] += w;
                }
                sum
            })
            .collect();
        for sum in sums {
            (total[0], total[1]) = (total[0] + sum[0], total[1] + sum[1]);
        }
    }
    Ok((total[1] > 0.0).then(|| total[0] / total[1]))
}

fn similarity([mx, my, xx, yy, xy]: [f64; 5]) -> f64 {
    let (vx, vy, v) = (xx - mx * mx, yy - my * my, xy - mx * my);
    (2.0 * mx * my + C1) * (2.0 * v + C2) / ((mx * mx + my * my + C1) * (vx + vy + C2))
}

/// The Gaussian window, whose weights add up to 1.
pub(crate) fn kernel() -> [f64; WINDOW] {
    let raw: [f64; WINDOW] = std::array::from_fn(|t| {
        let d = t as f64 - REACH as f64;
        (-d * d / (2.0 * SIGMA * SIGMA)).exp()
    });
    let sum: f64 = raw.iter().sum();
    raw.map(|v| v / sum)
}

/// The SSIM that is trained with, for pictures of one size. Keeps its work space between calls.
#[derive(Debug, Clone)]
pub struct SsimLoss {
    channels: usize,
    height: usize,
    width: usize,
    kernel: [f32; WINDOW],
    /// `[channels · height, fields, width]`: fields filtered along rows.
    rows: Vec<f32>,
    /// The derivatives of each window with respect to its moments, `[channels · height, 3, width]`.
    partials: Vec<f32>,
}

impl SsimLoss {
    /// For pictures `[channels, height, width]`.
    pub fn new(channels: usize, height: usize, width: usize) -> Self {
        SsimLoss {
            channels,
            height,
            width,
            kernel: kernel().map(|v| v as f32),
            rows: vec![0.0; channels * height * 5 * width],
            partials: vec![0.0; channels * height * 3 * width],
        }
    }

    /// Channels, height and width of the pictures it is for.
    pub fn size(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// Mean SSIM of `x` against `y`, `[channels, height, width]` each.
    ///
    /// # Errors
    /// [`Error::Internal`] when the lengths are not those of [`SsimLoss::new`].
    pub fn value(&mut self, x: &[f32], y: &[f32]) -> Result<f64> {
        self.forward(x, y, false)
    }

    /// Mean SSIM and, added to `gradient`, `scale` times its gradient with respect to `x`.
    ///
    /// # Errors
    /// [`Error::Internal`] when the lengths are not those of [`SsimLoss::new`].
    pub fn value_and_gradient(
        &mut self,
        x: &[f32],
        y: &[f32],
        scale: f32,
        gradient: &mut [f32],
    ) -> Result<f64> {
        if gradient.len() != x.len() {
            return Err(Error::Internal(format!("a gradient of {} values for {}", gradient.len(), x.len())));
        }
        let value = self.forward(x, y, true)?;
        if x.is_empty() {
            return Ok(value);
        }
        let (w, h, kernel) = (self.width, self.height, &self.kernel);
        let partials = &self.partials;
        let rows = &mut self.rows[..x.len() * 3];
        rows.par_chunks_exact_mut(3 * w).zip(partials.par_chunks_exact(3 * w)).for_each(|(out, row)| {
            for (out, row) in out.chunks_exact_mut(w).zip(row.chunks_exact(w)) {
                along(kernel, row, out);
            }
        });
        let (rows, scale) = (&self.rows[..x.len() * 3], scale / x.len() as f32);
        gradient.par_chunks_exact_mut(w).enumerate().for_each_init(
            || vec![0.0f32; 3 * w],
            |sums, (row, out)| {
                across(kernel, rows, 3 * w, row, h, sums);
                let (means, rest) = sums.split_at(w);
                let (squares, products) = rest.split_at(w);
                let (x, y) = (&x[row * w..(row + 1) * w], &y[row * w..(row + 1) * w]);
                for k in 0..w {
                    out[k] += scale * (means[k] + 2.0 * x[k] * squares[k] + y[k] * products[k]);
                }
            },
        );
        Ok(value)
    }

    fn forward(&mut self, x: &[f32], y: &[f32], partials: bool) -> Result<f64> {
        let (w, h, count) = (self.width, self.height, self.channels * self.height * self.width);
        if x.len() != count || y.len() != count {
            return Err(Error::Internal(format!("SSIM of {} against {} for {count}", x.len(), y.len())));
        }
        if count == 0 {
            return Ok(1.0);
        }
        let kernel = &self.kernel;
        let pairs = x.par_chunks_exact(w).zip(y.par_chunks_exact(w));
        self.rows.par_chunks_exact_mut(5 * w).zip(pairs).for_each_init(
            || vec![0.0f32; w],
            |product, (out, (x, y))| {
                let mut fields = out.chunks_exact_mut(w);
                let mut filter = |row: &[f32]| {
                    if let Some(out) = fields.next() {
                        along(kernel, row, out);
                    }
                };
                filter(x);
                filter(y);
                for (a, b) in [(x, x), (y, y), (x, y)] {
                    product.iter_mut().zip(a.iter().zip(b)).for_each(|(p, (a, b))| *p = a * b);
                    filter(product);
                }
            },
        );
        let rows = &self.rows;
        // One sum a row, added up in order below: the number of threads does not change the result.
        let sums: Vec<f64> = self
            .partials
            .par_chunks_exact_mut(3 * w)
            .enumerate()
            .map_init(
                || vec![0.0f32; 5 * w],
                |moments, (row, out)| {
                    across(kernel, rows, 5 * w, row, h, moments);
                    windows(moments, w, out, partials)
                },
            )
            .collect();
        Ok(sums.iter().sum::<f64>() / count as f64)
    }
}

/// Sum of the similarities of one row of windows; with `partials`, their derivatives with respect to the mean of
/// x, the mean of x² and the mean of xy.
fn windows(moments: &[f32], w: usize, out: &mut [f32], partials: bool) -> f64 {
    let (c1, c2) = (C1 as f32, C2 as f32);
    let mut sum = 0.0f64;
    for k in 0..w {
        let [mx, my, xx, yy, xy]: [f32; 5] = std::array::from_fn(|m| moments[m * w + k]);
        let (a1, a2) = (2.0 * mx * my + c1, 2.0 * (xy - mx * my) + c2);
        let (b1, b2) = (mx * mx + my * my + c1, (xx - mx * mx) + (yy - my * my) + c2);
        let s = a1 * a2 / (b1 * b2);
        sum += s as f64;
        if partials {
            out[k] = 2.0 * my * (a2 - a1) / (b1 * b2) - 2.0 * mx * s * (1.0 / b1 - 1.0 / b2);
            out[w + k] = -s / b2;
            out[2 * w + k] = 2.0 * a1 / (b1 * b2);
        }
    }
    sum
}

/// `row` filtered along itself, zeros outside.
fn along(kernel: &[f32; WINDOW], row: &[f32], out: &mut [f32]) {
    let w = row.len();
    out.iter_mut().zip(row).for_each(|(o, v)| *o = kernel[REACH] * v);
    // The window is symmetric: d pixels to the left and to the right have the same weight.
    for d in 1..=REACH.min(w.saturating_sub(1)) {
        let weight = kernel[REACH + d];
        out[..w - d].iter_mut().zip(&row[d..]).for_each(|(o, v)| *o += weight * v);
        out[d..].iter_mut().zip(&row[..w - d]).for_each(|(o, v)| *o += weight * v);
    }
}

/// One row of `rows` (`[channels · h, stride]`) filtered across the rows of its own channel, zeros outside.
fn across(kernel: &[f32; WINDOW], rows: &[f32], stride: usize, row: usize, h: usize, out: &mut [f32]) {
    let (channel, inside) = (row / h, row % h);
    let (first, last) = (inside.saturating_sub(REACH), (inside + REACH).min(h - 1));
    out.fill(0.0);
    for other in first..=last {
        let weight = kernel[other + REACH - inside];
        let start = (channel * h + other) * stride;
        out.iter_mut().zip(&rows[start..start + stride]).for_each(|(o, v)| *o += weight * v);
    }
}

#[cfg(test)]
#[path = "ssim_tests.rs"]
mod tests;
