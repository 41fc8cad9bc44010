//! Where rows of the field, tensors, become rows of the rasterizer's, and their gradient becomes a tensor.

use super::step::Clock;
use crate::Result;
use crate::gpu::Gpu;
use crate::raster::delta_layout::DeltaLayout;
use crate::raster::host_rows::Slices;
use crate::raster::keep::{Looked, Rows};
use candle_core::{Device, Storage, Tensor};

/// Set to anything, rows go by way of the host even where memory can be shared.
#[cfg(all(feature = "cuda", target_os = "linux"))]
const BY_HOST: &str = "SURFELTALK_ROWS_BY_HOST";

/// Carries rows to the rasterizer and their gradient back.
pub(super) trait Bridge {
    /// Calls `look` with the rows `packed`, `[frames, surfels, columns]`; what it says, and the gradient as a tensor like
    /// `packed`.
    fn cross(
        &mut self,
        packed: &Tensor,
        layout: &DeltaLayout,
        clock: &mut Clock,
        look: &mut dyn FnMut(Rows<'_>) -> Result<Looked>,
    ) -> Result<(Looked, Tensor)>;
}

/// By way of the host, from any device to any other.
pub(super) struct HostBridge;

impl Bridge for HostBridge {
    fn cross(
        &mut self,
        packed: &Tensor,
        layout: &DeltaLayout,
        clock: &mut Clock,
        look: &mut dyn FnMut(Rows<'_>) -> Result<Looked>,
    ) -> Result<(Looked, Tensor)> {
        let mut gradient = Vec::with_capacity(packed.elem_count());
        let (storage, place) = packed.storage_and_layout();
        let looked = match (&*storage, place.contiguous_offsets()) {
            (Storage::Cpu(storage), Some((start, end))) => {
                let rows = &storage.as_slice::<f32>()?[start..end];
                look(Rows::Host(layout, &mut Slices::new(rows, &mut gradient)))?
            }
            _ => {
                drop(storage);
                let values: Vec<f32> = packed.flatten_all()?.to_vec1()?;
                clock.lap(|t| &mut t.copies);
                look(Rows::Host(layout, &mut Slices::new(&values, &mut gradient)))?
            }
        };
        clock.lap(|t| &mut t.scored);
        let gradient = Tensor::from_vec(gradient, packed.shape(), packed.device())?;
        clock.lap(|t| &mut t.copies);
        Ok((looked, gradient))
    }
}

/// The best bridge between the field's device and the rasterizer's.
pub(super) fn between(field: &Device, gpu: &Gpu) -> Box<dyn Bridge> {
    #[cfg(all(feature = "cuda", target_os = "linux"))]
    if field.is_cuda() {
        let share = std::env::var_os(BY_HOST).is_none();
        return Box::new(cuda::CudaBridge::new(gpu.clone(), share));
    }
    let _ = (field, gpu);
    Box::new(HostBridge)
}

#[cfg(all(feature = "cuda", target_os = "linux"))]
mod cuda;

#[cfg(test)]
mod tests;
