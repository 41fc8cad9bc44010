//! Sound files of every format, rate and channel count.

use crate::fixture;
use data_utils::Error;
use data_utils::audio::{self, SAMPLE_RATE};
use std::path::Path;

/// Correlation of two sounds at the same time; 1 when they are the same up to loudness.
fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let sum = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    sum(a, b) / (sum(a, a) * sum(b, b)).sqrt()
}

fn check_like_the_original(name: &str, slack: usize) {
    let original = audio::load(&fixture("audio/voice.wav")).unwrap();
    let sound = audio::load(&fixture(name)).unwrap();
    assert_eq!(sound.rate, SAMPLE_RATE);
    let difference = sound.samples.len().abs_diff(original.samples.len());
    assert!(difference <= slack, "{name}: {difference} samples longer or shorter");
    let correlation = correlation(&sound.samples, &original.samples);
    println!("{name}: {difference} samples off, correlation {correlation:.4}");
    assert!(correlation > 0.97, "{name}: {correlation}");
}

#[test]
fn mp3_is_decoded_without_its_encoders_delay() {
    check_like_the_original("audio/voice.mp3", 1);
}

#[test]
fn m4a_is_decoded_in_place() {
    // Its edit list counts in milliseconds.
    check_like_the_original("audio/voice.m4a", 16);
}

#[test]
fn flac_is_decoded_exactly_in_place() {
    check_like_the_original("audio/voice.flac", 1);
}

fn has_ffmpeg() -> bool {
    std::process::Command::new("ffmpeg").arg("-version").output().is_ok()
}

#[test]
fn opus_is_left_to_ffmpeg_or_refused_with_what_is_missing() {
    if has_ffmpeg() {
        check_like_the_original("audio/voice.opus", 320);
    } else {
        let error = audio::load(&fixture("audio/voice.opus")).unwrap_err();
        assert!(error.to_string().contains("ffmpeg"), "{error}");
    }
}

/// Writes one second of 440 Hz in each channel, at half of full scale in the first one only.
fn write_tone(path: &Path, spec: hound::WavSpec) {
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for i in 0..spec.sample_rate {
        let value = 0.5 * (std::f64::consts::TAU * 440.0 * f64::from(i) / f64::from(spec.sample_rate)).sin();
        for channel in 0..spec.channels {
            let value = if channel == 0 { value } else { 0.0 };
            match spec.sample_format {
                hound::SampleFormat::Float => writer.write_sample(value as f32).unwrap(),
                hound::SampleFormat::Int => {
                    let full = 2f64.powi(i32::from(spec.bits_per_sample) - 1);
                    writer.write_sample((value * full) as i32).unwrap();
                }
            }
        }
    }
    writer.finalize().unwrap();
}

#[test]
fn wav_of_any_width_rate_and_channel_count_becomes_mono_at_16_khz() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tone.wav");
    for (channels, sample_rate, bits_per_sample) in
        [(1, 16_000, 8), (1, 16_000, 16), (2, 44_100, 24), (1, 24_000, 32), (6, 48_000, 16), (2, 8_000, 0)]
    {
        let sample_format =
            if bits_per_sample == 0 { hound::SampleFormat::Float } else { hound::SampleFormat::Int };
        let bits_per_sample = if bits_per_sample == 0 { 32 } else { bits_per_sample };
        write_tone(&path, hound::WavSpec { channels, sample_rate, bits_per_sample, sample_format });
        let sound = audio::load(&path).unwrap();
        assert_eq!(sound.samples.len(), 16_000, "{sample_rate}");
        // Channels are averaged, so one voiced channel of n is n times quieter.
        let level = 0.5 / f64::from(channels);
        let tolerance = if bits_per_sample == 8 { 0.02 } else { 4e-3 };
        for (i, sample) in sound.samples.iter().enumerate().skip(1000).take(14_000) {
            let expected = level * (std::f64::consts::TAU * 440.0 * i as f64 / 16_000.0).sin();
            assert!(
                (f64::from(*sample) - expected).abs() < tolerance,
                "{channels} × {sample_rate} × {bits_per_sample}, {i}"
            );
        }
    }
}

#[test]
fn wav_written_into_a_pipe_has_all_its_samples() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("piped.wav");
    let original = std::fs::read(fixture("audio/voice.wav")).unwrap();
    for length in [0u32, u32::MAX, u32::MAX - 36, 0x7fff_ffff - 36] {
        let mut bytes = original.clone();
        bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        bytes[40..44].copy_from_slice(&length.to_le_bytes());
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(audio::load(&path).unwrap(), audio::load(&fixture("audio/voice.wav")).unwrap());
    }
}

fn refusal(name: &str, bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let error = audio::load(&path).unwrap_err();
    assert!(matches!(error, Error::Input(_)), "{error}");
    error.to_string()
}

#[test]
fn a_wav_without_samples_is_refused() {
    let mut bytes = std::fs::read(fixture("audio/voice.wav")).unwrap();
    bytes.truncate(44);
    bytes[40..44].copy_from_slice(&0u32.to_le_bytes());
    assert!(refusal("empty.wav", &bytes).contains("without samples"));
    // Samples of length 0 in a file that is otherwise whole, with a chunk of text behind.
    bytes.extend(b"LIST\x04\0\0\0INFO");
    let whole = bytes.len() as u32 - 8;
    bytes[4..8].copy_from_slice(&whole.to_le_bytes());
    assert!(refusal("empty.wav", &bytes).contains("without samples"));
}

#[test]
fn of_files_cut_off_in_the_middle_is_used_what_there_is() {
    let dir = tempfile::tempdir().unwrap();
    for (name, is_told) in [("voice.wav", true), ("voice.flac", true), ("voice.mp3", false)] {
        let whole = fixture(&format!("audio/{name}"));
        let (sound, notes) = audio::load_with_notes(&whole).unwrap();
        assert!(notes.is_empty(), "{name}: {notes:?}");
        let bytes = std::fs::read(&whole).unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let (cut, notes) = audio::load_with_notes(&path).unwrap();
        let share = cut.samples.len() as f64 / sound.samples.len() as f64;
        assert!((0.3..0.7).contains(&share), "{name}: {share}");
        assert!(
            !is_told || notes.len() == 1 && notes[0].contains("what there is is used"),
            "{name}: {notes:?}"
        );
    }
    // Without the index at its end nothing of a film can be found.
    let bytes = std::fs::read(fixture("audio/voice.m4a")).unwrap();
    assert!(refusal("voice.m4a", &bytes[..bytes.len() / 2]).contains("voice.m4a"));
}

#[test]
fn lengths_in_a_header_that_cannot_be_true_are_corrected() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("voice.wav");
    let original = std::fs::read(fixture("audio/voice.wav")).unwrap();
    let whole = audio::load(&fixture("audio/voice.wav")).unwrap();
    let samples = original.len() as u32 - 44;
    for declared in [2_000_000_000, 0x8000_0000, samples + 36, samples + 44] {
        let mut bytes = original.clone();
        bytes[40..44].copy_from_slice(&declared.to_le_bytes());
        std::fs::write(&path, bytes).unwrap();
        let (sound, notes) = audio::load_with_notes(&path).unwrap();
        assert!(sound == whole && notes.is_empty(), "{declared}: {notes:?}");
    }
    // A byte that was lost takes its sample with it.
    std::fs::write(&path, &original[..original.len() - 1]).unwrap();
    assert_eq!(audio::load(&path).unwrap().samples, whole.samples[..whole.samples.len() - 1]);
}

#[test]
fn a_damaged_packet_becomes_silence_and_nothing_moves() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["voice.flac", "voice.m4a"] {
        let whole = audio::load(&fixture(&format!("audio/{name}"))).unwrap();
        let mut bytes = std::fs::read(fixture(&format!("audio/{name}"))).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 20].fill(0xff);
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let damaged = audio::load(&path).unwrap();
        assert!(damaged.samples.len().abs_diff(whole.samples.len()) <= 1, "{name}");
        let end = whole.samples.len() * 9 / 10;
        let alike = correlation(
            &damaged.samples[end..],
            &whole.samples[end..whole.samples.len().min(damaged.samples.len())],
        );
        assert!(alike > 0.99, "{name}: {alike}");
    }
}

#[test]
fn a_film_without_sound_and_a_text_are_refused() {
    let film = audio::load(&fixture("audio/silent.mp4")).unwrap_err();
    assert!(matches!(film, Error::Input(_)), "{film}");
    refusal("speech.mp3", b"this is no sound at all, whatever its name says");
    refusal("nothing.wav", b"");
    assert!(audio::load(Path::new("absent.wav")).unwrap_err().to_string().contains("absent.wav"));
}

#[test]
fn samples_that_are_not_finite_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nan.wav");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    for value in [0.0f32, f32::NAN, 0.1] {
        writer.write_sample(value).unwrap();
    }
    writer.finalize().unwrap();
    assert!(audio::load(&path).unwrap_err().to_string().contains("not finite"));
}
