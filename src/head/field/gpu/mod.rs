//! The field on the GPU. Planes and embedding live there with the state of Adam, and the deltas never leave it. The tokens and
//! the small weights stay with [`Field`] on the CPU: the weights of a step's frames are uploaded, their gradients read back.
//! So a step moves some hundred kilobytes, whatever the number of surfels.
//!
//! ```text
//! sample_planes ─▶ dense ─▶ layers × (dense, attend, dense, normalise, dense, dense, normalise) ─▶ dense ─▶ heads
//! ```
//!
//! Every stage has its twin in `rows`, `rows_backward` and `triplane`; tests hold the two together. Sums over rows are made
//! in pieces of fixed size, those of the planes in integers, so the same numbers give the same bits.

mod activations;
mod backward;
mod deltas;
mod forward;
mod record;
mod state;
mod uniforms;
mod weights;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests;

use super::rows::Widths;
use super::triplane::PLANES;
use super::{Conditions, Field};
use crate::gpu::Gpu;
use crate::gpu::Recorder;
use crate::gpu::{PooledBuffer, append, size_class};
use crate::loss::gpu::EmbeddingBuffers;
use crate::{Error, Result};
use activations::{Activations, GradientBuffers};
use backward::BackwardIo;
use candle_core::{DType, Tensor};
pub use deltas::DeviceDeltas;
use record::{Recording, Shape};
pub use state::DeviceField;
use state::{BackwardBuffers, ForwardState};
use uniforms::LearnUniform;
use weights::SumPlaces;
use wgpu::Buffer;

/// What is learned on the device: numbers, then first and second moments of Adam (Kingma & Ba 2015).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Learned<A> {
    /// Of the tri-planes, plane after plane as [`Field::parameters`] has them.
    pub planes: [A; 3],
    /// Of the embedding, `[surfels, embedding]`.
    pub embedding: [A; 3],
}

impl Learned<Vec<f32>> {
    /// The same, borrowed.
    pub fn as_slices(&self) -> Learned<&[f32]> {
        let Learned { planes, embedding } = self;
        Learned {
            planes: planes.each_ref().map(Vec::as_slice),
            embedding: embedding.each_ref().map(Vec::as_slice),
        }
    }
}

/// A step of Adam: its learning rates, and 1 − βᵗ of either moment for both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LearnRates {
    /// Of the planes.
    pub planes: f32,
    /// Of the embedding.
    pub embedding: f32,
    /// Of the planes' moments.
    pub plane_corrections: [f32; 2],
    /// Of the embedding's.
    pub embedding_corrections: [f32; 2],
}

impl DeviceField {
    /// Whether the device has room for a field's planes and for rows of so many surfels in so many frames.
    pub fn fits(gpu: &Gpu, field: &Field, surfels: usize, frames: usize) -> bool {
        let widths = field.widths();
        let limit = gpu.binding_limit();
        let inputs = widths.features() + widths.embedding;
        let packed = frames * surfels * widths.layout.columns;
        let buffers = [2 * plane_numbers(&widths), surfels * inputs, packed];
        let fit = buffers.iter().all(|n| size_class(4 * *n as u64) <= limit);
        fit && activations::frames_together(&widths, field.layers.len(), surfels, 1, limit).is_some()
    }

    /// Takes planes, embedding and their moments to the device.
    ///
    /// # Errors
    /// [`Error::Internal`] when numbers are missing or the field is not one of 32-bit floats on the CPU,
    /// [`Error::Input`] when there is no room, [`Error::DeviceLost`] when the device goes away.
    pub fn new(gpu: &Gpu, field: &Field, learned: &Learned<&[f32]>) -> Result<Self> {
        let widths = field.widths();
        let (numbers, count) = (plane_numbers(&widths), learned.embedding[0].len());
        let surfels = count / widths.embedding;
        let same = |arrays: &[&[f32]; 3], count: usize| arrays.iter().all(|a| a.len() == count);
        if !field.device().is_cpu()
            || field.dtype != DType::F32
            || surfels == 0
            || surfels * widths.embedding != count
            || !same(&learned.planes, numbers)
            || !same(&learned.embedding, count)
        {
            let found = [&learned.planes, &learned.embedding].map(|a| a.map(<[f32]>::len));
            return Err(Error::Internal(format!("{found:?} numbers for a field on a device")));
        }
        if !Self::fits(gpu, field, surfels, 1) {
            return Err(Error::input(
                format!("the memory of {}", gpu.name()),
                "room for the field",
                format!("{surfels} surfels and {numbers} numbers of planes"),
                "use fewer with --max_points, or --device cpu",
            ));
        }
        let upload = |arrays: [&[f32]; 3]| -> Result<[PooledBuffer; 3]> {
            let [a, b, c] = arrays;
            Ok([gpu.upload(&[a])?, gpu.upload(&[b])?, gpu.upload(&[c])?])
        };
        let inputs = widths.features() + widths.embedding;
        Ok(DeviceField {
            planes: upload(learned.planes)?,
            embedding: upload(learned.embedding)?,
            plane_sums: gpu.storage(8 * numbers as u64),
            of_inputs: gpu.storage(4 * (surfels * inputs) as u64),
            plane_numbers: numbers,
            gpu: gpu.clone(),
            bounds: field.bounds,
            deltas: None,
            forward_state: None,
            back: None,
            widths,
            surfels,
        })
    }

    /// Everything as it is now.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when the device is gone.
    pub fn get(&self) -> Result<Learned<Vec<f32>>> {
        let mut learned = Learned::<Vec<f32>>::default();
        let bytes = [4 * self.plane_numbers as u64, 4 * (self.surfels * self.widths.embedding) as u64];
        let of = |arrays: &[PooledBuffer; 3], bytes: u64| arrays.each_ref().map(|a| ((**a).clone(), bytes));
        let buffers = [of(&self.planes, bytes[0]), of(&self.embedding, bytes[1])].concat();
        let sources: Vec<(&Buffer, u64)> = buffers.iter().map(|(b, n)| (b, *n)).collect();
        let encoder = self.gpu.device.create_command_encoder(&Default::default());
        self.gpu.submit_and_read(encoder, &sources, |i, data| {
            let arrays = learned.planes.iter_mut().chain(&mut learned.embedding);
            if let Some(to) = arrays.into_iter().nth(i) {
                append(to, data);
            }
        })?;
        Ok(learned)
    }

    /// Records the packed deformation of every frame for surfels at `positions`, `[surfels, 3]` at the start of the buffer. The
    /// result, and room for its gradient, is [`DeviceField::deltas`].
    ///
    /// # Errors
    /// [`Error::Internal`] when conditions do not fit the field, [`Error::Input`] when there is no room for so many frames,
    /// [`Error::DeviceLost`] when the device goes away.
    pub fn record_forward(
        &mut self,
        recorder: &mut Recorder<'_>,
        field: &Field,
        conditions: &[Conditions],
        positions: &Buffer,
    ) -> Result<()> {
        let (surfels, frames) = (self.surfels, conditions.len());
        if frames == 0 || positions.size() < 12 * surfels as u64 {
            let found = positions.size();
            return Err(Error::Internal(format!(
                "{found} bytes of positions for {surfels} surfels in {frames} frames"
            )));
        }
        // The buffers of the last step make room first.
        (self.forward_state, self.back) = (None, None);
        let nets = field.nets_each(conditions)?;
        let values = field.row_values(&nets)?;
        let (places, weights) = weights::lay(&self.widths, &values);
        let limit = self.gpu.binding_limit();
        let numbers = (frames * surfels * self.widths.layout.columns) as u64;
        if size_class(4 * numbers) > limit {
            return Err(Error::input(
                format!("the memory of {}", self.gpu.name()),
                format!("rows of at most {} MiB", limit >> 20),
                format!("{surfels} surfels in {frames} frames, {} MiB", (4 * numbers) >> 20),
                "use a smaller --batch_size, fewer surfels (--max_points), or --device cpu",
            ));
        }
        let together =
            activations::frames_together(&self.widths, places.layers.len(), surfels, frames, limit)
                .unwrap_or(1);
        let w = &self.widths;
        let shape = Shape { frames: together, rows: surfels };
        let mut forward_state = ForwardState {
            activations: Activations::new(&self.gpu, w, places.layers.len(), shape),
            nets,
            values,
            places,
            weights: self.gpu.upload(&[&weights])?,
            positions: positions.clone(),
            frames,
            together,
            inputs: self.gpu.storage(4 * (surfels * (w.features() + w.embedding)) as u64),
            rows: self.gpu.storage(4 * (surfels * w.model) as u64),
            _uniforms: Vec::new(),
        };
        if self.deltas.as_ref().is_none_or(|deltas| deltas.len != numbers) {
            self.deltas = Some(DeviceDeltas::new(&self.gpu, numbers));
        }
        let packed = (*self.deltas()?.values).clone();
        let mut recording = Recording::new(&self.gpu);
        self.ask_planes(&mut recording, &forward_state);
        for range in groups(&forward_state) {
            self.frames_there(&mut recording, &forward_state, &range, &packed);
        }
        forward_state._uniforms.push(recording.record_into(recorder)?);
        self.forward_state = Some(forward_state);
        Ok(())
    }

    /// The packed deformation of the last forward pass, `[frames, surfels, columns]`, and its gradient.
    ///
    /// # Errors
    /// [`Error::Internal`] when there was none.
    pub fn deltas(&self) -> Result<&DeviceDeltas> {
        self.deltas.as_ref().ok_or_else(|| Error::Internal("a field without a forward pass".into()))
    }

    /// Records the backward pass from the gradient beside [`DeviceField::deltas`]. The gradients of planes and embedding stay
    /// on the device; the sums of [`DeviceField::sums`] are to be read back for [`DeviceField::gradients`].
    ///
    /// # Errors
    /// [`Error::Internal`] when there was no forward pass.
    pub fn record_backward(&mut self, recorder: &mut Recorder<'_>) -> Result<()> {
        let Some(forward_state) = &self.forward_state else {
            return Err(Error::Internal("a backward pass of the field without its forward pass".into()));
        };
        let places = SumPlaces::new(&self.widths, forward_state.places.layers.len(), forward_state.frames);
        let sums = self.gpu.storage(4 * places.count as u64);
        let of_rows = self.gpu.storage(4 * (self.surfels * self.widths.model) as u64);
        let shape = Shape { frames: forward_state.together, rows: self.surfels };
        let back = GradientBuffers::new(&self.gpu, &self.widths, shape);
        let deltas = self.deltas()?;
        let ways = BackwardIo {
            packed: &deltas.values,
            of_packed: &deltas.gradients,
            sums: &sums,
            places: &places,
            of_rows: &of_rows,
            back: &back,
        };
        let mut recording = Recording::new(&self.gpu);
        for range in groups(forward_state) {
            if forward_state.together < forward_state.frames {
                self.frames_there(&mut recording, forward_state, &range, ways.packed);
            }
            self.frames_back(&mut recording, forward_state, &range, &ways);
        }
        self.planes_back(&mut recording, forward_state, &ways);
        let uniforms = vec![recording.record_into(recorder)?];
        self.back = Some(BackwardBuffers { sums, places, _scratch: (of_rows, back, uniforms) });
        Ok(())
    }

    /// The sums that the last backward pass left, and how many bytes they are.
    ///
    /// # Errors
    /// [`Error::Internal`] when there was none.
    pub fn sums(&self) -> Result<(&Buffer, u64)> {
        let back = self.back.as_ref().ok_or_else(no_backward)?;
        Ok((&back.sums, 4 * back.places.count as u64))
    }

    /// Gradients of the small parameters from the sums that were read back, one for each of [`Field::parameters`] after the
    /// planes.
    ///
    /// # Errors
    /// [`Error::Internal`] when there was no backward pass, or the sums are not its.
    pub fn gradients(&self, field: &Field, sums: &[f32]) -> Result<Vec<Tensor>> {
        let (Some(forward_state), Some(back)) = (&self.forward_state, &self.back) else {
            return Err(no_backward());
        };
        if sums.len() != back.places.count {
            let (found, expected) = (sums.len(), back.places.count);
            return Err(Error::Internal(format!("{found} sums of the field where {expected} belong")));
        }
        field.collect_rest(
            &forward_state.nets,
            back.places.gradients(&self.widths, &forward_state.values, sums),
        )
    }

    /// The embedding and its gradient, which [`DeviceField::record_backward`] overwrites.
    pub fn embedding_buffers(&self) -> EmbeddingBuffers<'_> {
        let w = &self.widths;
        EmbeddingBuffers {
            embedding: &self.embedding[0],
            width: w.embedding as u32,
            gradients: &self.of_inputs,
            row: (w.features() + w.embedding) as u32,
            start: w.features() as u32,
        }
    }

    /// Records a step of Adam on planes and embedding along the gradients of the last backward pass. The buffers returned must
    /// live until the recording is submitted.
    ///
    /// # Errors
    /// [`Error::Internal`] when there are none.
    pub fn record_adam(
        &mut self,
        recorder: &mut Recorder<'_>,
        rates: &LearnRates,
    ) -> Result<Vec<PooledBuffer>> {
        if self.back.is_none() {
            return Err(no_backward());
        }
        let w = &self.widths;
        let mut recording = Recording::new(&self.gpu);
        let [correction1, correction2] = rates.plane_corrections;
        let count = self.plane_numbers as u32;
        let words =
            LearnUniform { count, rate: rates.planes, correction1, correction2, ..LearnUniform::default() };
        let [values, first, second] = self.planes.each_ref().map(|a| &**a);
        let buffers = [&*self.plane_sums, values, first, second];
        recording.each("adam_planes", &words.words(), &buffers, self.plane_numbers);
        let [correction1, correction2] = rates.embedding_corrections;
        let numbers = self.surfels * w.embedding;
        let words = LearnUniform {
            count: numbers as u32,
            rate: rates.embedding,
            correction1,
            correction2,
            width: w.embedding as u32,
            row: (w.features() + w.embedding) as u32,
            start: w.features() as u32,
        };
        let [values, first, second] = self.embedding.each_ref().map(|a| &**a);
        recording.each("adam_rows", &words.words(), &[&*self.of_inputs, values, first, second], numbers);
        Ok(vec![recording.record_into(recorder)?])
    }
}

fn no_backward() -> Error {
    Error::Internal("gradients of a field without its backward pass".into())
}

/// Frames that go together.
fn groups(forward_state: &ForwardState) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
    let (frames, together) = (forward_state.frames, forward_state.together);
    (0..frames).step_by(together).map(move |first| first..(first + together).min(frames))
}

fn plane_numbers(w: &Widths) -> usize {
    w.sides.iter().map(|side| PLANES * side * side * w.channels).sum()
}
