//! `--device auto|gpu|cpu`: where the work is done.

use super::output;
use crate::gpu::{Choice, Gpu};
use crate::head::Branch;
use crate::head::backend::{self, Backend};
use crate::raster::Rasterizer;
use crate::raster::cpu::CpuRasterizer;
use crate::raster::gpu::GpuRasterizer;
use crate::{Error, Result};
use std::str::FromStr;

/// Where the work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// A GPU in hardware where there is one that answers, else the CPU.
    Auto,
    /// Any adapter, also one in software; an error where there is none.
    Gpu,
    /// The CPU.
    Cpu,
}

impl FromStr for Device {
    type Err = String;

    fn from_str(s: &str) -> std::result::Result<Self, String> {
        match s {
            "auto" => Ok(Device::Auto),
            "gpu" => Ok(Device::Gpu),
            "cpu" => Ok(Device::Cpu),
            _ => Err("expected auto, gpu or cpu".into()),
        }
    }
}

impl Device {
    /// The GPU: for `gpu` any adapter, one in hardware before one in software; for `auto` one in hardware; nothing where the
    /// CPU does the work.
    ///
    /// # Errors
    /// [`Error::Input`] when a GPU is asked for and there is none, [`Error::DeviceLost`] when the one that was asked for
    /// does not answer.
    pub fn gpu(self) -> Result<Option<Gpu>> {
        match self {
            Device::Cpu => Ok(None),
            Device::Auto => Ok(Self::or_cpu(Gpu::open(Choice::Hardware))),
            Device::Gpu => Ok(Some(Gpu::open(Choice::Any)?.ok_or_else(|| {
                Error::input(
                    "--device gpu",
                    "a Vulkan, Metal or DirectX 12 adapter",
                    "none",
                    "install the driver of the graphics card (or Mesa's software Vulkan), or use --device cpu",
                )
            })?)),
        }
    }

    /// What `auto` makes of the search for a real GPU: one that does not answer is said so, and the CPU draws.
    fn or_cpu(found: Result<Option<Gpu>>) -> Option<Gpu> {
        found.unwrap_or_else(|error| {
            output::note(format!("the GPU is not used: {error}"));
            None
        })
    }
}

/// The backend that renders `branch`, `frames` frames at once; a GPU without room for it is said on stderr, and the CPU does
/// all the work.
pub fn backend(gpu: Option<&Gpu>, branch: &Branch, frames: usize) -> Box<dyn Backend> {
    let opened = backend::open(gpu, branch, branch.cloud.len(), frames);
    opened.note.iter().for_each(output::note);
    opened.backend
}

/// What draws surfels that the host has: the GPU where there is one, else the CPU.
pub fn rasterizer(gpu: Option<&Gpu>) -> Box<dyn Rasterizer> {
    match gpu {
        Some(gpu) => Box::new(GpuRasterizer::new(gpu.clone())),
        None => Box::new(CpuRasterizer::<f32>::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_that_does_not_answer_leaves_auto_with_the_cpu() {
        assert!(Device::or_cpu(Err(Error::DeviceLost("gone".into()))).is_none());
        assert!(Device::or_cpu(Ok(None)).is_none());
    }
}
