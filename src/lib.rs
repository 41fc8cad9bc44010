//! surfeltalk: talking heads of 2-D Gaussian surfels.
//!
//! What flows where, never back:
//!
//! ```text
//! bin → cli → { train, live, sample } → { loss, metrics, head } → raster → gpu        all → data_utils
//! ```
//!
//! * [`gpu`] the device: context, buffers, kernels (wgpu)
//! * [`raster`] surfels and cameras to images, and gradients back; one trait, a backend per device
//! * [`composite`] the head over its background: one finished picture
//! * [`head`] a talking head: the canonical [`head::cloud`] of surfels and the [`head::field`] that deforms it
//! * [`metrics`] PSNR, SSIM, LPIPS, landmark distance
//! * [`train`] the trainer
//! * [`live`] from a voice to frames to a video
//! * [`sample`] the made-up sample talker
//! * [`cli`] flags, progress, exit codes

#[cfg(feature = "cli")]
pub mod cli;
pub mod composite;
pub mod gpu;
pub mod head;
pub mod live;
pub mod metrics;
pub mod raster;
pub mod sample;
pub mod train;

pub use data_utils::camera::Camera;
pub use data_utils::error::{Error, Problem, Result};
