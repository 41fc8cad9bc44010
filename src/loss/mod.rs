//! The loss: what drawn frames should look like, how far they are from it, and the gradients of that.
//!
//! A term of the loss is one file under `terms`, with its key in the configuration, its value and gradient on the CPU, and
//! its WGSL function. The table in `terms/mod.rs` lists them; weights, values, configuration keys and columns of the logs
//! follow from it. The GPU's shader is put together from the terms that are in use.
//!
//! The weights and terms follow SyncGaussianTalker's training, with its sums replaced by means so that the size of the
//! image does not matter.

pub mod composite;
mod config;
mod crop;
pub mod embedding_loss;
pub mod frame;
pub mod gpu;
pub mod image_loss;
pub mod neighbors;
pub mod patches;
pub mod target;
pub mod term;
pub mod terms;

pub use composite::Composite;
pub use image_loss::{Loss, image_loss};
pub use target::{BackgroundSample, MouthLabel, Target, check_targets};
pub use terms::{LossTerms, TERMS, Weights};
