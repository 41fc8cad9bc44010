//! The loss on the GPU: the stages between the rasterizer's forward and backward passes. Twin of [`super::image_loss`].

mod pass;
mod targets;
#[cfg(test)]
mod tests;

pub use pass::{LossPass, LossSums, record};
pub use targets::DeviceTargets;
