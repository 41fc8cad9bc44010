//! Cross-entropy of alpha against the part's mask, as far as the mask counts.

use crate::Result;
use crate::loss::frame::{Frame, FrameGradients};
use crate::loss::term::{ImageShader, ImageTerm, Key, Kind, Phase, Term};
use crate::raster::Outputs;

pub(super) const TERM: Term = Term {
    name: "mask",
    key: Some(Key { name: "lambda_mask", default: 0.1 }),
    phase: Phase::Always,
    length_power: 0,
    kind: Kind::Image(ImageTerm {
        reads: Outputs::NONE,
        elements: |_, [width, height]| (width * height) as f32,
        lip_only: false,
        always_measured: false,
        cpu: value_and_gradient,
        gpu: ImageShader::Pixel(WGSL),
    }),
};

/// Alpha is kept this far from 0 and 1, where the logarithm is infinite.
const EDGE: f32 = 1e-3;

const WGSL: &str = "
const MASK_EDGE: f32 = 1e-3;

fn mask(pixel: Pixel, weight: f32, gradient: ptr<function, PixelGradient>) -> f32 {
    let a = clamp(pixel.alpha, MASK_EDGE, 1.0 - MASK_EDGE);
    let m = pixel.mask;
    (*gradient).alpha += weight * pixel.mask_confidence * (a - m) / (a * (1.0 - a));
    return -pixel.mask_confidence * (m * log(a) + (1.0 - m) * log(1.0 - a));
}
";

fn value_and_gradient(frame: &Frame<'_>, weight: f32, gradients: &mut FrameGradients) -> Result<f64> {
    let mut sum = 0.0f64;
    let target = frame.target;
    let masks = target.mask.iter().zip(&target.mask_confidence);
    for ((alpha, (m, confidence)), g) in frame.alpha.iter().zip(masks).zip(&mut gradients.alpha) {
        let a = alpha.clamp(EDGE, 1.0 - EDGE);
        sum -= f64::from(confidence * (m * a.ln() + (1.0 - m) * (1.0 - a).ln()));
        *g += weight * confidence * (a - m) / (a * (1.0 - a));
    }
    Ok(sum)
}
