//! Between the field's tensors and the plain slices of its rows on the CPU.

use super::deform::FieldGradients;
use super::params::Dense;
use super::rows::{DenseValues, FrameValues, LayerValues, Planes, RowValues, Widths};
use super::rows_backward::RowGradients;
use super::small_nets::{FrameNets, NetGradients};
use super::triplane::PLANES;
use super::triplane_graph::with_values;
use super::{Conditions, Field};
use crate::Result;
use candle_core::{DType, Tensor, TensorId, Var};
use rayon::prelude::*;
use std::collections::HashMap;

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

    /// Runs `work` on the values of all parameters.
    fn with_parameters<T>(&self, work: impl FnOnce(&[&[f32]]) -> Result<T>) -> Result<T> {
        let tensors: Vec<&Tensor> = self.parameters().iter().map(|(_, var)| var.as_tensor()).collect();
        with_values(&tensors, work)
    }

    /// The networks of each frame, side by side.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when conditions do not fit the field.
    pub(super) fn nets_each(&self, conditions: &[Conditions]) -> Result<Vec<FrameNets>> {
        self.with_parameters(|parameters| match conditions {
            // Waking another thread takes longer.
            [frame] => Ok(vec![self.frame_nets(parameters, frame)?]),
            _ => conditions.par_iter().map(|frame| self.frame_nets(parameters, frame)).collect(),
        })
    }

    /// The weights of the rows for frames whose networks were run.
    pub(super) fn row_values(&self, nets: &[FrameNets]) -> Result<RowValues> {
        let layers = self.layers.len();
        let mut values = RowValues {
            layers: vec![LayerValues::default(); layers],
            heads: vec![DenseValues::default(); self.heads.last.len()],
            ..RowValues::default()
        };
        for (array, tensor) in values.arrays_mut().into_iter().zip(&self.row_parameters()) {
            *array = tensor.flatten_all()?.to_vec1()?;
        }
        values.frames = nets.iter().map(|nets| nets.values.clone()).collect();
        Ok(values)
    }

    /// The gradients of the rows in the order of the parameters; those of the folded matrices go on through the small
    /// graph of the tokens.
    pub(super) fn collect(
        &self,
        nets: &[FrameNets],
        rows: RowGradients,
        embedding: &Tensor,
    ) -> Result<FieldGradients> {
        let RowGradients { values, embedding: of_embedding, planes } = rows;
        let of_planes = self.parameters().iter().zip(planes);
        let mut parameters = of_planes
            .map(|((_, var), plane)| Ok(Tensor::from_vec(plane, var.dims(), &self.device)?))
            .collect::<Result<Vec<_>>>()?;
        parameters.extend(self.collect_rest(nets, values)?);
        let embedding = Tensor::from_vec(of_embedding, embedding.dims(), &self.device)?;
        Ok(FieldGradients { parameters, embedding })
    }

    /// The gradients of the parameters after the planes.
    pub(super) fn collect_rest(&self, nets: &[FrameNets], mut values: RowValues) -> Result<Vec<Tensor>> {
        let frames = std::mem::take(&mut values.frames);
        let of_nets: Vec<NetGradients> = self.with_parameters(|parameters| {
            let back = |(nets, gradient): (&FrameNets, &FrameValues)| {
                self.frame_nets_backward(parameters, nets, gradient)
            };
            Ok(match nets {
                // Waking another thread takes longer.
                [_] => nets.iter().zip(&frames).map(back).collect(),
                _ => nets.par_iter().zip(&frames).map(back).collect(),
            })
        })?;
        let mut of_rows: HashMap<TensorId, Vec<f32>> = HashMap::new();
        for (tensor, array) in self.row_parameters().iter().zip(values.arrays_mut()) {
            of_rows.insert(tensor.id(), std::mem::take(array));
        }
        let first = self.config.plane_resolutions.len() * PLANES;
        let rest = self.parameters().iter().enumerate().skip(first);
        let rest: Vec<(usize, &Var, Option<Vec<f32>>)> =
            rest.map(|(i, (_, var))| (i, var, of_rows.remove(&var.id()))).collect();
        let gradient = |(i, var, of_rows): (usize, &Var, Option<Vec<f32>>)| {
            // Added in the order of the frames.
            let sum = of_rows.unwrap_or_else(|| {
                let mut sum = vec![0.0; var.elem_count()];
                for frame in &of_nets {
                    sum.iter_mut().zip(&frame[i]).for_each(|(s, g)| *s += g);
                }
                sum
            });
            Ok(Tensor::from_vec(sum, var.dims(), &self.device)?)
        };
        match nets {
            [_] => rest.into_iter().map(gradient).collect(),
            _ => rest.into_par_iter().map(gradient).collect(),
        }
    }
}
