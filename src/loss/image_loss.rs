//! The terms over images on the CPU, and their gradients with respect to the drawn images.

use super::composite::Composite;
use super::frame::{Frame, FrameGradients};
use super::target::Target;
use super::terms::{LossTerms, TERMS, Weights};
use crate::raster::{ImageGradients, Rendered};
use crate::{Camera, Result};
use rayon::prelude::*;

/// Loss, gradients and how hard each frame was.
pub struct Loss {
    /// The terms, means over the frames.
    pub terms: LossTerms,
    /// The terms of each frame.
    pub frames: Vec<LossTerms>,
    /// With respect to the drawn images.
    pub gradients: ImageGradients,
    /// Mean |Δ| over lips, eyes and brows of each frame, what moves most; 0 where landmarks are not known.
    pub hardness: Vec<f32>,
}

impl Loss {
    /// The loss of frames with these terms, without gradients of images.
    pub fn without_gradients(frames: &[LossTerms]) -> Self {
        Loss {
            terms: LossTerms::mean(frames),
            frames: frames.to_vec(),
            gradients: ImageGradients::default(),
            hardness: frames.iter().map(LossTerms::hardness).collect(),
        }
    }
}

/// Compares a drawn batch and its composites with their targets; the gradient of the colour is that of the composites
/// ([`Composite::add_alpha_gradient`] takes it on to alpha). Frames are added in order, so the result does not depend on
/// threads.
///
/// # Errors
/// [`crate::Error::Internal`] when an image does not have its target's size.
pub fn image_loss(
    rendered: &Rendered,
    composite: &Composite,
    cameras: &[Camera],
    targets: &[Target],
    weights: &Weights,
) -> Result<Loss> {
    let outputs = weights.outputs();
    let n = rendered.width * rendered.height;
    let one = |(index, (target, camera))| {
        let frame = Frame {
            camera,
            target,
            size: [rendered.width, rendered.height],
            color: plane(&composite.color, index, 3 * n),
            alpha: plane(&rendered.alpha, index, n),
            attention: plane(&rendered.attention, index, 4 * n),
            depth: plane(&rendered.depth, index, n),
            normal: plane(&rendered.normal, index, 3 * n),
            distortion: plane(&rendered.distortion, index, n),
        };
        let mut gradients = FrameGradients::zeros(n, &outputs);
        let terms = frame_loss(&frame, weights, &mut gradients)?;
        Ok((terms, gradients))
    };
    let frames: Vec<(LossTerms, FrameGradients)> =
        targets.par_iter().zip(cameras).enumerate().map(one).collect::<Result<_>>()?;
    let mut gradients = ImageGradients::default();
    let share = 1.0 / targets.len() as f32;
    for (_, frame) in &frames {
        for (all, one) in [
            (&mut gradients.color, &frame.color),
            (&mut gradients.alpha, &frame.alpha),
            (&mut gradients.attention, &frame.attention),
            (&mut gradients.normal, &frame.normal),
            (&mut gradients.depth, &frame.depth),
            (&mut gradients.distortion, &frame.distortion),
        ] {
            all.extend(one.iter().map(|g| g * share));
        }
    }
    let terms: Vec<LossTerms> = frames.iter().map(|(terms, _)| *terms).collect();
    Ok(Loss { gradients, ..Loss::without_gradients(&terms) })
}

/// The part of an image that belongs to frame `index`; empty where the image was not drawn.
fn plane(image: &[f32], index: usize, elements: usize) -> &[f32] {
    image.get(index * elements..(index + 1) * elements).unwrap_or_default()
}

/// The terms of one frame; adds the gradient of their weighted sum.
fn frame_loss(frame: &Frame<'_>, weights: &Weights, gradients: &mut FrameGradients) -> Result<LossTerms> {
    let each = weights.each();
    let mut values = [0.0; TERMS.len()];
    for (number, _, term) in weights.measured().filter(|(.., term)| term.lip_only || !frame.target.lip_only) {
        let per_element = 1.0 / (term.elements)(frame.target, frame.size);
        let sum = (term.cpu)(frame, each[number] * per_element, gradients)?;
        values[number] = (sum * f64::from(per_element)) as f32;
    }
    Ok(weights.terms(values))
}

#[cfg(test)]
#[path = "image_loss_tests.rs"]
mod tests;
