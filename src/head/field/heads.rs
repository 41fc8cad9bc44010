//! Five output heads, and the columns of the packed deformation.
//!
//! A head is ReLU, linear, ReLU, linear. Beside its last layer stand two that are linear in what drives the frame, sound and
//! blendshapes, each as loud as the surfel attends to that token: a blendshape model over learned features, for those
//! surfels that listen. The hidden layers of all five are one matrix, `heads.hidden`, one head under the
//! other, so that they are one product.

use super::audio_net::AUDIO_FEATURES;
use super::params::{Dense, Init, Parameters};
use super::{EXPRESSION, FieldConfig, TOKENS};
use crate::Result;
use candle_core::{D, Tensor};
use std::ops::Range;

/// What drives the heads beside the attention: the tokens' index, name and width.
pub(super) const DRIVES: [(usize, &str, usize); 2] =
    [(0, "audio", AUDIO_FEATURES), (1, "expression", EXPRESSION)];

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
    /// What a unit of each drive adds to each head, head after head and drive after drive,
    /// `[width of the drive, columns·head_width]`; none where the heads are not driven.
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
                for (_, drive, count) in DRIVES {
                    // All drives together move a new field as far as the attention does.
                    let gain = config.head_gain / (count as f64).sqrt();
                    let init = Init::xavier(gain, config.head_width, columns.len());
                    let shape = [count, columns.len() * config.head_width];
                    driven.push(p.add(format!("heads.{name}.{drive}"), &shape, init)?);
                }
            }
        }
        let reach = config.position_range * f64::from(extent);
        Ok(Heads { hidden, last, driven, reach, width: config.head_width })
    }

    /// The driven layers in some frames, `[b, columns, head_width]` each, head after head and drive after drive, for
    /// [`DRIVES`] `[b, width]` each.
    pub(super) fn fold(&self, drives: &[Tensor]) -> Result<Vec<Tensor>> {
        let folded = self.driven.iter().enumerate().map(|(i, driven)| {
            let drive = &drives[i % DRIVES.len()];
            let shape = (drive.dim(0)?, self.last[i / DRIVES.len()].weight.dim(0)?, self.width);
            Ok(drive.matmul(driven)?.reshape(shape)?)
        });
        folded.collect()
    }

    /// Rows `[b, n, width]` and attention `[b, n, 4]` to the columns before the attention, with the layers of
    /// [`Heads::fold`].
    pub(super) fn forward(&self, x: &Tensor, attention: &Tensor, folded: &[Tensor]) -> Result<Tensor> {
        let hidden = self.hidden.forward(&x.relu()?)?.relu()?;
        let mut columns = Vec::with_capacity(HEADS);
        for (i, head) in self.last.iter().enumerate() {
            let part = hidden.narrow(D::Minus1, i * self.width, self.width)?.contiguous()?;
            let mut out = head.forward(&part)?;
            for ((token, ..), layer) in DRIVES.iter().zip(folded.iter().skip(i * DRIVES.len())) {
                let driven = part.matmul(&layer.transpose(1, 2)?.contiguous()?)?;
                out = (out + driven.broadcast_mul(&attention.narrow(D::Minus1, *token, 1)?)?)?;
            }
            columns.push(if i == 0 { (out * self.reach)? } else { out });
        }
        Ok(Tensor::cat(&columns, D::Minus1)?)
    }
}
