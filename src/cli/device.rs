//! `--device auto|gpu|cpu`: what draws, and where the field runs.

use crate::raster::Rasterizer;
use crate::raster::cpu::CpuRasterizer;
use crate::{Error, Result};
use std::str::FromStr;

/// Where the work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// A real GPU where there is one, else the CPU.
    Auto,
    /// A GPU; an error where there is none.
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
    /// What draws.
    ///
    /// # Errors
    /// [`Error::Input`] when a GPU is asked for and there is none.
    pub fn rasterizer(self) -> Result<Box<dyn Rasterizer>> {
        match self {
            Device::Gpu => Err(Error::input(
                "--device gpu",
                "a GPU backend of the rasterizer",
                "a version that draws on the CPU only",
                "use --device auto or --device cpu",
            )),
            Device::Auto | Device::Cpu => Ok(Box::new(CpuRasterizer::<f32>::new())),
        }
    }

    /// Where the field runs: CUDA where this build has it and `cpu` was not asked for, else the CPU.
    ///
    /// # Errors
    /// [`Error::Internal`] when CUDA fails to start.
    pub fn field_device(self) -> Result<candle_core::Device> {
        match self {
            Device::Cpu => Ok(candle_core::Device::Cpu),
            Device::Auto | Device::Gpu => Ok(candle_core::Device::cuda_if_available(0)?),
        }
    }

    /// The same in words.
    ///
    /// # Errors
    /// As [`Device::field_device`].
    pub fn field_name(self) -> Result<&'static str> {
        Ok(if self.field_device()?.is_cuda() { "CUDA" } else { "the CPU" })
    }
}
