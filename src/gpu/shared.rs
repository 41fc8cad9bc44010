//! Buffers whose memory another library on the same device sees too, and what goes by way of the host where there are
//! none.

#[cfg(all(feature = "cuda", target_os = "linux"))]
mod cuda;
#[cfg(all(feature = "cuda", target_os = "linux"))]
mod pinned;

#[cfg(all(feature = "cuda", target_os = "linux"))]
pub use cuda::CudaRows;
#[cfg(all(feature = "cuda", target_os = "linux"))]
pub use pinned::PinnedRows;

/// Rows and their gradient in buffers that are shared; who shares them sees to it that neither side writes while the
/// other reads.
#[derive(Debug)]
pub struct SharedRows {
    pub(crate) values: wgpu::Buffer,
    pub(crate) gradients: wgpu::Buffer,
    /// Numbers in each.
    pub(crate) numbers: u64,
}
