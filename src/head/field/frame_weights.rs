//! What the rows need to know of some frames: everything the tokens decide, folded into small matrices.

use super::attention::FoldedLayer;
use super::{Conditions, Field};
use crate::Result;
use candle_core::Tensor;

/// The folded matrices of some frames.
pub(super) struct Folded {
    /// One for each layer.
    pub(super) layers: Vec<FoldedLayer>,
    /// The heads' driven layers, `[b, columns, head_width]` each.
    pub(super) heads: Vec<Tensor>,
}

impl Field {
    pub(super) fn fold(&self, conditions: &[Conditions]) -> Result<Folded> {
        let (tokens, drives) = self.tokens.forward(conditions, &self.statistics, &self.device, self.dtype)?;
        Ok(Folded {
            layers: self.layers.iter().map(|layer| layer.fold(&tokens)).collect::<Result<_>>()?,
            heads: self.heads.fold(&drives)?,
        })
    }
}
