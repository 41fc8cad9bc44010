//! The only room that touches wgpu: a device, its buffers, its kernels.
//!
//! ```text
//! context   adapter, device, faults      buffers   a pool, uploads, read-back
//! shaders   sources put together         kernels   pipelines and the recording of stages
//! uniforms  structs for constants        upload    what goes there in parts
//! download  what comes back in parts
//! ```
//!
//! Work is recorded into one `kernels::Recorder` and submitted once; everything that goes wrong afterwards, also the
//! loss of the device, surfaces as an [`crate::Error`] at the next read-back.

pub mod buffers;
pub mod context;
mod download;
pub mod kernels;
pub mod shaders;
pub(crate) mod uniforms;
pub mod upload;

pub use context::{Choice, Gpu};
