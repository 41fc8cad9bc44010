//! The graph's rows, cut into parts that are multiplied side by side.
//!
//! What all rows share gets its gradient from a sum over all of them. A GPU takes such a sum over a hundred thousand rows
//! with a handful of threads, so every part multiplies with a copy of its own: a gradient is then many short sums,
//! taken side by side, and one over the parts. For the same reason sums over the columns of a row are products with
//! constant matrices. Exact but for rounding; the last rows of the last part are padding.

use super::params::Dense;
use crate::Result;
use candle_core::{DType, Device, Tensor};

/// Rows of a part, at most.
const ROWS: usize = 512;

/// How the rows of some frames are cut.
pub(super) struct Parts {
    frames: usize,
    /// Of one frame.
    each: usize,
    /// Of one part.
    rows: usize,
    /// Rows of a frame that mean something.
    real: usize,
    dtype: DType,
    device: Device,
}

impl Parts {
    /// Parts of `real` rows in each of some frames.
    pub(super) fn new(real: usize, frames: usize, dtype: DType, device: &Device) -> Self {
        let each = real.div_ceil(ROWS).max(1);
        Parts { frames, each, rows: real.div_ceil(each), real, dtype, device: device.clone() }
    }

    /// Parts of all frames.
    pub(super) fn all(&self) -> usize {
        self.frames * self.each
    }

    /// Rows `[real, width]` of one frame to `[parts of one frame, rows, width]`.
    pub(super) fn cut(&self, rows: &Tensor) -> Result<Tensor> {
        let missing = self.each * self.rows - self.real;
        let padded = if missing > 0 { rows.pad_with_zeros(0, 0, missing)? } else { rows.clone() };
        Ok(padded.reshape((self.each, self.rows, rows.dim(1)?))?)
    }

    /// Parts of one frame, once for every frame.
    pub(super) fn repeat(&self, parts: &Tensor) -> Result<Tensor> {
        if self.frames == 1 {
            return Ok(parts.clone());
        }
        Ok(Tensor::cat(&vec![parts; self.frames], 0)?)
    }

    /// Parts `[all, rows, width]` back to `[frames, real, width]`.
    pub(super) fn join(&self, parts: &Tensor) -> Result<Tensor> {
        let joined = parts.reshape((self.frames, self.each * self.rows, parts.dim(2)?))?;
        Ok(joined.narrow(1, 0, self.real)?.contiguous()?)
    }

    /// A matrix `[a, b]` for each of `count` parts.
    fn copies(count: usize, matrix: &Tensor) -> Result<Tensor> {
        let (a, b) = matrix.dims2()?;
        Ok(matrix.unsqueeze(0)?.broadcast_as((count, a, b))?.contiguous()?)
    }

    /// Matrices `[frames, a, b]`, each for all parts of its frame.
    pub(super) fn of_frames(&self, matrices: &Tensor) -> Result<Tensor> {
        let (frames, a, b) = matrices.dims3()?;
        let all = matrices.unsqueeze(1)?.broadcast_as((frames, self.each, a, b))?.contiguous()?;
        Ok(all.reshape((frames * self.each, a, b))?)
    }

    /// A dense layer of parts `[count, rows, inputs]`.
    pub(super) fn dense(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let y = x.matmul(&Self::copies(x.dim(0)?, &weight.t()?)?)?;
        bias.map_or(Ok(y.clone()), |bias| Self::shift(&y, bias))
    }

    /// Each row plus `bias`, `[width]`.
    pub(super) fn shift(x: &Tensor, bias: &Tensor) -> Result<Tensor> {
        Ok(x.broadcast_add(&Self::copies(x.dim(0)?, &bias.unsqueeze(0)?)?)?)
    }

    /// [`Parts::dense`] of a layer.
    pub(super) fn layer(x: &Tensor, layer: &Dense) -> Result<Tensor> {
        Self::dense(x, &layer.weight, layer.bias.as_ref())
    }

    /// Each row times `gamma` plus `beta`, `[width]` both.
    pub(super) fn scale(x: &Tensor, gamma: &Tensor, beta: &Tensor) -> Result<Tensor> {
        Self::shift(&x.broadcast_mul(&Self::copies(x.dim(0)?, &gamma.unsqueeze(0)?)?)?, beta)
    }

    /// A constant matrix for every part.
    pub(super) fn constant(
        &self,
        rows: usize,
        columns: usize,
        value: impl Fn(usize, usize) -> f64,
    ) -> Result<Tensor> {
        let values: Vec<f64> = (0..rows * columns).map(|i| value(i / columns, i % columns)).collect();
        let matrix = Tensor::from_vec(values, (rows, columns), &Device::Cpu)?.to_dtype(self.dtype)?;
        Self::copies(self.all(), &matrix.to_device(&self.device)?)
    }
}
