//! The only room that touches wgpu: a device, its buffers, its kernels.
//!
//! ```text
//! context   adapter, device, faults      buffers   a pool, uploads, read-back
//! shaders   sources put together         kernels   pipelines and the recording of stages
//! unwritten memory on its way there      shared    memory that CUDA sees too
//! ```
//!
//! Work is recorded into one `kernels::Recorder` and submitted once; everything that goes wrong afterwards, also the
//! loss of the device, surfaces as an [`crate::Error`] at the next read-back.

pub mod buffers;
pub mod context;
pub mod kernels;
pub mod shaders;
pub mod shared;
pub mod unwritten;

pub use context::{Choice, Gpu};
