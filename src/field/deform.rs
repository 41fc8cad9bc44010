//! The field itself: its parts put together, its ways forward and back.

use super::attention::{Folded, Layer};
use super::config::FieldBounds;
use super::heads::Heads;
use super::params::{Dense, Parameters, from_bytes, to_bytes};
use super::rows::{DenseValues, FrameValues, LayerValues, RowValues, Widths, infer, queries};
use super::rows_backward::{RowGradients, backward};
use super::tokens::{CameraStatistics, TokenNets};
use super::triplane::{PLANES, Prepared, TriPlane};
use super::triplane_graph::with_values;
use super::{Conditions, FieldConfig, Layout, TOKENS};
use crate::{Error, Result};
use candle_core::backprop::GradStore;
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
    config: FieldConfig,
    bounds: FieldBounds,
    cameras: CameraStatistics,
    layout: Layout,
    parameters: Parameters,
    planes: TriPlane,
    tokens: TokenNets,
    query: Dense,
    layers: Vec<Layer>,
    heads: Heads,
    device: Device,
    dtype: DType,
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
        Ok(Field {
            layout: Layout::new(config.sh_degree),
            cameras: CameraStatistics::default(),
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

    /// The field of [`Field::to_safetensors`]; `at` names the file in errors.
    ///
    /// # Errors
    /// [`Error::Input`] that names the tensor that is missing, left over, of another shape, or not finite.
    pub fn from_safetensors(config: FieldConfig, at: &str, bytes: &[u8], device: &Device) -> Result<Self> {
        let bounds = FieldBounds { min: [0.0; 3], max: [1.0; 3] };
        let mut field = Self::new(config, &bounds, 0, device)?;
        field.load(at, bytes)?;
        Ok(field)
    }

    /// Puts the parameters and buffers of [`Field::to_safetensors`] into this field, all or none.
    ///
    /// # Errors
    /// As [`Field::from_safetensors`].
    pub fn load(&mut self, at: &str, bytes: &[u8]) -> Result<()> {
        let mut wanted: Vec<_> =
            self.parameters().iter().map(|(name, var)| (name.clone(), var.dims().to_vec())).collect();
        wanted.extend(self.buffers()?.iter().map(|(name, tensor)| (name.clone(), tensor.dims().to_vec())));
        let mut values = from_bytes(at, bytes, &wanted)?;
        let buffers = values.split_off(self.parameters().len()).concat();
        let three = |from: usize| std::array::from_fn(|k| buffers[from + k]);
        let bounds = FieldBounds { min: three(0), max: three(3) };
        bounds.check().map_err(|_| {
            Error::input(
                format!("{at}, tensor bounds"),
                "a box",
                format!("{bounds:?}"),
                "use another checkpoint",
            )
        })?;
        self.bounds = bounds;
        self.heads.reach = self.config.position_range * f64::from(bounds.longest());
        self.cameras.mean = std::array::from_fn(|k| buffers[6 + k]);
        self.cameras.deviation = std::array::from_fn(|k| buffers[18 + k].max(f32::MIN_POSITIVE));
        for ((_, var), values) in self.parameters().iter().zip(values) {
            var.set(&Tensor::from_vec(values, var.dims(), &self.device)?.to_dtype(self.dtype)?)?;
        }
        Ok(())
    }

    /// Parameters and buffers (bounds, statistics of the cameras) as the bytes of a safetensors file.
    ///
    /// # Errors
    /// [`Error::Internal`] when the device fails.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        let mut tensors: Vec<_> =
            self.parameters().iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
        tensors.extend(self.buffers()?);
        to_bytes(&tensors)
    }

    fn buffers(&self) -> Result<[(String, Tensor); 2]> {
        let bounds = [self.bounds.min, self.bounds.max];
        let cameras = [self.cameras.mean, self.cameras.deviation];
        Ok([
            ("bounds".into(), Tensor::new(&bounds, &self.device)?),
            ("cameras".into(), Tensor::new(&cameras, &self.device)?),
        ])
    }

    /// What is learned: names and variables, always in the same order. Names that begin with `planes.` are the tri-planes,
    /// which want a larger learning rate than the rest.
    pub fn parameters(&self) -> &[(String, Var)] {
        &self.parameters.list
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

    /// Brings camera tokens to mean 0 and deviation 1 over these cameras ([`crate::Camera::token`]), from now on.
    pub fn set_cameras(&mut self, cameras: &[[f32; 12]]) {
        self.cameras = CameraStatistics::of(cameras);
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
        if !self.by_rows() {
            let out = self.forward(prepared, embedding, conditions)?;
            return Ok(Deformation { packed: out.packed.detach() });
        }
        self.check(prepared, embedding, conditions)?;
        let values = self.row_values(&self.fold(conditions)?)?;
        let packed = self.with_rows(prepared, embedding, |w, planes, embedding| {
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
        if !self.by_rows() {
            return self.graph_step(prepared, embedding, conditions, |_| Ok(gradient.clone()));
        }
        self.check(prepared, embedding, conditions)?;
        let shape = [conditions.len(), prepared.rows, self.layout.columns];
        if gradient.dims() != shape {
            let found = gradient.dims();
            return Err(Error::Internal(format!("the field's gradient has shape {found:?}, not {shape:?}")));
        }
        let folded = self.fold(conditions)?;
        let values = self.row_values(&folded)?;
        let gradient = gradient.contiguous()?;
        let rows = with_values(&[&gradient], |packed| {
            self.with_rows(prepared, embedding, |w, planes, embedding| {
                Ok(backward(w, &values, planes, &prepared.sites, embedding, packed[0]))
            })
        })?;
        self.collect(&folded, rows, embedding)
    }

    /// One step of training: deforms, asks `loss` for the gradient of the packed deformation (same shape), and goes back. On a
    /// GPU the graph of the forward pass is kept; on the CPU computing it again is faster than keeping it.
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
        if !self.by_rows() {
            return self.graph_step(prepared, embedding, conditions, loss);
        }
        let gradient = loss(&self.infer(prepared, embedding, conditions)?.packed)?;
        self.backward(prepared, embedding, conditions, &gradient)
    }

    fn by_rows(&self) -> bool {
        self.device.is_cpu() && self.dtype == DType::F32
    }

    fn check(&self, prepared: &Prepared, embedding: &Tensor, conditions: &[Conditions]) -> Result<()> {
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

    fn fold(&self, conditions: &[Conditions]) -> Result<Vec<Folded>> {
        let tokens = self.tokens.forward(conditions, &self.cameras, &self.device, self.dtype)?;
        self.layers.iter().map(|layer| layer.fold(&tokens)).collect()
    }

    fn graph(&self, features: &Tensor, embedding: &Tensor, conditions: &[Conditions]) -> Result<Deformation> {
        let folded = self.fold(conditions)?;
        let x = self.query.forward(&Tensor::cat(&[features, embedding], 1)?)?;
        let (rows, width) = x.dims2()?;
        let mut x = x.unsqueeze(0)?.broadcast_as((conditions.len(), rows, width))?.contiguous()?;
        let mut attention: Option<Tensor> = None;
        for (layer, folded) in self.layers.iter().zip(&folded) {
            let (rows, weights) = layer.forward(&x, folded)?;
            x = rows;
            attention = Some(match attention {
                Some(sum) => (sum + weights)?,
                None => weights,
            });
        }
        let attention = attention.ok_or_else(|| Error::Internal("a field has at least one layer".into()))?;
        let attention = (attention / self.layers.len() as f64)?;
        Ok(Deformation { packed: Tensor::cat(&[self.heads.forward(&x)?, attention], D::Minus1)? })
    }

    /// The step through the graph. Features and embedding are leaves, so that the planes' gradient is ours and not that of
    /// candle's selection.
    pub(super) fn graph_step(
        &self,
        prepared: &Prepared,
        embedding: &Tensor,
        conditions: &[Conditions],
        loss: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<FieldGradients> {
        self.check(prepared, embedding, conditions)?;
        let features = Var::from_tensor(&self.planes.forward(prepared)?.detach())?;
        let embedding = Var::from_tensor(&embedding.detach())?;
        let packed = self.graph(&features, &embedding, conditions)?.packed;
        let gradient = loss(&packed.detach())?;
        let store = (&packed * gradient.detach())?.sum_all()?.backward()?;
        let of_features = gradient_of(&store, &features)?;
        let mut parameters = self.planes.backward_portable(prepared, &of_features)?;
        for (_, var) in &self.parameters()[parameters.len()..] {
            parameters.push(gradient_of(&store, var)?);
        }
        Ok(FieldGradients { parameters, embedding: gradient_of(&store, &embedding)? })
    }

    fn with_rows<T>(
        &self,
        prepared: &Prepared,
        embedding: &Tensor,
        work: impl FnOnce(&Widths, &super::rows::Planes<'_>, &[f32]) -> Result<T>,
    ) -> Result<T> {
        let c = &self.config;
        let widths = Widths {
            sides: c.plane_resolutions.clone(),
            channels: c.plane_channels,
            embedding: c.embedding,
            model: c.model_width,
            heads: c.attention_heads,
            feed: c.feed_width,
            hidden: c.head_width,
            layout: self.layout.clone(),
            reach: self.heads.reach as f32,
        };
        debug_assert_eq!(prepared.sites.len(), widths.sides.len());
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

    fn row_values(&self, folded: &[Folded]) -> Result<RowValues> {
        let frames = folded[0].score.dim(0)?;
        let layers = self.layers.len();
        let mut values = RowValues {
            layers: vec![LayerValues::default(); layers],
            heads: vec![DenseValues::default(); self.heads.last.len()],
            frames: vec![vec![FrameValues::default(); layers]; frames],
            ..RowValues::default()
        };
        let mut tensors = self.row_parameters();
        for frame in 0..frames {
            for layer in folded {
                tensors.extend([
                    layer.score.get(frame)?,
                    layer.score_bias.get(frame)?,
                    layer.answer.get(frame)?,
                ]);
            }
        }
        for (array, tensor) in values.arrays_mut().into_iter().zip(&tensors) {
            *array = tensor.flatten_all()?.to_vec1()?;
        }
        Ok(values)
    }

    /// The gradients of the rows in the order of the parameters; those of the folded matrices go on through the small
    /// graph of the tokens.
    fn collect(&self, folded: &[Folded], rows: RowGradients, embedding: &Tensor) -> Result<FieldGradients> {
        let RowGradients { mut values, embedding: of_embedding, planes } = rows;
        let mut arrays = values.arrays_mut().into_iter();
        let mut of_rows = GradStore::default();
        for tensor in self.row_parameters() {
            let array = arrays.next().map(std::mem::take).unwrap_or_default();
            of_rows.insert(&tensor, Tensor::from_vec(array, tensor.dims(), &self.device)?);
        }
        let rest: Vec<Vec<f32>> = arrays.map(std::mem::take).collect();
        let mut surrogate = Tensor::zeros((), self.dtype, &self.device)?;
        for (l, layer) in folded.iter().enumerate() {
            for (k, tensor) in [&layer.score, &layer.score_bias, &layer.answer].into_iter().enumerate() {
                let of_layer = rest.iter().skip(3 * l + k).step_by(3 * folded.len());
                let gradient: Vec<f32> = of_layer.flatten().copied().collect();
                let gradient = Tensor::from_vec(gradient, tensor.dims(), &self.device)?;
                surrogate = (surrogate + (tensor * gradient)?.sum_all()?)?;
            }
        }
        let of_tokens = surrogate.backward()?;
        let mut parameters = Vec::with_capacity(self.parameters().len());
        for ((_, var), plane) in self.parameters().iter().zip(planes) {
            parameters.push(Tensor::from_vec(plane, var.dims(), &self.device)?);
        }
        for (_, var) in &self.parameters()[parameters.len()..] {
            parameters.push(match of_rows.remove(var) {
                Some(gradient) => gradient,
                None => gradient_of(&of_tokens, var)?,
            });
        }
        let embedding = Tensor::from_vec(of_embedding, embedding.dims(), &self.device)?;
        Ok(FieldGradients { parameters, embedding })
    }
}

fn gradient_of(store: &GradStore, tensor: &Tensor) -> Result<Tensor> {
    match store.get(tensor) {
        Some(gradient) => Ok(gradient.clone()),
        None => Ok(tensor.zeros_like()?),
    }
}
