//! What every program of the product shares: how it ends and how it shows its progress.

pub mod exit;
pub mod output;
pub mod progress;
pub mod threads;
