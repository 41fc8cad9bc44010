//! Buffers that others see too: other rooms, or another library on the same device; and what goes by way of the host
//! where there are none.

#[cfg(all(feature = "cuda", target_os = "linux"))]
mod cuda;
#[cfg(all(feature = "cuda", target_os = "linux"))]
mod pinned;

#[cfg(all(feature = "cuda", target_os = "linux"))]
pub use cuda::CudaRows;
#[cfg(all(feature = "cuda", target_os = "linux"))]
pub use pinned::PinnedRows;

use super::Gpu;
use super::buffers::Loan;
use crate::Result;

/// Canonical places of surfels, `[places, 3]` at the start of a buffer.
#[derive(Debug)]
pub struct SharedPlaces {
    pub(crate) buffer: wgpu::Buffer,
    pub(crate) places: u64,
    /// Where nobody else holds the buffer.
    pub(crate) _lent: Option<Loan>,
}

impl SharedPlaces {
    /// Places at the start of a buffer that somebody else keeps.
    pub(crate) fn lying_in(buffer: &wgpu::Buffer, places: usize) -> Self {
        SharedPlaces { buffer: buffer.clone(), places: places as u64, _lent: None }
    }

    /// Takes places `[places, 3]` to the device.
    ///
    /// # Errors
    /// [`crate::Error::DeviceLost`] when it is gone.
    pub fn new(gpu: &Gpu, places: &[f32]) -> Result<Self> {
        let loan = gpu.upload(&[places])?;
        Ok(SharedPlaces { buffer: (*loan).clone(), places: places.len() as u64 / 3, _lent: Some(loan) })
    }
}

/// Rows and their gradient in buffers that are shared; who shares them sees to it that neither side writes while the
/// other reads.
#[derive(Debug)]
pub struct SharedRows {
    pub(crate) values: wgpu::Buffer,
    pub(crate) gradients: wgpu::Buffer,
    /// Numbers in each.
    pub(crate) numbers: u64,
}
