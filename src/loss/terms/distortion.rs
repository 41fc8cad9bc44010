//! Depth distortion (2DGS, Huang et al. 2024, eq. 13), drawn by the rasterizer.

use crate::Result;
use crate::loss::frame::{Frame, FrameGradients};
use crate::loss::term::{ImageShader, ImageTerm, Key, Kind, Phase, Term};
use crate::raster::Outputs;

pub(super) const TERM: Term = Term {
    name: "distortion",
    key: Some(Key { name: "lambda_distortion", default: 1000.0 }),
    phase: Phase::Surface,
    length_power: 2,
    kind: Kind::Image(ImageTerm {
        reads: Outputs { distortion: true, ..Outputs::NONE },
        elements: |_, [width, height]| (width * height) as f32,
        lip_only: false,
        always_measured: false,
        cpu: value_and_gradient,
        gpu: ImageShader::Pixel(WGSL),
    }),
};

const WGSL: &str = "
fn distortion(pixel: Pixel, weight: f32, gradient: ptr<function, PixelGradient>) -> f32 {
    (*gradient).distortion += weight;
    return pixel.distortion;
}
";

fn value_and_gradient(frame: &Frame<'_>, weight: f32, gradients: &mut FrameGradients) -> Result<f64> {
    gradients.distortion.iter_mut().for_each(|g| *g += weight);
    Ok(frame.distortion.iter().map(|d| f64::from(*d)).sum())
}
