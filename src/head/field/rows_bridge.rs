//! Between the field's tensors and the plain slices of its rows on the CPU.

use super::Field;
use super::deform::FieldGradients;
use super::frame_weights::Folded;
use super::params::Dense;
use super::rows::{DenseValues, FrameLayer, FrameValues, LayerValues, Planes, RowValues, Widths};
use super::rows_backward::RowGradients;
use super::triplane::PLANES;
use super::triplane_graph::with_values;
use crate::Result;
use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor, Var};
use rayon::prelude::*;

impl Field {
    /// Widths of everything.
    pub(super) fn widths(&self) -> Widths {
        let c = &self.config;
        Widths {
            sides: c.plane_resolutions.clone(),
            channels: c.plane_channels,
            embedding: c.embedding,
            model: c.model_width,
            heads: c.attention_heads,
            feed: c.feed_width,
            hidden: c.head_width,
            layout: self.layout.clone(),
            reach: self.heads.reach as f32,
        }
    }

    /// Runs `work` with the widths, the planes and the embedding.
    pub(super) fn with_rows<T>(
        &self,
        embedding: &Tensor,
        work: impl FnOnce(&Widths, &Planes<'_>, &[f32]) -> Result<T>,
    ) -> Result<T> {
        let widths = self.widths();
        let embedding = embedding.to_dtype(DType::F32)?.contiguous()?;
        let mut tensors: Vec<&Tensor> = self.planes.planes.iter().flatten().collect();
        tensors.push(&embedding);
        with_values(&tensors, |slices| {
            let planes: Vec<[&[f32]; PLANES]> =
                slices.chunks_exact(PLANES).map(|p| [p[0], p[1], p[2]]).collect();
            work(&widths, &planes, slices[slices.len() - 1])
        })
    }

    /// The parameters the rows use, in the order of [`RowValues::arrays_mut`].
    fn row_parameters(&self) -> Vec<Tensor> {
        let pair = |d: &Dense| std::iter::once(d.weight.clone()).chain(d.bias.clone()).collect::<Vec<_>>();
        let mut out = pair(&self.query);
        for layer in &self.layers {
            out.extend(layer.answer_bias().cloned());
            out.extend([layer.norm1.gamma.clone(), layer.norm1.beta.clone()]);
            out.extend(pair(&layer.feed1));
            out.extend(pair(&layer.feed2));
            out.extend([layer.norm2.gamma.clone(), layer.norm2.beta.clone()]);
        }
        out.extend(pair(&self.heads.hidden));
        self.heads.last.iter().for_each(|head| out.extend(pair(head)));
        out
    }

    /// The weights of the rows for frames that were folded one by one.
    pub(super) fn row_values(&self, folded: &[Folded]) -> Result<RowValues> {
        let layers = self.layers.len();
        let frame = FrameValues {
            layers: vec![FrameLayer::default(); layers],
            heads: vec![Vec::new(); folded.first().map_or(0, |frame| frame.heads.len())],
        };
        let mut values = RowValues {
            layers: vec![LayerValues::default(); layers],
            heads: vec![DenseValues::default(); self.heads.last.len()],
            frames: vec![frame; folded.len()],
            ..RowValues::default()
        };
        let mut tensors = self.row_parameters();
        tensors.extend(folded.iter().flat_map(|frame| frame.tensors().into_iter().cloned()));
        for (array, tensor) in values.arrays_mut().into_iter().zip(&tensors) {
            *array = tensor.flatten_all()?.to_vec1()?;
        }
        Ok(values)
    }

    /// The gradients of the rows in the order of the parameters; those of the folded matrices go on through the small
    /// graph of the tokens.
    pub(super) fn collect(
        &self,
        folded: &[Folded],
        rows: RowGradients,
        embedding: &Tensor,
    ) -> Result<FieldGradients> {
        let RowGradients { values, embedding: of_embedding, planes } = rows;
        let of_planes = self.parameters().iter().zip(planes);
        let mut parameters = of_planes
            .map(|((_, var), plane)| Ok(Tensor::from_vec(plane, var.dims(), &self.device)?))
            .collect::<Result<Vec<_>>>()?;
        parameters.extend(self.collect_rest(folded, values)?);
        let embedding = Tensor::from_vec(of_embedding, embedding.dims(), &self.device)?;
        Ok(FieldGradients { parameters, embedding })
    }

    /// The gradients of the parameters after the planes.
    pub(super) fn collect_rest(&self, folded: &[Folded], mut values: RowValues) -> Result<Vec<Tensor>> {
        let mut arrays = values.arrays_mut().into_iter();
        let mut of_rows = GradStore::default();
        for tensor in self.row_parameters() {
            let array = arrays.next().map(std::mem::take).unwrap_or_default();
            of_rows.insert(&tensor, Tensor::from_vec(array, tensor.dims(), &self.device)?);
        }
        let of_folded: Vec<Vec<f32>> = arrays.map(std::mem::take).collect();
        let each = of_folded.len().checked_div(folded.len()).unwrap_or(0).max(1);
        let of_tokens = match folded {
            // Waking another thread takes longer.
            [frame] => vec![self.back_through(frame, &of_folded)?],
            _ => {
                let frames = folded.par_iter().zip(of_folded.par_chunks(each));
                let back = frames.map(|(frame, gradients)| self.back_through(frame, gradients));
                back.collect::<Result<Vec<GradStore>>>()?
            }
        };
        let rest = &self.parameters()[self.config.plane_resolutions.len() * PLANES..];
        let rest: Vec<(&Var, Option<Tensor>)> =
            rest.iter().map(|(_, var)| (var, of_rows.remove(var))).collect();
        let gradient = |(var, of_rows): (&Var, Option<Tensor>)| match of_rows {
            Some(gradient) => Ok(gradient),
            None => self.sum_of(&of_tokens, var),
        };
        match of_tokens.as_slice() {
            [_] => rest.into_iter().map(gradient).collect(),
            _ => rest.into_par_iter().map(gradient).collect(),
        }
    }

    /// Back through the graph of a frame's tokens, from gradients of its folded matrices.
    fn back_through(&self, frame: &Folded, gradients: &[Vec<f32>]) -> Result<GradStore> {
        let mut surrogate = Tensor::zeros((), self.dtype, &self.device)?;
        for (tensor, gradient) in frame.tensors().into_iter().zip(gradients) {
            let gradient = Tensor::from_slice(gradient, tensor.dims(), &self.device)?;
            surrogate = (surrogate + (tensor * gradient)?.sum_all()?)?;
        }
        Ok(surrogate.backward()?)
    }

    /// The sum of a parameter's gradients in the frames, in their order.
    fn sum_of(&self, frames: &[GradStore], var: &Var) -> Result<Tensor> {
        let mut sum = vec![0.0; var.elem_count()];
        for gradient in frames.iter().filter_map(|store| store.get(var)) {
            let gradient: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
            sum.iter_mut().zip(gradient).for_each(|(s, g)| *s += g);
        }
        Ok(Tensor::from_vec(sum, var.dims(), &self.device)?)
    }
}
