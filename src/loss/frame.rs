//! The images of one frame that the terms compare on the CPU, and their gradients.

use super::target::Target;
use crate::Camera;
use crate::raster::Outputs;

/// One drawn frame and what it should look like. Images that were not drawn are empty.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// The camera it was drawn from.
    pub camera: &'a Camera,
    /// What it should look like.
    pub target: &'a Target,
    /// Columns and rows.
    pub size: [usize; 2],
    /// The composite, `[3, rows, columns]`.
    pub color: &'a [f32],
    /// `[rows, columns]`.
    pub alpha: &'a [f32],
    /// `[4, rows, columns]`: audio, expression, camera, frame.
    pub attention: &'a [f32],
    /// Σ w·z, `[rows, columns]`.
    pub depth: &'a [f32],
    /// Σ w·n, `[3, rows, columns]`.
    pub normal: &'a [f32],
    /// `[rows, columns]`.
    pub distortion: &'a [f32],
}

impl Frame<'_> {
    /// Pixels of the frame.
    pub fn pixels(&self) -> usize {
        self.size[0] * self.size[1]
    }
}

/// Gradients of the loss with respect to the images of a [`Frame`], same shapes.
#[derive(Debug, Clone, Default)]
pub struct FrameGradients {
    /// With respect to the composite.
    pub color: Vec<f32>,
    /// With respect to alpha.
    pub alpha: Vec<f32>,
    /// With respect to attention.
    pub attention: Vec<f32>,
    /// With respect to Σ w·z.
    pub depth: Vec<f32>,
    /// With respect to Σ w·n.
    pub normal: Vec<f32>,
    /// With respect to the distortion.
    pub distortion: Vec<f32>,
}

impl FrameGradients {
    /// Zeros for colour, alpha and the images in `outputs`, of `pixels` pixels each.
    pub fn zeros(pixels: usize, outputs: &Outputs) -> Self {
        let zeros = |channels: usize, drawn: bool| vec![0.0; if drawn { channels * pixels } else { 0 }];
        FrameGradients {
            color: zeros(3, true),
            alpha: zeros(1, true),
            attention: zeros(4, outputs.attention),
            depth: zeros(1, outputs.depth),
            normal: zeros(3, outputs.normal),
            distortion: zeros(1, outputs.distortion),
        }
    }
}

/// −1, 0 or 1: the derivative of |v|, 0 at 0.
pub(super) fn sign(v: f32) -> f32 {
    f32::from(i8::from(v > 0.0) - i8::from(v < 0.0))
}
