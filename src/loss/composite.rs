//! The image that is compared with a target: the drawing over the background behind it.
//!
//! The rasterizer draws over one colour b: C = Σ + T·b, T = 1 − alpha. Where a [`Target`] knows the background r behind a
//! pixel, the composite is C + T·(r − b), and its gradient goes to colour and to alpha.

use super::target::Target;
use crate::raster::Rendered;

/// Images `[frames, 3, rows, columns]` that are compared with their targets.
pub struct Composite {
    /// RGB.
    pub color: Vec<f32>,
    drawn_over: [f32; 3],
}

impl Composite {
    /// The composites of a batch that was drawn over the colour `drawn_over`.
    pub fn new(rendered: &Rendered, drawn_over: [f32; 3], targets: &[Target]) -> Self {
        let mut composite = Composite { color: rendered.color.clone(), drawn_over };
        let n = rendered.width * rendered.height;
        for (frame, target) in targets.iter().enumerate() {
            let alpha = &rendered.alpha[frame * n..][..n];
            for sample in &target.background {
                let transmittance = 1.0 - alpha[sample.pixel];
                for (channel, (behind, over)) in sample.color.iter().zip(drawn_over).enumerate() {
                    let at = (frame * 3 + channel) * n + sample.pixel;
                    composite.color[at] += transmittance * (behind - over);
                }
            }
        }
        composite
    }

    /// Adds to the gradient of alpha `[frames, rows, columns]` what the gradient `color` of the composites implies. The
    /// gradient of the drawn colour is that of the composites.
    pub fn add_alpha_gradient(&self, targets: &[Target], color: &[f32], alpha: &mut [f32]) {
        let n = alpha.len() / targets.len().max(1);
        for (frame, target) in targets.iter().enumerate() {
            for sample in &target.background {
                for channel in 0..3 {
                    let gradient = color[(frame * 3 + channel) * n + sample.pixel];
                    alpha[frame * n + sample.pixel] -=
                        gradient * (sample.color[channel] - self.drawn_over[channel]);
                }
            }
        }
    }
}
