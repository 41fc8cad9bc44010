//! The rasterizer on a GPU: the device, and what it remembers from one batch to the next.

use crate::gpu::Gpu;
use crate::gpu::shaders::Reduce;
use crate::gpu::{Recorder, StageTime, Timing};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Draws on a GPU.
#[derive(Debug)]
pub struct GpuRasterizer {
    pub(super) gpu: Gpu,
    /// Pairs per instance that batches have needed so far, in hundredths; the next batch has a capacity for that many.
    pairs_per_instance: AtomicU64,
    timing: Timing,
    /// Times of the stages since they were last taken.
    times: Mutex<Vec<StageTime>>,
}

impl GpuRasterizer {
    /// A rasterizer on this device.
    pub fn new(gpu: Gpu) -> Self {
        Self::timed(gpu, Timing::Off)
    }

    /// One that measures, where the device can.
    pub fn timed(gpu: Gpu, timing: Timing) -> Self {
        GpuRasterizer { gpu, pairs_per_instance: AtomicU64::new(600), timing, times: Mutex::default() }
    }

    /// The device it draws on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Milliseconds of every stage since the last call, in the order they ran.
    pub fn take_times(&self) -> Vec<StageTime> {
        std::mem::take(&mut *self.times.lock().unwrap_or_else(PoisonError::into_inner))
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
    pub(super) fn expected_pairs(&self, instances: u64) -> u64 {
        (instances * self.pairs_per_instance.load(Ordering::Relaxed) / 100).max(1 << 14)
    }

    /// Remembers how many pairs a batch had.
    pub(super) fn note_pairs(&self, instances: u64, pairs: u64) {
        // A quarter more, so that batches that differ a little do not overflow in turn.
        let needed = (pairs * 125).checked_div(instances).map_or(0, |n| n + 1);
        self.pairs_per_instance.fetch_max(needed, Ordering::Relaxed);
    }

    /// How stages take sums over threads.
    pub(super) fn reduce(&self) -> Reduce {
        if self.gpu.subgroup.is_some() { Reduce::Subgroups } else { Reduce::Threads }
    }
}
