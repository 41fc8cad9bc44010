//! What a batch needs on the device, against what the adapter allows, before anything is allocated.

use super::layout::Images;
use crate::gpu::Gpu;
use crate::gpu::size_class;
use crate::{Error, Result};

/// Largest side of an image: pixels and anchors travel in 16 bits.
pub(super) const SIDE_MAX: usize = 16_383;

/// Most frames in one set of dispatches.
const FRAMES_MAX: u64 = 256;

/// Bytes of workgroup memory beside those that grow with the batch of splats.
const BESIDE_BATCH: u32 = 1024;
/// More of them where sums are taken with barriers alone.
const SCRATCH: u32 = 7168;
/// Bytes of a staged splat.
const STAGED_BYTES: u32 = 112;
/// Splats of one batch, at most.
const STAGED_MAX: u32 = 32;
/// Threads of a tile.
const THREADS: u32 = 256;
/// Floats of a pair's gradient; and with geometry.
pub(super) const SLOT_PLAIN: u32 = 19;
pub(super) const SLOT_WIDEST: u32 = 25;

/// The counts of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    /// Surfels in one copy.
    pub(super) surfels: u64,
    /// Frames.
    pub(super) frames: u64,
    /// Whether every frame has its own copy.
    pub(super) own_copies: bool,
    /// Pixels of one frame.
    pub(super) pixels: u64,
    /// Numbers of a surfel's colour.
    pub(super) color_width: u64,
    /// Numbers that a surfel has besides.
    pub(super) surfel_width: u64,
    /// Channels drawn.
    pub(super) channels: u64,
    /// Whether the images are scored on the device.
    pub(super) scored: bool,
}

impl Counts {
    /// Bytes of the largest buffers when `frames` frames of `surfels` surfels go together, with what each is.
    fn buffers(&self, surfels: u64, frames: u64) -> [(&'static str, u64); 7] {
        let instances = surfels * frames;
        let copies = if self.own_copies { instances } else { surfels };
        [
            ("projected surfels", 112 * instances),
            ("sums of gradients", 4 * u64::from(SLOT_WIDEST) * instances),
            ("parameters", 4 * self.surfel_width * copies),
            ("colours", 4 * self.color_width * copies),
            ("images", 4 * self.channels * self.pixels * frames),
            ("pixel states", 4 * 6 * self.pixels * frames),
            ("derivatives of windows", if self.scored { 4 * 9 * self.pixels * frames } else { 0 }),
        ]
    }

    fn fits(&self, surfels: u64, frames: u64, limit: u64) -> bool {
        // Also keeps every index under 2³².
        self.buffers(surfels, frames).iter().all(|b| size_class(b.1) <= limit)
    }

    /// How many frames go together.
    ///
    /// # Errors
    /// [`Error::Input`] when not even one fits, with the largest number of surfels that would.
    pub(super) fn frames_together(&self, gpu: &Gpu) -> Result<usize> {
        let limit = gpu.binding_limit();
        let most = self.frames.clamp(1, FRAMES_MAX);
        if let Some(frames) = (1..=most).rev().find(|&f| self.fits(self.surfels, f, limit)) {
            return Ok(frames as usize);
        }
        let (mut low, mut high) = (0, self.surfels);
        while low < high {
            let middle = (low + high).div_ceil(2);
            if self.fits(middle, 1, limit) { low = middle } else { high = middle - 1 }
        }
        let worst = self.buffers(self.surfels, 1).into_iter().max_by_key(|b| b.1).unwrap_or_default();
        Err(Error::input(
            format!("the memory of {}", gpu.name()),
            format!("buffers of at most {} MiB", limit >> 20),
            format!("{} surfels, whose {} take {} MiB", self.surfels, worst.0, worst.1 >> 20),
            if low == 0 {
                "use smaller images, or --device cpu".to_owned()
            } else {
                format!("use --max_points {low} or fewer, or --device cpu")
            },
        ))
    }
}

/// Channels of the images that outputs ask for.
pub(super) fn channels(images: &Images) -> u64 {
    u64::from(images.total())
}

/// Subgroups of a tile, and splats of one batch.
pub(super) fn batches(gpu: &Gpu, slot_width: u32) -> (u32, u32) {
    let (subgroups, beside) = match gpu.subgroup {
        Some(least) => (THREADS / least, BESIDE_BATCH),
        None => (1, BESIDE_BATCH + SCRATCH),
    };
    let memory = gpu.limits.max_compute_workgroup_storage_size - beside;
    let fits = (memory / (STAGED_BYTES + 4 * slot_width * subgroups)).clamp(1, STAGED_MAX);
    // A power of two.
    (subgroups, 1 << fits.ilog2())
}

/// Surfels of one tile that a software adapter goes through: Mesa's ends a shader after 65,535 turns of its loops, all
/// counted together, without a word.
pub(super) fn software_list_max(gpu: &Gpu) -> u32 {
    const TURNS: u32 = 65_535;
    let (_, batch) = batches(gpu, SLOT_WIDEST);
    match gpu.subgroup {
        // At most a turn for each splat; for each batch one, and one that leaves the loop over its splats.
        Some(_) => TURNS / (batch + 2) * batch,
        // Turns of the sums that are taken with barriers alone.
        None => TURNS / 220,
    }
}
