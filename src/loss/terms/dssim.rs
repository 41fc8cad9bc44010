//! 1 − SSIM (Wang et al. 2004), windows of 11 × 11, averaged over the whole image.

use crate::Result;
use crate::loss::frame::{Frame, FrameGradients};
use crate::loss::term::{ImageShader, ImageTerm, Key, Kind, Phase, Stages, Term};
use crate::metrics::ssim::SsimLoss;
use crate::raster::Outputs;
use std::cell::Cell;

pub(super) const TERM: Term = Term {
    name: "dssim",
    key: Some(Key { name: "lambda_dssim", default: 0.2 }),
    phase: Phase::Always,
    length_power: 0,
    kind: Kind::Image(ImageTerm {
        reads: Outputs::NONE,
        elements: |_, [width, height]| (3 * width * height) as f32,
        lip_only: false,
        always_measured: false,
        cpu: value_and_gradient,
        gpu: ImageShader::Stages(Stages::Ssim),
    }),
};

thread_local! {
    /// Work space of the last frame: making it anew costs as much as using it.
    static WORKSPACE: Cell<Option<SsimLoss>> = const { Cell::new(None) };
}

fn value_and_gradient(frame: &Frame<'_>, weight: f32, gradients: &mut FrameGradients) -> Result<f64> {
    let [width, height] = frame.size;
    let elements = (3 * width * height) as f32;
    // Taken rather than borrowed: while this thread waits for others it may begin another frame.
    let workspace = WORKSPACE.take().filter(|ssim| ssim.size() == [3, height, width]);
    let mut ssim = workspace.unwrap_or_else(|| SsimLoss::new(3, height, width));
    let mean =
        ssim.value_and_gradient(frame.color, &frame.target.color, -weight * elements, &mut gradients.color)?;
    WORKSPACE.set(Some(ssim));
    Ok((1.0 - mean) * f64::from(elements))
}
