use super::*;
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// A voice that changes all the time: a tone that rises and swells.
pub(in crate::audio) fn voice(samples: usize) -> Vec<f32> {
    (0..samples)
        .map(|i| {
            let t = i as f32 / 16_000.0;
            (0.2 + 0.3 * (5.0 * t).sin().abs()) * (1000.0 * t * (1.0 + t)).sin()
        })
        .collect()
}

/// An encoder of made-up weights, the same each time.
pub(in crate::audio) fn encoder() -> AveEncoder {
    let layers = [
        (1, 32, 3),
        (32, 32, 3),
        (32, 32, 3),
        (32, 64, 3),
        (64, 64, 3),
        (64, 64, 3),
        (64, 128, 3),
        (128, 128, 3),
        (128, 128, 3),
        (128, 256, 3),
        (256, 256, 3),
        (256, 512, 3),
        (512, 512, 1),
    ];
    let mut state = BTreeMap::new();
    for (i, (input, output, kernel)) in layers.into_iter().enumerate() {
        let mut put = |part: &str, shape: &[usize], base: f32, scale: f32| {
            let value = |n: usize| base + scale * ((n * 7919 + i * 31) as f32 * 0.37).sin();
            let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            state.insert(format!("{i}.conv_block.{part}"), tensor);
        };
        put(
            "0.weight",
            &[output, input, kernel, kernel],
            0.0,
            1.5 / ((input * kernel * kernel) as f32).sqrt(),
        );
        put("0.bias", &[output], 0.0, 0.1);
        put("1.weight", &[output], 0.8, 0.2);
        put("1.bias", &[output], 0.0, 0.1);
        put("1.running_mean", &[output], 0.0, 0.1);
        put("1.running_var", &[output], 1.2, 0.5);
    }
    AveEncoder::from_tensors(Path::new("made up"), &state, &Device::Cpu).unwrap()
}

fn rows(stream: &mut MelWindowStream, samples: &[f32], mut part: impl FnMut() -> usize) -> Vec<f32> {
    let (mut rows, mut rest) = (Vec::new(), samples);
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(part().clamp(1, rest.len()));
        rows.extend(stream.push(head).unwrap());
        rest = tail;
    }
    rows.extend(stream.finish().unwrap());
    rows
}

/// Sizes from 1 to 4000 samples that follow no pattern.
fn uneven() -> impl FnMut() -> usize {
    let mut state = 1u64;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        1 + (state >> 40) as usize % 4000
    }
}

#[test]
fn mel_rows_are_the_same_to_the_bit_however_a_voice_is_cut_up() {
    let mut stream = MelWindowStream::mel();
    for samples in [0, 1, 640, 641, 5000, 16_000, 40_321].map(voice) {
        let whole = rows(&mut stream, &samples, || usize::MAX);
        let frames = video_frames(samples.len() as u64, SAMPLE_RATE) as usize;
        assert_eq!(whole.len(), frames * stream.row_len(), "{} samples", samples.len());
        assert!(rows(&mut stream, &samples, || 320) == whole, "20 ms");
        assert!(rows(&mut stream, &samples, uneven()) == whole, "uneven");
        if samples.len() <= 16_000 {
            assert!(rows(&mut stream, &samples, || 1) == whole, "single samples");
        }
    }
}

#[test]
fn ave_rows_are_the_same_up_to_the_order_of_sums_however_a_voice_is_cut_up() {
    let mut stream = MelWindowStream::ave(encoder());
    for samples in [0, 1, 641, 3_400, 9_001].map(voice) {
        let whole = rows(&mut stream, &samples, || usize::MAX);
        let frames = video_frames(samples.len() as u64, SAMPLE_RATE) as usize;
        assert_eq!(whole.len(), frames * stream.row_len(), "{} samples", samples.len());
        let largest = whole.iter().fold(1e-9f32, |m, v| m.max(v.abs()));
        for part in [1, 320, 3000] {
            let pieces = rows(&mut stream, &samples, || part);
            assert_eq!(pieces.len(), whole.len());
            let worst = pieces.iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= 1e-4 * largest, "in parts of {part}: {worst} of {largest}");
        }
    }
}

#[test]
fn a_stream_keeps_no_more_than_it_still_needs() {
    let mut stream = MelWindowStream::mel();
    for _ in 0..100 {
        stream.push(&voice(1600)).unwrap();
        assert!(stream.columns.len() <= (2 * ave::WINDOW + 8) * BANDS, "{}", stream.columns.len() / BANDS);
    }
}

#[test]
fn a_mel_row_is_centred_on_its_frame() {
    // A click in the middle of frame 10: 0.42 s, mel column 33.6.
    let mut samples = vec![0.0; 16_001];
    samples[6720] = 0.9;
    let mut stream = MelWindowStream::mel();
    let values = rows(&mut stream, &samples, || usize::MAX);
    assert_eq!(values.len(), 26 * 1280);
    assert!(values.iter().all(|v| (-1.0..=1.0).contains(v)));
    let row = &values[10 * 1280..11 * 1280];
    let loud: Vec<usize> = (0..16).filter(|&t| row[40 * 16 + t] > -0.99).collect();
    let middle = loud.iter().sum::<usize>() as f32 / loud.len() as f32;
    assert!((middle - 7.5).abs() <= 0.6, "{loud:?}");
    // Rows beyond the reach of the click are silent.
    assert!(values[..7 * 1280].iter().all(|&v| v == -1.0));
}
