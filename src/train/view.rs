//! What a step looks at: frames, what drives them, and everything random in it.

use super::step::Stage;
use super::targets::{self, EdgeBand};
use super::trainer::Trainer;
use super::weights::weights;
use crate::head::field::Conditions;
use crate::loss::{Target, Weights};
use crate::{Camera, Result};
use data_utils::dataset::{Dataset, Part};
use rayon::prelude::*;

/// What a step looks at.
pub(super) struct View {
    pub(super) picks: Vec<usize>,
    /// The same as frames of the dataset.
    pub(super) indices: Vec<usize>,
    pub(super) background: [f32; 3],
    pub(super) dice: Vec<[f64; 2]>,
    pub(super) conditions: Vec<Conditions>,
    /// Whether blendshapes and pose are another frame's, so that only the lips count.
    pub(super) borrowed: Vec<bool>,
    pub(super) cameras: Vec<Camera>,
    pub(super) weights: Weights,
    pub(super) perceptual: bool,
}

impl View {
    /// What the frames should look like.
    ///
    /// # Errors
    /// Those of reading a frame.
    pub(super) fn targets(&self, dataset: &Dataset, part: Part, edge: &EdgeBand) -> Result<Vec<Target>> {
        let target = |(index, borrowed): (&usize, &bool)| {
            let target = targets::target(dataset, *index, part, self.background, edge)?;
            Ok(Target { lip_only: *borrowed, ..target })
        };
        self.indices.par_iter().zip(&self.borrowed).map(target).collect()
    }
}

impl Trainer<'_> {
    /// Picks the frames of a step and everything random in it.
    pub(super) fn choose(&mut self, stage: Stage, step: u64) -> Result<View> {
        let batch = if stage == Stage::Coarse { 1 } else { self.config.batch_size };
        let picks: Vec<usize> = (0..batch).map(|_| self.sampler.draw()).collect();
        let background = targets::background(&self.config, &mut self.sampler);
        let frozen: Vec<bool> =
            picks.iter().map(|_| self.sampler.unit() < self.config.frame_code_dropout).collect();
        let dice = picks.iter().map(|_| [self.sampler.unit(), self.sampler.unit()]).collect();
        let indices: Vec<usize> = picks.iter().map(|pick| self.frames[*pick]).collect();
        let mut conditions = match stage {
            Stage::Coarse => Vec::new(),
            Stage::Fine => {
                let pairs = indices.iter().zip(&frozen);
                pairs.map(|(index, frozen)| self.conditions(*index, *frozen)).collect::<Result<Vec<_>>>()?
            }
        };
        let borrowed = self.borrow(&indices, &mut conditions)?;
        conditions.iter_mut().for_each(|c| self.noise.disturb(c, &self.config, &mut self.sampler));
        let weights = weights(&self.config, stage, step, self.head.settings.extent);
        let from = step.checked_sub(self.config.perceptual_from);
        let perceptual =
            stage == Stage::Fine && from.is_some_and(|k| k.is_multiple_of(self.config.perceptual_every));
        let cameras = indices.iter().map(|index| self.dataset.frames[*index].camera).collect();
        Ok(View { picks, indices, background, dice, conditions, borrowed, cameras, weights, perceptual })
    }

    /// Gives some frames, true in the result, the blendshapes and the pose of others: what is still right there is
    /// what the sound alone can tell.
    fn borrow(&mut self, indices: &[usize], conditions: &mut [Conditions]) -> Result<Vec<bool>> {
        let mut borrowed = vec![false; indices.len()];
        if self.config.lip_only_share <= 0.0 {
            return Ok(borrowed);
        }
        for ((index, conditions), borrowed) in indices.iter().zip(conditions).zip(&mut borrowed) {
            let (chosen, other) = (self.sampler.unit() < self.config.lip_only_share, self.sampler.unit());
            if !chosen || self.dataset.frames[*index].lips_rect().is_none() {
                continue;
            }
            let other = self.frames[(other * self.frames.len() as f64) as usize];
            let other = self.conditions(other, true)?;
            (conditions.expression, conditions.camera) = (other.expression, other.camera);
            *borrowed = true;
        }
        Ok(borrowed)
    }
}
