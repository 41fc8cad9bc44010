//! Curves of the lips, from the trunk's rows: a small network that was trained on synthetic speech, of which is known which phone
//! is spoken when. What it says of shapes holds for voices that lips were never filmed with.
//!
//! Five rows of the trunk (960) → 128, ReLU → 32, tanh → 36 phone classes and four curves, of which the curves are given. The
//! example `train_lips` makes the weights.

use super::trunk;
use super::weights;
use crate::error::Result;

/// Opening, width, rounding, lower lip to teeth, each about 0 to 1.
pub const CURVES: usize = 4;

/// Rows of the trunk that are looked at: the one asked about and those before it, the first one repeated.
const ROWS: usize = 5;
/// Phone classes, which come before the curves in the last layer.
const CLASSES: usize = 36;
/// Widths of the layers.
const WIDTHS: [usize; 4] = [ROWS * trunk::FEATURES, 128, 32, CLASSES + CURVES];
const FILE: &[u8] = include_bytes!("../../../weights/speech_lips.safetensors");

/// The network and the rows it still needs.
pub(super) struct LipCurves {
    /// Weights `[outputs, inputs]` and bias of each layer.
    layers: Vec<(Vec<f32>, Vec<f32>)>,
    /// The last rows, oldest first; empty before the first.
    rows: Vec<f32>,
}

impl LipCurves {
    /// # Errors
    /// [`crate::Error::Internal`] for a file that does not hold the weights.
    pub(super) fn load() -> Result<Self> {
        let tensors = weights::read(FILE)?;
        let layer = |(k, pair): (usize, &[usize])| {
            let weight = weights::take(&tensors, &format!("{k}.weight"), &[pair[1], pair[0]])?;
            Ok((weight, weights::take(&tensors, &format!("{k}.bias"), &[pair[1]])?))
        };
        let layers = WIDTHS.windows(2).enumerate().map(layer).collect::<Result<_>>()?;
        Ok(LipCurves { layers, rows: Vec::new() })
    }

    /// Forgets all rows that came.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
    }

    /// Takes the next row of the trunk and gives the curves there.
    pub(super) fn push(&mut self, row: &[f32]) -> Vec<f32> {
        if self.rows.is_empty() {
            self.rows = row.repeat(ROWS);
        } else {
            self.rows.drain(..row.len());
            self.rows.extend_from_slice(row);
        }
        let [first, second, third] = [0, 1, 2].map(|k| &self.layers[k]);
        let hidden: Vec<f32> = linear(first, &self.rows, 0..WIDTHS[1]).map(|v| v.max(0.0)).collect();
        let hidden: Vec<f32> = linear(second, &hidden, 0..WIDTHS[2]).map(f32::tanh).collect();
        linear(third, &hidden, CLASSES..WIDTHS[3]).collect()
    }
}

/// These outputs of a layer.
fn linear<'a>(
    (weight, bias): &'a (Vec<f32>, Vec<f32>),
    x: &'a [f32],
    outputs: std::ops::Range<usize>,
) -> impl Iterator<Item = f32> + 'a {
    outputs.map(move |output| {
        let row = &weight[output * x.len()..(output + 1) * x.len()];
        // Eight sums side by side can be computed together.
        let (eights, rest) = row.as_chunks::<8>();
        let (x_eights, x_rest) = x.as_chunks::<8>();
        let mut sums = [0.0f32; 8];
        for (w, x) in eights.iter().zip(x_eights) {
            (0..8).for_each(|k| sums[k] += w[k] * x[k]);
        }
        let rest: f32 = rest.iter().zip(x_rest).map(|(w, x)| w * x).sum();
        bias[output] + sums.iter().sum::<f32>() + rest
    })
}
