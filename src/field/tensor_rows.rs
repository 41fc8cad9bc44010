//! The rows of the field on a GPU: the arithmetic of the graph in tensor operations, and its way back written by hand.
//!
//! candle's own way back asks a GPU for several operations where one will do, and takes sums over all rows with a
//! handful of threads. Here sums are products: over the columns of a row with constant matrices, over rows with ones, in
//! many short pieces side by side and then over the pieces. Nothing depends on the order in which threads end, so the same
//! numbers give the same bits. Tests hold it to the graph and to the rows on the CPU.
//!
//! Matrices `[rows, columns]`; the rows of all frames follow each other, those of a frame filled up with zeros to a
//! multiple of [`PIECES`].

use super::Field;
use super::attention::{FoldedLayer, Layer, NORM_EPSILON, Norm};
use super::deform::gradient_of;
use super::fold::Folded;
use super::heads::DRIVES;
use super::params::Dense;
use super::{FieldGradients, Prepared, TOKENS};
use crate::{Error, Result};
use candle_core::backprop::GradStore;
use candle_core::{D, Tensor};

/// Pieces of a frame's rows.
const PIECES: usize = 32;

/// Rows of some frames.
pub(super) struct TensorRows<'a> {
    field: &'a Field,
    frames: usize,
    /// Rows of a frame with those that fill it up, and without.
    rows: usize,
    real: usize,
    /// One for every row, `[frames·rows, 1]`.
    ones: Tensor,
    means: Means,
}

/// Constants that take sums over columns; J = 4·heads, column h·4 + t.
struct Means {
    /// `[width, width]`, takes away the mean of a row.
    centre: Tensor,
    /// `[width, width]`, puts the mean of a row into every column.
    mean: Tensor,
    /// `[J, J]`, puts the sum over a head's tokens into each of its columns.
    head: Tensor,
    /// `[heads, J]`, puts a number of each head into its columns.
    columns: Tensor,
    /// `[J, 4]`, the mean over the heads of every token.
    token: Tensor,
}

/// What the way back needs of a normalised row.
struct Normed {
    unit: Tensor,
    deviation: Tensor,
}

/// What it needs of a layer.
struct LayerTrace {
    input: Tensor,
    weights: Tensor,
    norm1: Normed,
    middle: Tensor,
    hidden: Tensor,
    norm2: Normed,
}

/// What it needs of a head: the hidden layer, and what each drive says before it is made loud.
struct HeadTrace {
    hidden: Tensor,
    driven: Vec<Tensor>,
}

/// What it needs of everything.
pub(super) struct Trace {
    asked: Tensor,
    layers: Vec<LayerTrace>,
    /// After the last layer, negative numbers cut off.
    top: Tensor,
    attention: Tensor,
    heads: Vec<HeadTrace>,
}

/// Gradients of the folded matrices, in the order of [`Folded::tensors`].
type OfFolded = Vec<Tensor>;

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

    /// Gradients of the rows' parameters, of features, of the embedding and of the folded matrices, for that of the packed
    /// deformation.
    pub(super) fn backward(
        &self,
        trace: &Trace,
        folded: &Folded,
        gradient: &Tensor,
    ) -> Result<(GradStore, [Tensor; 2], OfFolded)> {
        let mut store = GradStore::default();
        let layout = &self.field.layout;
        let missing = self.rows - self.real;
        let gradient = gradient.detach();
        let gradient = if missing > 0 { gradient.pad_with_zeros(1, 0, missing)? } else { gradient };
        let gradient = gradient.reshape((self.frames * self.rows, layout.columns))?;
        let columns = |r: &std::ops::Range<usize>| -> Result<Tensor> {
            Ok(gradient.narrow(1, r.start, r.len())?.contiguous()?)
        };
        let mut of_attention = columns(&layout.attention)?;
        let mut of_top: Option<Tensor> = None;
        let mut of_drives = Vec::new();
        let (mut of_hidden_weight, mut of_hidden_bias) = (Vec::new(), Vec::new());
        for (i, (_, range)) in layout.heads().into_iter().enumerate() {
            let out = columns(&range)?;
            let out = if i == 0 { (out * self.field.heads.reach)? } else { out };
            let (last, head) = (&self.field.heads.last[i], &trace.heads[i]);
            let mut of_hidden = self.dense_backward(&mut store, last, &head.hidden, &out)?;
            for ((layer, said), (token, ..)) in self.drives_of(i, folded).zip(&head.driven).zip(DRIVES) {
                let width = said.dim(1)?;
                let loud = (&out * self.loud(&trace.attention, token, width)?)?;
                of_drives.push(self.frame_products(&loud, &head.hidden)?);
                of_hidden = (of_hidden + self.by_frame(&loud, layer)?)?;
                let heard = (&out * said)?.matmul(&self.constant_ones(width, 1)?)?;
                of_attention = (of_attention + heard.matmul(&self.unit(token)?)?)?;
            }
            let of_hidden = (of_hidden * head.hidden.sign()?)?;
            let part = self.hidden_of(i)?;
            of_hidden_weight.push(self.products(&of_hidden, &trace.top)?);
            of_hidden_bias.push(self.column_sums(&of_hidden)?);
            let share = of_hidden.matmul(&part.weight)?;
            of_top = Some(match of_top {
                Some(sum) => (sum + share)?,
                None => share,
            });
        }
        let hidden = &self.field.heads.hidden;
        store.insert(&hidden.weight, Tensor::cat(&of_hidden_weight, 0)?);
        if let Some(bias) = &hidden.bias {
            store.insert(bias, Tensor::cat(&of_hidden_bias, 0)?);
        }
        let of_top = of_top.ok_or_else(|| Error::Internal("a field has heads".into()))?;
        let mut of_rows = (of_top * trace.top.sign()?)?;
        let of_attention = (of_attention / self.field.layers.len() as f64)?;
        let of_weights = of_attention.matmul(&self.means.token.t()?)?;
        let mut of_folded = Vec::new();
        let layers = self.field.layers.iter().zip(&trace.layers).zip(&folded.layers);
        for ((layer, trace), folded) in layers.rev() {
            let (below, [score, bias, answer]) =
                self.layer_backward(&mut store, layer, trace, folded, &of_rows, &of_weights)?;
            of_rows = below;
            of_folded.splice(0..0, [score, bias, answer]);
        }
        of_folded.extend(of_drives);
        // What is asked is the same in every frame.
        let width = of_rows.dim(1)?;
        let all = of_rows.reshape((self.frames, self.rows * width))?;
        let of_first = self.constant_ones(1, self.frames)?.matmul(&all)?.reshape((self.rows, width))?;
        let of_asked = self.dense_backward(&mut store, &self.field.query, &trace.asked, &of_first)?;
        let features = self.field.config.plane_features();
        let part = |from: usize, count: usize| -> Result<Tensor> {
            Ok(of_asked.narrow(0, 0, self.real)?.narrow(1, from, count)?.contiguous()?)
        };
        Ok((store, [part(0, features)?, part(features, self.field.config.embedding)?], of_folded))
    }

    fn layer_backward(
        &self,
        store: &mut GradStore,
        layer: &Layer,
        trace: &LayerTrace,
        folded: &FoldedLayer,
        of_out: &Tensor,
        of_weights: &Tensor,
    ) -> Result<(Tensor, [Tensor; 3])> {
        let of_sum = self.norm_backward(store, &layer.norm2, &trace.norm2, of_out)?;
        let of_hidden = self.dense_backward(store, &layer.feed2, &trace.hidden, &of_sum)?;
        let of_hidden = (of_hidden * trace.hidden.sign()?)?;
        let of_middle = (of_sum + self.dense_backward(store, &layer.feed1, &trace.middle, &of_hidden)?)?;
        let of_sum = self.norm_backward(store, &layer.norm1, &trace.norm1, &of_middle)?;
        if let Some(bias) = layer.answer_bias() {
            store.insert(bias, self.column_sums(&of_sum)?);
        }
        let of_answer = self.frame_products(&trace.weights, &of_sum)?;
        let of_weights = (of_weights + self.by_frame(&of_sum, &folded.answer.transpose(1, 2)?)?)?;
        // Of a softmax: w·(g − Σ w·g), sums over a head's tokens.
        let pull = (&trace.weights * &of_weights)?;
        let of_score = (&pull - (&trace.weights * pull.matmul(&self.means.head)?)?)?;
        let of_matrix = self.frame_products(&of_score, &trace.input)?;
        let of_bias = self.frame_products(&self.ones, &of_score)?.squeeze(1)?;
        let of_input = (of_sum + self.by_frame(&of_score, &folded.score)?)?;
        Ok((of_input, [of_matrix, of_bias, of_answer]))
    }

    fn norm(&self, x: &Tensor, norm: &Norm) -> Result<(Tensor, Normed)> {
        let centred = x.matmul(&self.means.centre)?;
        let deviation = (centred.sqr()?.matmul(&self.means.mean)? + NORM_EPSILON)?.sqrt()?;
        let unit = (centred / &deviation)?;
        let rows = x.dim(0)?;
        let out = ((&unit * self.in_rows(&norm.gamma, rows)?)? + self.in_rows(&norm.beta, rows)?)?;
        Ok((out, Normed { unit, deviation }))
    }

    fn norm_backward(
        &self,
        store: &mut GradStore,
        norm: &Norm,
        trace: &Normed,
        gradient: &Tensor,
    ) -> Result<Tensor> {
        store.insert(&norm.beta, self.column_sums(gradient)?);
        store.insert(&norm.gamma, self.column_sums(&(gradient * &trace.unit)?)?);
        let g = (gradient * self.in_rows(&norm.gamma, gradient.dim(0)?)?)?;
        let mean = g.matmul(&self.means.mean)?;
        let along = (&g * &trace.unit)?.matmul(&self.means.mean)?;
        Ok((((g - mean)? - (&trace.unit * along)?)? / &trace.deviation)?)
    }

    fn dense(&self, x: &Tensor, layer: &Dense) -> Result<Tensor> {
        let y = x.matmul(&layer.weight.detach().t()?)?;
        match &layer.bias {
            Some(bias) => Ok((y + self.in_rows(bias, x.dim(0)?)?)?),
            None => Ok(y),
        }
    }

    /// Keeps the layer's gradients; that of its input.
    fn dense_backward(
        &self,
        store: &mut GradStore,
        layer: &Dense,
        input: &Tensor,
        gradient: &Tensor,
    ) -> Result<Tensor> {
        store.insert(&layer.weight, self.products(gradient, input)?);
        if let Some(bias) = &layer.bias {
            store.insert(bias, self.column_sums(gradient)?);
        }
        Ok(gradient.matmul(&layer.weight.detach())?)
    }

    /// The hidden layer of head `i` out of those of all heads.
    fn hidden_of(&self, i: usize) -> Result<Dense> {
        let width = self.field.config.head_width;
        let part = |t: &Tensor| t.detach().narrow(0, i * width, width);
        let hidden = &self.field.heads.hidden;
        Ok(Dense { weight: part(&hidden.weight)?, bias: hidden.bias.as_ref().map(part).transpose()? })
    }

    /// The driven layers of head `i`, `[frames, columns, width]` each.
    fn drives_of<'f>(&self, i: usize, folded: &'f Folded) -> impl Iterator<Item = &'f Tensor> + use<'f> {
        folded.heads.iter().skip(i * DRIVES.len()).take(DRIVES.len())
    }

    /// How loud a token is, in each of `width` columns.
    fn loud(&self, attention: &Tensor, token: usize, width: usize) -> Result<Tensor> {
        let column = self.unit(token)?.t()?;
        Ok(attention.matmul(&column.matmul(&self.constant_ones(1, width)?)?)?)
    }

    /// A row with a one for a token, `[1, 4]`.
    fn unit(&self, token: usize) -> Result<Tensor> {
        let eye = Tensor::eye(TOKENS, self.field.dtype, &self.field.device)?;
        Ok(eye.narrow(0, token, 1)?)
    }

    fn constant_ones(&self, rows: usize, columns: usize) -> Result<Tensor> {
        Ok(Tensor::ones((rows, columns), self.field.dtype, &self.field.device)?)
    }

    /// Rows of every frame times its own matrix, `[frames, a, b]`.
    fn by_frame(&self, x: &Tensor, matrices: &Tensor) -> Result<Tensor> {
        let (rows, width) = x.dims2()?;
        let y = x.reshape((self.frames, self.rows, width))?.matmul(&matrices.detach())?;
        let width = y.dim(2)?;
        Ok(y.reshape((rows, width))?)
    }

    /// A vector `[width]` in every row.
    fn in_rows(&self, vector: &Tensor, rows: usize) -> Result<Tensor> {
        Ok(self.ones.narrow(0, 0, rows)?.matmul(&vector.detach().unsqueeze(0)?)?)
    }

    /// Vectors `[frames, width]`, each in every row of its frame.
    fn in_frames(&self, vectors: &Tensor) -> Result<Tensor> {
        let width = vectors.dim(1)?;
        let ones = self.ones.reshape((self.frames, self.rows, 1))?;
        let y = ones.matmul(&vectors.detach().unsqueeze(1)?)?;
        Ok(y.reshape((self.frames * self.rows, width))?)
    }

    /// Σ over rows of aᵀ·b, piece by piece, `[pieces, columns of a, columns of b]`.
    fn piece_products(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let each = self.rows / PIECES;
        let pieces = |t: &Tensor| -> Result<Tensor> {
            let (rows, width) = t.dims2()?;
            Ok(t.reshape((rows / each, each, width))?)
        };
        Ok(pieces(a)?.transpose(1, 2)?.matmul(&pieces(b)?)?)
    }

    /// Σ over rows of aᵀ·b, `[columns of a, columns of b]`.
    fn products(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let products = self.piece_products(a, b)?;
        let (pieces, rows, columns) = products.dims3()?;
        let products = products.reshape((pieces, rows * columns))?;
        Ok(self.constant_ones(1, pieces)?.matmul(&products)?.reshape((rows, columns))?)
    }

    /// The same over the rows of each frame, `[frames, columns of a, columns of b]`.
    fn frame_products(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let products = self.piece_products(a, b)?;
        let (_, rows, columns) = products.dims3()?;
        let products = products.reshape((self.frames, PIECES, rows * columns))?;
        let ones = self.constant_ones(self.frames, PIECES)?.unsqueeze(1)?;
        Ok(ones.matmul(&products)?.reshape((self.frames, rows, columns))?)
    }

    /// Sums of the columns, `[columns]`.
    fn column_sums(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.products(&self.ones.narrow(0, 0, x.dim(0)?)?, x)?.squeeze(0)?)
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

impl Field {
    /// A step by tensors: deforms, asks `loss` for the gradient, and goes back.
    pub(super) fn tensor_step(
        &self,
        prepared: &Prepared,
        embedding: &Tensor,
        conditions: &[super::Conditions],
        loss: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<FieldGradients> {
        self.check(prepared, embedding, conditions)?;
        let folded = self.fold(conditions)?;
        let laid = self.planes.lay(prepared)?;
        let samples = self.planes.samples(&laid)?;
        let features = self.planes.features(&samples)?;
        let rows = TensorRows::new(self, prepared.len(), conditions.len())?;
        let (packed, trace) = rows.forward(&features, embedding, &folded)?;
        let gradient = loss(&packed)?;
        if gradient.dims() != packed.dims() {
            let (found, wanted) = (gradient.dims(), packed.dims());
            return Err(Error::Internal(format!("the field's gradient has shape {found:?}, not {wanted:?}")));
        }
        let (mut of_rows, [of_features, of_embedding], of_folded) =
            rows.backward(&trace, &folded, &gradient)?;
        drop(trace);
        // On through the small graph of the tokens: the gradient of a sum that nobody needs itself.
        let flat = |t: &Tensor| -> Result<Tensor> { Ok(t.flatten_all()?) };
        let said = folded.tensors().into_iter().map(flat).collect::<Result<Vec<_>>>()?;
        let pulls = of_folded.iter().map(flat).collect::<Result<Vec<_>>>()?;
        let of_tokens = (Tensor::cat(&said, 0)? * Tensor::cat(&pulls, 0)?)?.backward()?;
        let mut parameters = self.planes.backward_laid(&laid, &samples, &of_features)?;
        for (_, var) in &self.parameters()[parameters.len()..] {
            parameters.push(match of_rows.remove(var) {
                Some(gradient) => gradient,
                None => gradient_of(&of_tokens, var)?,
            });
        }
        Ok(FieldGradients { parameters, embedding: of_embedding })
    }
}
