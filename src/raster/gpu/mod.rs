//! The GPU backend: WGSL compute shaders through wgpu, on any adapter.
//!
//! The stages are those of the CPU backend, a file each under `shaders/`:
//!
//! ```text
//! forward:  project → prefix_sum → emit_pairs → sort_tiles → blend
//! backward: blend_backward → sum_pairs → project_backward
//! ```
//!
//! All frames of a batch go through one set of dispatches; where the adapter's buffers are too small for that, in
//! several. Between the stages nothing is read back: pairs are counted on the device, and where they did not fit the
//! batch is drawn again with a larger capacity. A list's order and every sum are fixed, so the same batch gives the same bits
//! on the same adapter; nothing needs atomic floats. Per surfel the arithmetic is f32 (f64 on the CPU), arranged so that
//! large and nearly equal numbers are not subtracted.
//!
//! What costs is the visit of a splat by a block of 8×4 pixels, so the stages are about visiting few: splats are kept
//! from blocks that their boxes miss, and the backward pass visits only those that were drawn.

pub mod backward;
pub mod forward;
mod inputs;
pub(crate) mod layout;
mod plan;
#[cfg(test)]
mod tests;
mod workspace;

use super::cpu::input as checks;
use super::{RasterSettings, Rasterizer, Rendered, SurfelBatch};
use crate::gpu::Gpu;
use crate::gpu::kernels::{Recorder, StageTime, Timing};
use crate::gpu::shaders::Reduce;
use crate::{Camera, Result};
pub use inputs::{BatchShape, Inputs};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use workspace::HostWorkspace;

/// Draws on a GPU.
#[derive(Debug)]
pub struct GpuRasterizer {
    gpu: Gpu,
    /// Pairs per instance that batches have needed so far, in hundredths; room is made for that many.
    pairs_per_instance: AtomicU64,
    timing: Timing,
    /// Times of the stages since they were last taken.
    times: Mutex<Vec<StageTime>>,
    workspace: HostWorkspace,
}

impl GpuRasterizer {
    /// A rasterizer on this device.
    pub fn new(gpu: Gpu) -> Self {
        Self::timed(gpu, Timing::Off)
    }

    /// One that measures, where the device can.
    pub fn timed(gpu: Gpu, timing: Timing) -> Self {
        GpuRasterizer {
            gpu,
            pairs_per_instance: AtomicU64::new(600),
            timing,
            times: Mutex::default(),
            workspace: HostWorkspace::default(),
        }
    }

    /// The device it draws on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Milliseconds of every stage since the last call, in the order they ran.
    pub fn take_times(&self) -> Vec<StageTime> {
        std::mem::take(&mut *self.times.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Images without a frame yet, in memory that was used before.
    pub fn empty_images(&self, frames: usize, size: [usize; 2]) -> Rendered {
        self.workspace.rendered(frames, size)
    }

    /// An empty recording that is timed as the rasterizer is.
    pub fn recorder(&self) -> Recorder<'_> {
        Recorder::new(&self.gpu, self.timing)
    }

    /// Adds to what [`GpuRasterizer::take_times`] gives.
    pub fn note_times(&self, new: Vec<StageTime>) {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).extend(new);
    }

    /// Capacity for pairs that a batch of so many instances starts with.
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
        let (_, size) = checks::check(batch, cameras, settings)?;
        forward::forward(self, batch, cameras, settings, size)
    }

    fn recycle(&self, rendered: Rendered<f32>) {
        self.workspace.keep_rendered(rendered);
    }

    fn name(&self) -> String {
        self.gpu.name()
    }
}
