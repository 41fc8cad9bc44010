//! Convolution of NHWC images with all channels, one image at a time, f32.
//!
//! The order in which a sum is taken depends only on shapes, and products are rounded before they are added
//! (no fused multiply-add), so every machine and thread count gives the same bits.

use super::misfit::Misfit;
use super::window::{LANES, PARALLEL, Sliding};
use crate::formats::tflite::Window;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Pixels computed together.
const PIXELS: usize = 8;
/// Pixels of one piece of work for a thread.
const BLOCK: usize = 256;

/// Convolution with all channels.
#[derive(Debug)]
pub(super) struct Conv {
    window: Sliding,
    /// Elements of one window.
    depth: usize,
    channels: usize,
    /// `[ceil(channels / LANES), depth, LANES]`, zero beyond the channels.
    panels: Vec<f32>,
    /// `[ceil(channels / LANES), LANES]`.
    bias: Vec<[f32; LANES]>,
    relu: bool,
}

impl Conv {
    /// From weights OHWI of shape `shape` and a bias a channel.
    pub(super) fn new(
        input: &[usize],
        (weights, shape): (&[f32], &[usize]),
        bias: Option<&[f32]>,
        window: Window,
        output: &[usize],
    ) -> Result<Self, Misfit> {
        let &[channels, kh, kw, deep] = shape else {
            return Err(Misfit(format!("convolution weights of shape {shape:?}")));
        };
        let sliding = Sliding::new(input, [kh, kw], window, output)?;
        if deep != sliding.input[2] || output[3] != channels || bias.is_some_and(|b| b.len() != channels) {
            return Err(Misfit(format!("weights {shape:?} between {input:?} and {output:?}")));
        }
        let depth = kh * kw * deep;
        let groups = channels.div_ceil(LANES);
        let mut panels = vec![0.0; groups * depth * LANES];
        let mut biases = vec![[0.0; LANES]; groups];
        for channel in 0..channels {
            let (group, lane) = (channel / LANES, channel % LANES);
            for k in 0..depth {
                panels[(group * depth + k) * LANES + lane] = weights[channel * depth + k];
            }
            biases[group][lane] = bias.map_or(0.0, |b| b[channel]);
        }
        Ok(Conv { window: sliding, depth, channels, panels, bias: biases, relu: window.relu })
    }

    /// Multiply-adds of one run.
    pub(super) fn work(&self) -> usize {
        self.window.output[0] * self.window.output[1] * self.depth * self.channels
    }

    pub(super) fn run(&self, x: &[f32], y: &mut [f32]) {
        let piece = |(block, out): (usize, &mut [f32])| {
            Arch::new().dispatch(ConvBlock { conv: self, x, first: block * BLOCK, out });
        };
        if self.work() < PARALLEL {
            y.chunks_mut(BLOCK * self.channels).enumerate().for_each(piece);
        } else {
            y.par_chunks_mut(BLOCK * self.channels).enumerate().for_each(piece);
        }
    }

    #[inline(always)]
    fn block(&self, x: &[f32], first: usize, out: &mut [f32]) {
        let pixels = out.len() / self.channels;
        let pointwise = self.window.kernel == [1, 1] && self.window.stride == [1, 1];
        let mut patches = vec![0.0; if pointwise { 0 } else { PIXELS.min(pixels) * self.depth }];
        let mut done = 0;
        while done < pixels {
            let count = if pixels - done >= PIXELS { PIXELS } else { 1 };
            let rows = if pointwise {
                &x[(first + done) * self.depth..][..count * self.depth]
            } else {
                for (i, patch) in patches.chunks_exact_mut(self.depth).take(count).enumerate() {
                    self.gather(x, first + done + i, patch);
                }
                &patches[..count * self.depth]
            };
            let out = &mut out[done * self.channels..][..count * self.channels];
            if count == PIXELS {
                self.pixels::<PIXELS>(rows, out)
            } else {
                self.pixels::<1>(rows, out)
            }
            done += count;
        }
    }

    /// The window of result pixel `pixel`, zeros where it leaves the image.
    #[inline(always)]
    fn gather(&self, x: &[f32], pixel: usize, patch: &mut [f32]) {
        let window = &self.window;
        let (columns, [_, width, deep]) = (window.output[1], window.input);
        let (top, bottom, row) = window.inside(0, pixel / columns);
        let (left, right, column) = window.inside(1, pixel % columns);
        let line = window.kernel[1] * deep;
        for (ky, to) in patch.chunks_exact_mut(line).enumerate() {
            if ky < top || ky >= bottom {
                to.fill(0.0);
                continue;
            }
            let from = ((row + ky - top) * width + column) * deep;
            to[..left * deep].fill(0.0);
            to[left * deep..right * deep].copy_from_slice(&x[from..from + (right - left) * deep]);
            to[right * deep..].fill(0.0);
        }
    }

    /// `M` windows times all weights: `rows` `[M, depth]` to `out` `[M, channels]`.
    #[inline(always)]
    fn pixels<const M: usize>(&self, rows: &[f32], out: &mut [f32]) {
        let (depth, channels) = (self.depth, self.channels);
        let rows: [&[f32]; M] = std::array::from_fn(|m| &rows[m * depth..][..depth]);
        for (group, bias) in self.bias.iter().enumerate() {
            let panel = &self.panels[group * depth * LANES..][..depth * LANES];
            let mut sums = [*bias; M];
            for k in 0..depth {
                let weights = &panel[k * LANES..][..LANES];
                for m in 0..M {
                    let value = rows[m][k];
                    for lane in 0..LANES {
                        sums[m][lane] += value * weights[lane];
                    }
                }
            }
            let lanes = LANES.min(channels - group * LANES);
            for m in 0..M {
                if self.relu {
                    sums[m].iter_mut().for_each(|s| *s = if *s > 0.0 { *s } else { 0.0 });
                }
                out[m * channels + group * LANES..][..lanes].copy_from_slice(&sums[m][..lanes]);
            }
        }
    }
}

/// A piece of a convolution, compiled for each width of vectors; a closure would not be inlined into it.
struct ConvBlock<'a> {
    conv: &'a Conv,
    x: &'a [f32],
    first: usize,
    out: &'a mut [f32],
}

impl WithSimd for ConvBlock<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.conv.block(self.x, self.first, self.out);
    }
}
