//! Statements about what the audio net is given.

use super::*;

/// Rows of six channels, four of them along two directions.
fn with_components() -> FieldConfig {
    FieldConfig {
        audio_channels: 6,
        audio_rows_before: 6,
        audio_heard: [0, 6],
        audio_components: 2,
        audio_direct: 2,
        ..small()
    }
}

fn trained(config: &FieldConfig) -> Field {
    let mut f = field(config.clone(), DType::F32);
    f.set_statistics(&conditions(config, 40));
    f
}

/// What a frame's networks make of conditions.
fn said(f: &Field, c: &Conditions) -> Vec<f64> {
    let e = embedding(f.config(), 20, DType::F32);
    values(&f.infer(&f.prepare(&places(20)).unwrap(), &e, std::slice::from_ref(c)).unwrap().packed)
}

#[test]
fn components_survive_the_file_and_files_without_them_load() {
    for config in [with_components(), small()] {
        let f = trained(&config);
        let bytes = f.to_safetensors().unwrap();
        let g = Field::from_safetensors(config.clone(), "f.safetensors", &bytes, &Device::Cpu).unwrap();
        let c = &conditions(&config, 1)[0];
        assert_eq!(said(&f, c), said(&g, c));
        assert_eq!(said(&f, c), said(&f.copy().unwrap(), c));
    }
    let bytes = trained(&small()).to_safetensors().unwrap();
    let config = FieldConfig { audio_channels: 3, audio_components: 2, ..small() };
    assert!(
        message(Field::from_safetensors(config, "f.safetensors", &bytes, &Device::Cpu)).contains("audio")
    );
}

#[test]
fn what_lies_across_the_components_is_not_heard() {
    let config = FieldConfig { audio_direct: 0, audio_channels: 3, audio_components: 1, ..with_components() };
    // All training rows along one direction.
    let row = |i: usize| [0.1, -0.2, 0.3].map(|v| v * noise(1, i as u64)[0]).to_vec();
    let along =
        |i: usize| Conditions { audio: row(i).repeat(AUDIO_ROWS), ..conditions(&config, 1)[0].clone() };
    let mut f = field(config.clone(), DType::F32);
    f.set_statistics(&(0..50).map(along).collect::<Vec<_>>());
    let c = along(3);
    let moved = |by: [f32; 3]| {
        let mut c = c.clone();
        c.audio.chunks_exact_mut(3).for_each(|r| r.iter_mut().zip(by).for_each(|(v, b)| *v += b));
        c
    };
    // In deviations the direction is (1, −1, 1); (1, 1, 0) stands upright on it.
    let deviation = 0.05;
    let differs = |by: [f32; 3]| {
        let (a, b) = (said(&f, &c), said(&f, &moved(by)));
        a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    let across = differs([0.1 * deviation, 0.2 * deviation, 0.0]);
    let along = differs([0.1 * deviation, -0.2 * deviation, 0.3 * deviation]);
    assert!(across < 1e-5 && along > 1e-4, "{across} {along}");
}

#[test]
fn channels_outside_those_heard_change_nothing() {
    let config = FieldConfig { audio_channels: 6, audio_width: 2, audio_heard: [2, 5], ..small() };
    let f = trained(&config);
    let c = &conditions(&config, 1)[0];
    let with = |channel: usize| {
        let mut c = c.clone();
        c.audio.chunks_exact_mut(12).for_each(|row| row[2 * channel..2 * channel + 2].fill(0.9));
        said(&f, &c)
    };
    for channel in 0..6 {
        assert_eq!(with(channel) == said(&f, c), !(2..5).contains(&channel), "channel {channel}");
    }
}
