//! The only room that touches wgpu: a device, its buffers, its kernels.
//!
//! ```text
//! context   adapter, device, faults      buffers   a pool, uploads, read-back
//! shaders   sources put together         kernels   pipelines and the recording of stages
//! unwritten what goes there in parts     fetch     what comes back in parts
//! shared    memory that CUDA sees too, and what goes by way of the host
//! ```
//!
//! Work is recorded into one `kernels::Recorder` and submitted once; everything that goes wrong afterwards, also the
//! loss of the device, surfaces as an [`crate::Error`] at the next read-back.

pub mod buffers;
pub mod context;
mod fetch;
pub mod kernels;
pub mod shaders;
pub mod shared;
pub mod unwritten;

pub use context::{Choice, Gpu};
