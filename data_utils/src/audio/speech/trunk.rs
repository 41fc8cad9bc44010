//! The network: from rows of the spectrum to rows of features, four to one.

use super::layers::{CONVOLUTIONS, Convolution, Pool};
use super::spectrum::BANDS;
use super::weights::Weights;

/// Values of a row of features.
pub const FEATURES: usize = 192;
/// Rows of the spectrum that one row of features is made from: row `j` from `4·j..4·j + 40`.
pub(super) const REACH: usize = 40;
/// Rows of the spectrum for each row of features.
pub(super) const STRIDE: usize = 4;

/// Frequencies of the last layer.
const FREQUENCIES: usize = 2;

enum Layer {
    Convolution(Convolution),
    Pool(Pool),
}

/// The network and the rows its layers hold.
pub(super) struct Trunk {
    layers: Vec<Layer>,
}

impl Trunk {
    pub(super) fn new(weights: &Weights) -> Self {
        let mut layers = Vec::new();
        for (i, (shape, (kernel, bias))) in CONVOLUTIONS.iter().zip(&weights.convolutions).enumerate() {
            layers.push(Layer::Convolution(Convolution::new(*shape, kernel, bias)));
            match i {
                2 | 10 => layers.push(Layer::Pool(Pool::new(shape[0], true))),
                6 | 14 => layers.push(Layer::Pool(Pool::new(shape[0], false))),
                _ => {}
            }
        }
        Trunk { layers }
    }

    /// Forgets all rows that came.
    pub(super) fn clear(&mut self) {
        for layer in &mut self.layers {
            match layer {
                Layer::Convolution(layer) => layer.clear(),
                Layer::Pool(layer) => layer.clear(),
            }
        }
    }

    /// Takes the next row of the spectrum; every fourth one gives a row, `[96, 2]` (channels, frequencies), after the first 40.
    pub(super) fn push(&mut self, row: &[f32; BANDS]) -> Option<Vec<f32>> {
        let mut x = row.to_vec();
        for layer in &mut self.layers {
            x = match layer {
                Layer::Convolution(layer) => layer.push(&x)?,
                Layer::Pool(layer) => layer.push(&x)?,
            };
        }
        let channels = x.len() / FREQUENCIES;
        Some((0..x.len()).map(|i| x[i % FREQUENCIES * channels + i / FREQUENCIES]).collect())
    }
}
