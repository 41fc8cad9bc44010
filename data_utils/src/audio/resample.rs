//! Streaming conversion to 16 kHz with a band-limited filter, so that memory follows the result and not the
//! source's rate.

use super::SAMPLE_RATE;
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler, WindowFunction};

/// Source rates accepted, in Hz.
pub(super) const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;
/// Source samples filtered at once; long, so that the filter is steep: flat to 95 % of the band kept.
const BLOCK: usize = 4096;

/// A converter from one rate to [`SAMPLE_RATE`]. `n` samples in give `ceil(n · 16000 / rate)` samples out,
/// aligned in time.
pub(super) struct ToSampleRate {
    rate: u32,
    filter: Option<Fft<f32>>,
    waiting: Vec<f32>,
    converted: Vec<f32>,
    /// Filter delay still to be cut from the start.
    delay: usize,
    received: u64,
}

impl ToSampleRate {
    /// A converter from `rate`, one of [`RATES`].
    pub(super) fn new(rate: u32) -> Result<Self, String> {
        if !RATES.contains(&rate) {
            return Err(format!("{rate} samples per second"));
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
            Some(Fft::new_custom(from, to, block, 1, 1, window, FixedSync::Both).map_err(|e| e.to_string())?)
        };
        let delay = filter.as_ref().map_or(0, Resampler::output_delay);
        Ok(ToSampleRate { rate, filter, waiting: Vec::new(), converted: Vec::new(), delay, received: 0 })
    }

    /// Takes in more of the source.
    pub(super) fn push(&mut self, samples: &[f32]) -> Result<(), String> {
        self.received += samples.len() as u64;
        let Some(filter) = &mut self.filter else {
            self.converted.extend_from_slice(samples);
            return Ok(());
        };
        self.waiting.extend_from_slice(samples);
        let block = filter.input_frames_next();
        let whole = self.waiting.len() / block * block;
        for part in self.waiting[..whole].chunks_exact(block) {
            convert(filter, part, &mut self.converted, &mut self.delay)?;
        }
        self.waiting.drain(..whole);
        Ok(())
    }

    /// Seconds taken in so far.
    pub(super) fn seconds(&self) -> u64 {
        self.received / u64::from(self.rate)
    }

    /// All that was converted.
    pub(super) fn finish(mut self) -> Result<Vec<f32>, String> {
        let length = (self.received * u64::from(SAMPLE_RATE)).div_ceil(u64::from(self.rate)) as usize;
        if let Some(filter) = &mut self.filter {
            let block = filter.input_frames_next();
            // Silence behind the end pushes the last samples through the filter.
            self.waiting.resize(block, 0.0);
            let mut part = std::mem::take(&mut self.waiting);
            while self.converted.len() < length {
                convert(filter, &part, &mut self.converted, &mut self.delay)?;
                part.fill(0.0);
            }
        }
        self.converted.truncate(length);
        Ok(self.converted)
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Filters one block and appends what is not delay.
fn convert(
    filter: &mut Fft<f32>,
    block: &[f32],
    out: &mut Vec<f32>,
    delay: &mut usize,
) -> Result<(), String> {
    let mut made = vec![0f32; filter.output_frames_next()];
    let frames = made.len();
    let input = InterleavedSlice::new(block, 1, block.len()).map_err(|e| e.to_string())?;
    let mut output = InterleavedSlice::new_mut(&mut made, 1, frames).map_err(|e| e.to_string())?;
    let (_, written) =
        filter.process_into_buffer(&input, &mut output, Some(&Indexing::new())).map_err(|e| e.to_string())?;
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
        let mut converter = ToSampleRate::new(rate).unwrap();
        for part in samples.chunks(part) {
            converter.push(part).unwrap();
        }
        converter.finish().unwrap()
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
        let samples = tone(44_100, 300.0, 0.5);
        assert_eq!(convert_in_parts(44_100, &samples, 1), convert_in_parts(44_100, &samples, 9999));
    }

    #[test]
    fn rates_that_no_voice_has_are_refused() {
        assert!(ToSampleRate::new(0).is_err());
        assert!(ToSampleRate::new(u32::MAX).is_err());
    }
}
