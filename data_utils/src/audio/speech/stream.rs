//! From samples to one row of speech features for each video frame.

use super::level::Level;
use super::lips::LipCurves;
use super::spectrum::{BANDS, FRAME, HOP, SpectrumStream};
use super::trunk::{REACH, STRIDE, Trunk};
use super::weights::Weights;
use crate::audio::{SAMPLE_RATE, video_frames};
use crate::error::Result;
use std::sync::Arc;

/// How often the first row of the spectrum is repeated in front: the middle of what row `j` is made from is then the time of
/// video frame `j`, `j / 25` seconds, to a millisecond.
const IN_FRONT: usize = 21;

/// Samples at 16 kHz (212 ms) that must have come beyond the first sample of a frame before its row is known.
pub const LOOK_AHEAD: usize = (REACH - 1 - IN_FRONT) * HOP + FRAME;

/// Rows of a sound that is still coming.
pub struct SpeechStream {
    spectrum: SpectrumStream,
    level: Level,
    trunk: Trunk,
    lips: LipCurves,
    mel: Arc<[f32]>,
    samples: u64,
    /// The last row of the spectrum, brought to level.
    last: Option<[f32; BANDS]>,
    /// Rows of features given so far.
    rows: u64,
}

impl SpeechStream {
    /// A stream of which nothing has come yet.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the weights in the program are damaged.
    pub fn new() -> Result<Self> {
        let weights = Weights::load()?;
        Ok(SpeechStream {
            spectrum: SpectrumStream::new(Arc::clone(&weights.mel)),
            level: Level::default(),
            trunk: Trunk::new(&weights),
            lips: LipCurves::load()?,
            mel: weights.mel,
            samples: 0,
            last: None,
            rows: 0,
        })
    }

    /// Takes in samples at 16 kHz, full scale at ±1, and gives the rows that became ready, `[n, 196]`. Row `j` is ready once
    /// `640·j +` [`LOOK_AHEAD`] samples have come. A sample that is not finite counts as zero.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when a spectrum cannot be computed.
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<f32>> {
        self.samples += samples.len() as u64;
        let finite: Vec<f32> = samples.iter().map(|s| if s.is_finite() { *s } else { 0.0 }).collect();
        let mut features = Vec::new();
        for mut row in self.spectrum.push(&finite)? {
            self.level.apply(&mut row);
            let repeated = if self.last.is_none() { IN_FRONT } else { 0 };
            for _ in 0..=repeated {
                self.give(&row, u64::MAX, &mut features);
            }
            self.last = Some(row);
        }
        Ok(features)
    }

    /// Gives the remaining rows, in all one for each video frame: the spectrum's last row goes on. The stream then begins anew.
    ///
    /// # Errors
    /// As [`SpeechStream::push`].
    pub fn finish(&mut self) -> Result<Vec<f32>> {
        let frames = video_frames(self.samples, SAMPLE_RATE);
        let mut features = Vec::new();
        if frames > 0 && self.last.is_none() {
            // Shorter than one row of the spectrum: silence follows.
            features = self.push(&vec![0.0; FRAME - self.samples as usize])?;
        }
        if let Some(row) = self.last {
            while self.rows < frames {
                self.give(&row, frames, &mut features);
            }
        }
        self.spectrum = SpectrumStream::new(Arc::clone(&self.mel));
        self.trunk.clear();
        self.lips.clear();
        (self.level, self.samples, self.last, self.rows) = (Level::default(), 0, None, 0);
        Ok(features)
    }

    fn give(&mut self, row: &[f32; BANDS], frames: u64, features: &mut Vec<f32>) {
        if let Some(row) = self.trunk.push(row)
            && self.rows < frames
        {
            features.extend_from_slice(&row);
            features.extend(self.lips.push(&row));
            self.rows += 1;
        }
    }
}

const _: () = assert!(STRIDE * HOP == crate::audio::SAMPLES_PER_FRAME);

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
