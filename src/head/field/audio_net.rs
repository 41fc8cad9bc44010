//! From eight rows of audio features to one vector: a small net on each row, then attention over the rows
//! (AudioNet and AudioAttNet of AD-NeRF, in the form SyncTalk uses them).

use super::params::{Dense, Init, Parameters};
use super::{AUDIO_ROWS, FieldConfig};
use crate::Result;
use candle_core::{D, Tensor};

/// Width of what an audio row becomes.
pub(super) const AUDIO_FEATURES: usize = 32;

/// Of its leaky ReLUs.
pub(super) const SLOPE: f64 = 0.02;

/// A 1-D convolution, kernel 3, padding 1.
struct Convolution {
    weight: Tensor,
    bias: Tensor,
    stride: usize,
}

impl Convolution {
    fn new(p: &mut Parameters, name: &str, inputs: usize, outputs: usize, stride: usize) -> Result<Self> {
        let init = Init::fan_in(3 * inputs);
        let weight = p.add(format!("{name}.weight"), &[outputs, inputs, 3], init)?;
        let bias = p.add(format!("{name}.bias"), &[outputs], init)?;
        Ok(Convolution { weight, bias, stride })
    }

    /// `[rows, inputs, steps]` to `[rows, outputs, steps / stride]` (rounded up), leaky ReLU after it. The three taps are laid
    /// side by side and multiplied at once; candle's own `conv1d` (0.11.1) returns a wrong gradient of its weights.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, inputs, steps) = x.dims3()?;
        let (outputs, after) = (self.bias.elem_count(), steps.div_ceil(self.stride));
        // All first taps, then all second ones, then all third ones.
        let at = |i: usize| (i % after * self.stride + i / after) as u32;
        let at: Vec<u32> = (0..3 * after).map(at).collect();
        let taps = x.pad_with_zeros(2, 1, 1)?.index_select(&Tensor::new(at, x.device())?, 2)?;
        let taps = taps.reshape((rows, inputs * 3, after))?.transpose(1, 2)?.contiguous()?;
        let weight = self.weight.reshape((outputs, inputs * 3))?.t()?;
        let y = taps.reshape((rows * after, inputs * 3))?.matmul(&weight)?.broadcast_add(&self.bias)?;
        leaky(&y.reshape((rows, after, outputs))?.transpose(1, 2)?.contiguous()?, SLOPE)
    }
}

/// The two nets.
pub(super) struct AudioNet {
    convolutions: Vec<Convolution>,
    dense: Vec<Dense>,
    attention: Vec<Convolution>,
    mix: Dense,
    shape: (usize, usize),
}

impl AudioNet {
    pub(super) fn new(p: &mut Parameters, config: &FieldConfig) -> Result<Self> {
        let (channels, width) = (config.audio_inputs(), config.audio_width);
        let mut convolutions = Vec::new();
        let widths: Vec<usize> = if config.audio_components > 0 {
            vec![channels, 64, AUDIO_FEATURES] // A clip of a minute has few rows to learn from.
        } else if width == 1 {
            vec![channels, 256, 128, AUDIO_FEATURES] // AVE: nothing to convolve over
        } else {
            let mut inputs = channels;
            for (i, outputs) in [32, 32, 64, 64].into_iter().enumerate() {
                convolutions.push(Convolution::new(
                    p,
                    &format!("audio.convolution.{i}"),
                    inputs,
                    outputs,
                    2,
                )?);
                inputs = outputs;
            }
            vec![64, 64, AUDIO_FEATURES]
        };
        let dense = layers(&widths, |i, a, b| p.dense(&format!("audio.dense.{i}"), a, b, 1.0))?;
        let attention = layers(&[AUDIO_FEATURES, 16, 8, 4, 2, 1], |i, a, b| {
            Convolution::new(p, &format!("audio.attention.{i}"), a, b, 1)
        })?;
        let mix = p.dense("audio.attention.mix", AUDIO_ROWS, AUDIO_ROWS, 1.0)?;
        Ok(AudioNet { convolutions, dense, attention, mix, shape: (channels, width) })
    }

    /// `[b, 8, channels, width]` to `[b, 32]`.
    pub(super) fn forward(&self, windows: &Tensor) -> Result<Tensor> {
        let frames = windows.dim(0)?;
        let (channels, width) = self.shape;
        let mut x = windows.reshape((frames * AUDIO_ROWS, channels, width))?;
        for convolution in &self.convolutions {
            x = convolution.forward(&x)?;
        }
        x = x.flatten_from(1)?; // one step is left of at most 16
        for (i, dense) in self.dense.iter().enumerate() {
            x = dense.forward(&x)?;
            if i + 1 < self.dense.len() {
                x = leaky(&x, SLOPE)?;
            }
        }
        let x = x.reshape((frames, AUDIO_ROWS, AUDIO_FEATURES))?;
        let mut a = x.transpose(1, 2)?.contiguous()?;
        for convolution in &self.attention {
            a = convolution.forward(&a)?;
        }
        let weights = self.mix.forward(&a.reshape((frames, AUDIO_ROWS))?)?;
        let weights = candle_nn::ops::softmax(&weights, D::Minus1)?;
        Ok(x.broadcast_mul(&weights.unsqueeze(2)?)?.sum(1)?)
    }
}

/// One layer from each width to the next.
pub(super) fn layers<T>(
    widths: &[usize],
    mut layer: impl FnMut(usize, usize, usize) -> Result<T>,
) -> Result<Vec<T>> {
    widths.windows(2).enumerate().map(|(i, w)| layer(i, w[0], w[1])).collect()
}

/// max(x, slope·x).
pub(super) fn leaky(x: &Tensor, slope: f64) -> Result<Tensor> {
    Ok(((x.relu()? * (1.0 - slope))? + (x * slope)?)?)
}
