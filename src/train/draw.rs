//! The pictures of a step: drawn, scored and gone back through, on the host or where the rasterizer keeps them.

use super::loss::{Loss, LossTerms, Target, Weights, image_loss};
use super::scored;
use super::shown::Shown;
use super::step::Clock;
use super::targets::{self, RoomEdge};
use super::trainer::Trainer;
use crate::field::Conditions;
use crate::raster::score::OnHost;
use crate::raster::{ImageGradients, RasterSettings, SurfelBatch, SurfelGradients};
use crate::surfel::activate::{RawGradients, activate, activate_vjp};
use crate::{Camera, Result};
use data_utils::dataset::{Dataset, Part};
use rayon::prelude::*;
use std::ops::Range;

/// What a step looks at.
pub(super) struct View {
    pub(super) picks: Vec<usize>,
    /// The same as frames of the dataset.
    pub(super) indices: Vec<usize>,
    pub(super) background: [f32; 3],
    pub(super) dice: Vec<[f64; 2]>,
    pub(super) conditions: Vec<Conditions>,
    pub(super) cameras: Vec<Camera>,
    pub(super) weights: Weights,
    pub(super) perceptual: bool,
}

impl View {
    /// What the frames should look like.
    ///
    /// # Errors
    /// Those of reading a frame.
    pub(super) fn targets(&self, dataset: &Dataset, part: Part, room: &RoomEdge) -> Result<Vec<Target>> {
        let target = |index: &usize| targets::target(dataset, *index, part, self.background, room);
        self.indices.par_iter().map(target).collect()
    }
}

/// What a step's pictures gave.
pub(super) struct Drawn {
    pub(super) finite: bool,
    pub(super) terms: LossTerms,
    pub(super) perceptual: f32,
    pub(super) errors: Vec<f32>,
    pub(super) raw: RawGradients,
    pub(super) radii: Vec<u32>,
    pub(super) screen: Vec<f32>,
}

/// The loss, that of patches, gradients of what was drawn, and radii.
type Outcome = (Loss, f32, SurfelGradients, Vec<u32>);

impl Trainer<'_> {
    /// Draws a step's frames, scores them, and takes the gradients back to the cloud's parameters and the deltas.
    pub(super) fn draw(
        &self,
        view: &View,
        targets: &[Target],
        degree: usize,
        packed: Option<&[f32]>,
        clock: &mut Clock,
    ) -> Result<Drawn> {
        let deltas = packed.map(|packed| self.head.deltas(packed, view.cameras.len()));
        let activated = activate(&self.head.cloud, degree, deltas.as_ref())?;
        clock.lap(|t| &mut t.activate);
        let mut settings = RasterSettings { outputs: view.weights.outputs(), ..RasterSettings::default() };
        settings.background[..3].copy_from_slice(&view.background);
        let batch = activated.batch();
        let (loss, perceptual, mut gradients, radii) = match self.rasterizer.scorer() {
            Some(scorer) => {
                let mut perceptual = 0.0;
                let mut patches = |range: Range<usize>, color: &[f32], gradient: &mut [f32]| {
                    perceptual += self.patches(view, targets, range, color, gradient)?;
                    Ok(())
                };
                // The patches' network runs on the host.
                let on_host = self.has_patches(view).then_some(&mut patches as OnHost<'_>);
                let (cameras, weights) = (&view.cameras, &view.weights);
                let (loss, scored) =
                    scored::score(scorer, &batch, cameras, &settings, targets, weights, on_host)?;
                clock.lap(|t| &mut t.scored);
                (loss, perceptual, scored.gradients, scored.radii)
            }
            None => self.draw_on_the_host(view, targets, &batch, &settings, clock)?,
        };
        let raw = activate_vjp(&self.head.cloud, deltas.as_ref(), &activated, &gradients)?;
        let screen = std::mem::take(&mut gradients.screen);
        self.rasterizer.recycle_gradients(gradients);
        clock.lap(|t| &mut t.activate);
        Ok(Drawn {
            finite: loss.terms.total.is_finite() && finite(&raw),
            terms: loss.terms,
            perceptual,
            errors: loss.errors,
            raw,
            radii,
            screen,
        })
    }

    /// Draws, scores and goes back with the pictures on the host.
    fn draw_on_the_host(
        &self,
        view: &View,
        targets: &[Target],
        batch: &SurfelBatch<'_>,
        settings: &RasterSettings,
        clock: &mut Clock,
    ) -> Result<Outcome> {
        let mut rendered = self.rasterizer.forward(batch, &view.cameras, settings)?;
        clock.lap(|t| &mut t.raster_forward);
        let shown = Shown::of(&rendered, view.background, targets);
        let mut loss = image_loss(&rendered, &shown, &view.cameras, targets, &view.weights)?;
        let everything = 0..targets.len();
        let perceptual = self.patches(view, targets, everything, &shown.color, &mut loss.gradients.color)?;
        let ImageGradients { color, alpha, .. } = &mut loss.gradients;
        alpha.resize(rendered.alpha.len(), 0.0);
        shown.add_alpha_gradient(targets, color, alpha);
        clock.lap(|t| &mut t.loss);
        let gradients =
            self.rasterizer.backward(batch, &view.cameras, settings, &rendered, &loss.gradients)?;
        let radii = std::mem::take(&mut rendered.radii);
        self.rasterizer.recycle(rendered);
        clock.lap(|t| &mut t.raster_backward);
        Ok((loss, perceptual, gradients, radii))
    }

    /// Whether patches are looked at in this step.
    fn has_patches(&self, view: &View) -> bool {
        view.perceptual && self.perceptual.is_some()
    }

    /// Their share of the step's LPIPS in the frames `range`, whose pictures are `color`, 0 where they are not looked at;
    /// adds the weighted gradient.
    fn patches(
        &self,
        view: &View,
        targets: &[Target],
        range: Range<usize>,
        color: &[f32],
        gradient: &mut [f32],
    ) -> Result<f32> {
        let Some(perceptual) = self.perceptual.as_ref().filter(|_| view.perceptual) else { return Ok(0.0) };
        let share = 1.0 / targets.len() as f32;
        let size = view.cameras.first().map_or([0, 0], |c| [c.width as usize, c.height as usize]);
        let (targets, dice) = (&targets[range.clone()], &view.dice[range]);
        let weight = share * self.config.lambda_perceptual;
        Ok(share * perceptual.add(color, size, targets, dice, weight, gradient)?)
    }
}

fn finite(raw: &RawGradients) -> bool {
    [&raw.positions, &raw.rotations, &raw.log_scales, &raw.opacity_logits, &raw.harmonics]
        .iter()
        .all(|values| values.par_iter().all(|v| v.is_finite()))
}
