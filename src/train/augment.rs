//! Noise on what drives a frame while training. A clip has about a thousand frames, each with a pose of its own: a
//! field that hears the exact pose learns the mouth of that frame from it by heart instead of from the sound.

use super::config::TrainConfig;
use super::sampler::Sampler;
use crate::head::chance::normal;
use crate::head::field::{Conditions, EXPRESSION, squashed, stretched};
use data_utils::audio::features::{AudioFeatures, AudioKind};
use data_utils::dataset::Dataset;
use std::ops::Range;

/// How far each condition of a training's frames varies, the unit of the noise.
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionNoise {
    /// Standard deviation of each number of a camera.
    camera: Vec<f32>,
    /// The same of the stretched blendshapes.
    expression: Vec<f32>,
    /// Mean and standard deviation of each channel of an audio row; none of mel windows.
    audio: Vec<[f32; 2]>,
    /// The mel windows; none where the sound is another feature.
    mel: Option<Mel>,
}

/// Windows `[channels, width]` of a mel spectrogram.
#[derive(Debug, Clone, PartialEq)]
struct Mel {
    /// Mean of each channel over the clip.
    mean: Vec<f32>,
    width: usize,
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
            audio: match dataset.audio.kind {
                AudioKind::Mel => Vec::new(),
                _ => channel_moments(&dataset.audio),
            },
            mel: (dataset.audio.kind == AudioKind::Mel).then(|| Mel::of(&dataset.audio)),
        }
    }

    /// Adds normal noise to camera, expression and audio rows, to these of `audio_noise` deviations; raises or lowers the voice and mutes some of its channels where it
    /// is a mel spectrogram. What is off draws no numbers.
    pub fn disturb(
        &self,
        conditions: &mut Conditions,
        config: &TrainConfig,
        audio_noise: f64,
        sampler: &mut Sampler,
    ) {
        if config.camera_noise > 0.0 {
            for (value, deviation) in conditions.camera.iter_mut().zip(&self.camera) {
                *value += deviation * (config.camera_noise * normal(|| sampler.unit())) as f32;
            }
        }
        if config.expression_noise > 0.0 {
            for (value, deviation) in conditions.expression.iter_mut().zip(&self.expression) {
                let noise = deviation * (config.expression_noise * normal(|| sampler.unit())) as f32;
                *value = squashed(stretched(*value) + noise);
            }
        }
        let channels = conditions.audio.iter_mut().zip(self.audio.iter().cycle());
        for (value, [mean, deviation]) in channels {
            *value = mean + config.audio_scale as f32 * (*value - mean);
            if audio_noise > 0.0 {
                *value += deviation * (audio_noise * normal(|| sampler.unit())) as f32;
            }
        }
        let Some(mel) = &self.mel else { return };
        if config.voice_shift > 0.0 {
            let shift = config.voice_shift * (2.0 * sampler.unit() - 1.0);
            mel.rows(&mut conditions.audio).for_each(|row| shift_channels(row, mel.width, shift as f32));
        }
        // Half of the steps hear the whole voice.
        if config.voice_mask > 0.0 && sampler.unit() < 0.5 {
            let muted = mel.muted(config.voice_mask, sampler);
            mel.rows(&mut conditions.audio).for_each(|row| mel.mute(row, muted.clone()));
        }
    }
}

impl Mel {
    fn of(audio: &AudioFeatures) -> Self {
        let (channels, width) = (audio.channels, audio.width);
        let mut sums = vec![0.0f64; channels];
        for row in audio.values.chunks_exact(channels * width) {
            for (sum, steps) in sums.iter_mut().zip(row.chunks_exact(width)) {
                *sum += steps.iter().map(|v| f64::from(*v)).sum::<f64>();
            }
        }
        let count = (audio.rows * width).max(1) as f64;
        Mel { mean: sums.iter().map(|sum| (sum / count) as f32).collect(), width }
    }

    fn rows<'a>(&self, audio: &'a mut [f32]) -> impl Iterator<Item = &'a mut [f32]> {
        audio.chunks_exact_mut(self.mean.len() * self.width)
    }

    /// A run of up to `most` channels, somewhere.
    fn muted(&self, most: f64, sampler: &mut Sampler) -> Range<usize> {
        let channels = self.mean.len();
        let count = ((most * sampler.unit()).ceil() as usize).min(channels);
        let start = ((channels - count + 1) as f64 * sampler.unit()) as usize;
        start..start + count
    }

    /// Hides channels behind their mean: no throat and no microphone has them all (SpecAugment, Park et al. 2019, §2).
    fn mute(&self, row: &mut [f32], muted: Range<usize>) {
        let steps = row.chunks_exact_mut(self.width).zip(&self.mean);
        steps.skip(muted.start).take(muted.len()).for_each(|(steps, mean)| steps.fill(*mean));
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

/// Mean and deviation of each number of rows `[channels, width]`.
fn channel_moments(audio: &AudioFeatures) -> Vec<[f32; 2]> {
    let row = audio.channels * audio.width;
    let values = |k| audio.values.iter().skip(k).step_by(row.max(1)).copied();
    let mean = |k| values(k).map(f64::from).sum::<f64>() / audio.rows.max(1) as f64;
    (0..row).map(|k| [mean(k) as f32, deviation(values(k))]).collect()
}

fn deviation(values: impl Iterator<Item = f32> + Clone) -> f32 {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().map(f64::from).sum::<f64>() / count;
    (values.map(|v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count).sqrt() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_the_deviation_asked_for_and_mean_zero() {
        let noise = ConditionNoise {
            camera: vec![2.0; 12],
            expression: vec![0.0; EXPRESSION],
            audio: vec![[2.0, 0.5], [3.0, 2.0]],
            mel: None,
        };
        let config = TrainConfig {
            camera_noise: 0.5,
            expression_noise: 1.0,
            audio_scale: 0.5,
            ..TrainConfig::default()
        };
        let mut sampler = Sampler::new(1, 0.0, 3);
        let (mut seen, mut heard) = (Vec::new(), Vec::new());
        for _ in 0..500 {
            let mut c = Conditions {
                audio: vec![0.0, 7.0, 0.0, 7.0],
                expression: vec![0.3; EXPRESSION],
                camera: [1.0; 12],
                frame: 0.0,
            };
            noise.disturb(&mut c, &config, 2.0, &mut sampler);
            assert!(c.expression.iter().all(|e| (e - 0.3).abs() < 1e-6));
            seen.extend(c.camera);
            heard.extend(c.audio);
        }
        let of = |channel| deviation(heard.iter().skip(channel).step_by(2).copied());
        assert!(
            (of(0) - 1.0).abs() < 0.1 && (of(1) - 4.0).abs() < 0.4,
            "rows of two channels: {} {}",
            of(0),
            of(1)
        );
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
    fn half_of_the_steps_hear_a_voice_with_some_channels_muted() {
        let mel = Mel { mean: (0..20).map(|c| c as f32).collect(), width: 2 };
        let mut sampler = Sampler::new(1, 0.0, 3);
        let noise =
            ConditionNoise { camera: vec![], expression: vec![], audio: vec![], mel: Some(mel.clone()) };
        let config =
            TrainConfig { voice_shift: 0.0, voice_mask: 8.0, camera_noise: 0.0, ..TrainConfig::default() };
        let mut heard = [0usize; 9];
        for _ in 0..2000 {
            let mut c = Conditions {
                audio: vec![-1.0; 3 * 20 * 2],
                expression: vec![],
                camera: [0.0; 12],
                frame: 0.0,
            };
            noise.disturb(&mut c, &config, 2.0, &mut sampler);
            let rows: Vec<&[f32]> = c.audio.chunks_exact(40).collect();
            assert!(rows.iter().all(|row| *row == rows[0]), "all rows of a step lack the same channels");
            let muted: Vec<usize> = (0..20).filter(|c| rows[0][2 * c] >= 0.0).collect();
            assert!(muted.iter().all(|c| rows[0][2 * c..2 * c + 2] == [*c as f32; 2]));
            assert!(muted.windows(2).all(|pair| pair[1] == pair[0] + 1));
            heard[muted.len()] += 1;
        }
        assert!((900..1100).contains(&heard[0]), "{heard:?}");
        assert!(heard[1..].iter().all(|n| (80..170).contains(n)), "{heard:?}");
    }

    #[test]
    fn without_noise_nothing_is_drawn_and_nothing_changes() {
        let mel = Some(Mel { mean: vec![0.0; 3], width: 2 });
        let noise = ConditionNoise {
            camera: vec![1.0; 12],
            expression: vec![1.0; EXPRESSION],
            audio: vec![[0.5, 1.0]; 2],
            mel,
        };
        let config = TrainConfig {
            camera_noise: 0.0,
            expression_noise: 0.0,
            audio_scale: 1.0,
            voice_shift: 0.0,
            voice_mask: 0.0,
            ..TrainConfig::default()
        };
        let mut sampler = Sampler::new(1, 0.0, 3);
        let before = sampler.state();
        let c =
            Conditions { audio: vec![], expression: vec![0.3; EXPRESSION], camera: [1.0; 12], frame: 0.0 };
        let mut same = c.clone();
        noise.disturb(&mut same, &config, 0.0, &mut sampler);
        assert_eq!(same, c);
        assert_eq!(sampler.state(), before);
    }
}
