//! L1: |drawn − target|, averaged over the part's mask. Pixels outside count too, so that nothing is drawn there.

use crate::Result;
use crate::loss::frame::{Frame, FrameGradients, sign};
use crate::loss::term::{ImageShader, ImageTerm, Kind, Phase, Term};
use crate::raster::Outputs;

pub(super) const TERM: Term = Term {
    name: "l1",
    key: None,
    phase: Phase::Always,
    length_power: 0,
    kind: Kind::Image(ImageTerm {
        reads: Outputs::NONE,
        elements: |target, _| 3.0 * target.mask.iter().sum::<f32>().max(1.0),
        lip_only: false,
        always_measured: true,
        cpu: value_and_gradient,
        gpu: ImageShader::Pixel(WGSL),
    }),
};

const WGSL: &str = "
fn l1(pixel: Pixel, weight: f32, gradient: ptr<function, PixelGradient>) -> f32 {
    (*gradient).color += weight * sign(pixel.color - pixel.truth);
    return absolute_difference(pixel);
}
";

fn value_and_gradient(frame: &Frame<'_>, weight: f32, gradients: &mut FrameGradients) -> Result<f64> {
    let mut sum = 0.0f64;
    for ((g, c), t) in gradients.color.iter_mut().zip(frame.color).zip(&frame.target.color) {
        sum += f64::from((c - t).abs());
        *g += weight * sign(c - t);
    }
    Ok(sum)
}
