//! From CUDA to Vulkan: on one card through memory that both see, else by way of the host.

use super::{Bridge, HostBridge};
use crate::gpu::Gpu;
use crate::gpu::shared::{CudaRows, PinnedRows};
use crate::gpu::upload::Unwritten;
use crate::raster::delta_layout::DeltaLayout;
use crate::raster::host_rows::HostRows;
use crate::raster::keep::{Looked, Rows};
use crate::train::step::Clock;
use crate::{Error, Result};
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, CudaStorage, Device, Storage, Tensor};
use cudarc::driver::{CudaSlice, CudaView};

/// Shares memory with CUDA; where that fails, copies through page-locked memory; where there is none, through slices.
pub(super) struct CudaBridge {
    gpu: Gpu,
    /// Whether sharing is worth trying.
    share: bool,
    way: Way,
}

/// How rows cross.
enum Way {
    /// None did yet.
    Unknown,
    Shared(Box<CudaRows>),
    Pinned(Box<PinnedRows>),
    Slices,
}

impl CudaBridge {
    /// One that finds its way at the first rows; it shares no memory where `share` is not set.
    pub(super) fn new(gpu: Gpu, share: bool) -> Self {
        CudaBridge { gpu, share, way: Way::Unknown }
    }

    /// The way for as many numbers as `packed` has.
    fn way(&mut self, device: &CudaDevice, packed: &Tensor) -> &mut Way {
        let numbers = packed.elem_count();
        let open = match &self.way {
            Way::Unknown => false,
            Way::Shared(rows) => rows.len() == numbers,
            Way::Pinned(_) | Way::Slices => true,
        };
        if !open {
            let first = matches!(self.way, Way::Unknown);
            // The old memory makes room first.
            self.way = Way::Unknown;
            let stream = device.cuda_stream();
            self.way = match self.share.then(|| CudaRows::new(&self.gpu, &stream, numbers)) {
                Some(Ok(rows)) => {
                    if first {
                        eprintln!("the field on CUDA and {} share memory", self.gpu.name());
                    }
                    Way::Shared(Box::new(rows))
                }
                refused => {
                    if let Some(Err(why)) = refused {
                        eprintln!("the field's rows go by way of the host: {why}");
                    }
                    match PinnedRows::new(&stream) {
                        Ok(rows) => Way::Pinned(Box::new(rows)),
                        Err(why) => {
                            eprintln!("the field's rows go by way of the host, slowly: {why}");
                            Way::Slices
                        }
                    }
                }
            };
        }
        &mut self.way
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
        let astray = || Error::Internal("rows that are not where the field is".into());
        let Device::Cuda(device) = packed.device() else { return Err(astray()) };
        let way = self.way(device, &packed);
        if let Way::Unknown | Way::Slices = way {
            return HostBridge.cross(&packed, layout, clock, look);
        }
        let failed = |why: String| Error::DeviceLost(format!("rows from CUDA to Vulkan: {why}"));
        let (storage, place) = packed.storage_and_layout();
        let (Storage::Cuda(values), Some((start, end))) = (&*storage, place.contiguous_offsets()) else {
            return Err(astray());
        };
        let values = values.as_cuda_slice::<f32>()?.slice(start..end);
        let (looked, gradient) = match way {
            Way::Shared(rows) => {
                rows.write(&values).map_err(failed)?;
                clock.lap(|t| &mut t.copies);
                let looked = look(Rows::Shared(layout, rows.rows()))?;
                clock.lap(|t| &mut t.scored);
                (looked, rows.read().map_err(failed)?)
            }
            Way::Pinned(pinned) => {
                let gradient = device.alloc_zeros(packed.elem_count());
                let gradient = gradient.map_err(|e| failed(e.to_string()))?;
                let mut rows = Copied { pinned, values, gradient, taken: 0 };
                let looked = look(Rows::Host(layout, &mut rows))?;
                clock.lap(|t| &mut t.scored);
                (looked, rows.gradient()?)
            }
            Way::Unknown | Way::Slices => return Err(astray()),
        };
        drop(storage);
        let gradient = Storage::Cuda(CudaStorage::wrap_cuda_slice(gradient, device.clone()));
        let gradient = Tensor::from_storage(gradient, packed.shape().clone(), BackpropOp::none(), false);
        clock.lap(|t| &mut t.copies);
        Ok((looked, gradient))
    }
}

/// Rows on CUDA, and their gradient as it arrives there, for who draws elsewhere.
struct Copied<'a> {
    pinned: &'a mut PinnedRows,
    values: CudaView<'a, f32>,
    gradient: CudaSlice<f32>,
    /// Numbers of the gradient that have arrived.
    taken: usize,
}

impl Copied<'_> {
    /// The whole gradient.
    fn gradient(self) -> Result<CudaSlice<f32>> {
        if self.taken == self.values.len() {
            return Ok(self.gradient);
        }
        Err(Error::Internal(format!("{} gradients of {} numbers", self.taken, self.values.len())))
    }
}

impl HostRows for Copied<'_> {
    fn numbers(&self) -> usize {
        self.values.len()
    }

    fn fill(&mut self, first: usize, to: &mut Unwritten<'_>) -> Result<()> {
        let part = self.values.try_slice(first..first.saturating_add(to.numbers()));
        let outside = || Error::Internal(format!("rows from {first} of {} on", self.values.len()));
        self.pinned.fill(&part.ok_or_else(outside)?, to)
    }

    fn take(&mut self, first: usize, gradient: &[f32]) -> Result<()> {
        if first != self.taken {
            return Err(Error::Internal(format!(
                "gradients from {first} on where {} were taken",
                self.taken
            )));
        }
        self.pinned.take(gradient, &mut self.gradient, first)?;
        self.taken += gradient.len();
        Ok(())
    }
}
