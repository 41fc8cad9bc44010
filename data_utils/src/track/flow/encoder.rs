//! From a picture to features at 1/8 of its size: bottleneck blocks as in ResNet, narrow.

use super::convolution::conv;
use crate::error::Result;
use crate::network::{Conv, Named};
use candle_core::{D, Tensor};

/// What instance normalisation adds to the variance.
const EPSILON: f64 = 1e-5;
/// Channels of the first convolution and of the three layers, and the layers' strides.
const START: usize = 32;
const LAYERS: [(usize, usize); 3] = [(32, 1), (64, 2), (96, 2)];

#[derive(Debug, Clone)]
struct Block {
    convs: [Conv; 3],
    beside: Option<Conv>,
}

/// The encoder; with instance normalisation for features, without for context.
#[derive(Debug, Clone)]
pub(super) struct Encoder {
    start: Conv,
    blocks: Vec<Block>,
    out: Conv,
    normalised: bool,
}

impl Encoder {
    pub(super) fn new(named: &Named, name: &str, channels: usize, normalised: bool) -> Result<Self> {
        let mut blocks = Vec::new();
        let mut from = START;
        for (k, (to, stride)) in LAYERS.into_iter().enumerate() {
            for (number, stride) in [stride, 1].into_iter().enumerate() {
                let name = format!("{name}.layer{}.{number}", k + 1);
                let part = |part: &str, shape: [usize; 3], stride: usize| {
                    conv(named, &format!("{name}.{part}"), shape, stride, false)
                };
                let narrow = to / 4;
                let beside = (stride > 1).then(|| part("downsample.0", [to, from, 1], stride));
                let convs = [
                    part("conv1", [narrow, from, 1], 1)?,
                    part("conv2", [narrow, narrow, 3], stride)?,
                    part("conv3", [to, narrow, 1], 1)?,
                ];
                blocks.push(Block { convs, beside: beside.transpose()? });
                from = to;
            }
        }
        Ok(Encoder {
            start: conv(named, &format!("{name}.conv1"), [START, 3, 7], 2, false)?,
            blocks,
            out: conv(named, &format!("{name}.conv2"), [channels, from, 1], 1, false)?,
            normalised,
        })
    }

    /// `[1, 3, height, width]` to `[1, channels, height / 8, width / 8]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = self.normal(&self.start.forward(x)?)?.relu()?;
        for block in &self.blocks {
            let mut y = x.clone();
            for conv in &block.convs {
                y = self.normal(&conv.forward(&y)?)?.relu()?;
            }
            let past = match &block.beside {
                Some(conv) => self.normal(&conv.forward(&x)?)?,
                None => x,
            };
            x = (past + y)?.relu()?;
        }
        self.out.forward(&x)
    }

    /// Each channel to mean 0 and deviation 1 over the picture.
    fn normal(&self, x: &Tensor) -> Result<Tensor> {
        if !self.normalised {
            return Ok(x.clone());
        }
        let mean = x.mean_keepdim(D::Minus1)?.mean_keepdim(D::Minus2)?;
        let x = x.broadcast_sub(&mean)?;
        let variance = x.sqr()?.mean_keepdim(D::Minus1)?.mean_keepdim(D::Minus2)?;
        Ok(x.broadcast_div(&(variance + EPSILON)?.sqrt()?)?)
    }
}
