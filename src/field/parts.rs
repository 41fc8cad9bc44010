//! The graph's rows, cut into parts that are multiplied side by side.
//!
//! What all rows share gets its gradient from a sum over all of them. A GPU takes such a sum over a hundred thousand rows
//! with a handful of threads, so every part multiplies with a copy of its own: a gradient is then many short sums,
//! taken side by side, and one over the parts. For the same reason sums over the columns of a row are products with
//! constant matrices. Exact but for rounding; the last rows of the last part are padding.

use super::params::Dense;
use crate::Result;
use candle_core::{DType, Device, Tensor};

/// Parts of all frames together, about: enough to keep a GPU busy, each with rows enough to be worth a copy.
const PARTS: usize = 128;
/// Rows of a part, at least.
const ROWS: usize = 64;

/// How the rows of some frames are cut.
pub(super) struct Parts {
    frames: usize,
    /// Of one frame.
    each: usize,
    /// Of one part.
    rows: usize,
    /// Rows of a frame that mean something.
    real: usize,
    /// A column of ones for every part, `[all, rows, 1]`. What is the same in many places is put there by a product with it:
    /// its gradient is then a product too, and no sum over scattered numbers.
    ones: Tensor,
}

impl Parts {
    /// Parts of `real` rows in each of some frames.
    pub(super) fn new(real: usize, frames: usize, dtype: DType, device: &Device) -> Result<Self> {
        let each = (PARTS / frames).clamp(1, real.div_ceil(ROWS).max(1));
        let rows = real.div_ceil(each);
        let ones = Tensor::ones((frames * each, rows, 1), dtype, device)?;
        Ok(Parts { frames, each, rows, real, ones })
    }

    /// Parts of all frames.
    fn all(&self) -> usize {
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
        let (padded, width) = (self.each * self.rows, parts.dim(2)?);
        if padded == self.real {
            return Ok(parts.reshape((self.frames, self.real, width))?);
        }
        let rows = parts.reshape((self.frames * padded, width))?;
        let frames = (0..self.frames).map(|frame| Ok(rows.narrow(0, frame * padded, self.real)?));
        let rows = Tensor::cat(&frames.collect::<Result<Vec<Tensor>>>()?, 0)?;
        Ok(rows.reshape((self.frames, self.real, width))?)
    }

    /// `count` ones in a column.
    fn column(&self, count: usize) -> Result<Tensor> {
        Ok(Tensor::ones((count, 1), self.ones.dtype(), self.ones.device())?)
    }

    /// A matrix `[a, b]` for each of `count` parts.
    fn copies(&self, count: usize, matrix: &Tensor) -> Result<Tensor> {
        let (a, b) = matrix.dims2()?;
        Ok(self.column(count)?.matmul(&matrix.reshape((1, a * b))?)?.reshape((count, a, b))?)
    }

    /// Matrices `[frames, a, b]`, each for all parts of its frame.
    pub(super) fn of_frames(&self, matrices: &Tensor) -> Result<Tensor> {
        let (frames, a, b) = matrices.dims3()?;
        let ones = self.column(frames * self.each)?.reshape((frames, self.each, 1))?;
        Ok(ones.matmul(&matrices.reshape((frames, 1, a * b))?)?.reshape((frames * self.each, a, b))?)
    }

    /// A row `[count, 1, width]` of each part in all of its rows.
    pub(super) fn in_all_rows(&self, row: &Tensor) -> Result<Tensor> {
        Ok(self.ones.narrow(0, 0, row.dim(0)?)?.matmul(row)?)
    }

    /// A column `[all, rows, 1]` as often as `width` says, side by side.
    pub(super) fn in_all_columns(&self, column: &Tensor, width: usize) -> Result<Tensor> {
        let ones = Tensor::ones((self.all(), 1, width), self.ones.dtype(), self.ones.device())?;
        Ok(column.matmul(&ones)?)
    }

    /// A vector `[width]` in all rows of `count` parts.
    fn spread(&self, count: usize, vector: &Tensor) -> Result<Tensor> {
        self.in_all_rows(&self.copies(count, &vector.unsqueeze(0)?)?)
    }

    /// A dense layer of parts `[count, rows, inputs]`.
    pub(super) fn dense(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let y = x.matmul(&self.copies(x.dim(0)?, &weight.t()?)?)?;
        bias.map_or(Ok(y.clone()), |bias| self.shift(&y, bias))
    }

    /// [`Parts::dense`] of a layer.
    pub(super) fn layer(&self, x: &Tensor, layer: &Dense) -> Result<Tensor> {
        self.dense(x, &layer.weight, layer.bias.as_ref())
    }

    /// Each row plus `bias`, `[width]`.
    pub(super) fn shift(&self, x: &Tensor, bias: &Tensor) -> Result<Tensor> {
        Ok((x + self.spread(x.dim(0)?, bias)?)?)
    }

    /// Each row times `gamma` plus `beta`, `[width]` both.
    pub(super) fn scale(&self, x: &Tensor, gamma: &Tensor, beta: &Tensor) -> Result<Tensor> {
        self.shift(&(x * self.spread(x.dim(0)?, gamma)?)?, beta)
    }

    /// A constant matrix for every part.
    pub(super) fn constant(
        &self,
        rows: usize,
        columns: usize,
        value: impl Fn(usize, usize) -> f64,
    ) -> Result<Tensor> {
        let values: Vec<f64> = (0..rows * columns).map(|i| value(i / columns, i % columns)).collect();
        let matrix = Tensor::from_vec(values, (rows, columns), &Device::Cpu)?.to_dtype(self.ones.dtype())?;
        self.copies(self.all(), &matrix.to_device(self.ones.device())?)
    }
}
