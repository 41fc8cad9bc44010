//! The GPU backend: WGSL compute shaders through wgpu, on any adapter.
//!
//! The stages are those of the CPU backend, a file each under `shaders/`:
//!
//! ```text
//! forward:  project → sort by depth → count_tiles → prefix_sum → emit_pairs → sort by tile → tile_ranges → blend
//! backward: blend_backward → sum_pairs → project_backward
//! ```
//!
//! All frames of a batch go through one set of dispatches; where the adapter's buffers are too small for that, in
//! several. Between the stages nothing is read back: pairs are counted on the device, and where they did not fit the
//! batch is drawn again with more room. Every sum has a fixed order, so the same batch gives the same bits on the same
//! adapter; nothing needs atomic floats. Per surfel the arithmetic is f32 (f64 on the CPU), arranged so that large and
//! nearly equal numbers are not subtracted.

mod backward;
mod forward;
mod layout;
mod plan;
#[cfg(test)]
mod tests;

use super::cpu::input;
use super::{ImageGradients, RasterSettings, Rasterizer, Rendered, SurfelBatch, SurfelGradients};
use crate::gpu::Gpu;
use crate::gpu::kernels::StageTime;
use crate::gpu::shaders::Reduce;
use crate::{Camera, Error, Result};
use forward::Group;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Draws on a GPU.
#[derive(Debug)]
pub struct GpuRasterizer {
    gpu: Gpu,
    /// Pairs per instance that batches have needed so far, in hundredths; room is made for that many.
    pairs_per_instance: AtomicU64,
    /// Times of the stages since they were last taken, where asked for.
    times: Option<Mutex<Vec<StageTime>>>,
}

/// What [`Rendered::state`] holds for this backend.
struct State {
    groups: Vec<Group>,
    surfels: usize,
    frames: usize,
    settings: RasterSettings<f32>,
}

impl GpuRasterizer {
    /// A rasterizer on this device.
    pub fn new(gpu: Gpu) -> Self {
        GpuRasterizer { gpu, pairs_per_instance: AtomicU64::new(600), times: None }
    }

    /// One that measures its stages, where the device can.
    pub fn timed(gpu: Gpu) -> Self {
        GpuRasterizer { times: Some(Mutex::default()), ..Self::new(gpu) }
    }

    /// Milliseconds of every stage since the last call, in the order they ran.
    pub fn take_times(&self) -> Vec<StageTime> {
        let times = self.times.as_ref().map(|t| t.lock().unwrap_or_else(PoisonError::into_inner));
        times.map(|mut t| std::mem::take(&mut *t)).unwrap_or_default()
    }

    fn note_times(&self, new: Vec<StageTime>) {
        if let Some(times) = &self.times {
            times.lock().unwrap_or_else(PoisonError::into_inner).extend(new);
        }
    }

    /// Room for pairs that a batch of so many instances starts with.
    fn expected_pairs(&self, instances: u64) -> u64 {
        (instances * self.pairs_per_instance.load(Ordering::Relaxed) / 100).max(1 << 14)
    }

    /// Remembers how many pairs a batch had.
    fn note_pairs(&self, instances: u64, pairs: u64) {
        // A quarter more, so that batches that differ a little do not overflow in turn.
        let needed = (pairs * 125).checked_div(instances).map_or(0, |n| n + 1);
        self.pairs_per_instance.fetch_max(needed, Ordering::Relaxed);
    }

    fn reduce(&self) -> Reduce {
        if self.gpu.subgroup.is_some() { Reduce::Subgroups } else { Reduce::Threads }
    }
}

impl Rasterizer<f32> for GpuRasterizer {
    fn forward(
        &self,
        batch: &SurfelBatch<'_, f32>,
        cameras: &[Camera],
        settings: &RasterSettings<f32>,
    ) -> Result<Rendered<f32>> {
        let (_, size) = input::check(batch, cameras, settings)?;
        let (rendered, groups) = forward::forward(self, batch, cameras, settings, size)?;
        let state = State { groups, surfels: batch.surfels, frames: cameras.len(), settings: *settings };
        Ok(Rendered { state: Box::new(state), ..rendered })
    }

    fn backward(
        &self,
        batch: &SurfelBatch<'_, f32>,
        cameras: &[Camera],
        settings: &RasterSettings<f32>,
        rendered: &Rendered<f32>,
        gradients: &ImageGradients<f32>,
    ) -> Result<SurfelGradients<f32>> {
        let (_, size) = input::check(batch, cameras, settings)?;
        let state = rendered.state.downcast_ref::<State>();
        let matches =
            |s: &&State| s.frames == cameras.len() && s.surfels == batch.surfels && s.settings == *settings;
        let Some(state) = state.filter(matches) else {
            return Err(Error::Internal("these images were not drawn by the GPU from this batch".into()));
        };
        if size != [rendered.width, rendered.height] {
            return Err(Error::Internal("these images were drawn with other cameras".into()));
        }
        input::check_gradients(gradients, &settings.outputs, cameras.len(), size)?;
        backward::backward(self, batch, &state.groups, settings, gradients)
    }

    fn name(&self) -> String {
        self.gpu.name()
    }
}
