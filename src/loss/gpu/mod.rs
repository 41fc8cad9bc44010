//! The loss on the GPU: the stages between the rasterizer's forward and backward passes. Twin of [`mod@super::image_loss`].

mod embedding;
mod in_use;
mod pass;
mod patches;
mod sums;
mod targets;
#[cfg(test)]
mod tests;

pub use embedding::{DeviceNeighbors, EmbeddingBuffers, EmbeddingPass, record_embedding};
pub use pass::{LossPass, record};
pub use patches::{PatchPass, record_patches};
pub use sums::LossSums;
pub use targets::DeviceTargets;
