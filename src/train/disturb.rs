//! Noise on what drives a frame while training. A clip has about a thousand frames, each with a pose of its own: a
//! field that hears the exact pose learns the mouth of that frame from it by heart instead of from the sound.

use super::config::TrainConfig;
use super::sampler::Sampler;
use crate::field::{Conditions, EXPRESSION, squashed, stretched};
use data_utils::audio::features::AudioKind;
use data_utils::dataset::Dataset;

/// How far each condition of a training's frames varies, the unit of the noise.
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionNoise {
    /// Standard deviation of each number of a camera.
    camera: Vec<f32>,
    /// The same of the stretched blendshapes.
    expression: Vec<f32>,
    /// Channels and steps of a mel window; none where the sound is another feature.
    mel: Option<[usize; 2]>,
}

impl ConditionNoise {
    /// The deviations over the training frames of a dataset.
    pub fn of(dataset: &Dataset) -> Self {
        let frames = &dataset.frames[dataset.train_indices()];
        let cameras: Vec<[f32; 12]> = frames.iter().map(|f| f.camera.token()).collect();
        ConditionNoise {
            camera: (0..12).map(|k| deviation(cameras.iter().map(|c| c[k]))).collect(),
            expression: (0..EXPRESSION)
                .map(|k| deviation(frames.iter().map(|f| stretched(f.expression[k]))))
                .collect(),
            mel: (dataset.audio.kind == AudioKind::Mel)
                .then_some([dataset.audio.channels, dataset.audio.width]),
        }
    }

    /// Adds normal noise to camera and expression, and raises or lowers the voice; what is off draws no numbers.
    pub fn disturb(&self, conditions: &mut Conditions, config: &TrainConfig, sampler: &mut Sampler) {
        if config.camera_noise > 0.0 {
            for (value, deviation) in conditions.camera.iter_mut().zip(&self.camera) {
                *value += deviation * (config.camera_noise * normal(sampler)) as f32;
            }
        }
        if config.expression_noise > 0.0 {
            for (value, deviation) in conditions.expression.iter_mut().zip(&self.expression) {
                let noise = deviation * (config.expression_noise * normal(sampler)) as f32;
                *value = squashed(stretched(*value) + noise);
            }
        }
        if let Some([channels, width]) = self.mel.filter(|_| config.voice_shift > 0.0) {
            let shift = config.voice_shift * (2.0 * sampler.unit() - 1.0);
            for row in conditions.audio.chunks_exact_mut(channels * width) {
                shift_channels(row, width, shift as f32);
            }
        }
    }
}

/// Moves the channels of a mel window `[channels, width]` by `shift` of them, linear between two: another throat says
/// the same (vocal tract length perturbation, Jaitly and Hinton 2013).
fn shift_channels(row: &mut [f32], width: usize, shift: f32) {
    let before = row.to_vec();
    let last = (before.len() / width).saturating_sub(1);
    for (channel, values) in row.chunks_exact_mut(width).enumerate() {
        let from = (channel as f32 + shift).clamp(0.0, last as f32);
        let (low, part) = (from as usize, from.fract());
        let high = (low + 1).min(last);
        for (step, value) in values.iter_mut().enumerate() {
            *value = before[low * width + step] * (1.0 - part) + before[high * width + step] * part;
        }
    }
}

fn deviation(values: impl Iterator<Item = f32> + Clone) -> f32 {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().map(f64::from).sum::<f64>() / count;
    (values.map(|v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count).sqrt() as f32
}

/// A standard normal number (Box and Muller 1958).
fn normal(sampler: &mut Sampler) -> f64 {
    let (a, b) = (1.0 - sampler.unit(), sampler.unit());
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_the_deviation_asked_for_and_mean_zero() {
        let noise = ConditionNoise { camera: vec![2.0; 12], expression: vec![0.0; EXPRESSION], mel: None };
        let config = TrainConfig { camera_noise: 0.5, expression_noise: 1.0, ..TrainConfig::default() };
        let mut sampler = Sampler::new(1, 0.0, 3);
        let mut seen = Vec::new();
        for _ in 0..500 {
            let mut c = Conditions {
                audio: vec![],
                expression: vec![0.3; EXPRESSION],
                camera: [1.0; 12],
                frame: 0.0,
            };
            noise.disturb(&mut c, &config, &mut sampler);
            assert!(c.expression.iter().all(|e| (e - 0.3).abs() < 1e-6));
            seen.extend(c.camera);
        }
        let mean = seen.iter().sum::<f32>() / seen.len() as f32;
        assert!((mean - 1.0).abs() < 0.05, "{mean}");
        let found = deviation(seen.iter().copied());
        assert!((found - 1.0).abs() < 0.05, "{found}");
    }

    #[test]
    fn a_raised_voice_is_the_same_sound_in_other_channels() {
        let rise = |channel: f32| channel * 10.0 + 1.0;
        let mut row: Vec<f32> = (0..5).flat_map(|c| [rise(c as f32); 2]).collect();
        shift_channels(&mut row, 2, 1.25);
        let expected: Vec<f32> =
            [1.25, 2.25, 3.25, 4.0, 4.0].into_iter().flat_map(|c| [rise(c); 2]).collect();
        assert_eq!(row, expected);
        shift_channels(&mut row, 2, 0.0);
        assert_eq!(row, expected);
    }

    #[test]
    fn without_noise_nothing_is_drawn_and_nothing_changes() {
        let noise =
            ConditionNoise { camera: vec![1.0; 12], expression: vec![1.0; EXPRESSION], mel: Some([3, 2]) };
        let config = TrainConfig {
            camera_noise: 0.0,
            expression_noise: 0.0,
            voice_shift: 0.0,
            ..TrainConfig::default()
        };
        let mut sampler = Sampler::new(1, 0.0, 3);
        let before = sampler.state();
        let c =
            Conditions { audio: vec![], expression: vec![0.3; EXPRESSION], camera: [1.0; 12], frame: 0.0 };
        let mut same = c.clone();
        noise.disturb(&mut same, &config, &mut sampler);
        assert_eq!(same, c);
        assert_eq!(sampler.state(), before);
    }
}
