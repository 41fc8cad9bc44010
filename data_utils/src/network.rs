//! What the networks share that are written layer by layer: tensors of a published file, and convolutions.

use crate::error::{Error, Result};
use candle_core::{D, DType, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// A convolution that keeps the size but for its stride, what is added after it, and whether negative values are cut
/// off then.
#[derive(Debug, Clone)]
pub(crate) struct Conv {
    pub(crate) weight: Tensor,
    pub(crate) bias: Option<Tensor>,
    pub(crate) stride: usize,
    pub(crate) relu: bool,
}

impl Conv {
    /// `[1, from, height, width]` to `[1, to, height / stride, width / stride]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let side = self.weight.dim(D::Minus1)?;
        let y = x.conv2d(&self.weight, side / 2, self.stride, 1, 1)?;
        let y = match &self.bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        };
        Ok(if self.relu { y.relu()? } else { y })
    }
}

/// Tensors by name, which file they are of, and which file they should be of.
pub(crate) struct Named<'a> {
    pub(crate) tensors: &'a BTreeMap<String, Tensor>,
    pub(crate) origin: &'a Path,
    pub(crate) published: &'static str,
}

impl Named<'_> {
    /// The tensor `name` as finite `f32`.
    ///
    /// # Errors
    /// [`Error::Input`] when it is missing, has another shape, or numbers that are none.
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let refuse = |found: String| {
            let expected = format!("{name} of shape {shape:?}, as in {}", self.published);
            let remedy = format!("give the network's own file, {}", self.published);
            Error::input(self.origin.display(), expected, found, remedy)
        };
        let tensor = self.tensors.get(name).ok_or_else(|| refuse("no such tensor".into()))?;
        if tensor.dims() != shape {
            return Err(refuse(format!("{:?}", tensor.dims())));
        }
        let tensor = tensor.to_dtype(DType::F32)?;
        let finite = tensor.flatten_all()?.to_vec1::<f32>()?.iter().all(|v| v.is_finite());
        if finite { Ok(tensor) } else { Err(refuse("numbers that are none".into())) }
    }
}
