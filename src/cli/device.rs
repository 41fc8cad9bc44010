//! `--device auto|gpu|cpu`: what draws, and where the field runs.

use crate::gpu::{Choice, Gpu};
use crate::raster::Rasterizer;
use crate::raster::cpu::CpuRasterizer;
use crate::raster::gpu::GpuRasterizer;
use crate::{Error, Result};
use std::str::FromStr;

/// Where the work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// A GPU in hardware where there is one that answers, else the CPU; the field on CUDA where this build has it.
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
    /// What draws: for `gpu` any adapter, a real one before one in software; for `auto` a real one, else the CPU, which
    /// is faster than a GPU in software.
    ///
    /// # Errors
    /// [`Error::Input`] when a GPU is asked for and there is none, [`Error::DeviceLost`] when the one that was asked for
    /// does not answer.
    pub fn rasterizer(self) -> Result<Box<dyn Rasterizer>> {
        let gpu = match self {
            Device::Cpu => None,
            Device::Auto => Self::or_cpu(Gpu::open(Choice::Hardware)),
            Device::Gpu => Some(Gpu::open(Choice::Any)?.ok_or_else(|| {
                Error::input(
                    "--device gpu",
                    "a Vulkan, Metal or DirectX 12 adapter",
                    "none",
                    "install the driver of the graphics card (or Mesa's software Vulkan), or use --device cpu",
                )
            })?),
        };
        Ok(match gpu {
            Some(gpu) => Box::new(GpuRasterizer::new(gpu)),
            None => Box::new(CpuRasterizer::<f32>::new()),
        })
    }

    /// What `auto` makes of the search for a real GPU: one that does not answer is said so, and the CPU draws.
    fn or_cpu(found: Result<Option<Gpu>>) -> Option<Gpu> {
        found.unwrap_or_else(|error| {
            eprintln!("the GPU is not used: {error}");
            None
        })
    }

    /// Where the field runs: CUDA where this build has it and `cpu` was not asked for, else the CPU. Where CUDA does not
    /// start, `auto` says so and takes the CPU.
    ///
    /// # Errors
    /// [`Error::Internal`] when a GPU was asked for and CUDA fails to start.
    pub fn field_device(self) -> Result<candle_core::Device> {
        match self {
            Device::Cpu => Ok(candle_core::Device::Cpu),
            Device::Gpu => Ok(candle_core::Device::cuda_if_available(0)?),
            Device::Auto => Ok(candle_core::Device::cuda_if_available(0).unwrap_or_else(|error| {
                let error = error.to_string();
                eprintln!("CUDA is not used: {}", error.lines().next().unwrap_or_default());
                candle_core::Device::Cpu
            })),
        }
    }
}

/// Where a field runs, in words.
pub fn field_name(device: &candle_core::Device) -> &'static str {
    if device.is_cuda() { "CUDA" } else { "the CPU" }
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
