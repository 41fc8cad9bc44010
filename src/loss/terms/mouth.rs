//! Cross-entropy of how much of the inside of the mouth is seen against where it is seen, over the crop of the lips. It opens
//! and closes the lips in front of the mouth, and keeps skin out of it (the hole of TalkingGaussian, Li et al. 2024, §3.3).

use crate::Result;
use crate::loss::crop;
use crate::loss::frame::{Frame, FrameGradients};
use crate::loss::target::{MouthLabel, crop_inside};
use crate::loss::term::{ImageShader, ImageTerm, Key, Kind, Phase, Term};
use crate::raster::Outputs;

pub(super) const TERM: Term = Term {
    name: "mouth",
    key: Some(Key { name: "lambda_mouth", default: 0.1 }),
    phase: Phase::Field,
    length_power: 0,
    kind: Kind::Image(ImageTerm {
        reads: Outputs { attention: true, ..Outputs::NONE },
        elements: |target, size| crop::elements(target.lips, size) / 3.0,
        lip_only: true,
        always_measured: false,
        cpu: value_and_gradient,
        gpu: ImageShader::Pixel(WGSL),
    }),
};

/// What is seen is kept this far from 0 and 1, where the logarithm is infinite.
const EDGE: f32 = 1e-2;

const WGSL: &str = "
const MOUTH_EDGE: f32 = 1e-2;

fn mouth(pixel: Pixel, weight: f32, gradient: ptr<function, PixelGradient>) -> f32 {
    if !pixel.in_lips || !(pixel.inside_mouth || pixel.outside_mouth) { return 0.0; }
    let seen = clamp(pixel.attention.w, MOUTH_EDGE, 1.0 - MOUTH_EDGE);
    if pixel.inside_mouth {
        (*gradient).attention.w -= weight / seen;
        return -log(seen);
    }
    (*gradient).attention.w += weight / (1.0 - seen);
    return -log(1.0 - seen);
}
";

fn value_and_gradient(frame: &Frame<'_>, weight: f32, gradients: &mut FrameGradients) -> Result<f64> {
    let (n, labels) = (frame.pixels(), &frame.target.mouth);
    let crop = crop_inside(frame.target.lips, frame.size);
    let mut sum = 0.0f64;
    for row in crop.row0..crop.row1 {
        for at in row * frame.size[0] + crop.col0..row * frame.size[0] + crop.col1 {
            let seen = frame.attention[3 * n + at].clamp(EDGE, 1.0 - EDGE);
            match labels.get(at).copied().unwrap_or_default() {
                MouthLabel::Unknown => {}
                MouthLabel::Inside => {
                    sum -= f64::from(seen.ln());
                    gradients.attention[3 * n + at] -= weight / seen;
                }
                MouthLabel::Outside => {
                    sum -= f64::from((1.0 - seen).ln());
                    gradients.attention[3 * n + at] += weight / (1.0 - seen);
                }
            }
        }
    }
    Ok(sum)
}
