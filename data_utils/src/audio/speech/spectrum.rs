//! The front end that the network was trained with: 100 rows of 32 log-mel bands a second.
//!
//! Samples as 16-bit integers; a periodic Hann window of 400 in the middle of 512 samples, every 160, without padding; squared
//! magnitudes; 32 mel bands from 60 to 3800 Hz; `log10(max(1e-10, ·)) + 2`, that is 10 dB a unit. Row `k` is centred on sample
//! `160·k + 256`.

use crate::error::{Error, Result};
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// Mel bands of a row.
pub(super) const BANDS: usize = 32;
/// Samples from one row to the next.
pub(super) const HOP: usize = 160;
/// Samples that a row is made from.
pub(super) const FRAME: usize = 512;
/// Frequencies of a spectrum.
pub(super) const BINS: usize = FRAME / 2 + 1;

const WINDOW: usize = 400;
const FULL_SCALE: f64 = 32767.0;
const FLOOR: f64 = 1e-10;

/// The spectrum of a sound that is still coming.
pub(super) struct SpectrumStream {
    window: Vec<f64>,
    /// `[257, 32]`.
    mel: Arc<[f32]>,
    transform: Arc<dyn RealToComplex<f64>>,
    spectrum: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
    frame: Vec<f64>,
    /// Samples from the first one of the next row on.
    samples: Vec<f32>,
}

impl SpectrumStream {
    /// A stream of which nothing has come yet; `mel` are the bands, `[257, 32]`.
    pub(super) fn new(mel: Arc<[f32]>) -> Self {
        let transform = RealFftPlanner::<f64>::new().plan_fft_forward(FRAME);
        let hann = |n: usize| {
            let at = n.checked_sub((FRAME - WINDOW) / 2).filter(|at| *at < WINDOW);
            at.map_or(0.0, |at| 0.5 - 0.5 * (std::f64::consts::TAU * at as f64 / WINDOW as f64).cos())
        };
        SpectrumStream {
            window: (0..FRAME).map(|n| FULL_SCALE * hann(n)).collect(),
            mel,
            spectrum: transform.make_output_vec(),
            scratch: transform.make_scratch_vec(),
            frame: vec![0.0; FRAME],
            transform,
            samples: Vec::new(),
        }
    }

    /// Takes in samples at 16 kHz and gives the rows that became ready; row `k` is ready once `160·k + 512` samples have come.
    ///
    /// # Errors
    /// [`Error::Internal`] when a spectrum cannot be computed.
    pub(super) fn push(&mut self, samples: &[f32]) -> Result<Vec<[f32; BANDS]>> {
        self.samples.extend_from_slice(samples);
        let mut rows = Vec::new();
        let mut start = 0;
        while start + FRAME <= self.samples.len() {
            rows.push(self.row(start)?);
            start += HOP;
        }
        self.samples.drain(..start);
        Ok(rows)
    }

    fn row(&mut self, start: usize) -> Result<[f32; BANDS]> {
        let samples = &self.samples[start..start + FRAME];
        for ((to, sample), weight) in self.frame.iter_mut().zip(samples).zip(&self.window) {
            *to = weight * f64::from(*sample);
        }
        self.transform
            .process_with_scratch(&mut self.frame, &mut self.spectrum, &mut self.scratch)
            .map_err(|e| Error::Internal(format!("a spectrum could not be computed: {e}")))?;
        let mut powers = [0.0f64; BANDS];
        for (bin, weights) in self.spectrum.iter().zip(self.mel.chunks_exact(BANDS)) {
            let power = bin.norm_sqr();
            powers.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += power * f64::from(*weight));
        }
        Ok(powers.map(|power| (power.max(FLOOR).log10() + 2.0) as f32))
    }
}
