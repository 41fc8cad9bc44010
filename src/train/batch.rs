//! What a step is trained on: frames, what drives them, and everything random in it.

use super::augment::ConditionNoise;
use super::config::TrainConfig;
use super::edge_band::EdgeBand;
use super::position::{Position, Stage};
use super::rest::Rest;
use super::sampler::Sampler;
use super::schedule::audio_noise;
use super::targets;
use super::weights::weights;
use crate::gpu::Gpu;
use crate::head::backend::StepTargets;
use crate::head::field::Conditions;
use crate::head::{BranchSettings, frame_conditions, view};
use crate::loss::{Target, Weights};
use crate::{Camera, Result};
use data_utils::dataset::{Dataset, Part};
use rayon::prelude::*;

/// What batches are sampled from.
pub(super) struct Source<'a> {
    pub(super) dataset: &'a Dataset,
    pub(super) settings: &'a BranchSettings,
    pub(super) config: &'a TrainConfig,
    /// Training frames, as frames of the dataset.
    pub(super) frames: &'a [usize],
    pub(super) noise: &'a ConditionNoise,
    /// Frames with closed lips and what is heard with them, where they are known.
    pub(super) rest: Option<&'a Rest>,
}

/// The frames of one step.
pub(super) struct Batch {
    /// Indices among the training frames.
    pub(super) picks: Vec<usize>,
    /// The same as frames of the dataset.
    indices: Vec<usize>,
    pub(super) background: [f32; 3],
    /// Two numbers in 0..1 for each frame that place its patches.
    pub(super) dice: Vec<[f64; 2]>,
    /// Empty in the coarse stage.
    pub(super) conditions: Vec<Conditions>,
    /// Whether blendshapes and pose are another frame's, so that only the lips count.
    pub(super) is_mixed: Vec<bool>,
    pub(super) cameras: Vec<Camera>,
    pub(super) weights: Weights,
}

impl Batch {
    /// Samples the batch of the step at `position`.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when the dataset has other audio features than the branch listens to.
    pub(super) fn sample(sampler: &mut Sampler, source: &Source<'_>, position: Position) -> Result<Self> {
        let Source { dataset, settings, config, frames, noise, rest } = source;
        let Position { stage, step, .. } = position;
        let batch = if stage == Stage::Coarse { 1 } else { config.batch_size };
        let rest = rest.filter(|_| stage == Stage::Fine && config.rest_share > 0.0);
        let mut picks: Vec<usize> = (0..batch).map(|_| sampler.draw()).collect();
        let is_rest: Vec<bool> =
            picks.iter().map(|_| rest.is_some() && sampler.unit() < config.rest_share).collect();
        if let Some(rest) = rest {
            let resting = picks.iter_mut().zip(&is_rest).filter(|(_, is_rest)| **is_rest);
            resting.for_each(|(pick, _)| *pick = rest.draw(sampler));
        }
        let background = targets::background(config, sampler);
        let frozen: Vec<bool> = picks.iter().map(|_| sampler.unit() < config.frame_code_dropout).collect();
        let dice = picks.iter().map(|_| [sampler.unit(), sampler.unit()]).collect();
        let indices: Vec<usize> = picks.iter().map(|pick| frames[*pick]).collect();
        let mut conditions = match stage {
            Stage::Coarse => Vec::new(),
            Stage::Fine => {
                let pairs = indices.iter().zip(&frozen);
                let of =
                    |(index, frozen): (&usize, &bool)| frame_conditions(settings, dataset, *index, *frozen);
                pairs.map(of).collect::<Result<Vec<_>>>()?
            }
        };
        let is_mixed = mix_conditions(sampler, source, &indices, &mut conditions)?;
        if let Some(rest) = rest {
            let resting = conditions.iter_mut().zip(&is_rest).filter(|(_, is_rest)| **is_rest);
            resting.for_each(|(conditions, _)| rest.hush(conditions, sampler));
        }
        let audio_noise = audio_noise(config, position);
        conditions.iter_mut().for_each(|c| noise.disturb(c, config, audio_noise, sampler));
        Ok(Batch {
            background,
            dice,
            conditions,
            is_mixed,
            cameras: indices
                .iter()
                .map(|index| view(settings.part, &dataset.frames[*index].camera))
                .collect(),
            weights: weights(config, stage, step, settings.extent),
            picks,
            indices,
        })
    }

    /// What the frames should look like, uploaded to `gpu` where there is one.
    ///
    /// # Errors
    /// Those of reading a frame, and of the device.
    pub(super) fn targets(
        &self,
        dataset: &Dataset,
        part: Part,
        edge: &EdgeBand,
        has_mouth: bool,
        gpu: Option<&Gpu>,
    ) -> Result<StepTargets> {
        let target = |(index, is_mixed): (&usize, &bool)| {
            let target = targets::target(dataset, *index, part, self.background, edge, has_mouth)?;
            Ok(Target { lip_only: *is_mixed, ..target })
        };
        let targets = self.indices.par_iter().zip(&self.is_mixed).map(target).collect::<Result<_>>()?;
        StepTargets::prepare(gpu, targets, &self.weights, dataset.size.map(|side| side as usize))
    }
}

/// Gives some frames, true in the result, the blendshapes and the pose of others: what is still right there is what the sound
/// alone can tell.
fn mix_conditions(
    sampler: &mut Sampler,
    source: &Source<'_>,
    indices: &[usize],
    conditions: &mut [Conditions],
) -> Result<Vec<bool>> {
    let Source { dataset, settings, config, frames, .. } = source;
    let mut is_mixed = vec![false; indices.len()];
    if config.lip_only_share <= 0.0 {
        return Ok(is_mixed);
    }
    for ((index, conditions), is_mixed) in indices.iter().zip(conditions).zip(&mut is_mixed) {
        let (chosen, other) = (sampler.unit() < config.lip_only_share, sampler.unit());
        if !chosen || dataset.frames[*index].lips_rect().is_none() {
            continue;
        }
        let other = frames[(other * frames.len() as f64) as usize];
        let other = frame_conditions(settings, dataset, other, true)?;
        (conditions.expression, conditions.camera) = (other.expression, other.camera);
        *is_mixed = true;
    }
    Ok(is_mixed)
}
