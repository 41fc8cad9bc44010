//! L1 over the crop of the lips. In frames drawn with another frame's blendshapes and pose it is the only term.

use crate::Result;
use crate::loss::crop;
use crate::loss::frame::{Frame, FrameGradients};
use crate::loss::term::{ImageShader, ImageTerm, Key, Kind, Phase, Term};
use crate::raster::Outputs;

pub(super) const TERM: Term = Term {
    name: "lips",
    key: Some(Key { name: "lambda_lips", default: 1.0 }),
    phase: Phase::Field,
    length_power: 0,
    kind: Kind::Image(ImageTerm {
        reads: Outputs::NONE,
        elements: |target, size| crop::elements(target.lips, size),
        lip_only: true,
        // Frames are picked by how badly lips and eyes were drawn.
        always_measured: true,
        cpu: value_and_gradient,
        gpu: ImageShader::Pixel(WGSL),
    }),
};

const WGSL: &str = "
fn lips(pixel: Pixel, weight: f32, gradient: ptr<function, PixelGradient>) -> f32 {
    if !pixel.in_lips { return 0.0; }
    (*gradient).color += weight * sign(pixel.color - pixel.truth);
    return absolute_difference(pixel);
}
";

fn value_and_gradient(frame: &Frame<'_>, weight: f32, gradients: &mut FrameGradients) -> Result<f64> {
    Ok(crop::l1(frame, frame.target.lips, weight, gradients))
}
