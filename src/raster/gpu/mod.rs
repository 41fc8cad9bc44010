//! The GPU backend: WGSL compute shaders through wgpu, on any adapter.
//!
//! The stages are those of the CPU backend, a file each under `shaders/`:
//!
//! ```text
//! forward:  project → prefix_sum → emit_pairs → sort_tiles → blend
//! backward: blend_backward → sum_pairs → project_backward
//! ```
//!
//! All frames of a batch go through one set of dispatches; where the adapter's buffers are too small for that, in
//! several. Between the stages nothing is read back: pairs are counted on the device, and where they did not fit the
//! batch is drawn again with a larger capacity. A list's order and every sum are fixed, so the same batch gives the same bits
//! on the same adapter; nothing needs atomic floats. Per surfel the arithmetic is f32 (f64 on the CPU), arranged so that
//! large and nearly equal numbers are not subtracted.
//!
//! What costs is the visit of a splat by a block of 8×4 pixels, so the stages are about visiting few: splats are kept
//! from blocks that their boxes miss, and the backward pass visits only those that were drawn.

pub mod backward;
mod draw;
pub mod forward;
mod inputs;
pub(crate) mod layout;
mod plan;
mod rasterizer;
#[cfg(test)]
mod tests;

pub use inputs::{BatchShape, Inputs};
pub use rasterizer::GpuRasterizer;
