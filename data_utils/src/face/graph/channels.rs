//! Layers on NHWC images that keep channels apart: depthwise convolution and pooling, f32. Sums are taken in an
//! order that depends only on shapes, without fused multiply-add.

use super::misfit::Misfit;
use super::window::{LANES, PARALLEL, Sliding};
use crate::formats::tflite::Window;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Convolution of each channel by itself.
#[derive(Debug)]
pub(super) struct Depthwise {
    window: Sliding,
    /// `[kh, kw, channels]`.
    weights: Vec<f32>,
    bias: Vec<f32>,
    relu: bool,
}

impl Depthwise {
    /// From weights 1HWC of shape `shape` and a bias a channel.
    pub(super) fn new(
        input: &[usize],
        (weights, shape): (&[f32], &[usize]),
        bias: Option<&[f32]>,
        window: Window,
        output: &[usize],
    ) -> Result<Self, Misfit> {
        let &[1, kh, kw, channels] = shape else {
            return Err(Misfit(format!("depthwise weights of shape {shape:?}")));
        };
        let sliding = Sliding::new(input, [kh, kw], window, output)?;
        let fits = sliding.input[2] == channels && output[3] == channels;
        if !fits || bias.is_some_and(|b| b.len() != channels) {
            return Err(Misfit(format!("depthwise weights {shape:?} between {input:?} and {output:?}")));
        }
        let bias = bias.map_or_else(|| vec![0.0; channels], <[f32]>::to_vec);
        Ok(Depthwise { window: sliding, weights: weights.to_vec(), bias, relu: window.relu })
    }

    pub(super) fn work(&self) -> usize {
        self.window.output[0] * self.window.output[1] * self.weights.len()
    }

    pub(super) fn run(&self, x: &[f32], y: &mut [f32]) {
        let line = self.window.output[1] * self.bias.len();
        let piece = |(row, out): (usize, &mut [f32])| {
            Arch::new().dispatch(DepthwiseRow { conv: self, x, row, out });
        };
        if self.work() < PARALLEL {
            y.chunks_exact_mut(line).enumerate().for_each(piece);
        } else {
            y.par_chunks_exact_mut(line).enumerate().for_each(piece);
        }
    }

    #[inline(always)]
    fn row(&self, x: &[f32], row: usize, out: &mut [f32]) {
        let (channels, width) = (self.bias.len(), self.window.input[1]);
        let (top, bottom, from_row) = self.window.inside(0, row);
        for (column, pixel) in out.chunks_exact_mut(channels).enumerate() {
            let (left, right, from_column) = self.window.inside(1, column);
            let span = (right - left) * channels;
            // Each line of the window that lies inside: its values and its weights, side by side.
            let line = |ky: usize| {
                let from = ((from_row + ky - top) * width + from_column) * channels;
                let tap = (ky * self.window.kernel[1] + left) * channels;
                (&x[from..from + span], &self.weights[tap..tap + span])
            };
            let mut done = 0;
            // Several sums at once hide how long one addition takes.
            while done + 4 * LANES <= channels {
                self.channels::<{ 4 * LANES }>(
                    (top..bottom).map(line),
                    done,
                    &mut pixel[done..done + 4 * LANES],
                );
                done += 4 * LANES;
            }
            while done + LANES <= channels {
                self.channels::<LANES>((top..bottom).map(line), done, &mut pixel[done..done + LANES]);
                done += LANES;
            }
            for channel in done..channels {
                self.channels::<1>((top..bottom).map(line), channel, &mut pixel[channel..channel + 1]);
            }
        }
    }

    /// `N` channels of one pixel from the lines of its window.
    #[inline(always)]
    fn channels<'a, const N: usize>(
        &self,
        lines: impl Iterator<Item = (&'a [f32], &'a [f32])>,
        first: usize,
        out: &mut [f32],
    ) {
        let channels = self.bias.len();
        let mut sums: [f32; N] = std::array::from_fn(|lane| self.bias[first + lane]);
        for (values, weights) in lines {
            for (value, weight) in values.chunks_exact(channels).zip(weights.chunks_exact(channels)) {
                let (value, weight) = (&value[first..first + N], &weight[first..first + N]);
                for lane in 0..N {
                    sums[lane] += value[lane] * weight[lane];
                }
            }
        }
        for (to, sum) in out.iter_mut().zip(sums) {
            *to = if self.relu && sum <= 0.0 { 0.0 } else { sum };
        }
    }
}

/// A row of a depthwise convolution, compiled for each width of vectors.
struct DepthwiseRow<'a> {
    conv: &'a Depthwise,
    x: &'a [f32],
    row: usize,
    out: &'a mut [f32],
}

impl WithSimd for DepthwiseRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.conv.row(self.x, self.row, self.out);
    }
}

/// The largest value of each window, channel by channel.
#[derive(Debug)]
pub(super) struct MaxPool {
    window: Sliding,
    relu: bool,
}

impl MaxPool {
    pub(super) fn new(
        input: &[usize],
        size: [usize; 2],
        window: Window,
        output: &[usize],
    ) -> Result<Self, Misfit> {
        let sliding = Sliding::new(input, size, window, output)?;
        if output[3] != sliding.input[2] {
            return Err(Misfit(format!("pooling from {input:?} to {output:?}")));
        }
        Ok(MaxPool { window: sliding, relu: window.relu })
    }

    pub(super) fn work(&self) -> usize {
        self.window.output.iter().chain(&self.window.kernel).product::<usize>() * self.window.input[2]
    }

    pub(super) fn run(&self, x: &[f32], y: &mut [f32]) {
        Arch::new().dispatch(PoolAll { pool: self, x, y });
    }

    #[inline(always)]
    fn all(&self, x: &[f32], y: &mut [f32]) {
        let [_, width, channels] = self.window.input;
        let columns = self.window.output[1];
        let floor = if self.relu { 0.0 } else { f32::NEG_INFINITY };
        for (index, out) in y.chunks_exact_mut(channels).enumerate() {
            let (top, bottom, row) = self.window.inside(0, index / columns);
            let (left, right, column) = self.window.inside(1, index % columns);
            out.fill(floor);
            for r in row..row + bottom - top {
                for c in column..column + right - left {
                    let from = &x[(r * width + c) * channels..][..channels];
                    out.iter_mut().zip(from).for_each(|(o, v)| *o = if *v > *o { *v } else { *o });
                }
            }
        }
    }
}

/// A whole pooling, compiled for each width of vectors.
struct PoolAll<'a> {
    pool: &'a MaxPool,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for PoolAll<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.pool.all(self.x, self.y);
    }
}
