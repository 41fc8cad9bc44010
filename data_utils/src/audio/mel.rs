//! The mel spectrogram of the audio-visual encoder, equal to Wav2Lip's `audio.py` on librosa ≥ 0.10.
//!
//! Pre-emphasis 0.97; periodic Hann window of 800 samples every 200, centred, with zeros beyond the ends;
//! magnitudes; 80 Slaney mel bands from 55 to 7600 Hz, area-normalised; `20·log10(max(1e-5, ·)) − 20` dB, from
//! −100..0 dB to −4..4, clipped. 80 columns a second; column `t` is centred on sample `200·t`.

use super::{SAMPLE_RATE, Sound};
use crate::error::{Error, Result};
use realfft::RealFftPlanner;

/// Mel bands of each column.
pub const BANDS: usize = 80;
/// Columns per second.
pub const COLUMN_RATE: u32 = 80;
/// The value of silence, the least of all.
pub const SILENCE: f32 = -4.0;

const WINDOW: usize = 800;
const HOP: usize = 200;
const BINS: usize = WINDOW / 2 + 1;
const PRE_EMPHASIS: f64 = 0.97;
const LOWEST_HERTZ: f64 = 55.0;
const HIGHEST_HERTZ: f64 = 7600.0;
const FLOOR: f64 = 1e-5;
const REFERENCE_DB: f64 = 20.0;
const RANGE_DB: f64 = 100.0;
const LIMIT: f64 = 4.0;

/// The spectrogram of a whole voice.
#[derive(Debug, Clone, PartialEq)]
pub struct MelSpectrogram {
    /// How many columns there are: `1 + samples / 200`.
    pub columns: usize,
    /// Values in −4..4, column after column: `[columns, 80]`, lowest band first.
    pub values: Vec<f32>,
}

impl MelSpectrogram {
    /// The spectrogram of `sound`.
    ///
    /// # Errors
    /// [`Error::Internal`] when `sound` is not at 16 kHz.
    pub fn new(sound: &Sound) -> Result<Self> {
        if sound.rate != SAMPLE_RATE {
            return Err(Error::Internal(format!(
                "a mel spectrogram was asked of sound at {} Hz",
                sound.rate
            )));
        }
        let emphasised = pre_emphasis(&sound.samples);
        let window: Vec<f64> = (0..WINDOW)
            .map(|n| 0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / WINDOW as f64).cos())
            .collect();
        let bands = mel_bands();
        let transform = RealFftPlanner::<f64>::new().plan_fft_forward(WINDOW);
        let mut scratch = transform.make_scratch_vec();
        let mut spectrum = transform.make_output_vec();
        let mut frame = vec![0f64; WINDOW];
        let columns = 1 + emphasised.len() / HOP;
        let mut values = Vec::with_capacity(columns * BANDS);
        for column in 0..columns {
            for (n, (sample, weight)) in frame.iter_mut().zip(&window).enumerate() {
                let at = (column * HOP + n).checked_sub(WINDOW / 2);
                *sample = weight * at.and_then(|at| emphasised.get(at)).copied().unwrap_or(0.0);
            }
            transform
                .process_with_scratch(&mut frame, &mut spectrum, &mut scratch)
                .map_err(|e| Error::Internal(format!("a spectrum could not be computed: {e}")))?;
            let magnitudes: Vec<f64> = spectrum.iter().map(|bin| bin.norm()).collect();
            values.extend(bands.iter().map(|band| {
                let power: f64 = band.weights.iter().zip(&magnitudes[band.first..]).map(|(w, m)| w * m).sum();
                normalised_decibels(power)
            }));
        }
        Ok(MelSpectrogram { columns, values })
    }

    /// Column `at`, all bands; silence where there is none.
    pub fn column(&self, at: i64) -> [f32; BANDS] {
        let mut column = [SILENCE; BANDS];
        if let Some(at) = usize::try_from(at).ok().filter(|&at| at < self.columns) {
            column.copy_from_slice(&self.values[at * BANDS..][..BANDS]);
        }
        column
    }
}

/// `y[n] = x[n] − 0.97·x[n−1]`, the first sample as it is.
fn pre_emphasis(samples: &[f32]) -> Vec<f64> {
    let mut previous = 0.0;
    samples
        .iter()
        .map(|&sample| {
            let emphasised = f64::from(sample) - PRE_EMPHASIS * previous;
            previous = f64::from(sample);
            emphasised
        })
        .collect()
}

fn normalised_decibels(magnitude: f64) -> f32 {
    let decibels = 20.0 * magnitude.max(FLOOR).log10() - REFERENCE_DB;
    (2.0 * LIMIT * (decibels + RANGE_DB) / RANGE_DB - LIMIT).clamp(-LIMIT, LIMIT) as f32
}

/// A triangle over the bins `first..first + weights.len()`.
struct Band {
    first: usize,
    weights: Vec<f64>,
}

/// The filter bank of `librosa.filters.mel(htk=False, norm='slaney')`.
fn mel_bands() -> Vec<Band> {
    let (low, high) = (hertz_to_mel(LOWEST_HERTZ), hertz_to_mel(HIGHEST_HERTZ));
    let edge = |i: usize| mel_to_hertz(low + (high - low) * i as f64 / (BANDS + 1) as f64);
    (0..BANDS)
        .map(|band| {
            let (left, centre, right) = (edge(band), edge(band + 1), edge(band + 2));
            let area = 2.0 / (right - left);
            let weights: Vec<f64> = (0..BINS)
                .map(|bin| {
                    let hertz = bin as f64 * f64::from(SAMPLE_RATE) / WINDOW as f64;
                    area * ((hertz - left) / (centre - left)).min((right - hertz) / (right - centre)).max(0.0)
                })
                .collect();
            let first = weights.iter().position(|&w| w > 0.0).unwrap_or(0);
            let last = weights.iter().rposition(|&w| w > 0.0).unwrap_or(0);
            Band { first, weights: weights[first..=last].to_vec() }
        })
        .collect()
}

/// Slaney's scale: linear below 1 kHz, logarithmic above.
const LINEAR_HERTZ: f64 = 200.0 / 3.0;
const BREAK_HERTZ: f64 = 1000.0;
const BREAK_MEL: f64 = BREAK_HERTZ / LINEAR_HERTZ;

fn log_step() -> f64 {
    6.4f64.ln() / 27.0
}

fn hertz_to_mel(hertz: f64) -> f64 {
    if hertz < BREAK_HERTZ {
        hertz / LINEAR_HERTZ
    } else {
        BREAK_MEL + (hertz / BREAK_HERTZ).ln() / log_step()
    }
}

fn mel_to_hertz(mel: f64) -> f64 {
    if mel < BREAK_MEL { mel * LINEAR_HERTZ } else { BREAK_HERTZ * (log_step() * (mel - BREAK_MEL)).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mel_scale_is_its_own_inverse() {
        for hertz in [0.0, 55.0, 999.0, 1000.0, 1001.0, 7600.0] {
            assert!((mel_to_hertz(hertz_to_mel(hertz)) - hertz).abs() < 1e-9);
        }
        assert!((hertz_to_mel(1000.0) - 15.0).abs() < 1e-9);
    }

    #[test]
    fn silence_is_the_least_value_and_beyond_the_ends_is_silence() {
        let mel = MelSpectrogram::new(&Sound { samples: vec![0.0; 1000], rate: SAMPLE_RATE }).unwrap();
        assert_eq!(mel.columns, 6);
        assert!(mel.values.iter().all(|&v| v == SILENCE));
        assert_eq!(mel.column(-1), [SILENCE; BANDS]);
        assert_eq!(mel.column(6), [SILENCE; BANDS]);
    }

    #[test]
    fn an_empty_sound_has_one_column_of_silence() {
        let mel = MelSpectrogram::new(&Sound { samples: vec![], rate: SAMPLE_RATE }).unwrap();
        assert_eq!(mel.values, vec![SILENCE; BANDS]);
    }

    #[test]
    fn a_louder_tone_is_brightest_in_its_own_band() {
        let samples =
            (0..8000).map(|i| 0.5 * (std::f32::consts::TAU * 1000.0 * i as f32 / 16_000.0).sin()).collect();
        let mel = MelSpectrogram::new(&Sound { samples, rate: SAMPLE_RATE }).unwrap();
        let column = mel.column(20);
        let brightest = (0..BANDS).max_by(|&a, &b| column[a].total_cmp(&column[b])).unwrap();
        let (low, high) = (hertz_to_mel(LOWEST_HERTZ), hertz_to_mel(HIGHEST_HERTZ));
        let expected = (15.0 - low) / (high - low) * 81.0 - 1.0;
        assert!((brightest as f64 - expected).abs() <= 1.0, "{brightest} {expected}");
    }

    #[test]
    fn sound_at_another_rate_is_our_own_mistake() {
        assert!(matches!(
            MelSpectrogram::new(&Sound { samples: vec![], rate: 8000 }),
            Err(Error::Internal(_))
        ));
    }
}
