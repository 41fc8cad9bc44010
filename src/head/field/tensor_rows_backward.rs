//! The way back of [`super::tensor_rows`], written by hand.

use super::Field;
use super::attention::{FoldedLayer, Layer, Norm};
use super::deform::gradient_of;
use super::frame_weights::Folded;
use super::heads::DRIVES;
use super::params::Dense;
use super::tensor_rows::{LayerTrace, Normed, PIECES, TensorRows, Trace};
use super::{FieldGradients, Prepared};
use crate::{Error, Result};
use candle_core::Tensor;
use candle_core::backprop::GradStore;

/// Gradients of the folded matrices, in the order of [`Folded::tensors`].
type OfFolded = Vec<Tensor>;

impl TensorRows<'_> {
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
        // The host finds out how places lie while it starts the tokens' many small operations.
        let (lists, folded) = std::thread::scope(|scope| {
            let lists = scope.spawn(|| self.planes.lists(prepared));
            let folded = self.fold(conditions);
            (lists.join(), folded)
        });
        let folded = folded?;
        let lists = lists.map_err(|_| Error::Internal("the thread that lays places out died".into()))?;
        let laid = self.planes.bring(&lists)?;
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
