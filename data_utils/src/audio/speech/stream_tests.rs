use super::*;
use crate::audio::speech::{CURVES, FEATURES};
use crate::audio::{SAMPLES_PER_FRAME, Sound, load};
use crate::formats::npy;
use std::path::PathBuf;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/audio").join(name)
}

fn voice() -> Sound {
    load(&fixture("voice.wav")).unwrap()
}

fn rows(samples: &[f32], part: usize) -> Vec<f32> {
    let mut stream = SpeechStream::new().unwrap();
    let mut rows = Vec::new();
    for part in samples.chunks(part) {
        rows.extend(stream.push(part).unwrap());
    }
    rows.extend(stream.finish().unwrap());
    rows
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Root mean square of the differences of two sets of rows, as a part of the standard deviation of the first.
fn apart(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let count = a.len() as f64;
    let mean = a.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let variance = a.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / count;
    let square = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / count;
    (square / variance).sqrt()
}

#[test]
fn the_front_end_is_that_of_the_published_graph() {
    let mut spectrum = SpectrumStream::new(Weights::load().unwrap().mel);
    let ours = spectrum.push(&voice().samples).unwrap().concat();
    let golden = npy::read(&fixture("speech_mel.npy")).unwrap();
    assert_eq!(golden.shape, [ours.len() / BANDS, BANDS]);
    // What lies 80 dB below the loudest value is cut off later; there the graph, in f32, only has rounding.
    let floor = ours.iter().copied().fold(f32::MIN, f32::max) - 8.0;
    let heard = |values: &[f32]| values.iter().map(|v| v.max(floor)).collect::<Vec<f32>>();
    let error = worst(&heard(&ours), &heard(&golden.data));
    println!("front end: largest error {error:e}");
    assert!(error <= 1e-4, "{error}");
}

#[test]
fn the_rows_are_those_of_the_published_graph() {
    let ours = rows(&voice().samples, usize::MAX);
    let network = |row: &[f32]| row[..FEATURES - CURVES].to_vec();
    let ours: Vec<f32> = ours.chunks_exact(FEATURES).flat_map(network).collect();
    let golden = npy::read(&fixture("speech_rows.npy")).unwrap();
    assert_eq!(golden.shape, [ours.len() / (FEATURES - CURVES), FEATURES - CURVES]);
    let error = worst(&ours, &golden.data);
    println!("rows: largest error {error:e}");
    assert!(error <= 1e-4, "{error}");
    // Kernels of 16 bits cost a hundredth.
    let original = npy::read(&fixture("speech_rows_f32.npy")).unwrap();
    let rounding = apart(&original.data, &ours);
    println!("rounded kernels: {rounding}");
    assert!(rounding < 0.015, "{rounding}");
}

#[test]
fn the_rows_are_the_same_to_the_bit_however_a_voice_is_cut_up() {
    let samples = voice().samples;
    for length in [0, 1, 511, 512, 640, 641, 1600, 9_001, samples.len()] {
        let samples = &samples[..length];
        let whole = rows(samples, usize::MAX);
        assert_eq!(whole.len(), length.div_ceil(SAMPLES_PER_FRAME) * FEATURES, "{length} samples");
        for part in [1, 320, 1999] {
            assert!(rows(samples, part) == whole, "{length} samples in parts of {part}");
        }
    }
}

#[test]
fn a_sound_20_db_lower_gives_the_same_rows() {
    let samples = voice().samples;
    let lower: Vec<f32> = samples.iter().map(|s| 0.1 * s).collect();
    let apart = apart(&rows(&samples, usize::MAX), &rows(&lower, usize::MAX));
    println!("20 dB lower: {apart} of the deviation");
    assert!(apart < 0.01, "{apart}");
}

#[test]
fn silence_and_samples_that_are_no_numbers_give_finite_rows() {
    for samples in
        [vec![0.0; 1600], vec![0.0; 40_000], vec![f32::NAN; 5000], vec![1e30; 5000], vec![1.0; 3000]]
    {
        let rows = rows(&samples, 777);
        assert_eq!(rows.len(), samples.len().div_ceil(SAMPLES_PER_FRAME) * FEATURES);
        assert!(rows.iter().all(|v| v.is_finite()));
    }
}

#[test]
fn a_row_is_known_as_soon_as_its_look_ahead_has_come() {
    let samples = voice().samples;
    let mut stream = SpeechStream::new().unwrap();
    let mut given = 0;
    for (received, sample) in (1..).zip(&samples) {
        given += stream.push(&[*sample]).unwrap().len() / FEATURES;
        let due = (received as usize).checked_sub(LOOK_AHEAD).map_or(0, |n| 1 + n / SAMPLES_PER_FRAME);
        assert_eq!(given, due, "after {received} samples");
    }
}

#[test]
fn a_stream_begins_anew_after_its_end() {
    let samples = voice().samples;
    let mut stream = SpeechStream::new().unwrap();
    let mut run = |samples: &[f32]| [stream.push(samples).unwrap(), stream.finish().unwrap()].concat();
    let first = run(&samples);
    run(&[0.9; 10_000]);
    assert!(run(&samples) == first);
}

#[test]
fn the_lips_open_while_a_voice_speaks_and_close_in_silence() {
    // A second of silence after the voice.
    let spoken = voice().samples;
    let frames = spoken.len() / SAMPLES_PER_FRAME;
    let rows = rows(&[spoken, vec![0.0; 16_000]].concat(), usize::MAX);
    let curves = |frame: usize| &rows[(frame + 1) * FEATURES - CURVES..(frame + 1) * FEATURES];
    let widest = (0..frames).map(|frame| curves(frame)[0]).fold(0.0, f32::max);
    let last = curves(rows.len() / FEATURES - 1)[0];
    println!("opening: up to {widest} in speech, {last} in silence");
    assert!(widest > 0.2 && last.abs() < 0.1);
    assert!((0..frames).flat_map(curves).all(|v| (-0.5..1.5).contains(v)));
}
