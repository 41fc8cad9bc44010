//! Files of audio features, as the programs of the field write and read them.

use super::features::{AudioFeatures, AudioKind};
use crate::error::{Error, Result};
use crate::formats::npy;
use std::path::Path;

impl AudioFeatures {
    /// Reads features that another program saved: DeepSpeech `[N, 16, 29]`, HuBERT `[N, 2, 1024]`, AVE
    /// `[N, 1, 512]` or `[N, 512]`, speech `[N, 1, 196]` or `[N, 196]`, mel `[N, 80, 16]` as [`AudioFeatures::write`] saves
    /// them.
    ///
    /// # Errors
    /// [`Error::Input`] when the file cannot be read, has another shape, no rows, or values that are not finite.
    pub fn read(path: &Path, kind: AudioKind) -> Result<Self> {
        let array = npy::read(path)?;
        let (channels, width) = (kind.channels(), kind.width());
        let is_time_first = matches!(kind, AudioKind::DeepSpeech | AudioKind::Hubert);
        let row_shape = if is_time_first || width == 1 { [width, channels] } else { [channels, width] };
        let fits = match array.shape[..] {
            [_, a, b] => [a, b] == row_shape,
            [_, a] => width == 1 && a == channels,
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
            AudioKind::Ave | AudioKind::Speech => [self.rows, self.width, self.channels],
            _ => [self.rows, self.channels, self.width],
        };
        npy::write(path, &shape, &self.values)
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
}
