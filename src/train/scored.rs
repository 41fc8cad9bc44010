//! A step's goals in the words of a rasterizer that scores what it draws itself.

use super::loss::Target;
use crate::Result;
use crate::raster::Rasterizer;
use crate::raster::score::{Crop, Goal, Staged, Weights};
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
