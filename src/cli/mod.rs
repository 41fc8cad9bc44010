//! Flags, progress and exit codes of the programs.

pub mod demo;
pub mod device;
pub mod exit;
pub mod interrupt;
pub mod progress;
pub mod render;
pub mod train;
pub mod watcher;
