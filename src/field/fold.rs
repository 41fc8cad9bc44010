//! What the rows need to know of some frames: everything the tokens decide, folded into small matrices.

use super::attention::FoldedLayer;
use super::{Conditions, Field};
use crate::Result;
use candle_core::{Device, Tensor};

/// The folded matrices of some frames.
pub(super) struct Folded {
    /// One for each layer.
    pub(super) layers: Vec<FoldedLayer>,
    /// The heads' driven layers, `[b, columns, head_width]` each.
    pub(super) heads: Vec<Tensor>,
}

impl Folded {
    /// Number of frames.
    pub(super) fn frames(&self) -> Result<usize> {
        Ok(self.layers[0].score.dim(0)?)
    }

    /// The same on another device, in the same graph.
    pub(super) fn to_device(&self, device: &Device) -> Result<Folded> {
        let there = |tensor: &Tensor| -> Result<Tensor> { Ok(tensor.to_device(device)?) };
        let layer = |l: &FoldedLayer| -> Result<FoldedLayer> {
            Ok(FoldedLayer {
                score: there(&l.score)?,
                score_bias: there(&l.score_bias)?,
                answer: there(&l.answer)?,
            })
        };
        Ok(Folded {
            layers: self.layers.iter().map(layer).collect::<Result<_>>()?,
            heads: self.heads.iter().map(there).collect::<Result<_>>()?,
        })
    }

    /// Every matrix, layer after layer and then the heads; the first dimension is the frame.
    pub(super) fn tensors(&self) -> Vec<&Tensor> {
        let layers = self.layers.iter().flat_map(|l| [&l.score, &l.score_bias, &l.answer]);
        layers.chain(&self.heads).collect()
    }
}

impl Field {
    /// Folds on the host, whatever the field's device: hundreds of operations on a few numbers each, for every one of which a
    /// GPU would be started.
    pub(super) fn fold(&self, conditions: &[Conditions]) -> Result<Folded> {
        let (tokens, drives) = self.tokens.forward(conditions, &self.statistics, &Device::Cpu, self.dtype)?;
        Ok(Folded {
            layers: self.layers.iter().map(|layer| layer.fold(&tokens)).collect::<Result<_>>()?,
            heads: self.heads.fold(&drives)?,
        })
    }
}
