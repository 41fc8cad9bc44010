//! Targets on the GPU, and what turns the sums of the stages into the terms of each frame.

use super::in_use::{InUse, in_use};
use super::sums::LossSums;
use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::PooledBuffer;
use crate::gpu::uniforms::uniform;
use crate::loss::target::{MouthLabel, Target, check_targets, crop_inside};
use crate::loss::term::{ImageShader, Stages};
use crate::loss::terms::{LossTerms, TERMS, Weights};
use crate::metrics::ssim::{C1, C2, kernel};
use rayon::prelude::*;

uniform! {
    /// See `shaders/shared/targets.wgsl`.
    Crops {
        lips_row0: u32,
        lips_row1: u32,
        lips_col0: u32,
        lips_col1: u32,
        eyes_row0: u32,
        eyes_row1: u32,
        eyes_col0: u32,
        eyes_col1: u32,
    }
}

/// The targets of some frames, on the GPU.
pub struct DeviceTargets {
    weights: Weights,
    pub(super) in_use: Vec<InUse>,
    /// One over the number of elements of each term in use in each frame, 0 where it does not count: `[frames, terms]`.
    per_element: Vec<f32>,
    /// Weights of one element, `[frames, terms]`.
    pub(super) element_weights: PooledBuffer,
    pub(super) crops: PooledBuffer,
    /// `[frames, 5, rows, columns]`: colour, mask, how much the mask counts.
    pub(super) planes: PooledBuffer,
    /// Where attention may be, a byte a pixel.
    pub(super) attention_masks: PooledBuffer,
    pub(super) background: PooledBuffer,
    pub(super) background_samples: u32,
    /// SSIM's window and constants.
    pub(super) window: PooledBuffer,
}

impl DeviceTargets {
    /// Uploads the targets of a whole batch, `[columns, rows]` pixels each.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when sizes disagree, [`crate::Error::DeviceLost`] when the device goes away.
    pub fn upload(gpu: &Gpu, targets: &[Target], weights: &Weights, size: [usize; 2]) -> Result<Self> {
        Self::of_part(gpu, targets, targets.len(), weights, size)
    }

    /// Uploads the targets of some frames of a batch of `frames` frames.
    ///
    /// # Errors
    /// As [`DeviceTargets::upload`].
    pub fn of_part(
        gpu: &Gpu,
        targets: &[Target],
        frames: usize,
        weights: &Weights,
        size: [usize; 2],
    ) -> Result<Self> {
        check_targets(targets, targets.len(), size)?;
        let in_use = in_use(weights);
        let each = weights.each();
        let share = 1.0 / frames.max(1) as f32;
        let per_element: Vec<f32> =
            targets.par_iter().flat_map_iter(|target| per_element(target, size, &in_use)).collect();
        let element_weights: Vec<f32> = per_element
            .iter()
            .zip(in_use.iter().cycle())
            .map(|(per_element, used)| share * each[used.number] * per_element)
            .collect();
        let crops: Vec<u32> = targets.iter().flat_map(|target| crops(target, size).words()).collect();
        let planes: Vec<&[f32]> =
            targets.iter().flat_map(|t| [&t.color[..], &t.mask, &t.mask_confidence]).collect();
        let masks: Vec<Vec<u8>> = match weights.outputs().attention {
            true => targets.par_iter().map(attention_masks).collect(),
            false => Vec::new(),
        };
        let masks: Vec<&[u8]> = masks.iter().map(Vec::as_slice).collect();
        let background: Vec<Vec<u32>> =
            targets.par_iter().enumerate().map(|(frame, target)| background(frame, target)).collect();
        let background: Vec<&[u32]> = background.iter().map(Vec::as_slice).collect();
        let mut window = [0.0_f32; 16];
        window.iter_mut().zip(kernel().into_iter().chain([C1, C2])).for_each(|(w, v)| *w = v as f32);
        Ok(DeviceTargets {
            weights: *weights,
            per_element,
            element_weights: gpu.upload(&[&element_weights])?,
            crops: gpu.upload(&[&crops])?,
            planes: gpu.upload(&planes)?,
            attention_masks: gpu.upload(&masks)?,
            background: gpu.upload(&background)?,
            background_samples: targets.iter().map(|target| target.background.len()).sum::<usize>() as u32,
            window: gpu.uniform(&window.map(f32::to_bits)),
            in_use,
        })
    }

    /// Frames there are targets for.
    pub fn frames(&self) -> usize {
        self.per_element.len() / self.in_use.len().max(1)
    }

    /// The number of a term with stages of its own among the terms in use.
    pub(super) fn number_of(&self, stages: Stages) -> Option<u32> {
        let is = |used: &InUse| matches!(used.term.gpu, ImageShader::Stages(found) if found == stages);
        self.in_use.iter().position(is).map(|number| number as u32)
    }

    /// The terms of each frame from what the stages summed up.
    pub fn loss_terms(&self, sums: &LossSums) -> Vec<LossTerms> {
        let frames = self.frames();
        let sums: Vec<Vec<f64>> =
            (0..frames).map(|frame| sums.of_frame(frame, frames, &self.in_use)).collect();
        let per_frame = self.per_element.chunks_exact(self.in_use.len().max(1));
        sums.iter()
            .zip(per_frame)
            .map(|(sums, per_element)| {
                let mut values = [0.0; TERMS.len()];
                for ((used, sum), per_element) in self.in_use.iter().zip(sums).zip(per_element) {
                    values[used.number] = (sum * f64::from(*per_element)) as f32;
                }
                self.weights.terms(values)
            })
            .collect()
    }
}

/// One over the number of elements of each term, 0 where the term does not count in the frame.
fn per_element<'a>(
    target: &'a Target,
    size: [usize; 2],
    in_use: &'a [InUse],
) -> impl Iterator<Item = f32> + 'a {
    in_use.iter().map(move |used| match used.term.lip_only || !target.lip_only {
        true => 1.0 / (used.term.elements)(target, size),
        false => 0.0,
    })
}

fn crops(target: &Target, size: [usize; 2]) -> Crops {
    let [lips, eyes] = [target.lips, target.eyes].map(|crop| crop_inside(crop, size));
    Crops {
        lips_row0: lips.row0 as u32,
        lips_row1: lips.row1 as u32,
        lips_col0: lips.col0 as u32,
        lips_col1: lips.col1 as u32,
        eyes_row0: eyes.row0 as u32,
        eyes_row1: eyes.row1 as u32,
        eyes_col0: eyes.col0 as u32,
        eyes_col1: eyes.col1 as u32,
    }
}

/// Where audio (bit 0) and expression (bit 1) may be attended to, where the inside of the mouth is seen (bit 2) and where it
/// is not (bit 3), to the end of a word.
fn attention_masks(target: &Target) -> Vec<u8> {
    let pixels = target.audio_mask.iter().zip(&target.expression_mask);
    let mut masks: Vec<u8> =
        pixels.map(|(audio, expression)| u8::from(*audio) | u8::from(*expression) << 1).collect();
    masks.iter_mut().zip(&target.mouth).for_each(|(mask, label)| {
        *mask |= match label {
            MouthLabel::Unknown => 0,
            MouthLabel::Inside => 1 << 2,
            MouthLabel::Outside => 1 << 3,
        };
    });
    masks.resize(masks.len().next_multiple_of(4), 0);
    masks
}

/// The background samples of a frame, as `shaders/shared/background_sample.wgsl` lays them out.
fn background(frame: usize, target: &Target) -> Vec<u32> {
    let first = frame * target.mask.len();
    let samples = target.background.iter();
    samples
        .flat_map(|sample| {
            let [r, g, b] = sample.color.map(f32::to_bits);
            [(first + sample.pixel) as u32, r, g, b]
        })
        .collect()
}
