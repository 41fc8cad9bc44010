//! What a field on the GPU holds between the calls of a step.

use super::super::FieldBounds;
use super::super::rows::{RowValues, Widths};
use super::super::small_nets::FrameNets;
use super::activations::{Activations, GradientBuffers};
use super::deltas::DeviceDeltas;
use super::weights::{Places, SumPlaces};
use crate::gpu::{Gpu, PooledBuffer};
use wgpu::Buffer;

/// A field on a device.
pub struct DeviceField {
    pub(super) gpu: Gpu,
    pub(super) widths: Widths,
    pub(super) bounds: FieldBounds,
    pub(super) surfels: usize,
    pub(super) plane_numbers: usize,
    pub(super) planes: [PooledBuffer; 3],
    pub(super) embedding: [PooledBuffer; 3],
    /// Gradients of the planes, two words a number.
    pub(super) plane_sums: PooledBuffer,
    /// Gradients of what the planes and the embedding say, `[surfels, features + embedding]`.
    pub(super) of_inputs: PooledBuffer,
    pub(super) deltas: Option<DeviceDeltas>,
    pub(super) forward_state: Option<ForwardState>,
    pub(super) back: Option<BackwardBuffers>,
}

/// Gradients of the last backward pass, and the buffers it used.
pub(super) struct BackwardBuffers {
    pub(super) sums: PooledBuffer,
    pub(super) places: SumPlaces,
    pub(super) _scratch: (PooledBuffer, GradientBuffers, Vec<PooledBuffer>),
}

/// What the backward pass needs of the forward pass.
pub(super) struct ForwardState {
    pub(super) nets: Vec<FrameNets>,
    pub(super) values: RowValues,
    pub(super) places: Places,
    pub(super) weights: PooledBuffer,
    pub(super) positions: Buffer,
    pub(super) frames: usize,
    /// Frames computed together.
    pub(super) together: usize,
    /// `[surfels, features + embedding]`.
    pub(super) inputs: PooledBuffer,
    /// `[surfels, model]`.
    pub(super) rows: PooledBuffer,
    /// Activations of the frames that were computed last.
    pub(super) activations: Activations,
    /// Uniforms of the forward pass.
    pub(super) _uniforms: Vec<PooledBuffer>,
}
