//! The field itself: its parts put together, its ways forward and back.

use super::attention::Layer;
use super::config::FieldBounds;
use super::heads::Heads;
use super::net_index::NetIndex;
use super::params::{Dense, Parameters};
use super::rows::{infer, queries};
use super::rows_backward::backward;
use super::statistics::InputStatistics;
use super::tokens::TokenNets;
use super::triplane::{Prepared, TriPlane};
use super::triplane_graph::with_values;
use super::{Conditions, FieldConfig, Layout, TOKENS};
use crate::{Error, Result};
use candle_core::{D, DType, Device, Tensor, Var};

/// What the field says of some frames.
#[derive(Debug, Clone)]
pub struct Deformation {
    /// `[frames, surfels, columns]`, columns as [`Layout`] names them.
    pub packed: Tensor,
}

impl Deformation {
    /// Attention weights (audio, expression, camera, frame), `[frames, surfels, 4]`; they sum to 1.
    ///
    /// # Errors
    /// [`Error::Internal`] when the device fails.
    pub fn attention(&self, layout: &Layout) -> Result<Tensor> {
        Ok(self.packed.narrow(D::Minus1, layout.attention.start, TOKENS)?)
    }
}

/// Gradients of a loss with respect to everything the field learns.
#[derive(Debug, Clone)]
pub struct FieldGradients {
    /// One for each of [`Field::parameters`], same order and shapes.
    pub parameters: Vec<Tensor>,
    /// Of the embedding, `[surfels, embedding]`.
    pub embedding: Tensor,
}

/// The deformation field.
pub struct Field {
    pub(super) config: FieldConfig,
    pub(super) bounds: FieldBounds,
    pub(super) statistics: InputStatistics,
    pub(super) layout: Layout,
    pub(super) parameters: Parameters,
    pub(super) planes: TriPlane,
    pub(super) tokens: TokenNets,
    pub(super) query: Dense,
    pub(super) layers: Vec<Layer>,
    pub(super) heads: Heads,
    /// Where the parameters of the small networks stand among all.
    pub(super) nets: NetIndex,
    pub(super) device: Device,
    pub(super) dtype: DType,
}

impl Field {
    /// A new field over a box, in f32. The same seed gives the same parameters on every machine.
    ///
    /// # Errors
    /// [`Error::Input`] for sizes no field can have.
    pub fn new(config: FieldConfig, bounds: &FieldBounds, seed: u64, device: &Device) -> Result<Self> {
        Self::with_dtype(config, bounds, seed, device, DType::F32)
    }

    /// [`Field::new`] in another type of number (f64 for checks of gradients).
    ///
    /// # Errors
    /// As [`Field::new`].
    pub fn with_dtype(
        config: FieldConfig,
        bounds: &FieldBounds,
        seed: u64,
        device: &Device,
        dtype: DType,
    ) -> Result<Self> {
        config.check()?;
        bounds.check()?;
        let mut p = Parameters::new(seed, dtype, device);
        let planes = TriPlane::new(&mut p, &config)?;
        let tokens = TokenNets::new(&mut p, &config)?;
        let inputs = config.plane_features() + config.embedding;
        let query = p.dense("query", inputs, config.model_width, 1.0)?;
        let layers = (0..config.layers).map(|i| Layer::new(&mut p, i, &config)).collect::<Result<_>>()?;
        let heads = Heads::new(&mut p, &config, bounds.longest())?;
        let names: Vec<&str> = p.list.iter().map(|(name, _)| name.as_str()).collect();
        let nets = NetIndex::new(&names, &config)?;
        Ok(Field {
            nets,
            layout: Layout::new(config.sh_degree),
            statistics: InputStatistics::none(&config),
            bounds: *bounds,
            parameters: p,
            device: device.clone(),
            config,
            planes,
            tokens,
            query,
            layers,
            heads,
            dtype,
        })
    }

    /// What is learned: names and variables, always in the same order. Names that begin with `planes.` are the tri-planes,
    /// which want a larger learning rate than the rest.
    pub fn parameters(&self) -> &[(String, Var)] {
        &self.parameters.list
    }

    /// The values of the tri-planes, plane after plane, scale after scale.
    ///
    /// # Errors
    /// [`Error::Internal`] when the device fails.
    pub fn plane_values(&self) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        for plane in self.planes.planes.iter().flatten() {
            values.extend(plane.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(values)
    }

    /// The columns of the packed deformation.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The sizes it was made with.
    pub fn config(&self) -> &FieldConfig {
        &self.config
    }

    /// The box its planes cover.
    pub fn bounds(&self) -> &FieldBounds {
        &self.bounds
    }

    /// Where its tensors are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Brings what drives the tokens to mean 0 and deviation 1 over these conditions, those of the training, from now on.
    pub fn set_statistics(&mut self, conditions: &[Conditions]) {
        self.statistics = InputStatistics::of(conditions, &self.config);
    }

    /// Lays canonical places, `[n, 3]`, onto the planes. Cheap enough for every step (1 ms for 50,000).
    ///
    /// # Errors
    /// [`Error::Internal`] for places that are not finite.
    pub fn prepare(&self, positions: &[f32]) -> Result<Prepared> {
        self.planes.prepare(positions, &self.bounds)
    }

    /// The deformation of all frames in candle's graph, on any device: gradients reach the parameters and the
    /// embedding `[n, embedding]` from it.
    ///
    /// # Errors
    /// [`Error::Internal`] when shapes disagree or the device fails.
    pub fn forward(
        &self,
        prepared: &Prepared,
        embedding: &Tensor,
        conditions: &[Conditions],
    ) -> Result<Deformation> {
        self.check(prepared, embedding, conditions)?;
        self.graph(&self.planes.forward(prepared)?, embedding, conditions)
    }

    /// The same without a graph, the fast way.
    ///
    /// # Errors
    /// As [`Field::forward`].
    pub fn infer(
        &self,
        prepared: &Prepared,
        embedding: &Tensor,
        conditions: &[Conditions],
    ) -> Result<Deformation> {
        self.check(prepared, embedding, conditions)?;
        let values = self.row_values(&self.nets_each(conditions)?)?;
        let packed = self.with_rows(embedding, |w, planes, embedding| {
            Ok(infer(w, &values, &queries(w, &values, planes, &prepared.sites, embedding)))
        })?;
        let shape = (conditions.len(), prepared.rows, self.layout.columns);
        Ok(Deformation { packed: Tensor::from_vec(packed, shape, &self.device)? })
    }

    /// Gradients of `Σ packed·gradient` for what [`Field::infer`] gives of the same arguments; recomputes the forward pass.
    ///
    /// # Errors
    /// As [`Field::forward`].
    pub fn backward(
        &self,
        prepared: &Prepared,
        embedding: &Tensor,
        conditions: &[Conditions],
        gradient: &Tensor,
    ) -> Result<FieldGradients> {
        self.check(prepared, embedding, conditions)?;
        let shape = [conditions.len(), prepared.rows, self.layout.columns];
        if gradient.dims() != shape {
            let found = gradient.dims();
            return Err(Error::Internal(format!("the field's gradient has shape {found:?}, not {shape:?}")));
        }
        let nets = self.nets_each(conditions)?;
        let values = self.row_values(&nets)?;
        let gradient = gradient.contiguous()?;
        let rows = with_values(&[&gradient], |packed| {
            self.with_rows(embedding, |w, planes, embedding| {
                Ok(backward(w, &values, planes, &prepared.sites, embedding, packed[0]))
            })
        })?;
        self.collect(&nets, rows, embedding)
    }

    /// One step of training: deforms, asks `loss` for the gradient of the packed deformation (same shape), and runs the
    /// backward pass, which computes the forward pass again: that is faster than keeping its activations.
    ///
    /// # Errors
    /// As [`Field::forward`], and what `loss` returns.
    pub fn step(
        &self,
        prepared: &Prepared,
        embedding: &Tensor,
        conditions: &[Conditions],
        loss: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<FieldGradients> {
        let gradient = loss(&self.infer(prepared, embedding, conditions)?.packed)?;
        self.backward(prepared, embedding, conditions, &gradient)
    }

    pub(super) fn check(
        &self,
        prepared: &Prepared,
        embedding: &Tensor,
        conditions: &[Conditions],
    ) -> Result<()> {
        let expected = [prepared.rows, self.config.embedding];
        let sides = prepared.sites.len() == self.planes.sides.len();
        if embedding.dims() != expected || conditions.is_empty() || prepared.is_empty() || !sides {
            return Err(Error::Internal(format!(
                "the field takes an embedding {expected:?} and at least one surfel and frame, got {:?} and {} frames",
                embedding.dims(),
                conditions.len()
            )));
        }
        Ok(())
    }

    fn graph(&self, features: &Tensor, embedding: &Tensor, conditions: &[Conditions]) -> Result<Deformation> {
        let folded = self.fold(conditions)?;
        let x = self.query.forward(&Tensor::cat(&[features, embedding], 1)?)?;
        let (rows, width) = x.dims2()?;
        let mut x = x.unsqueeze(0)?.broadcast_as((conditions.len(), rows, width))?.contiguous()?;
        let mut attention: Option<Tensor> = None;
        for (layer, folded) in self.layers.iter().zip(&folded.layers) {
            let (rows, weights) = layer.forward(&x, folded)?;
            x = rows;
            attention = Some(match attention {
                Some(sum) => (sum + weights)?,
                None => weights,
            });
        }
        let attention = attention.ok_or_else(|| Error::Internal("a field has at least one layer".into()))?;
        let attention = (attention / self.layers.len() as f64)?;
        Ok(Deformation {
            packed: Tensor::cat(&[self.heads.forward(&x, &attention, &folded.heads)?, attention], D::Minus1)?,
        })
    }

    /// The step through candle's graph, the oracle of the field's tests.
    #[cfg(test)]
    pub(super) fn graph_step(
        &self,
        prepared: &Prepared,
        embedding: &Tensor,
        conditions: &[Conditions],
        loss: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<FieldGradients> {
        let embedding = Var::from_tensor(&embedding.detach())?;
        let packed = self.forward(prepared, &embedding, conditions)?.packed;
        let gradient = loss(&packed.detach())?;
        let store = (&packed * gradient.detach())?.sum_all()?.backward()?;
        let gradient_of = |tensor: &Tensor| match store.get(tensor) {
            Some(gradient) => Ok(gradient.clone()),
            None => tensor.zeros_like(),
        };
        let parameters = self.parameters().iter().map(|(_, var)| gradient_of(var));
        Ok(FieldGradients {
            parameters: parameters.collect::<candle_core::Result<_>>()?,
            embedding: gradient_of(&embedding)?,
        })
    }
}
