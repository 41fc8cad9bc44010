//! Voices: from any sound file to what drives a face.
//!
//! `decode` and `resample` give mono samples at 16 kHz, [`mel`] their spectrogram, [`ave`] the audio-visual
//! encoder over it, [`features`] one row per video frame for the network. Time in video frames is at
//! [`FRAME_RATE`]; frame `i` covers the samples of `[i / 25, (i + 1) / 25)` seconds.

pub mod ave;
mod decode;
pub mod features;
mod ffmpeg;
pub mod mel;
mod mp4_edits;
mod resample;
mod source;

use crate::error::{Error, Result};
use crate::files;
use std::io::Cursor;
use std::path::Path;

/// Samples per second of every loaded voice.
pub const SAMPLE_RATE: u32 = 16_000;
/// Video frames per second.
pub const FRAME_RATE: u32 = 25;
/// What silence is as loudness, in dB of full scale.
pub const SILENCE_DB: f32 = -100.0;
/// The longest voice accepted, in seconds.
pub const LONGEST: u32 = 4 * 60 * 60;

/// Mono sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    /// Samples, full scale at ±1.
    pub samples: Vec<f32>,
    /// Samples per second.
    pub rate: u32,
}

impl Sound {
    /// How many video frames the sound lasts: `ceil(samples · 25 / rate)`.
    pub fn video_frames(&self) -> usize {
        let ticks = self.samples.len() as u64 * u64::from(FRAME_RATE);
        ticks.div_ceil(u64::from(self.rate.max(1))) as usize
    }

    /// The sound of `frames` video frames from number `first` on; shorter where the sound ends before.
    pub fn cut(&self, first: usize, frames: usize) -> Sound {
        let (start, end) = (self.frame_start(first), self.frame_start(first.saturating_add(frames)));
        Sound { samples: self.samples[start..end].to_vec(), rate: self.rate }
    }

    /// The root mean square of each video frame's samples in dB of full scale, at least [`SILENCE_DB`];
    /// one value per video frame.
    pub fn loudness_per_frame(&self) -> Vec<f32> {
        (0..self.video_frames())
            .map(|frame| {
                let part = &self.samples[self.frame_start(frame)..self.frame_start(frame + 1)];
                let power =
                    part.iter().map(|&s| f64::from(s) * f64::from(s)).sum::<f64>() / part.len().max(1) as f64;
                (10.0 * power.log10()).max(f64::from(SILENCE_DB)) as f32
            })
            .collect()
    }

    /// The first sample of a video frame, the end of the sound for frames beyond it.
    fn frame_start(&self, frame: usize) -> usize {
        let at = (frame as u64).saturating_mul(u64::from(self.rate)) / u64::from(FRAME_RATE);
        usize::try_from(at).unwrap_or(usize::MAX).min(self.samples.len())
    }
}

/// Loads the sound of any file with an audio track (wav, mp3, m4a, mp4, flac; with ffmpeg installed anything it
/// reads) as mono at 16 kHz: channels averaged, resampled with a band limit, as `librosa.load(path, sr=16000)`.
///
/// # Errors
/// [`Error::Input`] when the file cannot be read, has no audio or no samples, is damaged, ends before the
/// length it declares, or is longer than [`LONGEST`].
pub fn load(path: &Path) -> Result<Sound> {
    decode::load(path, true)
}

/// Loads as [`load`] does, but never starts ffmpeg: for files of strangers, whose bytes then only meet decoders
/// in safe Rust.
///
/// # Errors
/// As [`load`]; formats beyond wav, mp3, m4a, mp4 and flac too.
pub fn load_native(path: &Path) -> Result<Sound> {
    decode::load(path, false)
}

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

    #[test]
    fn video_frames_round_up() {
        let frames = |n| Sound { samples: vec![0.0; n], rate: SAMPLE_RATE }.video_frames();
        assert_eq!([frames(0), frames(1), frames(640), frames(641), frames(16_000)], [0, 1, 1, 2, 25]);
    }

    #[test]
    fn a_cut_holds_whole_video_frames_and_ends_with_the_sound() {
        let sound = Sound { samples: (0..2000).map(|i| i as f32).collect(), rate: SAMPLE_RATE };
        assert_eq!(sound.cut(1, 1).samples, sound.samples[640..1280]);
        assert_eq!(sound.cut(2, usize::MAX).samples, sound.samples[1280..]);
        assert!(sound.cut(9, 1).samples.is_empty());
    }

    #[test]
    fn loudness_is_the_rms_of_each_frame() {
        let mut samples = vec![0.5; 640];
        samples.extend(vec![0.0; 640]);
        samples.extend((0..100).map(|i| if i % 2 == 0 { 0.1 } else { -0.1 }));
        let loudness = Sound { samples, rate: SAMPLE_RATE }.loudness_per_frame();
        assert_eq!(loudness.len(), 3);
        assert!((loudness[0] + 6.0206).abs() < 1e-3, "{loudness:?}");
        assert_eq!(loudness[1], SILENCE_DB);
        assert!((loudness[2] + 20.0).abs() < 1e-3, "{loudness:?}");
    }

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
