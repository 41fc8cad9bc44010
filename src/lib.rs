//! surfeltalk: talking heads of 2-D Gaussian surfels.
//!
//! What flows where, never back:
//!
//! ```text
//! bin → cli → { train, synth } → head → { field, raster, surfel, metrics, data_utils }
//! ```
//!
//! * [`surfel`] the canonical cloud: parameters, initialisation, density control, PLY and model folder
//! * [`raster`] surfels and cameras to images, and gradients back; one trait, a backend per device
//! * [`gpu`] the device: context, buffers, kernels (wgpu)
//! * [`field`] what deforms the cloud for a frame (candle)
//! * [`head`] cloud and field together
//! * [`train`] the trainer
//! * [`synth`] from a voice to frames to a video; the made-up sample talker
//! * [`metrics`] PSNR, SSIM, LPIPS, landmark distance
//! * [`cli`] flags, progress, exit codes

pub mod cli;
pub mod field;
pub mod gpu;
pub mod head;
pub mod metrics;
pub mod raster;
pub mod surfel;
pub mod synth;
pub mod train;

pub use data_utils::camera::Camera;
pub use data_utils::error::{Error, Problem, Result};
