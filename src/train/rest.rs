//! What is no speech: digital silence and noise, heard with frames in which the lips are closed, so that they close in pauses,
//! behind music and in a noisy room, however little silence the clip has.

use super::face_measures::face_measures;
use super::sampler::Sampler;
use crate::Result;
use crate::head::field::Conditions;
use data_utils::audio::features::{AudioFeatures, AudioKind};
use data_utils::audio::{SAMPLE_RATE, Sound};
use data_utils::dataset::Dataset;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Seconds of each kind of noise.
const SECONDS: f64 = 3.0;
/// Rows at either end of the made sound that are left out, since their windows reach beyond it.
const ENDS: usize = 8;
/// Root mean squares of the noises, dB of full scale: louder ones are too much like the consonants s, f and sh.
const LEVELS_DB: [f32; 3] = [-70.0, -55.0, -42.0];
/// How much of the last sample the next keeps: white, pinkish and brown noise.
const SMOOTHING: [f32; 3] = [0.0, 0.7, 0.98];
/// The mouth counts as closed in this share of the frames, those in which it is open least.
const CLOSED_SHARE: f64 = 0.05;

/// Frames with closed lips, and what is heard with them.
#[derive(Debug, Clone)]
pub(super) struct Rest {
    /// Indices among the training frames.
    closed: Vec<usize>,
    features: AudioFeatures,
}

impl Rest {
    /// None where landmarks are not known, or where the sound's features cannot be made without weights of others.
    ///
    /// # Errors
    /// Those of the audio features.
    pub(super) fn of(dataset: &Dataset, seed: u64) -> Result<Option<Self>> {
        let of: fn(&Sound) -> data_utils::Result<AudioFeatures> = match dataset.audio.kind {
            AudioKind::Speech => AudioFeatures::speech,
            AudioKind::Mel => AudioFeatures::mel,
            _ => return Ok(None),
        };
        let [opening, _] = face_measures(dataset);
        let closed = closed_frames(&opening);
        if closed.is_empty() {
            return Ok(None);
        }
        Ok(Some(Rest { closed, features: of(&made_sound(seed))? }))
    }

    /// A training frame with closed lips.
    pub(super) fn draw(&self, sampler: &mut Sampler) -> usize {
        self.closed[((sampler.unit() * self.closed.len() as f64) as usize).min(self.closed.len() - 1)]
    }

    /// Replaces what is heard.
    pub(super) fn hush(&self, conditions: &mut Conditions, sampler: &mut Sampler) {
        let rows = self.features.rows.saturating_sub(2 * ENDS).max(1);
        conditions.audio = self.features.window(ENDS + (sampler.unit() * rows as f64) as usize);
    }
}

/// The frames in which the mouth is open least.
fn closed_frames(opening: &[f32]) -> Vec<usize> {
    let mut known: Vec<usize> = (0..opening.len()).filter(|frame| opening[*frame].is_finite()).collect();
    known.sort_by(|a, b| opening[*a].total_cmp(&opening[*b]).then(a.cmp(b)));
    known.truncate((known.len() as f64 * CLOSED_SHARE).ceil() as usize);
    known
}

/// Silence, then noise of every smoothing and level.
fn made_sound(seed: u64) -> Sound {
    let samples = (SECONDS * f64::from(SAMPLE_RATE)) as usize;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut sound = vec![0.0; samples];
    for db in LEVELS_DB {
        for keep in SMOOTHING {
            let mut last = 0.0;
            let noise = (0..samples).map(|_| {
                last = keep * last + (random.next_u32() as f32 / u32::MAX as f32 - 0.5);
                last
            });
            let noise: Vec<f32> = noise.collect();
            let power = noise.iter().map(|v| v * v).sum::<f32>() / samples as f32;
            let gain = 10f32.powf(db / 20.0) / power.sqrt();
            sound.extend(noise.iter().map(|v| (v * gain).clamp(-1.0, 1.0)));
        }
    }
    Sound { samples: sound, rate: SAMPLE_RATE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frames_with_the_lowest_opening_are_at_rest() {
        let mut opening: Vec<f32> = (0..40).map(|k| ((k * 17) % 40) as f32).collect();
        opening[0] = f32::NAN;
        let closed = closed_frames(&opening);
        assert_eq!(closed.iter().map(|frame| opening[*frame]).collect::<Vec<_>>(), [1.0, 2.0]);
        assert!(closed_frames(&[f32::NAN; 3]).is_empty());
    }

    #[test]
    fn silence_comes_first_and_every_noise_has_its_level() {
        let sound = made_sound(1);
        let parts: Vec<&[f32]> = sound.samples.chunks_exact((SECONDS * 16_000.0) as usize).collect();
        assert_eq!(parts.len(), 1 + LEVELS_DB.len() * SMOOTHING.len());
        let level =
            |part: &[f32]| 10.0 * (part.iter().map(|v| v * v).sum::<f32>() / part.len() as f32).log10();
        assert!(parts[0].iter().all(|v| *v == 0.0));
        for (k, part) in parts[1..].iter().enumerate() {
            let expected = LEVELS_DB[k / SMOOTHING.len()];
            assert!((level(part) - expected).abs() < 0.5, "{} {expected}", level(part));
        }
    }

    #[test]
    fn what_is_heard_at_rest_is_inside_the_made_sound() {
        let features = AudioFeatures::speech(&made_sound(1)).unwrap();
        let rest = Rest { closed: vec![3, 7], features };
        let mut sampler = Sampler::new(8, 0.0, 5);
        let mut conditions = Conditions { audio: vec![], expression: vec![], camera: [0.0; 12], frame: 0.0 };
        for _ in 0..50 {
            assert!([3, 7].contains(&rest.draw(&mut sampler)));
            rest.hush(&mut conditions, &mut sampler);
            assert_eq!(conditions.audio.len(), 8 * AudioKind::Speech.channels());
            assert!(conditions.audio.iter().all(|v| v.is_finite()));
        }
    }
}
