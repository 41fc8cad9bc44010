//! What one tap adds to the distance: features brought to unit length along channels, their squared differences
//! weighted by channel, averaged over space (Zhang et al. 2018, eq. 1), and the gradient of it.
//!
//! Written out over plain slices, since a chain of tensor operations would walk through the large first feature
//! maps some twenty times. Features are `[channels, pixels]`.

use rayon::prelude::*;

/// What PyTorch's code adds to the length of a feature before it divides.
const EPSILON: f32 = 1e-10;
/// Pixels that are worked on at a time.
const BLOCK: usize = 1024;

/// The distance, and with `gradient` its gradient with respect to `x` written there (`[channels, pixels]`).
pub(super) fn tap(x: &[f32], y: &[f32], head: &[f32], gradient: Option<&mut [f32]>) -> f64 {
    let pixels = x.len() / head.len().max(1);
    if pixels == 0 {
        return 0.0;
    }
    let starts: Vec<usize> = (0..pixels).step_by(BLOCK).collect();
    // Blocks are collected in order before they are summed, so that threads do not change the result.
    let blocks: Vec<(f64, Vec<f32>)> = starts
        .into_par_iter()
        .map(|start| block(x, y, head, pixels, start..(start + BLOCK).min(pixels), gradient.is_some()))
        .collect();
    if let Some(out) = gradient {
        let mut channels: Vec<&mut [f32]> = out.chunks_exact_mut(pixels).collect();
        channels.par_iter_mut().enumerate().for_each(|(c, row)| {
            for (k, (_, values)) in blocks.iter().enumerate() {
                let n = values.len() / head.len();
                row[k * BLOCK..k * BLOCK + n].copy_from_slice(&values[c * n..(c + 1) * n]);
            }
        });
    }
    blocks.iter().map(|b| b.0).sum::<f64>() / pixels as f64
}

/// Sum over some pixels, and the gradient of the mean over all, `[channels, pixels of the block]`.
fn block(
    x: &[f32],
    y: &[f32],
    head: &[f32],
    pixels: usize,
    span: std::ops::Range<usize>,
    back: bool,
) -> (f64, Vec<f32>) {
    let n = span.len();
    let channel = |values, c: usize| -> &[f32] { part(values, c * pixels + span.start, n) };
    let lengths = |values| {
        let mut sum = vec![0.0f32; n];
        for c in 0..head.len() {
            sum.iter_mut().zip(channel(values, c)).for_each(|(s, v)| *s += v * v);
        }
        sum.iter_mut().for_each(|s| *s = s.sqrt());
        sum
    };
    let (lx, ly) = (lengths(x), lengths(y));
    let mut total = vec![0.0f32; n];
    let mut gradient = vec![0.0f32; if back { head.len() * n } else { 0 }];
    // Σ over channels of (gradient with respect to the unit feature) · feature.
    let mut along = vec![0.0f32; n];
    for (c, &weight) in head.iter().enumerate() {
        let (x, y) = (channel(x, c), channel(y, c));
        for k in 0..n {
            let d = x[k] / (lx[k] + EPSILON) - y[k] / (ly[k] + EPSILON);
            total[k] += weight * d * d;
            if back {
                let g = 2.0 * weight * d / pixels as f32;
                gradient[c * n + k] = g;
                along[k] += g * x[k];
            }
        }
    }
    if back {
        for c in 0..head.len() {
            let x = channel(x, c);
            for k in 0..n {
                let unit = lx[k] + EPSILON;
                // Where all features are zero the length has no derivative; zero is one of its choices.
                let turn = if lx[k] > 0.0 { x[k] / lx[k] * (along[k] / unit) / unit } else { 0.0 };
                let g = &mut gradient[c * n + k];
                *g = if lx[k] > 0.0 { *g / unit - turn } else { 0.0 };
            }
        }
    }
    (total.iter().map(|&v| v as f64).sum(), gradient)
}

fn part(values: &[f32], start: usize, n: usize) -> &[f32] {
    &values[start..start + n]
}
