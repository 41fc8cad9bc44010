//! The audio features of a whole voice, and their files.
//!
//! Four kinds, all `[rows, channels, width]` in C order, where width is time inside one row: AVE (512 × 1), mel
//! windows (80 × 16), DeepSpeech logits (29 × 16) and HuBERT (1024 × 2).

use super::ave::AveEncoder;
pub use super::kind::AudioKind;
pub use super::stream::FeatureStream;
use super::{SAMPLE_RATE, Sound, window};
use crate::error::{Error, Result};
use crate::formats::npy;
use std::path::Path;

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

    /// Reads features that another program saved: DeepSpeech `[N, 16, 29]`, HuBERT `[N, 2, 1024]`, AVE
    /// `[N, 1, 512]` or `[N, 512]`, mel `[N, 80, 16]` as [`AudioFeatures::write`] saves them.
    ///
    /// # Errors
    /// [`Error::Input`] when the file cannot be read, has another shape, no rows, or values that are not finite.
    pub fn read(path: &Path, kind: AudioKind) -> Result<Self> {
        let array = npy::read(path)?;
        let (channels, width) = (kind.channels(), kind.width());
        let is_time_first = matches!(kind, AudioKind::DeepSpeech | AudioKind::Hubert);
        let row_shape =
            if is_time_first || kind == AudioKind::Ave { [width, channels] } else { [channels, width] };
        let fits = match array.shape[..] {
            [_, a, b] => [a, b] == row_shape,
            [_, a] => kind == AudioKind::Ave && a == channels,
            _ => false,
        };
        let rows = array.shape.first().copied().unwrap_or(0);
        if !fits || rows == 0 {
            return Err(Error::input(
                path.display(),
                format!("{} features of shape [N, {}, {}]", kind.name(), row_shape[0], row_shape[1]),
                format!("shape {:?}", array.shape),
                "check that the file belongs to this --asr, or make the features again",
            ));
        }
        if let Some(at) = array.data.iter().position(|v| !v.is_finite()) {
            return Err(Error::input(
                path.display(),
                "finite values",
                format!("{} in row {}", array.data[at], at / (channels * width)),
                "make the features again",
            ));
        }
        let values = if is_time_first { swap_axes(&array.data, width, channels) } else { array.data };
        Ok(AudioFeatures { kind, rows, channels, width, values })
    }

    /// Saves the features in the shape that [`AudioFeatures::read`] and the programs of the field expect.
    ///
    /// # Errors
    /// [`Error::Input`] when the place cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        if matches!(self.kind, AudioKind::DeepSpeech | AudioKind::Hubert) {
            let values = swap_axes(&self.values, self.channels, self.width);
            return npy::write(path, &[self.rows, self.width, self.channels], &values);
        }
        let shape = match self.kind {
            AudioKind::Ave => [self.rows, self.width, self.channels],
            _ => [self.rows, self.channels, self.width],
        };
        npy::write(path, &shape, &self.values)
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
        window::around(frame, size, |row| self.values.get(row * size..)?.get(..size))
    }
}

/// Turns every row's `[a, b]` into `[b, a]`.
fn swap_axes(values: &[f32], a: usize, b: usize) -> Vec<f32> {
    let mut swapped = Vec::with_capacity(values.len());
    for row in values.chunks_exact(a * b) {
        swapped.extend((0..b).flat_map(|j| (0..a).map(move |i| row[i * b + j])));
    }
    swapped
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
    fn every_kind_survives_writing_and_reading() {
        let dir = tempfile::tempdir().unwrap();
        for kind in AudioKind::ALL {
            let (channels, width) = (kind.channels(), kind.width());
            let values = (0..3 * channels * width).map(|i| (i as f32 * 0.37).sin()).collect();
            let features = AudioFeatures { kind, rows: 3, channels, width, values };
            let path = dir.path().join(kind.file_names()[0]);
            features.write(&path).unwrap();
            assert_eq!(AudioFeatures::read(&path, kind).unwrap(), features);
            assert_eq!(AudioKind::parse(kind.name()).unwrap(), kind);
        }
    }

    #[test]
    fn time_comes_last_in_memory_and_first_in_deepspeech_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("aud_ds.npy");
        let data: Vec<f32> = (0..2 * 16 * 29).map(|i| i as f32).collect();
        npy::write(&path, &[2, 16, 29], &data).unwrap();
        let features = AudioFeatures::read(&path, AudioKind::DeepSpeech).unwrap();
        assert_eq!((features.rows, features.channels, features.width), (2, 29, 16));
        // Row 1, channel 5, time 7.
        assert_eq!(features.values[(29 + 5) * 16 + 7], data[(16 + 7) * 29 + 5]);
    }

    #[test]
    fn ave_files_may_leave_out_the_middle_axis() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("aud_ave.npy");
        npy::write(&path, &[2, 512], &[0.5; 1024]).unwrap();
        assert_eq!(AudioFeatures::read(&path, AudioKind::Ave).unwrap().rows, 2);
    }

    #[test]
    fn features_of_another_shape_or_not_finite_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("aud.npy");
        npy::write(&path, &[2, 16, 44], &[0.0; 2 * 16 * 44]).unwrap();
        let message = AudioFeatures::read(&path, AudioKind::DeepSpeech).unwrap_err().to_string();
        assert!(message.contains("[N, 16, 29]") && message.contains("[2, 16, 44]"), "{message}");
        npy::write(&path, &[0, 512], &[]).unwrap();
        assert!(AudioFeatures::read(&path, AudioKind::Ave).is_err());
        let mut values = [0.0; 1024];
        values[600] = f32::NAN;
        npy::write(&path, &[2, 512], &values).unwrap();
        let message = AudioFeatures::read(&path, AudioKind::Ave).unwrap_err().to_string();
        assert!(message.contains("row 1"), "{message}");
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
