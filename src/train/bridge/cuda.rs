//! From CUDA to Vulkan on one card, through memory that both see.

use super::{Bridge, HostBridge};
use crate::gpu::Gpu;
use crate::gpu::shared::CudaRows;
use crate::raster::delta_layout::DeltaLayout;
use crate::raster::keep::{Looked, Rows};
use crate::train::step::Clock;
use crate::{Error, Result};
use candle_core::op::BackpropOp;
use candle_core::{CudaStorage, Device, Storage, Tensor};

/// Shares memory with CUDA; by way of the host where that fails.
pub(super) struct CudaBridge {
    gpu: Gpu,
    shared: Shared,
}

enum Shared {
    /// Nothing was asked for yet.
    Unknown,
    Memory(Box<CudaRows>),
    /// The drivers do not share; that was said.
    Never,
}

impl CudaBridge {
    /// One that finds out at the first rows whether memory can be shared.
    pub(super) fn new(gpu: Gpu) -> Self {
        CudaBridge { gpu, shared: Shared::Unknown }
    }

    /// Room for `numbers` numbers, where memory can be shared.
    fn memory(&mut self, packed: &Tensor) -> Option<&mut CudaRows> {
        let numbers = packed.elem_count();
        let Device::Cuda(device) = packed.device() else { return None };
        let fits = matches!(&self.shared, Shared::Memory(rows) if rows.len() == numbers);
        if !fits && !matches!(self.shared, Shared::Never) {
            let first = matches!(self.shared, Shared::Unknown);
            // The old memory makes room first.
            self.shared = Shared::Unknown;
            self.shared = match CudaRows::new(&self.gpu, &device.cuda_stream(), numbers) {
                Ok(rows) => {
                    if first {
                        eprintln!("the field on CUDA and {} share memory", self.gpu.name());
                    }
                    Shared::Memory(Box::new(rows))
                }
                Err(why) => {
                    eprintln!("the field's rows go by way of the host: {why}");
                    Shared::Never
                }
            };
        }
        match &mut self.shared {
            Shared::Memory(rows) => Some(rows),
            _ => None,
        }
    }
}

impl Bridge for CudaBridge {
    fn cross(
        &mut self,
        packed: &Tensor,
        layout: &DeltaLayout,
        clock: &mut Clock,
        look: &mut dyn FnMut(Rows<'_>) -> Result<Looked>,
    ) -> Result<(Looked, Tensor)> {
        let packed = packed.contiguous()?;
        let Some(rows) = self.memory(&packed) else { return HostBridge.cross(&packed, layout, clock, look) };
        let failed = |why: String| Error::DeviceLost(format!("rows from CUDA to Vulkan: {why}"));
        {
            let (storage, place) = packed.storage_and_layout();
            let (Storage::Cuda(storage), Some((start, end))) = (&*storage, place.contiguous_offsets()) else {
                return Err(Error::Internal("rows that are not where the field is".into()));
            };
            rows.write(&storage.as_cuda_slice::<f32>()?.slice(start..end)).map_err(failed)?;
        }
        clock.lap(|t| &mut t.copies);
        let looked = look(Rows::Shared(layout, rows.rows()))?;
        clock.lap(|t| &mut t.scored);
        let gradient = rows.read().map_err(failed)?;
        let Device::Cuda(device) = packed.device() else {
            return Err(Error::Internal("rows that are not where the field is".into()));
        };
        let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(gradient, device.clone()));
        let gradient = Tensor::from_storage(storage, packed.shape().clone(), BackpropOp::none(), false);
        clock.lap(|t| &mut t.copies);
        Ok((looked, gradient))
    }
}
