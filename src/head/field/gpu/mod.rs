//! The field on the rasterizer's device: what is large, planes and embedding, is learned there, and the rows never leave it.
//! What is small stays with [`Field`] on the CPU: the tokens, and the rows' weights, which go there in every step and whose
//! gradients come back. So a step moves some hundred kilobytes, whatever the number of surfels.
//!
//! ```text
//! ask ─▶ dense ─▶ layers × (dense, attend, dense, normalise, dense, dense, normalise) ─▶ dense ─▶ heads
//! ```
//!
//! Every stage has its twin in `rows`, `rows_backward` and `triplane`; tests hold the two together. Sums over rows are made
//! in pieces of fixed size, those of the planes in integers, so the same numbers give the same bits.

mod backward;
mod forward;
mod record;
mod trace;
mod uniforms;
mod weights;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests;

use super::frame_weights::Folded;
use super::rows::{RowValues, Widths};
use super::triplane::PLANES;
use super::{Conditions, Field, FieldBounds};
use crate::gpu::Gpu;
use crate::gpu::buffers::{Loan, append, size_class};
use crate::gpu::kernels::{StageTime, Timing};
use crate::raster::keep::{DeviceDeltas, DevicePositions};
use crate::{Error, Result};
use backward::Ways;
use candle_core::{DType, Tensor};
use record::{Recording, Shape};
use trace::{Back, Trace};
use uniforms::LearnWords;
use weights::{Places, SumPlaces};
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

/// A field on a device.
pub struct DeviceField {
    gpu: Gpu,
    widths: Widths,
    bounds: FieldBounds,
    surfels: usize,
    plane_numbers: usize,
    planes: [Loan; 3],
    embedding: [Loan; 3],
    /// Gradients of the planes, two words a number.
    plane_sums: Loan,
    /// Gradients of what the planes and the embedding say, `[surfels, features + embedding]`.
    of_inputs: Loan,
    rows: Option<DeviceDeltas>,
    asked: Option<Asked>,
    went_back: bool,
    timing: Timing,
    times: Vec<StageTime>,
}

/// What a step asked, until it goes back.
struct Asked {
    folded: Vec<Folded>,
    values: RowValues,
    places: Places,
    weights: Loan,
    positions: Buffer,
    frames: usize,
    /// Frames that go together.
    together: usize,
    /// `[surfels, features + embedding]`.
    inputs: Loan,
    /// `[surfels, model]`.
    rows: Loan,
    /// Of the frames that went there last.
    trace: Trace,
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
        fit && trace::frames_together(&widths, field.layers.len(), surfels, 1, limit).is_some()
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
        let upload = |arrays: [&[f32]; 3]| -> Result<[Loan; 3]> {
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
            rows: None,
            asked: None,
            went_back: false,
            timing: Timing::Off,
            times: Vec::new(),
            widths,
            surfels,
        })
    }

    /// Times stages from now on, where the device can tell.
    pub fn time(&mut self, timing: Timing) {
        self.timing = timing;
    }

    /// What stages took since this was asked last.
    pub fn times(&mut self) -> Vec<StageTime> {
        std::mem::take(&mut self.times)
    }

    /// Everything as it is now.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when the device is gone.
    pub fn get(&self) -> Result<Learned<Vec<f32>>> {
        let mut learned = Learned::<Vec<f32>>::default();
        let bytes = [4 * self.plane_numbers as u64, 4 * (self.surfels * self.widths.embedding) as u64];
        let of = |arrays: &[Loan; 3], bytes: u64| arrays.each_ref().map(|a| ((**a).clone(), bytes));
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

    /// The packed deformation of every frame for surfels at `positions`, `[frames, surfels, columns]`, and room for its
    /// gradient; nothing is waited for.
    ///
    /// # Errors
    /// [`Error::Internal`] when conditions do not fit the field, [`Error::DeviceLost`] when the device goes away.
    pub fn ask(
        &mut self,
        field: &Field,
        conditions: &[Conditions],
        positions: &DevicePositions,
    ) -> Result<&DeviceDeltas> {
        let (surfels, frames) = (self.surfels, conditions.len());
        if frames == 0 || positions.surfels != surfels as u64 {
            let found = positions.surfels;
            return Err(Error::Internal(format!("{found} places for {surfels} surfels in {frames} frames")));
        }
        // What was asked before makes room first.
        self.asked = None;
        let folded = field.fold_each(conditions)?;
        let values = field.row_values(&folded)?;
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
            trace::frames_together(&self.widths, places.layers.len(), surfels, frames, limit).unwrap_or(1);
        let w = &self.widths;
        let shape = Shape { frames: together, rows: surfels };
        let asked = Asked {
            trace: Trace::new(&self.gpu, w, places.layers.len(), shape),
            folded,
            values,
            places,
            weights: self.gpu.upload(&[&weights])?,
            positions: positions.buffer.clone(),
            frames,
            together,
            inputs: self.gpu.storage(4 * (surfels * (w.features() + w.embedding)) as u64),
            rows: self.gpu.storage(4 * (surfels * w.model) as u64),
        };
        if self.rows.as_ref().is_none_or(|rows| rows.len != numbers) {
            self.rows = Some(DeviceDeltas::new(&self.gpu, numbers));
        }
        let packed = self.packed()?.values.clone();
        let mut recording = Recording::new(&self.gpu, self.timing);
        self.ask_planes(&mut recording, &asked);
        for range in groups(&asked) {
            self.frames_there(&mut recording, &asked, &range, &packed);
        }
        self.times.extend(recording.send()?);
        self.asked = Some(asked);
        self.went_back = false;
        self.packed()
    }

    fn packed(&self) -> Result<&DeviceDeltas> {
        self.rows.as_ref().ok_or_else(|| Error::Internal("the field was asked nothing".into()))
    }

    /// Goes back from the gradient that was put beside the rows of the last [`DeviceField::ask`]. Those of planes and
    /// embedding stay on the device; the others come back, one for each of [`Field::parameters`] after the planes.
    ///
    /// # Errors
    /// [`Error::Internal`] when nothing was asked, [`Error::DeviceLost`] when the device goes away.
    pub fn backward(&mut self, field: &Field) -> Result<Vec<Tensor>> {
        let asked = self.asked.take().ok_or_else(|| Error::Internal("the field was asked nothing".into()))?;
        let places = SumPlaces::new(&self.widths, asked.places.layers.len(), asked.frames);
        let sums = self.gpu.storage(4 * places.count as u64);
        let of_rows = self.gpu.storage(4 * (self.surfels * self.widths.model) as u64);
        let shape = Shape { frames: asked.together, rows: self.surfels };
        let back = Back::new(&self.gpu, &self.widths, shape);
        let packed = self.packed()?;
        let ways = Ways {
            packed: &packed.values,
            of_packed: &packed.gradients,
            sums: &sums,
            places: &places,
            of_rows: &of_rows,
            back: &back,
        };
        let mut recording = Recording::new(&self.gpu, self.timing);
        for range in groups(&asked) {
            if asked.together < asked.frames {
                self.frames_there(&mut recording, &asked, &range, ways.packed);
            }
            self.frames_back(&mut recording, &asked, &range, &ways);
        }
        self.planes_back(&mut recording, &asked, &ways);
        let mut found: Vec<f32> = Vec::with_capacity(places.count);
        let sources: [(&Buffer, u64); 1] = [(&sums, 4 * places.count as u64)];
        self.times.extend(recording.submit(&sources, |_, data| append(&mut found, data))?);
        self.went_back = true;
        let gradients = places.gradients(&self.widths, &asked.values, &found);
        field.collect_rest(&asked.folded, gradients)
    }

    /// A step of Adam on planes and embedding along the gradients of the last [`DeviceField::backward`].
    ///
    /// # Errors
    /// [`Error::Internal`] when there are none, [`Error::DeviceLost`] when the device goes away.
    pub fn learn(&mut self, rates: &LearnRates) -> Result<()> {
        if !self.went_back {
            return Err(Error::Internal("a step of Adam without gradients".into()));
        }
        let w = &self.widths;
        let mut recording = Recording::new(&self.gpu, self.timing);
        let [correction1, correction2] = rates.plane_corrections;
        let count = self.plane_numbers as u32;
        let words =
            LearnWords { count, rate: rates.planes, correction1, correction2, ..LearnWords::default() };
        let [values, first, second] = self.planes.each_ref().map(|a| &**a);
        let buffers = [&*self.plane_sums, values, first, second];
        recording.each("adam_planes", &words.words(), &buffers, self.plane_numbers);
        let [correction1, correction2] = rates.embedding_corrections;
        let numbers = self.surfels * w.embedding;
        let words = LearnWords {
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
        self.times.extend(recording.send()?);
        Ok(())
    }
}

/// Frames that go together.
fn groups(asked: &Asked) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
    let (frames, together) = (asked.frames, asked.together);
    (0..frames).step_by(together).map(move |first| first..(first + together).min(frames))
}

fn plane_numbers(w: &Widths) -> usize {
    w.sides.iter().map(|side| PLANES * side * side * w.channels).sum()
}
