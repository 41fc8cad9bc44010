//! How well rendered frames agree with the truth: PSNR, SSIM, LPIPS, landmark distance, and the report of them.
//!
//! Pictures are planar f32, `[3, rows, columns]`, 0..1.

pub mod accumulator;
mod font;
pub mod landmarks;
pub mod lpips;
pub mod planes;
pub mod psnr;
pub mod report;
pub mod sheet;
pub mod ssim;
