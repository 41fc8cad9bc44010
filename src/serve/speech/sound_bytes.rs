//! Sound as bytes: what an engine or a client sends, and WAV files.

use crate::{Error, Result};
use data_utils::audio::resample::Resampler;
use data_utils::audio::{SAMPLE_RATE, Sound, load_native};
use std::io::Write as _;

/// The longest sound that is decoded, seconds: a small file may hold a sound that fills the memory.
pub const LONGEST_SOUND: u32 = 3600;

/// Bytes of a sound in any format that this crate decodes by itself (wav, flac, mp3, m4a), as mono at 16 kHz. Other bytes are
/// taken as samples of 16 bits, mono, where a rate for them is given.
///
/// # Errors
/// [`Error::Input`] for bytes that are no sound, or one that is longer than [`LONGEST_SOUND`].
pub fn decode(bytes: &[u8], raw_rate: Option<u32>) -> Result<Sound> {
    if !has_signature(bytes)
        && let Some(rate) = raw_rate
    {
        return pcm(bytes, rate);
    }
    // Decoders read files; this one has a name that nobody chose, and goes with its handle.
    let fail = |e: std::io::Error| Error::Internal(format!("a temporary file for a sound: {e}"));
    let mut file = tempfile::NamedTempFile::new().map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    load_native(file.path(), LONGEST_SOUND).map_err(|error| match error {
        Error::Input(mut problem) => {
            problem.at = "the sound".into();
            Error::Input(problem)
        }
        other => other,
    })
}

/// Whether bytes begin as a sound file does.
fn has_signature(bytes: &[u8]) -> bool {
    let at = |offset: usize, sign: &[u8]| bytes.get(offset..).is_some_and(|rest| rest.starts_with(sign));
    let is_mpeg = bytes.len() > 1 && bytes[0] == 0xff && bytes[1] & 0xe0 == 0xe0;
    ["RIFF", "RF64", "fLaC", "OggS", "ID3"].iter().any(|sign| at(0, sign.as_bytes()))
        || at(4, b"ftyp")
        || is_mpeg
}

/// Samples of 16 bits, little-endian, mono, as sound at 16 kHz.
///
/// # Errors
/// [`Error::Input`] for an odd number of bytes or a rate that cannot be resampled.
fn pcm(bytes: &[u8], rate: u32) -> Result<Sound> {
    if !bytes.len().is_multiple_of(2) {
        let found = format!("{} bytes", bytes.len());
        return Err(Error::input("the sound", "samples of 16 bits", found, "send s16le mono"));
    }
    let samples: Vec<f32> = samples(bytes).collect();
    let mut resampler = Resampler::new(rate)?;
    let mut resampled = resampler.push(&samples)?;
    resampled.extend(resampler.finish()?);
    Ok(Sound { samples: resampled, rate: SAMPLE_RATE })
}

/// Samples of 16 bits, little-endian, as numbers of full scale ±1.
pub(in crate::serve) fn samples(bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
    bytes.chunks_exact(2).map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0)
}

/// Samples of full scale ±1 as 16 bits, little-endian.
pub(in crate::serve) fn pcm_bytes(samples: &[f32]) -> impl Iterator<Item = u8> + '_ {
    samples.iter().flat_map(|sample| {
        let scaled = (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0);
        (scaled as i16).to_le_bytes()
    })
}

/// A sound as a WAV file of 16 bits. A note in it says that the sound is synthetic.
pub fn wav(sound: &Sound) -> Vec<u8> {
    const NOTE: &[u8; 32] = b"synthetic speech by surfeltalk\0\0";
    let data = 2 * sound.samples.len() as u32;
    let info = 4 + 8 + NOTE.len() as u32;
    let mut bytes = Vec::with_capacity(60 + NOTE.len() + data as usize);
    let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| bytes.extend_from_slice(part));
    put(&[b"RIFF", &(4 + 24 + 8 + info + 8 + data).to_le_bytes(), b"WAVE"]);
    put(&[b"fmt ", &16_u32.to_le_bytes(), &1_u16.to_le_bytes(), &1_u16.to_le_bytes()]);
    put(&[&sound.rate.to_le_bytes(), &(2 * sound.rate).to_le_bytes()]);
    put(&[&2_u16.to_le_bytes(), &16_u16.to_le_bytes()]);
    put(&[b"LIST", &info.to_le_bytes(), b"INFO", b"ICMT", &(NOTE.len() as u32).to_le_bytes(), NOTE]);
    put(&[b"data", &data.to_le_bytes()]);
    bytes.extend(pcm_bytes(&sound.samples));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wav_file_is_read_back_and_says_that_it_is_synthetic() {
        let samples: Vec<f32> = (0..3000).map(|k| (k as f32 * 0.1).sin() * 0.5).collect();
        let bytes = wav(&Sound { samples: samples.clone(), rate: SAMPLE_RATE });
        let back = decode(&bytes, None).expect("a sound");
        assert_eq!(back.samples.len(), samples.len());
        assert!(back.samples.iter().zip(&samples).all(|(a, b)| (a - b).abs() < 1e-4));
        assert!(bytes.windows(9).any(|part| part == b"synthetic"));
        let mut streamed = bytes.clone();
        let at = streamed.windows(4).position(|part| part == b"data").expect("data") + 4;
        // espeak-ng does not know how long it will speak.
        streamed[at..at + 4].copy_from_slice(&0x7fff_f000_u32.to_le_bytes());
        assert_eq!(decode(&streamed, None).expect("a sound").samples.len(), samples.len());
    }

    #[test]
    fn raw_samples_are_taken_where_their_rate_is_known() {
        let bytes: Vec<u8> = pcm_bytes(&[0.5; 2400]).collect();
        assert_eq!(decode(&bytes, Some(24_000)).expect("a sound").samples.len(), 1600);
        assert!(decode(&bytes[1..], Some(24_000)).is_err());
        assert!(decode(&bytes, None).is_err());
        let error = decode(b"<html>no sound</html>", None).expect_err("refused").to_string();
        assert!(error.starts_with("the sound"), "{error}");
    }
}
