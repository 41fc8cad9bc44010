//! Our numbers against librosa's and PyTorch's.

use crate::fixture;
use candle_core::{Device, Tensor};
use data_utils::Error;
use data_utils::audio::ave::{AveEncoder, FEATURES};
use data_utils::audio::features::{AudioFeatures, AudioKind};
use data_utils::audio::mel::{BANDS, MelStream};
use data_utils::audio::{self, Sound};
use data_utils::formats::npy;
use std::collections::BTreeMap;
use std::path::Path;

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// All columns of a sound, `[columns, 80]`.
fn spectrogram(sound: &Sound) -> Vec<f32> {
    let mut stream = MelStream::default();
    let mut columns = stream.push(&sound.samples).unwrap();
    columns.extend(stream.finish().unwrap());
    columns
}

#[test]
fn the_mel_spectrogram_is_librosas() {
    let mel = spectrogram(&audio::load(&fixture("audio/voice.wav")).unwrap());
    let golden = npy::read(&fixture("audio/voice_mel.npy")).unwrap();
    assert_eq!(golden.shape, [mel.len() / BANDS, BANDS]);
    let error = worst(&mel, &golden.data);
    println!("mel: largest error {error:e}");
    assert!(error <= 1e-3, "{error}");
}

#[test]
fn the_spectrogram_of_a_resampled_voice_is_close_to_librosas() {
    let mel = spectrogram(&audio::load(&fixture("audio/voice.flac")).unwrap());
    let golden = npy::read(&fixture("audio/voice_flac_mel.npy")).unwrap();
    // librosa resamples with another filter and may round the length another way.
    assert!(golden.shape[0].abs_diff(mel.len() / BANDS) <= 1);
    let both = golden.shape[0].min(mel.len() / BANDS) * BANDS;
    let differences: Vec<f32> = mel[..both].iter().zip(&golden.data).map(|(a, b)| (a - b).abs()).collect();
    let mean = differences.iter().sum::<f32>() / both as f32;
    println!(
        "mel after resampling: mean error {mean:e}, largest {:e}",
        differences.iter().fold(0f32, |m, d| m.max(*d))
    );
    assert!(mean <= 0.02, "{mean}");
}

/// The same numbers as `uniform` in make_ave.py: splitmix64 of the name's CRC-32 and the index.
fn uniform(name: &str, count: usize) -> Vec<f64> {
    let mut crc = flate2::Crc::new();
    crc.update(name.as_bytes());
    let seed = u64::from(crc.sum()).wrapping_mul(0x1_0000_0001);
    (1..=count as u64)
        .map(|i| {
            let mut z = seed.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            (z >> 40) as f64 / 8_388_608.0 - 1.0
        })
        .collect()
}

/// The seeded checkpoint of make_ave.py, in the layout of audio_visual_encoder.pth.
fn seeded_state() -> BTreeMap<String, Tensor> {
    let sizes = [
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
    for (i, (input, output, kernel)) in sizes.into_iter().enumerate() {
        let mut put = |part: &str, shape: &[usize], value: &dyn Fn(f64) -> f64| {
            let name = format!("{i}.conv_block.{part}");
            let values: Vec<f32> =
                uniform(&name, shape.iter().product()).into_iter().map(|u| value(u) as f32).collect();
            state.insert(name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap());
        };
        let scale = f64::from((1.5 / ((input * kernel * kernel) as f64).sqrt()) as f32);
        put("0.weight", &[output, input, kernel, kernel], &|u| u * scale);
        put("0.bias", &[output], &|u| 0.125 * u);
        put("1.weight", &[output], &|u| 0.75 + 0.25 * u);
        put("1.bias", &[output], &|u| 0.125 * u);
        put("1.running_mean", &[output], &|u| 0.125 * u);
        put("1.running_var", &[output], &|u| 1.25 + u);
        state.insert(
            format!("{i}.conv_block.1.num_batches_tracked"),
            Tensor::new(1000i64, &Device::Cpu).unwrap(),
        );
    }
    state
}

fn encoder() -> AveEncoder {
    AveEncoder::from_tensors(Path::new("seeded"), &seeded_state(), &Device::Cpu).unwrap()
}

/// The largest difference relative to the largest value.
fn relative(a: &[f32], golden: &[f32]) -> f32 {
    worst(a, golden) / golden.iter().fold(0f32, |m, v| m.max(v.abs()))
}

#[test]
fn the_audio_visual_encoder_is_pytorchs() {
    let windows: Vec<f32> = uniform("windows", 5 * 80 * 16).into_iter().map(|u| 4.0 * u as f32).collect();
    let windows = Tensor::from_vec(windows, (5, 1, 80, 16), &Device::Cpu).unwrap();
    let features = encoder().forward(&windows).unwrap();
    assert_eq!(features.dims(), [5, FEATURES]);
    let golden = npy::read(&fixture("audio/ave_golden.npy")).unwrap();
    let error = relative(&features.flatten_all().unwrap().to_vec1::<f32>().unwrap(), &golden.data);
    println!("AVE on windows: largest relative error {error:e}");
    assert!(error <= 1e-4, "{error}");
}

#[test]
fn a_voice_is_encoded_as_synctalk_encodes_it() {
    let sound = audio::load(&fixture("audio/voice.wav")).unwrap();
    let golden = npy::read(&fixture("audio/ave_sequence.npy")).unwrap();
    let features = AudioFeatures::ave(&sound, &encoder()).unwrap();
    assert_eq!((features.kind, features.rows), (AudioKind::Ave, sound.video_frames()));
    // SyncTalk makes one row more or less than there are video frames.
    let both = features.values.len().min(golden.data.len());
    assert!(both + FEATURES >= features.values.len().max(golden.data.len()));
    let error = relative(&features.values[..both], &golden.data[..both]);
    println!("AVE on a voice: largest relative error {error:e}");
    // The spectrograms differ by rounding too.
    assert!(error <= 1e-4, "{error}");
}

#[test]
fn a_voice_of_any_length_has_one_row_per_video_frame() {
    let encoder = encoder();
    for count in [1, 640, 641, 3200, 5000] {
        let sound = Sound { samples: vec![0.01; count], rate: audio::SAMPLE_RATE };
        let features = AudioFeatures::ave(&sound, &encoder).unwrap();
        assert_eq!(features.rows, sound.video_frames(), "{count}");
        assert_eq!(features.values.len(), features.rows * FEATURES);
    }
}

#[test]
fn the_prefixes_of_loaders_are_understood() {
    let prefixed = seeded_state().into_iter().map(|(name, t)| (format!("audio_encoder.{name}"), t)).collect();
    assert!(AveEncoder::from_tensors(Path::new("seeded"), &prefixed, &Device::Cpu).is_ok());
}

#[test]
fn every_missing_or_misshapen_tensor_is_named() {
    let mut state = seeded_state();
    state.remove("3.conv_block.1.bias");
    state.insert(
        "7.conv_block.0.bias".to_string(),
        Tensor::zeros(5, candle_core::DType::F32, &Device::Cpu).unwrap(),
    );
    let mut values = vec![0f32; 512];
    values[9] = f32::INFINITY;
    state.insert("12.conv_block.1.weight".to_string(), Tensor::from_vec(values, 512, &Device::Cpu).unwrap());
    let error = AveEncoder::from_tensors(Path::new("seeded"), &state, &Device::Cpu).unwrap_err();
    assert!(matches!(&error, Error::Inputs(problems) if problems.len() == 3), "{error}");
    for name in ["3.conv_block.1.bias", "7.conv_block.0.bias", "12.conv_block.1.weight"] {
        assert!(error.to_string().contains(name), "{error}");
    }
    let error = AveEncoder::from_tensors(Path::new("seeded"), &BTreeMap::new(), &Device::Cpu).unwrap_err();
    assert_eq!(error.exit_code(), 2);
}
