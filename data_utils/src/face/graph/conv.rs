//! Convolutions and pooling on NHWC images, one image at a time, f32.
//!
//! The order in which a sum is taken depends only on shapes, and products are rounded before they are added
//! (no fused multiply-add), so every machine and thread count gives the same bits.

use super::Misfit;
use crate::formats::tflite::{Padding, Window};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Output channels computed together: one AVX register, two of SSE or NEON.
const LANES: usize = 8;
/// Pixels computed together.
const PIXELS: usize = 8;
/// Pixels of one piece of work for a thread.
const BLOCK: usize = 256;
/// Multiply-adds below which threads cost more than they bring.
const PARALLEL: usize = 2_000_000;

/// A window sliding over an image.
#[derive(Debug, Clone, Copy)]
struct Sliding {
    /// Height, width, channels of the image.
    input: [usize; 3],
    /// Height and width of the result.
    output: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    /// Rows above and columns left of the image that the first window covers.
    before: [usize; 2],
}

impl Sliding {
    fn new(input: &[usize], kernel: [usize; 2], window: Window, output: &[usize]) -> Result<Self, Misfit> {
        let (&[1, h, w, c], &[1, oh, ow, _]) = (input, output) else {
            return Err(Misfit(format!("an image of shape {input:?} becoming {output:?}")));
        };
        let mut before = [0; 2];
        for (axis, (extent, declared)) in [(h, oh), (w, ow)].into_iter().enumerate() {
            let (k, stride) = (kernel[axis], window.stride[axis]);
            let steps = match window.padding {
                Padding::Same => extent.div_ceil(stride),
                Padding::Valid if extent >= k => (extent - k) / stride + 1,
                Padding::Valid => 0,
            };
            if steps != declared || steps == 0 {
                return Err(Misfit(format!("windows of {kernel:?} from {input:?} to {output:?}")));
            }
            if window.padding == Padding::Same {
                before[axis] = ((steps - 1) * stride + k).saturating_sub(extent) / 2;
            }
        }
        Ok(Sliding { input: [h, w, c], output: [oh, ow], kernel, stride: window.stride, before })
    }

    /// For result index `i` along `axis`: first window element inside the image, one past the last, and the
    /// image index of the first.
    #[inline(always)]
    fn inside(&self, axis: usize, i: usize) -> (usize, usize, usize) {
        let (start, before) = (i * self.stride[axis], self.before[axis]);
        let first = before.saturating_sub(start);
        let last = self.kernel[axis].min((self.input[axis] + before).saturating_sub(start));
        (first, last.max(first), start + first - before.min(start + first))
    }
}

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
