//! Streaming conversion from any rate to 16 kHz with a band-limited filter.

use super::SAMPLE_RATE;
use crate::error::{Error, Result};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler as _, WindowFunction};

/// Source rates accepted, in Hz.
pub const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;
/// Source samples filtered at once; long, so that the filter is steep: flat to 95 % of the band kept.
const BLOCK: usize = 4096;

/// A converter from one rate to [`SAMPLE_RATE`]. `n` samples in give `ceil(n · 16000 / rate)` samples out,
/// aligned in time.
pub struct Resampler {
    rate: u32,
    filter: Option<Fft<f32>>,
    waiting: Vec<f32>,
    /// Filter delay still to be cut from the start, output samples.
    delay: usize,
    received: u64,
    given: u64,
}

impl Resampler {
    /// A converter from `rate`, one of [`RATES`].
    ///
    /// # Errors
    /// [`Error::Input`] for any other rate.
    pub fn new(rate: u32) -> Result<Self> {
        if !RATES.contains(&rate) {
            return Err(Error::input(
                "a sound",
                format!("{} to {} samples per second", RATES.start(), RATES.end()),
                rate.to_string(),
                "convert it to 48000 Hz",
            ));
        }
        let filter = if rate == SAMPLE_RATE {
            None
        } else {
            let (from, to) = (rate as usize, SAMPLE_RATE as usize);
            // An even number of the smallest blocks that the ratio allows: the filter's delay, half a block, is
            // then a whole number of samples and can be cut off exactly.
            let smallest = from / gcd(from, to);
            let block = smallest * BLOCK.div_ceil(smallest).next_multiple_of(2);
            let window = WindowFunction::BlackmanHarris2;
            Some(Fft::new_custom(from, to, block, 1, 1, window, FixedSync::Both).map_err(|e| failed(&e))?)
        };
        let delay = filter.as_ref().map_or(0, |filter| filter.output_delay());
        Ok(Resampler { rate, filter, waiting: Vec::new(), delay, received: 0, given: 0 })
    }

    /// Takes in more of the source and gives the samples at 16 kHz that became ready.
    ///
    /// # Errors
    /// [`Error::Internal`] when the filter fails.
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<f32>> {
        self.received += samples.len() as u64;
        let ready = self.filtered(samples)?;
        self.given += ready.len() as u64;
        Ok(ready)
    }

    /// Gives the rest: in all `ceil(n · 16000 / rate)` samples, the source continued with silence.
    ///
    /// # Errors
    /// As [`Resampler::push`].
    pub fn finish(mut self) -> Result<Vec<f32>> {
        let length = (self.received * u64::from(SAMPLE_RATE)).div_ceil(u64::from(self.rate));
        let missing = length.saturating_sub(self.given) as usize;
        let mut rest = Vec::with_capacity(missing);
        let silence = vec![0.0; self.filter.as_ref().map_or(0, |filter| filter.input_frames_next())];
        while rest.len() < missing {
            rest.extend(self.filtered(&silence)?);
        }
        rest.truncate(missing);
        Ok(rest)
    }

    /// Source samples taken in so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Source samples beyond the time of an output sample that must have come before it is given: a block and half of
    /// the filter; about 6,150, which are 128 ms at 48 kHz, and 0 at 16 kHz.
    pub fn look_ahead(&self) -> usize {
        self.filter.as_ref().map_or(0, |filter| filter.input_frames_next().div_ceil(2) * 3)
    }

    fn filtered(&mut self, samples: &[f32]) -> Result<Vec<f32>> {
        let Some(filter) = &mut self.filter else { return Ok(samples.to_vec()) };
        self.waiting.extend_from_slice(samples);
        let block = filter.input_frames_next();
        let whole = self.waiting.len() / block * block;
        let mut ready = Vec::new();
        for part in self.waiting[..whole].chunks_exact(block) {
            convert(filter, part, &mut ready, &mut self.delay)?;
        }
        self.waiting.drain(..whole);
        Ok(ready)
    }
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::Internal(format!("a sound could not be resampled: {error}"))
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Filters one block and appends what is not delay.
fn convert(filter: &mut Fft<f32>, block: &[f32], out: &mut Vec<f32>, delay: &mut usize) -> Result<()> {
    let mut made = vec![0f32; filter.output_frames_next()];
    let frames = made.len();
    let input = InterleavedSlice::new(block, 1, block.len()).map_err(|e| failed(&e))?;
    let mut output = InterleavedSlice::new_mut(&mut made, 1, frames).map_err(|e| failed(&e))?;
    let (_, written) =
        filter.process_into_buffer(&input, &mut output, Some(&Indexing::new())).map_err(|e| failed(&e))?;
    let skipped = written.min(*delay);
    *delay -= skipped;
    out.extend_from_slice(&made[skipped..written]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hertz: f64, seconds: f64) -> Vec<f32> {
        let count = (f64::from(rate) * seconds) as usize;
        (0..count)
            .map(|i| (std::f64::consts::TAU * hertz * i as f64 / f64::from(rate)).sin() as f32)
            .collect()
    }

    fn convert_in_parts(rate: u32, samples: &[f32], part: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(rate).unwrap();
        let mut converted = Vec::new();
        for part in samples.chunks(part) {
            converted.extend(resampler.push(part).unwrap());
        }
        converted.extend(resampler.finish().unwrap());
        converted
    }

    #[test]
    fn a_tone_keeps_its_pitch_level_and_place() {
        for rate in [8_000, 11_025, 22_050, 24_000, 44_100, 48_000, 96_000] {
            let converted = convert_in_parts(rate, &tone(rate, 440.0, 1.0), 1152);
            let expected = tone(SAMPLE_RATE, 440.0, 1.0);
            assert_eq!(converted.len(), expected.len(), "{rate}");
            // Away from the ends, where the source is cut off.
            let worst = converted
                .iter()
                .zip(&expected)
                .skip(800)
                .take(14_400)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst < 2e-3, "{rate}: {worst}");
        }
    }

    #[test]
    fn what_the_new_rate_cannot_hold_is_removed() {
        let converted = convert_in_parts(48_000, &tone(48_000, 9_000.0, 1.0), 4096);
        let loudest = converted[800..15_200].iter().fold(0f32, |m, s| m.max(s.abs()));
        assert!(loudest < 1e-3, "{loudest}");
    }

    #[test]
    fn the_length_is_the_ceiling_of_the_exact_one() {
        for (rate, count) in
            [(44_100, 1), (44_100, 44_101), (22_050, 7), (48_000, 4), (384_000, 100_001), (4_001, 4_001)]
        {
            let expected = (count as u64 * 16_000).div_ceil(u64::from(rate)) as usize;
            assert_eq!(convert_in_parts(rate, &vec![0.1; count], 1000).len(), expected, "{rate} {count}");
        }
    }

    #[test]
    fn the_result_does_not_depend_on_how_it_is_cut_up() {
        for rate in [16_000, 44_100, 48_000] {
            let samples = tone(rate, 300.0, 0.5);
            let whole = convert_in_parts(rate, &samples, usize::MAX);
            for part in [1, rate as usize / 50, 9999] {
                assert!(convert_in_parts(rate, &samples, part) == whole, "{rate} in parts of {part}");
            }
        }
    }

    #[test]
    fn a_sample_is_given_when_its_look_ahead_has_come() {
        for rate in [8_000u32, 16_000, 44_100, 48_000] {
            let mut resampler = Resampler::new(rate).unwrap();
            let ahead = resampler.look_ahead() as u64;
            let mut given = 0;
            for received in (100..=u64::from(rate)).step_by(100) {
                given += resampler.push(&[0.0; 100]).unwrap().len() as u64;
                let due = received.saturating_sub(ahead) * u64::from(SAMPLE_RATE) / u64::from(rate);
                assert!(given >= due, "{rate}: {given} of {due} after {received}");
            }
        }
    }

    #[test]
    fn rates_that_no_voice_has_are_refused() {
        assert!(Resampler::new(0).is_err());
        assert!(Resampler::new(u32::MAX).is_err());
    }
}
