//! What the rows need to know of some frames: everything the tokens decide, folded into small matrices.

use super::attention::FoldedLayer;
use super::{Conditions, Field};
use crate::Result;
use candle_core::Tensor;
use rayon::prelude::*;

/// The folded matrices of some frames.
pub(super) struct Folded {
    /// One for each layer.
    pub(super) layers: Vec<FoldedLayer>,
    /// The heads' driven layers, `[b, columns, head_width]` each.
    pub(super) heads: Vec<Tensor>,
}

impl Folded {
    /// Every matrix, layer after layer and then the heads; the first dimension is the frame.
    pub(super) fn tensors(&self) -> Vec<&Tensor> {
        let layers = self.layers.iter().flat_map(|l| [&l.score, &l.score_bias, &l.answer]);
        layers.chain(&self.heads).collect()
    }
}

impl Field {
    /// Each frame for itself, side by side: graphs of tokens are many small operations, each too small for several threads.
    pub(super) fn fold_each(&self, conditions: &[Conditions]) -> Result<Vec<Folded>> {
        match conditions {
            // Waking another thread takes longer.
            [_] => Ok(vec![self.fold(conditions)?]),
            _ => conditions.par_chunks(1).map(|frame| self.fold(frame)).collect(),
        }
    }

    pub(super) fn fold(&self, conditions: &[Conditions]) -> Result<Folded> {
        let (tokens, drives) = self.tokens.forward(conditions, &self.statistics, &self.device, self.dtype)?;
        Ok(Folded {
            layers: self.layers.iter().map(|layer| layer.fold(&tokens)).collect::<Result<_>>()?,
            heads: self.heads.fold(&drives)?,
        })
    }
}
