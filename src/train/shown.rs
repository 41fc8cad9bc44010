//! What a step compares: the drawing over what stands behind it, alpha applied once.
//!
//! The rasterizer draws over one colour, C = Σ + T·b. Where a [`Target`] knows the room behind the head, the picture shows
//! C + T·(r − b) instead, and gradients of what is shown go to colour and alpha (T = 1 − alpha).

use super::loss::Target;
use crate::raster::Rendered;

/// Pictures `[frames, 3, rows, columns]` as they are compared with their targets.
pub struct Shown {
    /// The pictures.
    pub color: Vec<f32>,
    drawn_over: [f32; 3],
}

impl Shown {
    /// The pictures of a batch that was drawn over the colour `drawn_over`.
    pub fn of(rendered: &Rendered, drawn_over: [f32; 3], targets: &[Target]) -> Self {
        let mut shown = Shown { color: rendered.color.clone(), drawn_over };
        let n = rendered.width * rendered.height;
        for (frame, target) in targets.iter().enumerate() {
            let alpha = &rendered.alpha[frame * n..][..n];
            for room in &target.room {
                let through = 1.0 - alpha[room.at];
                for (channel, (behind, over)) in room.color.iter().zip(drawn_over).enumerate() {
                    let at = (frame * 3 + channel) * n + room.at;
                    shown.color[at] += through * (behind - over);
                }
            }
        }
        shown
    }

    /// Adds to the gradient of alpha `[frames, rows, columns]` what the gradient of the pictures means for it. That of the
    /// drawn colour is the pictures' own.
    pub fn add_alpha_gradient(&self, targets: &[Target], color: &[f32], alpha: &mut [f32]) {
        let n = alpha.len() / targets.len().max(1);
        for (frame, target) in targets.iter().enumerate() {
            for room in &target.room {
                for channel in 0..3 {
                    let gradient = color[(frame * 3 + channel) * n + room.at];
                    alpha[frame * n + room.at] -= gradient * (room.color[channel] - self.drawn_over[channel]);
                }
            }
        }
    }
}
