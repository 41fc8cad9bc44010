//! Flags, progress and exit codes of the programs.

mod background;
pub mod convert;
pub mod demo;
pub mod device;
mod export;
mod export_file;
mod export_web;
pub mod interrupt;
mod model_source;
mod output_folder;
pub mod presets;
pub mod process;
mod record;
pub mod render;
mod render_flags;
mod render_scores;
mod score;
mod score_motion;
mod score_poses;
#[cfg(feature = "serve")]
pub mod serve;
mod surfeltalk;
pub mod train;
pub mod voice;
mod watcher;

pub use data_utils::cli::{exit, output, progress, threads};
pub use surfeltalk::Surfeltalk;
