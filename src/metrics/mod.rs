//! How well rendered frames agree with the truth: PSNR, SSIM, LPIPS, landmark distance, and the report of them.
//!
//! Pictures are planar f32, `[3, rows, columns]`, 0..1.

pub mod accumulator;
mod font;
pub mod landmarks;
pub mod lip_prediction;
pub mod lip_report;
pub mod lip_sync;
pub mod lip_track;
pub mod lpips;
pub mod motion;
mod mouth_crop;
pub mod planes;
pub mod portrait;
pub mod psnr;
pub mod report;
pub mod seam;
pub mod series;
pub mod sheet;
pub mod ssim;
