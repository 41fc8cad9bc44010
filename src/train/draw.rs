//! The pictures of a step, drawn, scored and gone back through on the host.

use super::own::Looking;
use super::step::Clock;
use crate::Result;
use crate::head::cloud::activate::{RawGradients, activate, activate_vjp};
use crate::loss::{Composite, LossTerms, image_loss};
use crate::raster::cpu::CpuRasterizer;
use crate::raster::{ImageGradients, RasterSettings, Rasterizer};
use rayon::prelude::*;
use std::ops::Range;

/// What a step's pictures gave.
pub(super) struct Drawn {
    pub(super) finite: bool,
    pub(super) terms: LossTerms,
    pub(super) perceptual: f32,
    pub(super) errors: Vec<f32>,
    /// Empty where nobody wanted them.
    pub(super) radii: Vec<u32>,
    pub(super) screen: Vec<f32>,
}

/// Draws a step's frames on the host, scores them, and takes the gradients back to the cloud's parameters and the rows.
pub(super) fn on_the_host(
    rasterizer: &CpuRasterizer,
    looking: &Looking<'_>,
    packed: Option<&[f32]>,
    clock: &mut Clock,
) -> Result<(Drawn, RawGradients)> {
    let Looking { head, view, targets, .. } = *looking;
    let deltas = packed.map(|packed| head.deltas(packed, view.cameras.len()));
    let activated = activate(&head.cloud, looking.degree, deltas.as_ref())?;
    clock.lap(|t| &mut t.activate);
    let mut settings = RasterSettings { outputs: view.weights.outputs(), ..RasterSettings::default() };
    settings.background[..3].copy_from_slice(&view.background);
    let batch = activated.batch();
    let mut rendered = rasterizer.forward(&batch, &view.cameras, &settings)?;
    clock.lap(|t| &mut t.raster_forward);
    let composite = Composite::new(&rendered, view.background, targets);
    let mut loss = image_loss(&rendered, &composite, &view.cameras, targets, &view.weights)?;
    let everything = 0..targets.len();
    let perceptual = patches(looking, everything, &composite.color, &mut loss.gradients.color)?;
    let ImageGradients { color, alpha, .. } = &mut loss.gradients;
    alpha.resize(rendered.alpha.len(), 0.0);
    composite.add_alpha_gradient(targets, color, alpha);
    clock.lap(|t| &mut t.loss);
    let mut gradients = rasterizer.backward(&batch, &view.cameras, &settings, &rendered, &loss.gradients)?;
    let radii = std::mem::take(&mut rendered.radii);
    clock.lap(|t| &mut t.raster_backward);
    let raw = activate_vjp(&head.cloud, deltas.as_ref(), &activated, &gradients)?;
    let screen = std::mem::take(&mut gradients.screen);
    clock.lap(|t| &mut t.activate);
    let finite = loss.terms.total.is_finite() && finite(&raw);
    Ok((Drawn { finite, terms: loss.terms, perceptual, errors: loss.hardness, radii, screen }, raw))
}

/// The patches' share of the step's LPIPS in the frames `range`, whose pictures are `color`, 0 where they are not looked
/// at; adds the weighted gradient.
pub(super) fn patches(
    looking: &Looking<'_>,
    range: Range<usize>,
    color: &[f32],
    gradient: &mut [f32],
) -> Result<f32> {
    let Looking { view, targets, .. } = *looking;
    let Some(perceptual) = looking.perceptual.filter(|_| view.perceptual) else { return Ok(0.0) };
    let share = 1.0 / targets.len() as f32;
    let size = view.cameras.first().map_or([0, 0], |c| [c.width as usize, c.height as usize]);
    let (targets, dice) = (&targets[range.clone()], &view.dice[range]);
    let weight = share * looking.config.lambda_perceptual;
    Ok(share * perceptual.add(color, size, targets, dice, weight, gradient)?)
}

fn finite(raw: &RawGradients) -> bool {
    [&raw.positions, &raw.rotations, &raw.log_scales, &raw.opacity_logits, &raw.harmonics]
        .iter()
        .all(|values| values.par_iter().all(|v| v.is_finite()))
}
