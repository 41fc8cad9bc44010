//! What a term of the loss is made of.

use super::frame::{Frame, FrameGradients};
use super::neighbors::NeighborGraph;
use super::target::Target;
use crate::Result;
use crate::raster::Outputs;

/// A term of the loss. Its value is a mean over elements, so that the size of an image does not matter.
pub struct Term {
    /// Its field of [`super::Weights`] and [`super::LossTerms`], and its column in the logs.
    pub name: &'static str,
    /// Its weight in the configuration; without a key, the weight is what another term leaves.
    pub key: Option<Key>,
    /// When it counts.
    pub phase: Phase,
    /// Power of length in the unit of its value. The weight is divided by the head's extent to this power, so that the
    /// dataset's unit of length does not matter.
    pub length_power: i32,
    /// What it compares.
    pub kind: Kind,
}

/// A weight in the configuration.
pub struct Key {
    /// Its name, `lambda_…`.
    pub name: &'static str,
    /// The weight where the configuration has none.
    pub default: f32,
}

/// When a term counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// In every step.
    Always,
    /// In the static stage, from its step `surface_from` on.
    Surface,
    /// In the stage with the field.
    Field,
    /// In the stage with the field, from its step `attention_from` on.
    Attention,
    /// In the stage with the field, from its share `lpips_from` on, where there are LPIPS weights.
    Perceptual,
}

/// What a term compares.
pub enum Kind {
    /// The images of each frame.
    Image(ImageTerm),
    /// A square patch of each frame, by LPIPS.
    Patch(PatchTerm),
    /// The surfels' embedding, between neighbours.
    Embedding(EmbeddingTerm),
}

/// Where a patch `side` pixels wide begins, row and column, in a frame of `[columns, rows]`, from two numbers in 0..1; nothing
/// where the frame has no such patch.
pub type PlacePatch = fn(&Target, usize, [usize; 2], [f64; 2]) -> Option<[usize; 2]>;

/// A term over a square patch of a frame: its LPIPS distance. Frames of which only the lips count have none.
pub struct PatchTerm {
    /// Places the patch.
    pub place: PlacePatch,
}

/// A term over the embeddings of neighbouring surfels. It does not depend on the frames.
pub struct EmbeddingTerm {
    /// Its value for an embedding `[surfels, width]`; adds `weight` times its gradient to the last slice, of the same shape.
    pub cpu: fn(&NeighborGraph, embedding: &[f32], width: usize, weight: f32, &mut [f32]) -> f64,
    /// The stage that does the same on the GPU, with the bindings of `shaders/loss/embedding_smoothness.wgsl`. Each of its
    /// workgroups leaves twice its part of the value.
    pub stage: &'static str,
}

/// A term over the images of a frame.
pub struct ImageTerm {
    /// Images it reads beside colour and alpha.
    pub reads: Outputs,
    /// Elements that its mean is over, at least 1, from the target and its columns and rows.
    pub elements: fn(&Target, [usize; 2]) -> f32,
    /// Whether it counts in frames of which only the lips count.
    pub lip_only: bool,
    /// Whether it is measured where it has no weight.
    pub always_measured: bool,
    /// Its sum over all elements of a frame; adds `weight` times the sum's gradient to the gradients of the images.
    pub cpu: fn(&Frame<'_>, weight: f32, &mut FrameGradients) -> Result<f64>,
    /// The same on the GPU.
    pub gpu: ImageShader,
}

/// How the GPU computes a term.
pub enum ImageShader {
    /// A WGSL function that looks at one pixel, named as the term:
    /// `fn name(pixel: Pixel, weight: f32, gradient: ptr<function, PixelGradient>) -> f32`. `shaders/loss/pixel_terms.wgsl`
    /// declares the types and calls the functions of all terms in use.
    Pixel(&'static str),
    /// Stages of its own, since it looks at several pixels at once.
    Stages(Stages),
}

/// Terms with stages of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stages {
    /// `ssim`, `ssim_backward`.
    Ssim,
    /// `gradient_difference`.
    GradientDifference,
    /// `normal_consistency`, `normal_consistency_backward`.
    NormalConsistency,
}
