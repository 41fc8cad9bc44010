//! SyncTalk's audio-visual encoder: 13 convolution blocks from a window of 16 mel columns (0.2 s) to 512
//! features (Peng et al., SyncTalk, CVPR 2024; the audio branch of Wav2Lip's SyncNet, Prajwal et al. 2020).
//!
//! Block = convolution with bias → batch normalisation (inference) → + input where residual → ReLU. Batch
//! normalisation is folded into the convolution when the weights are loaded. Weights come from
//! `audio_visual_encoder.pth`: for block `i`, `{i}.conv_block.0.{weight,bias}` and
//! `{i}.conv_block.1.{weight,bias,running_mean,running_var}`, with or without a prefix `audio_encoder.`.

use super::{FRAME_RATE, mel};
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// Features per window.
pub const FEATURES: usize = 512;
/// Mel columns per window.
pub const WINDOW: usize = 16;

const PREFIXES: [&str; 4] = ["", "audio_encoder.", "module.", "module.audio_encoder."];
/// `torch.nn.BatchNorm2d`'s default.
const EPSILON: f64 = 1e-5;
/// Windows encoded together at most; more only takes more memory.
pub(super) const BATCH: usize = 32;

/// One block: channels in and out, kernel size, stride over bands and over time, padding, residual.
struct Layout {
    input: usize,
    output: usize,
    kernel: usize,
    stride: (usize, usize),
    padding: usize,
    residual: bool,
}

const fn block(input: usize, output: usize, kernel: usize, stride: (usize, usize), padding: usize) -> Layout {
    Layout { input, output, kernel, stride, padding, residual: false }
}

const fn residual(channels: usize) -> Layout {
    Layout { input: channels, output: channels, kernel: 3, stride: (1, 1), padding: 1, residual: true }
}

/// Sizes of the output, bands × time, beside each block that changes them.
const BLOCKS: [Layout; 13] = [
    block(1, 32, 3, (1, 1), 1), // 80 × 16
    residual(32),
    residual(32),
    block(32, 64, 3, (3, 1), 1), // 27 × 16
    residual(64),
    residual(64),
    block(64, 128, 3, (3, 3), 1), // 9 × 6
    residual(128),
    residual(128),
    block(128, 256, 3, (3, 2), 1), // 3 × 3
    residual(256),
    block(256, 512, 3, (1, 1), 0), // 1 × 1
    block(512, 512, 1, (1, 1), 0),
];

/// The encoder, ready to run.
#[derive(Debug, Clone)]
pub struct AveEncoder {
    /// Kernel and bias of each block, normalisation folded in.
    blocks: Vec<(Tensor, Tensor)>,
    device: Device,
}

impl AveEncoder {
    /// Loads the weights at `path` (any format of `formats::weights::read`).
    ///
    /// # Errors
    /// [`Error::Input`] when the file cannot be read, a tensor is missing or has another shape, or a value is not
    /// finite; [`Error::Inputs`] when several are.
    #[cfg(feature = "native")]
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        Self::from_tensors(path, &crate::formats::weights::read(path)?, device)
    }

    /// Builds the encoder from named tensors; `origin` is where errors say they came from.
    ///
    /// # Errors
    /// As [`AveEncoder::open`].
    pub fn from_tensors(origin: &Path, tensors: &BTreeMap<String, Tensor>, device: &Device) -> Result<Self> {
        let first = "0.conv_block.0.weight";
        let prefix = PREFIXES.into_iter().find(|prefix| tensors.contains_key(&format!("{prefix}{first}")));
        let Some(prefix) = prefix else {
            let found = match tensors.keys().next() {
                Some(name) => format!("{} other tensors, such as {name}", tensors.len()),
                None => "no tensors".to_string(),
            };
            let remedy = "give the file audio_visual_encoder.pth that SyncTalk publishes";
            return Err(Error::input(origin.display(), format!("a tensor {first}"), found, remedy));
        };
        let mut problems = Vec::new();
        let mut blocks = Vec::new();
        for (i, layout) in BLOCKS.iter().enumerate() {
            match folded(prefix, i, layout, tensors) {
                Ok((kernel, bias)) => {
                    let shape = (layout.output, layout.input, layout.kernel, layout.kernel);
                    blocks.push((
                        Tensor::from_vec(kernel, shape, device)?,
                        Tensor::from_vec(bias, layout.output, device)?,
                    ));
                }
                Err(problem) => problems.push(problem),
            }
        }
        let mut problems: Vec<_> = problems
            .into_iter()
            .map(|(name, expected, found): Fault| {
                let at = format!("{}: {name}", origin.display());
                crate::Problem::new(
                    at,
                    expected,
                    found,
                    "give the file audio_visual_encoder.pth that SyncTalk publishes",
                )
            })
            .collect();
        match problems.len() {
            0 => Ok(AveEncoder { blocks, device: device.clone() }),
            1 => Err(Error::Input(problems.remove(0))),
            _ => Err(Error::Inputs(problems)),
        }
    }

    /// Encodes windows of mel columns, each `[80, 16]` (bands × time), to rows of 512 values, row after row.
    ///
    /// # Errors
    /// As [`AveEncoder::forward`].
    pub(super) fn encode(&self, windows: Vec<f32>) -> Result<Vec<f32>> {
        let count = windows.len() / (mel::BANDS * WINDOW);
        let windows = Tensor::from_vec(windows, (count, 1, mel::BANDS, WINDOW), &self.device)?;
        Ok(self.forward(&windows)?.flatten_all()?.to_vec1::<f32>()?)
    }

    /// Encodes windows `[count, 1, 80, 16]` (bands × time) to `[count, 512]`, non-negative.
    ///
    /// # Errors
    /// [`Error::Internal`] when the shape is another or the device fails.
    pub fn forward(&self, windows: &Tensor) -> Result<Tensor> {
        let mut x = windows.clone();
        for (layout, (kernel, bias)) in BLOCKS.iter().zip(&self.blocks) {
            let mut y = convolve(&x, kernel, layout)?;
            y = y.broadcast_add(&bias.reshape((1, layout.output, 1, 1))?)?;
            if layout.residual {
                y = (y + &x)?;
            }
            x = y.relu()?;
        }
        Ok(x.flatten_from(1)?)
    }
}

/// How many windows a spectrogram of `columns` has. The rounding is SyncTalk's, which cuts the product of
/// floating-point numbers. A voice shorter than one window gets silence behind it.
pub(super) fn window_count(columns: usize) -> usize {
    let columns = columns.max(WINDOW);
    ((columns - WINDOW) as f64 / f64::from(mel::COLUMN_RATE) * f64::from(FRAME_RATE)) as usize + 2
}

/// The first mel column of window `window`, with the same rounding. Near its end a voice has no 16 columns there;
/// the window then ends with the voice.
pub(super) fn window_start(window: usize) -> usize {
    (f64::from(mel::COLUMN_RATE) * (window as f64 / f64::from(FRAME_RATE))) as usize
}

/// What is wrong with one tensor: its name, what was expected, what was found.
type Fault = (String, String, String);

/// Kernel and bias of block `i` with its batch normalisation folded in: `w' = w·γ/√(σ²+ε)`,
/// `b' = (b − μ)·γ/√(σ²+ε) + β`, in f64.
fn folded(
    prefix: &str,
    i: usize,
    layout: &Layout,
    tensors: &BTreeMap<String, Tensor>,
) -> std::result::Result<(Vec<f32>, Vec<f32>), Fault> {
    let get = |part: &str, shape: &[usize]| -> std::result::Result<Vec<f64>, Fault> {
        let name = format!("{prefix}{i}.conv_block.{part}");
        let expected = format!("a tensor of shape {shape:?}");
        let Some(tensor) = tensors.get(&name) else { return Err((name, expected, "none".to_string())) };
        if tensor.dims() != shape {
            return Err((name, expected, format!("shape {:?}", tensor.dims())));
        }
        let values =
            tensor.to_dtype(DType::F64).and_then(|t| t.flatten_all()).and_then(|t| t.to_vec1::<f64>());
        match values {
            Ok(values) if values.iter().all(|v| v.is_finite()) => Ok(values),
            Ok(_) => Err((name, expected, "values that are not finite".to_string())),
            Err(e) => Err((name, expected, e.to_string())),
        }
    };
    let per_channel = [layout.output];
    let kernel = get("0.weight", &[layout.output, layout.input, layout.kernel, layout.kernel])?;
    let bias = get("0.bias", &per_channel)?;
    let gamma = get("1.weight", &per_channel)?;
    let beta = get("1.bias", &per_channel)?;
    let mean = get("1.running_mean", &per_channel)?;
    let variance = get("1.running_var", &per_channel)?;
    if variance.iter().any(|&v| v < 0.0) {
        let name = format!("{prefix}{i}.conv_block.1.running_var");
        return Err((name, "variances".to_string(), "a negative value".to_string()));
    }
    let scale: Vec<f64> = gamma.iter().zip(&variance).map(|(g, v)| g / (v + EPSILON).sqrt()).collect();
    let size = kernel.len() / layout.output;
    let kernel = kernel.iter().enumerate().map(|(at, w)| (w * scale[at / size]) as f32).collect();
    let bias = (0..layout.output).map(|c| ((bias[c] - mean[c]) * scale[c] + beta[c]) as f32).collect();
    Ok((kernel, bias))
}

/// The convolution of one block, without bias. candle knows one stride for both axes; where they differ, rows
/// that never overlap (stride 3, kernel 3) are folded into channels and batch, and time is convolved in 1-D.
fn convolve(x: &Tensor, kernel: &Tensor, layout: &Layout) -> Result<Tensor> {
    let (rows, columns) = layout.stride;
    if rows == columns {
        return Ok(x.conv2d(kernel, layout.padding, rows, 1, 1)?);
    }
    let (batch, channels, height, _) = x.dims4()?;
    let size = layout.kernel;
    let high = (height + 2 * layout.padding - size) / rows + 1;
    let padded = x.pad_with_zeros(2, layout.padding, layout.padding + size)?.narrow(2, 0, high * size)?;
    let folded = padded.reshape((batch, channels, high, size, ()))?.permute((0, 2, 1, 3, 4))?.reshape((
        batch * high,
        channels * size,
        (),
    ))?;
    let flat = kernel.reshape((layout.output, channels * size, size))?;
    let y = folded.conv1d(&flat, layout.padding, columns, 1, 1)?;
    Ok(y.reshape((batch, high, layout.output, ()))?.transpose(1, 2)?.contiguous()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_start_where_synctalk_starts_them() {
        // int((T − 16) / 80 · 25) + 2 windows at int(80 · (i / 25)), moved back from the end.
        let starts = |columns: usize| -> Vec<usize> {
            (0..window_count(columns)).map(|i| window_start(i).min(columns.max(16) - 16)).collect()
        };
        assert_eq!(starts(16), [0, 0]);
        assert_eq!(starts(3), [0, 0]);
        assert_eq!(starts(32), [0, 3, 6, 9, 12, 16, 16]);
        // 114 + 2 and not 115 + 2: in floating point 368 / 80 · 25 falls just short of 115.
        assert_eq!(window_count(384), 116);
    }
}
