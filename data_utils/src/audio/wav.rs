//! Sound into wav files.

use super::Sound;
use crate::error::{Error, Result};
use crate::media::files;
use std::io::Cursor;
use std::path::Path;

/// Writes `sound` as 16-bit PCM, as a whole or not at all. Samples beyond full scale are clipped.
///
/// # Errors
/// [`Error::Input`] when the place cannot be written or the sound is too long for a wav file.
pub fn write_wav(path: &Path, sound: &Sound) -> Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: sound.rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    if sound.samples.len() >= (u32::MAX / 2 - 64) as usize {
        return Err(Error::input(
            path.display(),
            "a sound that fits a wav file (4 GiB)",
            format!("{} samples", sound.samples.len()),
            "split the sound",
        ));
    }
    let mut bytes = Cursor::new(Vec::with_capacity(44 + 2 * sound.samples.len()));
    let encode = |bytes: &mut Cursor<Vec<u8>>| -> std::result::Result<(), hound::Error> {
        let mut writer = hound::WavWriter::new(bytes, spec)?;
        for &sample in &sound.samples {
            writer.write_sample((sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16)?;
        }
        writer.finalize()
    };
    encode(&mut bytes).map_err(|e| Error::Internal(format!("a wav file could not be encoded: {e}")))?;
    files::write_bytes(path, bytes.get_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{SAMPLE_RATE, load};

    #[test]
    fn a_written_wav_is_loaded_back_and_clipped_at_full_scale() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("v.wav");
        let samples: Vec<f32> = (0..3000).map(|i| (i as f32 * 0.05).sin() * 1.2).collect();
        write_wav(&path, &Sound { samples: samples.clone(), rate: SAMPLE_RATE }).unwrap();
        let back = load(&path).unwrap();
        assert_eq!((back.rate, back.samples.len()), (SAMPLE_RATE, samples.len()));
        for (a, b) in back.samples.iter().zip(&samples) {
            assert!((a - b.clamp(-1.0, 1.0)).abs() <= 1.0 / 32_768.0, "{a} {b}");
        }
    }
}
