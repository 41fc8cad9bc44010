//! The audio features of a whole voice.
//!
//! All are `[rows, channels, width]` in C order, where width is time inside one row: AVE (512 × 1), speech (196 × 1), mel
//! windows (80 × 16), DeepSpeech logits (29 × 16) and HuBERT (1024 × 2).

use super::ave::AveEncoder;
pub use super::kind::AudioKind;
pub use super::stream::FeatureStream;
use super::window::WindowShape;
use super::{SAMPLE_RATE, Sound};
use crate::error::{Error, Result};

/// The audio features of a voice.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioFeatures {
    /// Where they come from.
    pub kind: AudioKind,
    /// Rows; row `i` belongs to video frame `i`.
    pub rows: usize,
    /// Channels of one row.
    pub channels: usize,
    /// Steps of time in one row.
    pub width: usize,
    /// `[rows, channels, width]`, all finite.
    pub values: Vec<f32>,
}

impl AudioFeatures {
    /// Mel features of a whole voice; see [`FeatureStream::mel`].
    ///
    /// # Errors
    /// [`Error::Internal`] when `sound` is not at 16 kHz.
    pub fn mel(sound: &Sound) -> Result<Self> {
        Self::of_stream(FeatureStream::mel(), sound)
    }

    /// AVE features of a whole voice; see [`FeatureStream::ave`].
    ///
    /// # Errors
    /// [`Error::Internal`] when `sound` is not at 16 kHz or the device fails.
    pub fn ave(sound: &Sound, encoder: &AveEncoder) -> Result<Self> {
        Self::of_stream(FeatureStream::ave(encoder.clone()), sound)
    }

    /// Speech features of a whole voice; see [`FeatureStream::speech`].
    ///
    /// # Errors
    /// [`Error::Internal`] when `sound` is not at 16 kHz.
    pub fn speech(sound: &Sound) -> Result<Self> {
        Self::of_stream(FeatureStream::speech()?, sound)
    }

    fn of_stream(mut stream: FeatureStream, sound: &Sound) -> Result<Self> {
        if sound.rate != SAMPLE_RATE {
            return Err(Error::Internal(format!("audio features of sound at {} Hz", sound.rate)));
        }
        let mut values = stream.push(&sound.samples)?;
        values.extend(stream.finish()?);
        let kind = stream.kind();
        let (channels, width) = (kind.channels(), kind.width());
        Ok(AudioFeatures { kind, rows: values.len() / stream.row_len(), channels, width, values })
    }

    /// Cuts the features to `rows` rows, or repeats the last one until there are as many; without any row
    /// there is nothing to repeat, and silence takes its place.
    pub fn fit(&mut self, rows: usize) {
        let size = self.channels * self.width;
        let last = match self.values.len().checked_sub(size) {
            Some(from) => self.values[from..].to_vec(),
            None => vec![0.0; size],
        };
        self.values.truncate(rows * size);
        while self.values.len() < rows * size {
            self.values.extend_from_slice(&last);
        }
        self.rows = rows;
    }

    /// What the network sees for video frame `frame`, `[8, channels, width]`; see [`super::window`].
    pub fn window(&self, frame: usize) -> Vec<f32> {
        let size = self.channels * self.width;
        let row = |row: usize| self.values.get(row.checked_mul(size)?..)?.get(..size);
        WindowShape::of(self.kind).window(frame, size, self.rows, row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(rows: usize) -> AudioFeatures {
        let kind = AudioKind::Hubert;
        let values = (0..rows * 2048).map(|i| i as f32).collect();
        AudioFeatures { kind, rows, channels: kind.channels(), width: kind.width(), values }
    }

    #[test]
    fn the_frame_is_row_four_of_its_window_and_outside_is_zero() {
        let features = counted(6);
        let window = features.window(1);
        assert_eq!(window.len(), 8 * 2048);
        assert!(window[..3 * 2048].iter().all(|&v| v == 0.0));
        assert_eq!(window[3 * 2048..], features.values[..5 * 2048]);
        assert!(features.window(100).iter().all(|&v| v == 0.0));
        assert!(features.window(usize::MAX).iter().all(|&v| v == 0.0));
    }

    #[test]
    fn fitting_repeats_the_last_row_or_cuts() {
        let mut features = counted(2);
        features.fit(4);
        assert_eq!(features.values[3 * 2048..], features.values[2048..2 * 2048]);
        features.fit(1);
        assert_eq!((features.rows, features.values.len()), (1, 2048));
        features.fit(0);
        features.fit(2);
        assert_eq!(features.values, vec![0.0; 2 * 2048]);
    }

    #[test]
    fn an_unknown_kind_is_refused_with_the_known_ones() {
        let message = AudioKind::parse("wav2vec").unwrap_err().to_string();
        assert!(message.contains("hubert") && message.contains("wav2vec"), "{message}");
    }
}
