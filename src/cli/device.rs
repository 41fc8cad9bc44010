//! `--device auto|gpu|cpu`: what draws; `--field auto|gpu|cuda|cpu`: where the field runs.

use crate::gpu::{Choice, Gpu};
use crate::raster::Rasterizer;
use crate::raster::cpu::CpuRasterizer;
use crate::raster::gpu::GpuRasterizer;
use crate::train::FieldDevice;
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
}

/// Where the field runs while it is learned, beside what draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldPlace {
    /// On the GPU in hardware that draws, where one does and has room, else on the CPU.
    #[default]
    Auto,
    /// On the GPU that draws, also on one in software.
    Gpu,
    /// On CUDA, by candle's kernels.
    Cuda,
    /// On the CPU.
    Cpu,
}

impl FieldPlace {
    /// What that means beside `rasterizer`.
    ///
    /// # Errors
    /// [`Error::Input`] when a GPU is asked for and none draws, or CUDA and this build has none; [`Error::Internal`] when CUDA
    /// fails to start.
    pub fn device(self, rasterizer: &dyn Rasterizer) -> Result<FieldDevice> {
        let software = rasterizer.keeper().map(|keeper| keeper.device().is_software());
        let candle = candle_core::Device::Cpu;
        match self {
            FieldPlace::Auto => Ok(FieldDevice { candle, with_rasterizer: software == Some(false) }),
            FieldPlace::Gpu if software.is_some() => Ok(FieldDevice { candle, with_rasterizer: true }),
            FieldPlace::Gpu => Err(Error::input(
                "--field gpu",
                "a GPU that draws",
                rasterizer.name(),
                "use --device gpu too, or leave both out",
            )),
            FieldPlace::Cuda => Ok(FieldDevice { candle: Self::cuda()?, with_rasterizer: false }),
            FieldPlace::Cpu => Ok(FieldDevice { candle, with_rasterizer: false }),
        }
    }

    fn cuda() -> Result<candle_core::Device> {
        let device = candle_core::Device::cuda_if_available(0)?;
        if device.is_cuda() {
            return Ok(device);
        }
        Err(Error::input(
            "--field cuda",
            "a build with CUDA and a card of NVIDIA's",
            "neither or one of them",
            "build with --features cuda, or leave the flag out: the field runs on any GPU",
        ))
    }
}

impl FromStr for FieldPlace {
    type Err = String;

    fn from_str(s: &str) -> std::result::Result<Self, String> {
        match s {
            "auto" => Ok(FieldPlace::Auto),
            "gpu" => Ok(FieldPlace::Gpu),
            "cuda" => Ok(FieldPlace::Cuda),
            "cpu" => Ok(FieldPlace::Cpu),
            _ => Err("expected auto, gpu, cuda or cpu".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_draws_beside_a_field_on_the_cpu_and_no_other() {
        let cpu = CpuRasterizer::<f32>::new();
        assert!(!FieldPlace::Auto.device(&cpu).expect("a place").with_rasterizer);
        assert_eq!(FieldPlace::Gpu.device(&cpu).expect_err("no GPU draws").exit_code(), 2);
        assert_eq!("cuda".parse(), Ok(FieldPlace::Cuda));
        assert!("tpu".parse::<FieldPlace>().is_err());
    }

    #[test]
    fn a_gpu_that_does_not_answer_leaves_auto_with_the_cpu() {
        assert!(Device::or_cpu(Err(Error::DeviceLost("gone".into()))).is_none());
        assert!(Device::or_cpu(Ok(None)).is_none());
    }
}
