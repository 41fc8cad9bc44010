//! The rows of the field on a GPU: the arithmetic of the graph in tensor operations; the way back, written by hand, is in
//! `tensor_rows_backward`.
//!
//! candle's own way back asks a GPU for several operations where one will do, and takes sums over all rows with a
//! handful of threads. Here sums are products: over the columns of a row with constant matrices, over rows with ones, in
//! many short pieces side by side and then over the pieces. Nothing depends on the order in which threads end, so the same
//! numbers give the same bits. Tests hold it to the graph and to the rows on the CPU.
//!
//! Matrices `[rows, columns]`; the rows of all frames follow each other, those of a frame filled up with zeros to a
//! multiple of [`PIECES`].

use super::Field;
use super::TOKENS;
use super::attention::{FoldedLayer, Layer, NORM_EPSILON, Norm};
use super::frame_weights::Folded;
use super::heads::DRIVES;
use super::params::Dense;
use crate::{Error, Result};
use candle_core::{D, Tensor};

/// Pieces of a frame's rows.
pub(super) const PIECES: usize = 32;

/// Rows of some frames.
pub(super) struct TensorRows<'a> {
    pub(super) field: &'a Field,
    pub(super) frames: usize,
    /// Rows of a frame with those that fill it up, and without.
    pub(super) rows: usize,
    pub(super) real: usize,
    /// One for every row, `[frames·rows, 1]`.
    pub(super) ones: Tensor,
    pub(super) means: Means,
}

/// Constants that take sums over columns; J = 4·heads, column h·4 + t.
pub(super) struct Means {
    /// `[width, width]`, takes away the mean of a row.
    pub(super) centre: Tensor,
    /// `[width, width]`, puts the mean of a row into every column.
    pub(super) mean: Tensor,
    /// `[J, J]`, puts the sum over a head's tokens into each of its columns.
    pub(super) head: Tensor,
    /// `[heads, J]`, puts a number of each head into its columns.
    pub(super) columns: Tensor,
    /// `[J, 4]`, the mean over the heads of every token.
    pub(super) token: Tensor,
}

/// What the way back needs of a normalised row.
pub(super) struct Normed {
    pub(super) unit: Tensor,
    pub(super) deviation: Tensor,
}

/// What it needs of a layer.
pub(super) struct LayerTrace {
    pub(super) input: Tensor,
    pub(super) weights: Tensor,
    pub(super) norm1: Normed,
    pub(super) middle: Tensor,
    pub(super) hidden: Tensor,
    pub(super) norm2: Normed,
}

/// What it needs of a head: the hidden layer, and what each drive says before it is made loud.
pub(super) struct HeadTrace {
    pub(super) hidden: Tensor,
    pub(super) driven: Vec<Tensor>,
}

/// What it needs of everything.
pub(super) struct Trace {
    pub(super) asked: Tensor,
    pub(super) layers: Vec<LayerTrace>,
    /// After the last layer, negative numbers cut off.
    pub(super) top: Tensor,
    pub(super) attention: Tensor,
    pub(super) heads: Vec<HeadTrace>,
}

impl<'a> TensorRows<'a> {
    pub(super) fn new(field: &'a Field, real: usize, frames: usize) -> Result<Self> {
        let (width, heads) = (field.config.model_width, field.config.attention_heads);
        let (each, columns) = (1.0 / width as f64, heads * TOKENS);
        let rows = real.next_multiple_of(PIECES);
        let constant = |rows: usize, columns: usize, value: &dyn Fn(usize, usize) -> f64| -> Result<Tensor> {
            let values: Vec<f64> = (0..rows * columns).map(|i| value(i / columns, i % columns)).collect();
            let matrix = Tensor::from_vec(values, (rows, columns), &candle_core::Device::Cpu)?;
            Ok(matrix.to_dtype(field.dtype)?.to_device(&field.device)?)
        };
        let same = |a: usize, b: usize| f64::from(u8::from(a == b));
        let means = Means {
            centre: constant(width, width, &|r, c| same(r, c) - each)?,
            mean: constant(width, width, &|_, _| each)?,
            head: constant(columns, columns, &|r, c| same(r / TOKENS, c / TOKENS))?,
            columns: constant(heads, columns, &|r, c| same(r, c / TOKENS))?,
            token: constant(columns, TOKENS, &|r, c| same(r % TOKENS, c) / heads as f64)?,
        };
        let ones = Tensor::ones((frames * rows, 1), field.dtype, &field.device)?;
        Ok(TensorRows { field, frames, rows, real, ones, means })
    }

    /// The packed deformation `[frames, real, columns]` of features and embedding `[real, …]`.
    pub(super) fn forward(
        &self,
        features: &Tensor,
        embedding: &Tensor,
        folded: &Folded,
    ) -> Result<(Tensor, Trace)> {
        let missing = self.rows - self.real;
        let asked = Tensor::cat(&[&features.detach(), &embedding.detach()], 1)?;
        let asked = if missing > 0 { asked.pad_with_zeros(0, 0, missing)? } else { asked };
        let first = self.dense(&asked, &self.field.query)?;
        let mut x = Tensor::cat(&vec![&first; self.frames], 0)?;
        let mut layers = Vec::with_capacity(self.field.layers.len());
        let mut attention: Option<Tensor> = None;
        for (layer, folded) in self.field.layers.iter().zip(&folded.layers) {
            let (rows, trace) = self.layer(&x, layer, folded)?;
            let weights = trace.weights.matmul(&self.means.token)?;
            attention = Some(match attention {
                Some(sum) => (sum + weights)?,
                None => weights,
            });
            layers.push(trace);
            x = rows;
        }
        let attention = attention.ok_or_else(|| Error::Internal("a field has at least one layer".into()))?;
        let attention = (attention / self.field.layers.len() as f64)?;
        let top = x.relu()?;
        let (mut columns, mut heads) = (Vec::new(), Vec::new());
        for i in 0..self.field.heads.last.len() {
            let (out, trace) = self.head(&top, &attention, i, folded)?;
            columns.push(out);
            heads.push(trace);
        }
        columns.push(attention.clone());
        let packed = self.join(&Tensor::cat(&columns, 1)?)?;
        Ok((packed, Trace { asked, layers, top, attention, heads }))
    }

    fn layer(&self, x: &Tensor, layer: &Layer, folded: &FoldedLayer) -> Result<(Tensor, LayerTrace)> {
        let score = self.by_frame(x, &folded.score.transpose(1, 2)?)?;
        let score = (score + self.in_frames(&folded.score_bias)?)?;
        let (rows, columns) = score.dims2()?;
        let heads = columns / TOKENS;
        let largest = score.reshape((rows * heads, TOKENS))?.max(D::Minus1)?.reshape((rows, heads))?;
        let shares = (score - largest.matmul(&self.means.columns)?)?.exp()?;
        let weights = (&shares / shares.matmul(&self.means.head)?)?;
        let mut sum = (x + self.by_frame(&weights, &folded.answer)?)?;
        if let Some(bias) = layer.answer_bias() {
            sum = (sum + self.in_rows(bias, rows)?)?;
        }
        let (middle, norm1) = self.norm(&sum, &layer.norm1)?;
        let hidden = self.dense(&middle, &layer.feed1)?.relu()?;
        let sum = (&middle + self.dense(&hidden, &layer.feed2)?)?;
        let (out, norm2) = self.norm(&sum, &layer.norm2)?;
        Ok((out, LayerTrace { input: x.clone(), weights, norm1, middle, hidden, norm2 }))
    }

    fn head(
        &self,
        top: &Tensor,
        attention: &Tensor,
        i: usize,
        folded: &Folded,
    ) -> Result<(Tensor, HeadTrace)> {
        let hidden = self.dense(top, &self.hidden_of(i)?)?.relu()?;
        let mut out = self.dense(&hidden, &self.field.heads.last[i])?;
        let mut driven = Vec::new();
        for (layer, (token, ..)) in self.drives_of(i, folded).zip(DRIVES) {
            let said = self.by_frame(&hidden, &layer.transpose(1, 2)?)?;
            out = (out + (&said * self.loud(attention, token, said.dim(1)?)?)?)?;
            driven.push(said);
        }
        let out = if i == 0 { (out * self.field.heads.reach)? } else { out };
        Ok((out, HeadTrace { hidden, driven }))
    }

    fn norm(&self, x: &Tensor, norm: &Norm) -> Result<(Tensor, Normed)> {
        let centred = x.matmul(&self.means.centre)?;
        let deviation = (centred.sqr()?.matmul(&self.means.mean)? + NORM_EPSILON)?.sqrt()?;
        let unit = (centred / &deviation)?;
        let rows = x.dim(0)?;
        let out = ((&unit * self.in_rows(&norm.gamma, rows)?)? + self.in_rows(&norm.beta, rows)?)?;
        Ok((out, Normed { unit, deviation }))
    }

    fn dense(&self, x: &Tensor, layer: &Dense) -> Result<Tensor> {
        let y = x.matmul(&layer.weight.detach().t()?)?;
        match &layer.bias {
            Some(bias) => Ok((y + self.in_rows(bias, x.dim(0)?)?)?),
            None => Ok(y),
        }
    }

    /// The hidden layer of head `i` out of those of all heads.
    pub(super) fn hidden_of(&self, i: usize) -> Result<Dense> {
        let width = self.field.config.head_width;
        let part = |t: &Tensor| t.detach().narrow(0, i * width, width);
        let hidden = &self.field.heads.hidden;
        Ok(Dense { weight: part(&hidden.weight)?, bias: hidden.bias.as_ref().map(part).transpose()? })
    }

    /// The driven layers of head `i`, `[frames, columns, width]` each.
    pub(super) fn drives_of<'f>(
        &self,
        i: usize,
        folded: &'f Folded,
    ) -> impl Iterator<Item = &'f Tensor> + use<'f> {
        folded.heads.iter().skip(i * DRIVES.len()).take(DRIVES.len())
    }

    /// How loud a token is, in each of `width` columns.
    pub(super) fn loud(&self, attention: &Tensor, token: usize, width: usize) -> Result<Tensor> {
        let column = self.unit(token)?.t()?;
        Ok(attention.matmul(&column.matmul(&self.constant_ones(1, width)?)?)?)
    }

    /// A row with a one for a token, `[1, 4]`.
    pub(super) fn unit(&self, token: usize) -> Result<Tensor> {
        let eye = Tensor::eye(TOKENS, self.field.dtype, &self.field.device)?;
        Ok(eye.narrow(0, token, 1)?)
    }

    pub(super) fn constant_ones(&self, rows: usize, columns: usize) -> Result<Tensor> {
        Ok(Tensor::ones((rows, columns), self.field.dtype, &self.field.device)?)
    }

    /// Rows of every frame times its own matrix, `[frames, a, b]`.
    pub(super) fn by_frame(&self, x: &Tensor, matrices: &Tensor) -> Result<Tensor> {
        let (rows, width) = x.dims2()?;
        let y = x.reshape((self.frames, self.rows, width))?.matmul(&matrices.detach())?;
        let width = y.dim(2)?;
        Ok(y.reshape((rows, width))?)
    }

    /// A vector `[width]` in every row.
    pub(super) fn in_rows(&self, vector: &Tensor, rows: usize) -> Result<Tensor> {
        Ok(self.ones.narrow(0, 0, rows)?.matmul(&vector.detach().unsqueeze(0)?)?)
    }

    /// Vectors `[frames, width]`, each in every row of its frame.
    fn in_frames(&self, vectors: &Tensor) -> Result<Tensor> {
        let width = vectors.dim(1)?;
        let ones = self.ones.reshape((self.frames, self.rows, 1))?;
        let y = ones.matmul(&vectors.detach().unsqueeze(1)?)?;
        Ok(y.reshape((self.frames * self.rows, width))?)
    }

    /// Rows of all frames to `[frames, real, columns]`.
    fn join(&self, rows: &Tensor) -> Result<Tensor> {
        let columns = rows.dim(1)?;
        if self.rows == self.real {
            return Ok(rows.reshape((self.frames, self.real, columns))?);
        }
        let frame = |k: usize| -> Result<Tensor> { Ok(rows.narrow(0, k * self.rows, self.real)?) };
        let frames = (0..self.frames).map(frame).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::cat(&frames, 0)?.reshape((self.frames, self.real, columns))?)
    }
}
