//! Audio attention minus frame attention inside the part and outside face and neck: there the field should attend to the
//! frame, not to the sound (SyncGaussianTalker).

use crate::Result;
use crate::loss::frame::{Frame, FrameGradients};
use crate::loss::term::{ImageShader, ImageTerm, Key, Kind, Phase, Term};
use crate::raster::Outputs;

pub(super) const TERM: Term = Term {
    name: "attention_audio",
    key: Some(Key { name: "lambda_attention_audio", default: 0.01 }),
    phase: Phase::Attention,
    length_power: 0,
    kind: Kind::Image(ImageTerm {
        reads: Outputs { attention: true, ..Outputs::NONE },
        elements: |_, [width, height]| (width * height) as f32,
        lip_only: false,
        always_measured: false,
        cpu: value_and_gradient,
        gpu: ImageShader::Pixel(WGSL),
    }),
};

const WGSL: &str = "
fn attention_audio(pixel: Pixel, weight: f32, gradient: ptr<function, PixelGradient>) -> f32 {
    if pixel.mask <= 0.0 || pixel.audio_allowed { return 0.0; }
    (*gradient).attention += weight * vec4(1.0, 0.0, 0.0, -1.0);
    return pixel.attention.x - pixel.attention.w;
}
";

fn value_and_gradient(frame: &Frame<'_>, weight: f32, gradients: &mut FrameGradients) -> Result<f64> {
    let (n, target) = (frame.pixels(), frame.target);
    let mut sum = 0.0f64;
    for at in (0..n).filter(|at| target.mask[*at] > 0.0 && !target.audio_mask[*at]) {
        sum += f64::from(frame.attention[at] - frame.attention[3 * n + at]);
        gradients.attention[at] += weight;
        gradients.attention[3 * n + at] -= weight;
    }
    Ok(sum)
}
