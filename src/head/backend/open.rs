//! Which backend a branch gets.

use super::cpu::CpuBackend;
use super::gpu::GpuBackend;
use super::interface::Backend;
use crate::gpu::Gpu;
use crate::head::Branch;

/// A backend for a branch, and what the user should be told about the choice.
pub struct Opened {
    /// Empty.
    pub backend: Box<dyn Backend>,
    /// A sentence when the GPU is not used although there is one.
    pub note: Option<String>,
}

/// The backend for `branch` when it has up to `surfels` surfels and `frames` frames are drawn together: the GPU where there
/// is one with room for that, else the CPU, which then does all.
pub fn open(gpu: Option<&Gpu>, branch: &Branch, surfels: usize, frames: usize) -> Opened {
    match gpu {
        Some(gpu) if GpuBackend::fits(gpu, branch, surfels, frames) => {
            Opened { backend: Box::new(GpuBackend::new(gpu.clone())), note: None }
        }
        Some(gpu) => Opened {
            backend: Box::new(CpuBackend::new()),
            note: Some(format!(
                "{} has no room for the field of {surfels} surfels in {frames} frames, so the CPU does all the work",
                gpu.name()
            )),
        },
        None => Opened { backend: Box::new(CpuBackend::new()), note: None },
    }
}
