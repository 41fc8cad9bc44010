//! Five output heads, and the columns of the packed deformation.
//!
//! A head is ReLU, linear, ReLU, linear. The weights of its last layer are linear in the frame's drives (blendshapes and
//! sound), so a head is a blendshape model over learned features of a surfel; per surfel that costs nothing. The hidden layers of all five are one matrix, `heads.hidden`, one head under the
//! other, so that they are one product.

use super::audio_net::AUDIO_FEATURES;
use super::params::{Dense, Init, Parameters};
use super::{EXPRESSION, FieldConfig, TOKENS};
use crate::Result;
use candle_core::{D, Tensor};
use std::ops::Range;

/// Numbers that drive the heads: blendshapes, then what the audio net says.
pub(super) const DRIVES: usize = EXPRESSION + AUDIO_FEATURES;

/// Number of heads.
pub(super) const HEADS: usize = 5;

/// Columns of the packed deformation `[frames, surfels, columns]`. Everything but the attention is added to the raw
/// parameters of a surfel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Position, units of the dataset.
    pub position: Range<usize>,
    /// Quaternion (w, x, y, z), component by component.
    pub rotation: Range<usize>,
    /// ln of the two scales.
    pub scale: Range<usize>,
    /// Opacity as logit.
    pub opacity: Range<usize>,
    /// The first (degree + 1)² bands of the harmonics, band 0 first, RGB innermost.
    pub harmonics: Range<usize>,
    /// Attention weights (audio, expression, camera, frame); they sum to 1.
    pub attention: Range<usize>,
    /// Number of columns.
    pub columns: usize,
}

impl Layout {
    /// The columns of a field whose colour deltas have this degree.
    pub fn new(sh_degree: usize) -> Self {
        let harmonics = 3 * (sh_degree + 1).pow(2);
        let attention = 10 + harmonics..10 + harmonics + TOKENS;
        Layout {
            position: 0..3,
            rotation: 3..7,
            scale: 7..9,
            opacity: 9..10,
            harmonics: 10..10 + harmonics,
            columns: attention.end,
            attention,
        }
    }

    /// Name and columns of each head, in the order of the parameters.
    pub(super) fn heads(&self) -> [(&'static str, Range<usize>); HEADS] {
        [
            ("position", self.position.clone()),
            ("rotation", self.rotation.clone()),
            ("scale", self.scale.clone()),
            ("opacity", self.opacity.clone()),
            ("harmonics", self.harmonics.clone()),
        ]
    }
}

/// The heads.
pub(super) struct Heads {
    /// `[5·head_width, width]`.
    pub(super) hidden: Dense,
    /// The last layer of each head.
    pub(super) last: Vec<Dense>,
    /// What a unit of each drive adds to the weights of each head, `[drives, columns·head_width]`; none where the heads
    /// are not driven.
    driven: Vec<Tensor>,
    /// Factor of the position columns, units of the dataset.
    pub(super) reach: f64,
    width: usize,
}

impl Heads {
    /// `extent` is the longest side of the bounds.
    pub(super) fn new(p: &mut Parameters, config: &FieldConfig, extent: f32) -> Result<Self> {
        let (width, hidden) = (config.model_width, config.head_width);
        // Xavier's bound is that of one head, not of the stack.
        let hidden = Dense {
            weight: p.add(
                "heads.hidden.weight".into(),
                &[HEADS * hidden, width],
                Init::xavier(1.0, width, hidden),
            )?,
            bias: Some(p.add("heads.hidden.bias".into(), &[HEADS * hidden], Init::fan_in(width))?),
        };
        let (mut last, mut driven) = (Vec::with_capacity(HEADS), Vec::new());
        for (name, columns) in Layout::new(config.sh_degree).heads() {
            let init = Init::xavier(config.head_gain, config.head_width, columns.len());
            let weight = p.add(format!("heads.{name}.weight"), &[columns.len(), config.head_width], init)?;
            let bias = p.add(format!("heads.{name}.bias"), &[columns.len()], Init::Constant(0.0))?;
            last.push(Dense { weight, bias: Some(bias) });
            if config.driven_heads {
                // All drives together move a new field as far as the attention does.
                let gain = config.head_gain / (DRIVES as f64).sqrt();
                let init = Init::xavier(gain, config.head_width, columns.len());
                let shape = [DRIVES, columns.len() * config.head_width];
                driven.push(p.add(format!("heads.{name}.driven"), &shape, init)?);
            }
        }
        let reach = config.position_range * f64::from(extent);
        Ok(Heads { hidden, last, driven, reach, width: config.head_width })
    }

    /// The weights of the last layers in some frames, `[b, columns, head_width]` each, for drives `[b, DRIVES]`.
    pub(super) fn fold(&self, drives: &Tensor) -> Result<Vec<Tensor>> {
        let frames = drives.dim(0)?;
        let weights = self.last.iter().enumerate().map(|(i, head)| {
            let (columns, width) = head.weight.dims2()?;
            let still = head.weight.unsqueeze(0)?;
            Ok(match self.driven.get(i) {
                Some(driven) => {
                    drives.matmul(driven)?.reshape((frames, columns, width))?.broadcast_add(&still)?
                }
                None => still.broadcast_as((frames, columns, width))?.contiguous()?,
            })
        });
        weights.collect()
    }

    /// Rows `[b, n, width]` to the columns before the attention, with the weights of [`Heads::fold`].
    pub(super) fn forward(&self, x: &Tensor, folded: &[Tensor]) -> Result<Tensor> {
        let hidden = self.hidden.forward(&x.relu()?)?.relu()?;
        let mut columns = Vec::with_capacity(HEADS);
        for (i, (head, weight)) in self.last.iter().zip(folded).enumerate() {
            let part = hidden.narrow(D::Minus1, i * self.width, self.width)?.contiguous()?;
            let mut out = part.matmul(&weight.transpose(1, 2)?.contiguous()?)?;
            if let Some(bias) = &head.bias {
                out = out.broadcast_add(bias)?;
            }
            columns.push(if i == 0 { (out * self.reach)? } else { out });
        }
        Ok(Tensor::cat(&columns, D::Minus1)?)
    }
}
