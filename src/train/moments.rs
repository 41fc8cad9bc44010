//! The optimiser's side of a cloud: Adam for each of its parameter arrays.

use super::adam::{Adam, corrections};
use super::config::TrainConfig;
use super::schedule::log_linear;
use crate::head::cloud::Cloud;
use crate::head::cloud::activate::RawGradients;
use crate::raster::keep::{Kept, Rates};
use crate::{Error, Result};

/// Higher bands of the harmonics learn this much slower than band 0 (3DGS).
const HIGHER_BANDS: f64 = 1.0 / 20.0;

/// Learning rates of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CloudRates {
    position: f32,
    rotation: f32,
    scaling: f32,
    opacity: f32,
    feature: f32,
    embedding: f32,
}

impl CloudRates {
    /// The rates at `step` of `steps`, for a cloud whose initial half size was `extent`; `factor` scales all but
    /// the embedding's.
    pub fn at(config: &TrainConfig, step: u64, steps: u64, extent: f32, factor: f64) -> Self {
        let position =
            log_linear(config.position_lr[0], config.position_lr[1], step, steps) * f64::from(extent);
        CloudRates {
            position: (factor * position) as f32,
            rotation: (factor * config.rotation_lr) as f32,
            scaling: (factor * config.scaling_lr) as f32,
            opacity: (factor * config.opacity_lr) as f32,
            feature: (factor * config.feature_lr) as f32,
            embedding: config.embedding_lr as f32,
        }
    }

    /// That of the embedding.
    pub fn embedding(&self) -> f32 {
        self.embedding
    }

    /// These rates for who keeps the cloud, at its step number `steps`.
    pub fn kept(&self, steps: u64) -> Rates {
        Rates {
            corrections: corrections(steps),
            position: self.position,
            rotation: self.rotation,
            scaling: self.scaling,
            opacity: self.opacity,
            feature: self.feature,
            higher: self.higher(),
        }
    }

    fn higher(&self) -> f32 {
        self.feature * HIGHER_BANDS as f32
    }
}

/// Adam for every array of a cloud but the embedding, whose gradient comes through the field.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CloudMoments {
    positions: Adam,
    rotations: Adam,
    log_scales: Adam,
    opacity_logits: Adam,
    harmonics: Adam,
}

impl CloudMoments {
    /// Fresh moments for `cloud`.
    pub fn new(cloud: &Cloud) -> Self {
        CloudMoments {
            positions: Adam::new(cloud.positions.len()),
            rotations: Adam::new(cloud.rotations.len()),
            log_scales: Adam::new(cloud.log_scales.len()),
            opacity_logits: Adam::new(cloud.opacity_logits.len()),
            harmonics: Adam::new(cloud.harmonics.len()),
        }
    }

    /// One step of the cloud's own parameters.
    pub fn step(&mut self, cloud: &mut Cloud, gradients: &RawGradients, rates: &CloudRates) {
        let mut bands = vec![rates.higher(); 3 * cloud.bands()];
        bands[..3].fill(rates.feature);
        self.positions.step(&mut cloud.positions, &gradients.positions, &[rates.position]);
        self.rotations.step(&mut cloud.rotations, &gradients.rotations, &[rates.rotation]);
        self.log_scales.step(&mut cloud.log_scales, &gradients.log_scales, &[rates.scaling]);
        self.opacity_logits.step(&mut cloud.opacity_logits, &gradients.opacity_logits, &[rates.opacity]);
        self.harmonics.step(&mut cloud.harmonics, &gradients.harmonics, &bands);
    }

    /// Every array with its name and the number of values a surfel has in it, for checkpoints and density control.
    pub fn arrays_mut(&mut self, bands: usize) -> [(&'static str, usize, &mut Adam); 5] {
        [
            ("positions", 3, &mut self.positions),
            ("rotations", 4, &mut self.rotations),
            ("log_scales", 2, &mut self.log_scales),
            ("opacity_logits", 1, &mut self.opacity_logits),
            ("harmonics", 3 * bands, &mut self.harmonics),
        ]
    }

    fn arrays(&self) -> [&Adam; 5] {
        [&self.positions, &self.rotations, &self.log_scales, &self.opacity_logits, &self.harmonics]
    }

    /// Steps taken, of all arrays alike.
    ///
    /// # Errors
    /// [`Error::Internal`] when arrays have taken different numbers of steps.
    pub fn steps(&self) -> Result<u64> {
        let steps = self.arrays().map(|adam| adam.steps);
        match steps.iter().all(|s| *s == steps[0]) {
            true => Ok(steps[0]),
            false => Err(Error::Internal(format!("arrays of a cloud after {steps:?} steps"))),
        }
    }

    /// `cloud` and these moments for who keeps them.
    pub fn kept<'a>(&'a self, cloud: &'a Cloud) -> Kept<&'a [f32]> {
        let [a, b, c, d, e] = self.arrays();
        Kept {
            sh_degree: cloud.sh_degree,
            parameters: cloud.own(),
            first: [&a.first, &b.first, &c.first, &d.first, &e.first],
            second: [&a.second, &b.second, &c.second, &d.second, &e.second],
        }
    }

    /// Takes what was kept, after `steps` steps, into the cloud and these moments.
    pub fn take(&mut self, kept: Kept<Vec<f32>>, steps: u64, cloud: &mut Cloud) {
        let Kept { parameters, first, second, .. } = kept;
        let bands = cloud.bands();
        let arrays = [
            &mut cloud.positions,
            &mut cloud.rotations,
            &mut cloud.log_scales,
            &mut cloud.opacity_logits,
            &mut cloud.harmonics,
        ];
        arrays.into_iter().zip(parameters).for_each(|(to, values)| *to = values);
        for ((_, _, adam), (first, second)) in
            self.arrays_mut(bands).into_iter().zip(first.into_iter().zip(second))
        {
            *adam = Adam { first, second, steps };
        }
    }
}
