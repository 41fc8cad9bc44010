//! A step's goals in the words of a rasterizer that scores what it draws itself.

use super::loss::{Loss, Target};
use crate::raster::SurfelBatch;
use crate::raster::score::{Crop, Goal, OnHost, Scored, Scorer, Staged, Weights};
use crate::raster::{RasterSettings, Rasterizer};
use crate::{Camera, Result};
use data_utils::dataset::Rect;

impl Target {
    /// This target for a scorer.
    pub fn goal(&self) -> Goal<'_> {
        let crop = |r: Rect| Crop { rows: [r.row0, r.row1], columns: [r.col0, r.col1] };
        Goal {
            color: &self.color,
            mask: &self.mask,
            trust: &self.trust,
            may_hear: &self.face_or_neck,
            may_express: &self.face,
            room: &self.room,
            lips: self.lips.map(crop),
            eyes: self.eyes.map(crop),
            lips_alone: self.lips_alone,
        }
    }
}

/// Draws, scores and goes back on the device: the loss, with no gradients of images and without what `on_host` adds, and
/// what came back.
///
/// # Errors
/// Those of the scorer.
pub fn score(
    scorer: &dyn Scorer,
    batch: &SurfelBatch<'_>,
    cameras: &[Camera],
    settings: &RasterSettings,
    targets: &[Target],
    weights: &Weights,
    on_host: Option<OnHost<'_>>,
) -> Result<(Loss, Scored)> {
    let goals: Vec<Goal<'_>> = targets.iter().map(Target::goal).collect();
    let scored = scorer.score(batch, cameras, settings.background, &goals, weights, on_host)?;
    Ok((Loss::without_gradients(&scored.scores), scored))
}

/// Brings targets to where `rasterizer` compares them, where that is far away.
///
/// # Errors
/// Those of [`Rasterizer::stage`].
pub(super) fn stage(
    rasterizer: &dyn Rasterizer,
    targets: &[Target],
    weights: &Weights,
    [width, height]: [u32; 2],
) -> Result<Option<Staged>> {
    let goals: Vec<Goal<'_>> = targets.iter().map(Target::goal).collect();
    rasterizer.stage(&goals, weights, [width as usize, height as usize])
}
