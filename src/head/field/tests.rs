//! Statements about the field.

use super::*;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};

mod audio;
mod gpu;
mod maths;

/// Small enough for central differences, with more of everything than one.
fn small() -> FieldConfig {
    FieldConfig {
        audio_channels: 3,
        audio_width: 1,
        plane_resolutions: vec![4, 7],
        plane_channels: 4,
        embedding: 5,
        model_width: 8,
        attention_heads: 2,
        layers: 2,
        feed_width: 12,
        head_width: 6,
        head_gain: 1.0,
        ..FieldConfig::default()
    }
}

const BOX: FieldBounds = FieldBounds { min: [-1.0, -2.0, 0.5], max: [1.0, 1.5, 2.0] };

/// Numbers without pattern in -1..1, the same on every machine.
fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Places inside and some outside of the box.
fn places(count: usize) -> Vec<f32> {
    noise(count * 3, 5).chunks(3).flat_map(|p| [p[0] * 1.1, p[1] * 1.9 - 0.25, p[2] * 0.8 + 1.25]).collect()
}

fn conditions(config: &FieldConfig, frames: usize) -> Vec<Conditions> {
    let frame = |i: usize| Conditions {
        audio: noise(AUDIO_ROWS * config.audio_channels * config.audio_width, 100 + i as u64),
        expression: noise(EXPRESSION, 200 + i as u64),
        camera: std::array::from_fn(|k| noise(12, 300 + i as u64)[k]),
        frame: 3.0 + i as f32,
    };
    (0..frames).map(frame).collect()
}

fn field(config: FieldConfig, dtype: DType) -> Field {
    Field::with_dtype(config, &BOX, 7, &Device::Cpu, dtype).unwrap()
}

fn embedding(config: &FieldConfig, rows: usize, dtype: DType) -> Tensor {
    let values = noise(rows * config.embedding, 9);
    Tensor::from_vec(values, (rows, config.embedding), &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Largest difference, relative to the largest number of `b`.
fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let (a, b) = (values(a), values(b));
    assert!(a.iter().chain(&b).all(|v| v.is_finite()));
    let scale = b.iter().fold(1e-12, |m: f64, v| m.max(v.abs()));
    a.iter().zip(&b).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs())) / scale
}

fn weights(shape: &[usize], dtype: DType) -> Tensor {
    let count = shape.iter().product();
    Tensor::from_vec(noise(count, 77), shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

#[test]
fn the_packed_deformation_has_the_columns_the_layout_names() {
    let config = small();
    let f = field(config.clone(), DType::F32);
    let prepared = f.prepare(&places(300)).unwrap();
    let e = embedding(&config, 300, DType::F32);
    let out = f.infer(&prepared, &e, &conditions(&config, 3)).unwrap();
    assert_eq!(out.packed.dims(), [3, 300, 3 + 4 + 2 + 1 + 12 + 4]);
    assert_eq!(out.attention(f.layout()).unwrap().dims(), [3, 300, 4]);
    assert_eq!(Layout::new(3).columns, 62);
    assert_eq!(Layout::new(0).attention, 13..17);
}

#[test]
fn attention_sums_to_one_over_four_tokens() {
    let config = small();
    let f = field(config.clone(), DType::F32);
    let prepared = f.prepare(&places(200)).unwrap();
    let e = embedding(&config, 200, DType::F32);
    let out = f.infer(&prepared, &e, &conditions(&config, 2)).unwrap();
    let attention = values(&out.attention(f.layout()).unwrap());
    assert!(attention.chunks(TOKENS).all(|a| (a.iter().sum::<f64>() - 1.0).abs() < 1e-5));
    assert!(attention.iter().all(|a| *a > 0.0));
}

#[test]
fn a_new_field_leaves_the_coarse_model_as_it_is() {
    let config = FieldConfig { head_gain: 0.0, ..small() };
    let f = field(config.clone(), DType::F32);
    let prepared = f.prepare(&places(50)).unwrap();
    let e = embedding(&config, 50, DType::F32);
    let out = f.infer(&prepared, &e, &conditions(&config, 1)).unwrap().packed;
    let deltas = out.narrow(2, 0, f.layout().attention.start).unwrap();
    assert!(values(&deltas).iter().all(|v| *v == 0.0));
}

#[test]
fn one_seed_is_one_field() {
    let names_and_sums = |seed: u64| -> Vec<(String, Vec<f64>)> {
        let f = Field::new(small(), &BOX, seed, &Device::Cpu).unwrap();
        f.parameters().iter().map(|(name, var)| (name.clone(), values(var))).collect()
    };
    assert_eq!(names_and_sums(4), names_and_sums(4));
    assert_ne!(names_and_sums(4), names_and_sums(5));
    // The first numbers of seed 0, so that another machine or version that draws others is noticed.
    let f = Field::new(FieldConfig::default(), &BOX, 0, &Device::Cpu).unwrap();
    let first = values(&f.parameters()[0].1);
    assert_eq!(first[..3].iter().map(|v| (v * 1e6) as i64).collect::<Vec<_>>(), SEED_ZERO);
}

const SEED_ZERO: [i64; 3] = [176759, 183143, 478200];

#[test]
fn names_and_their_order_stay() {
    let f = Field::new(FieldConfig::default(), &BOX, 0, &Device::Cpu).unwrap();
    let names: Vec<String> = f.parameters().iter().map(|(n, v)| format!("{n} {:?}\n", v.dims())).collect();
    assert_eq!(names.concat(), include_str!("parameters.txt"));
}

#[test]
fn adding_a_layer_leaves_the_other_parameters_as_they_were() {
    let one = field(FieldConfig { layers: 1, ..small() }, DType::F32);
    let two = field(FieldConfig { layers: 2, ..small() }, DType::F32);
    for (name, var) in one.parameters() {
        let same = two.parameters().iter().find(|(n, _)| n == name).unwrap();
        assert_eq!(values(var), values(&same.1), "{name}");
    }
}

#[test]
fn a_field_survives_the_round_trip_through_its_file() {
    let config = small();
    let mut f = field(config.clone(), DType::F32);
    f.set_statistics(&conditions(&config, 5));
    let bytes = f.to_safetensors().unwrap();
    let g = Field::from_safetensors(config.clone(), "field.safetensors", &bytes, &Device::Cpu).unwrap();
    let e = embedding(&config, 30, DType::F32);
    let c = conditions(&config, 2);
    let say = |f: &Field| values(&f.infer(&f.prepare(&places(30)).unwrap(), &e, &c).unwrap().packed);
    assert_eq!(say(&f), say(&g));
    assert_eq!(f.bounds(), g.bounds());
    assert_eq!(bytes, g.to_safetensors().unwrap());
}

fn message(result: Result<Field>) -> String {
    match result {
        Err(error @ Error::Input(_)) => error.to_string(),
        Err(error) => panic!("not the user's fault? {error}"),
        Ok(_) => panic!("accepted"),
    }
}

#[test]
fn a_file_of_another_field_is_refused_by_the_name_of_the_tensor() {
    let bytes = field(small(), DType::F32).to_safetensors().unwrap();
    let load = |config| message(Field::from_safetensors(config, "f.safetensors", &bytes, &Device::Cpu));
    let wider = load(FieldConfig { feed_width: 13, ..small() });
    assert!(wider.contains("layers.0.feed1.weight") && wider.contains("[13, 8]"), "{wider}");
    assert!(load(FieldConfig { layers: 3, ..small() }).contains("layers.2.query.weight"));
    assert!(load(FieldConfig { layers: 1, ..small() }).contains("layers.1."));
}

#[test]
fn a_damaged_file_is_refused() {
    let bytes = field(small(), DType::F32).to_safetensors().unwrap();
    let load = |bytes: &[u8]| message(Field::from_safetensors(small(), "f.safetensors", bytes, &Device::Cpu));
    for length in [0, 1, 8, 100, bytes.len() / 2, bytes.len() - 1] {
        assert!(load(&bytes[..length]).contains("f.safetensors"));
    }
    let mut huge = bytes.clone();
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    load(&huge);
    let mut poisoned = bytes.clone();
    let end = poisoned.len();
    poisoned[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(load(&poisoned).contains("NaN"));
}

#[test]
fn a_token_that_hears_nothing_does_not_care_what_is_said() {
    let deaf = [
        TokenInputs { audio: false, ..TokenInputs::default() },
        TokenInputs { expression: false, ..TokenInputs::default() },
        TokenInputs { camera: false, ..TokenInputs::default() },
        TokenInputs { frame: false, ..TokenInputs::default() },
    ];
    for (token, inputs) in deaf.into_iter().enumerate() {
        let config = FieldConfig { inputs, ..small() };
        let c = conditions(&config, 2);
        let mut other = c[0].clone();
        match token {
            0 => other.audio = c[1].audio.clone(),
            1 => other.expression = c[1].expression.clone(),
            2 => other.camera = c[1].camera,
            _ => other.frame = c[1].frame,
        }
        let e = embedding(&config, 10, DType::F32);
        let say = |config: FieldConfig, c: &Conditions| {
            let f = field(config, DType::F32);
            let prepared = f.prepare(&places(10)).unwrap();
            values(&f.infer(&prepared, &e, std::slice::from_ref(c)).unwrap().packed)
        };
        assert_eq!(say(config.clone(), &c[0]), say(config, &other));
        assert_ne!(say(small(), &c[0]), say(small(), &other));
    }
}

#[test]
fn inputs_far_from_the_training_are_cut_off() {
    let config = small();
    let mut f = field(config.clone(), DType::F32);
    let frame = |value: f32| {
        let mut c = conditions(&config, 1).remove(0);
        c.camera = [value; 12];
        c.expression.fill(value);
        c.audio.fill(value);
        c
    };
    f.set_statistics(&(0..20).map(|i| frame(i as f32 * 0.05)).collect::<Vec<_>>());
    let e = embedding(&config, 10, DType::F32);
    let prepared = f.prepare(&places(10)).unwrap();
    let say = |c: Conditions| values(&f.infer(&prepared, &e, &[c]).unwrap().packed);
    assert_eq!(say(frame(10.0)), say(frame(1000.0)));
    assert_ne!(say(frame(0.05)), say(frame(0.1)));
}

#[test]
fn a_pose_outside_of_all_training_is_heard_along_its_direction() {
    let config = small();
    let mut f = field(config.clone(), DType::F32);
    let frame = |first: f32, others: f32| {
        let mut c = conditions(&config, 1).remove(0);
        c.camera = [others; 12];
        c.camera[0] = first;
        c
    };
    f.set_statistics(&[-1.0, 1.0].map(|v| frame(v, v)));
    let e = embedding(&config, 10, DType::F32);
    let prepared = f.prepare(&places(10)).unwrap();
    let say = |first, others| values(&f.infer(&prepared, &e, &[frame(first, others)]).unwrap().packed);
    assert_eq!(say(8.0, 4.0), say(16.0, 8.0));
    assert_ne!(say(8.0, 4.0), say(8.0, 8.0));
    assert_ne!(say(2.0, 1.0), say(1.0, 0.5));
}

#[test]
fn a_small_input_weighs_as_much_as_a_large_one_after_training_statistics() {
    let config = small();
    let mut f = field(config.clone(), DType::F32);
    let frame = |value: f32, scale: f32| {
        let mut c = conditions(&config, 1).remove(0);
        c.camera = [value * scale + 5.0 * scale; 12];
        c.audio.fill(value * scale - 2.0);
        c
    };
    let e = embedding(&config, 10, DType::F32);
    let prepared = f.prepare(&places(10)).unwrap();
    let mut said = Vec::new();
    for scale in [1.0, 64.0] {
        f.set_statistics(&(0..8).map(|i| frame(i as f32, scale)).collect::<Vec<_>>());
        said.push(values(&f.infer(&prepared, &e, &[frame(2.0, scale)]).unwrap().packed));
    }
    let far = said[0].iter().zip(&said[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(far < 1e-5, "{far}");
}

#[test]
fn wrong_lengths_are_our_fault_and_no_panic() {
    let config = small();
    let f = field(config.clone(), DType::F32);
    let prepared = f.prepare(&places(10)).unwrap();
    let e = embedding(&config, 10, DType::F32);
    let mut c = conditions(&config, 1);
    assert!(matches!(f.infer(&prepared, &e, &[]), Err(Error::Internal(_))));
    assert!(matches!(f.infer(&prepared, &embedding(&config, 9, DType::F32), &c), Err(Error::Internal(_))));
    let short = weights(&[1, 9, f.layout().columns], DType::F32);
    assert!(matches!(f.backward(&prepared, &e, &c, &short), Err(Error::Internal(_))));
    c[0].audio.pop();
    assert!(matches!(f.infer(&prepared, &e, &c), Err(Error::Internal(_))));
    assert!(f.prepare(&[0.0, f32::NAN, 0.0]).is_err() && f.prepare(&[0.0; 4]).is_err());
    assert!(FieldBounds::around(&[]).is_err());
}

#[test]
fn sizes_no_field_can_have_are_refused() {
    let refused = [
        FieldConfig { attention_heads: 3, ..small() },
        FieldConfig { sh_degree: 4, ..small() },
        FieldConfig { layers: 0, ..small() },
        FieldConfig { plane_resolutions: vec![64, 1], ..small() },
        FieldConfig { head_gain: f64::NAN, ..small() },
    ];
    for config in refused {
        assert!(message(Field::new(config, &BOX, 0, &Device::Cpu)).contains("field configuration"));
    }
}

#[test]
fn bounds_of_a_flat_cloud_have_a_thickness() {
    let bounds = FieldBounds::around(&[0.0, 0.0, 1.0, 2.0, 1.0, 1.0]).unwrap();
    assert!(bounds.max[2] > bounds.min[2] && (bounds.longest() - 2.2).abs() < 1e-6);
}

#[test]
fn configuration_survives_json_and_unknown_keys_are_refused() {
    let config = small();
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<FieldConfig>(&text).unwrap(), config);
    assert!(serde_json::from_str::<FieldConfig>(r#"{"layer": 2}"#).is_err());
}
