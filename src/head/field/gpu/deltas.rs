//! What the field adds to the surfels, on the GPU.

use crate::gpu::Gpu;
use crate::gpu::PooledBuffer;

/// Deltas, `[frames, surfels, columns]`, and the gradient of the loss with respect to them.
#[derive(Debug)]
pub struct DeviceDeltas {
    pub(crate) values: PooledBuffer,
    pub(crate) gradients: PooledBuffer,
    /// Floats in each of the two.
    pub(crate) len: u64,
}

impl DeviceDeltas {
    /// Room for `len` floats and their gradient; nothing is written.
    pub(super) fn new(gpu: &Gpu, len: u64) -> Self {
        DeviceDeltas { values: gpu.storage(4 * len), gradients: gpu.storage(4 * len), len }
    }
}
