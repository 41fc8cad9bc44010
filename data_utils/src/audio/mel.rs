//! The mel spectrogram of the audio-visual encoder, equal to Wav2Lip's `audio.py` on librosa ≥ 0.10.
//!
//! Pre-emphasis 0.97; periodic Hann window of 800 samples every 200, centred, with zeros beyond the ends;
//! magnitudes; 80 Slaney mel bands from 55 to 7600 Hz, area-normalised; `20·log10(max(1e-5, ·)) − 20` dB, from
//! −100..0 dB to −4..4, clipped. 80 columns a second; column `t` is centred on sample `200·t`.

use super::SAMPLE_RATE;
use crate::error::{Error, Result};
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use std::sync::Arc;

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

/// Samples beyond the one that a column is centred on that must have come before the column is given.
pub const LOOK_AHEAD: usize = WINDOW / 2;

/// The spectrogram of a voice that is still coming, column after column.
pub struct MelStream {
    window: Vec<f64>,
    bands: Vec<Band>,
    transform: Arc<dyn RealToComplex<f64>>,
    spectrum: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
    /// The emphasised samples from number `first` on; those before are needed no more.
    emphasized: Vec<f64>,
    first: usize,
    /// The last sample as it came.
    previous: f64,
    /// Columns given so far.
    columns: usize,
}

impl Default for MelStream {
    fn default() -> Self {
        let transform = RealFftPlanner::<f64>::new().plan_fft_forward(WINDOW);
        let hann = |n| 0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / WINDOW as f64).cos();
        MelStream {
            window: (0..WINDOW).map(hann).collect(),
            bands: mel_bands(),
            spectrum: transform.make_output_vec(),
            scratch: transform.make_scratch_vec(),
            transform,
            emphasized: Vec::new(),
            first: 0,
            previous: 0.0,
            columns: 0,
        }
    }
}

impl MelStream {
    /// Takes in samples at 16 kHz and gives the columns that became ready, `[n, 80]`. Column `t` is ready once
    /// `200·t +` [`LOOK_AHEAD`] samples have come.
    ///
    /// # Errors
    /// [`Error::Internal`] when a spectrum cannot be computed.
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<f32>> {
        for &sample in samples {
            self.emphasized.push(f64::from(sample) - PRE_EMPHASIS * self.previous);
            self.previous = f64::from(sample);
        }
        let ready = match self.received().checked_sub(LOOK_AHEAD) {
            Some(last) => 1 + last / HOP,
            None => 0,
        };
        self.columns_until(ready)
    }

    /// Gives the remaining columns, zeros beyond the end of the sound: in all `1 + samples / 200`.
    ///
    /// # Errors
    /// As [`MelStream::push`].
    pub fn finish(&mut self) -> Result<Vec<f32>> {
        self.columns_until(1 + self.received() / HOP)
    }

    fn received(&self) -> usize {
        self.first + self.emphasized.len()
    }

    fn columns_until(&mut self, end: usize) -> Result<Vec<f32>> {
        let mut values = Vec::with_capacity(end.saturating_sub(self.columns) * BANDS);
        let mut frame = vec![0f64; WINDOW];
        while self.columns < end {
            let start = self.columns * HOP;
            for (n, (sample, weight)) in frame.iter_mut().zip(&self.window).enumerate() {
                let at = (start + n).checked_sub(WINDOW / 2 + self.first);
                *sample = weight * at.and_then(|at| self.emphasized.get(at)).copied().unwrap_or(0.0);
            }
            self.transform
                .process_with_scratch(&mut frame, &mut self.spectrum, &mut self.scratch)
                .map_err(|e| Error::Internal(format!("a spectrum could not be computed: {e}")))?;
            let magnitudes: Vec<f64> = self.spectrum.iter().map(|bin| bin.norm()).collect();
            values.extend(self.bands.iter().map(|band| {
                let power: f64 = band.weights.iter().zip(&magnitudes[band.first..]).map(|(w, m)| w * m).sum();
                normalized_decibels(power)
            }));
            self.columns += 1;
        }
        let behind = (self.columns * HOP).saturating_sub(WINDOW / 2 + self.first);
        let behind = behind.min(self.emphasized.len());
        self.emphasized.drain(..behind);
        self.first += behind;
        Ok(values)
    }
}

fn normalized_decibels(magnitude: f64) -> f32 {
    let decibels = 20.0 * magnitude.max(FLOOR).log10() - REFERENCE_DB;
    (2.0 * LIMIT * (decibels + RANGE_DB) / RANGE_DB - LIMIT).clamp(-LIMIT, LIMIT) as f32
}

/// A triangle over the bins `first..first + weights.len()`.
struct Band {
    first: usize,
    weights: Vec<f64>,
}

/// The first band whose middle lies between two frequencies, Hz, and the one after the last.
pub fn bands_between([low, high]: [f64; 2]) -> [usize; 2] {
    let (lowest, highest) = (hertz_to_mel(LOWEST_HERTZ), hertz_to_mel(HIGHEST_HERTZ));
    let middle =
        |band: usize| mel_to_hertz(lowest + (highest - lowest) * (band + 1) as f64 / (BANDS + 1) as f64);
    let count = |hertz: f64| (0..BANDS).take_while(|band| middle(*band) < hertz).count();
    [count(low), count(high)]
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

    fn columns(samples: &[f32], part: usize) -> Vec<f32> {
        let mut stream = MelStream::default();
        let mut values = Vec::new();
        for part in samples.chunks(part) {
            values.extend(stream.push(part).unwrap());
        }
        values.extend(stream.finish().unwrap());
        values
    }

    #[test]
    fn silence_is_the_least_value() {
        let values = columns(&[0.0; 1000], 1000);
        assert_eq!(values, vec![SILENCE; 6 * BANDS]);
    }

    #[test]
    fn an_empty_sound_has_one_column_of_silence() {
        assert_eq!(columns(&[], 1), vec![SILENCE; BANDS]);
    }

    #[test]
    fn a_louder_tone_is_brightest_in_its_own_band() {
        let tone = |i| 0.5 * (std::f32::consts::TAU * 1000.0 * i as f32 / 16_000.0).sin();
        let samples: Vec<f32> = (0..8000).map(tone).collect();
        let column = &columns(&samples, 8000)[20 * BANDS..][..BANDS];
        let brightest = (0..BANDS).max_by(|&a, &b| column[a].total_cmp(&column[b])).unwrap();
        let (low, high) = (hertz_to_mel(LOWEST_HERTZ), hertz_to_mel(HIGHEST_HERTZ));
        let expected = (15.0 - low) / (high - low) * 81.0 - 1.0;
        assert!((brightest as f64 - expected).abs() <= 1.0, "{brightest} {expected}");
    }

    #[test]
    fn bands_are_found_by_their_middle() {
        assert_eq!(bands_between([0.0, 8000.0]), [0, BANDS]);
        let [first, end] = bands_between([300.0, 3400.0]);
        assert!(first > 0 && first < end && end < BANDS);
        // The middle of a band is where a tone is brightest.
        let tone = |i| 0.5 * (std::f32::consts::TAU * 300.0 * i as f32 / 16_000.0).sin();
        let column = &columns(&(0..8000).map(tone).collect::<Vec<_>>(), 8000)[20 * BANDS..][..BANDS];
        let brightest = (0..BANDS).max_by(|&a, &b| column[a].total_cmp(&column[b])).unwrap();
        assert!(first.abs_diff(brightest) <= 1, "{first} {brightest}");
    }

    #[test]
    fn the_columns_do_not_depend_on_how_the_sound_is_cut_up() {
        let samples: Vec<f32> = (0..3_333).map(|i| (i as f32 * i as f32 * 1e-4).sin() * 0.3).collect();
        let whole = columns(&samples, samples.len());
        assert_eq!(whole.len(), (1 + samples.len() / HOP) * BANDS);
        for part in [1, 7, 320, 1999] {
            assert!(columns(&samples, part) == whole, "in parts of {part}");
        }
    }

    #[test]
    fn a_column_is_given_as_soon_as_its_look_ahead_has_come() {
        let mut stream = MelStream::default();
        let mut given = 0;
        for received in 1..3000 {
            given += stream.push(&[0.1]).unwrap().len() / BANDS;
            let due = if received < LOOK_AHEAD { 0 } else { 1 + (received - LOOK_AHEAD) / HOP };
            assert_eq!(given, due, "after {received} samples");
        }
        assert!(stream.emphasized.len() <= WINDOW);
    }
}
