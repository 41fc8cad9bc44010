//! Memory while surfels and field are learned where they are kept. Alone in its process, which is what it measures.

mod common;

use common::goals::WEIGHTS;
use common::kept::{RATES, STATIC, case, kept, look, put};
use common::memory::resident;
use common::twins::gpu;
use surfeltalk::gpu::Gpu;
use surfeltalk::head::field::{
    AUDIO_ROWS, Conditions, DeviceField, EXPRESSION, Field, FieldBounds, FieldConfig, LearnRates, Learned,
};
use surfeltalk::raster::Rasterizer;
use surfeltalk::raster::keep::DevicePositions;

/// MiB that 240 steps of either stage may take beyond the first 60. Where the driver compiled a shader at each step and kept
/// it, they took 324.
const GROWTH: f64 = 24.0;

/// A field of 60 surfels in two frames.
struct SmallField {
    field: Field,
    there: DeviceField,
    places: DevicePositions,
    conditions: Vec<Conditions>,
}

impl SmallField {
    fn new(gpu: &Gpu) -> Self {
        let config = FieldConfig {
            audio_channels: 3,
            audio_width: 1,
            plane_resolutions: vec![8],
            plane_channels: 4,
            ..FieldConfig::default()
        };
        let places: Vec<f32> = (0..180).map(|i| (i as f32 * 0.37).sin()).collect();
        let bounds = FieldBounds::around(&places).expect("bounds");
        let field = Field::new(config.clone(), &bounds, 1, &candle_core::Device::Cpu).expect("a field");
        let planes = field.plane_values().expect("planes");
        let embedding = vec![0.1; 60 * config.embedding];
        let zeros = [vec![0.0; planes.len()], vec![0.0; embedding.len()]];
        let learned = Learned {
            planes: [&planes, &zeros[0], &zeros[0]].map(Vec::as_slice),
            embedding: [&embedding, &zeros[1], &zeros[1]].map(Vec::as_slice),
        };
        let frame = |i: usize| Conditions {
            audio: vec![0.1 * i as f32; AUDIO_ROWS * 3],
            expression: vec![0.2; EXPRESSION],
            camera: [0.3; 12],
            frame: i as f32,
        };
        SmallField {
            there: DeviceField::new(gpu, &field, &learned).expect("a field on the device"),
            places: DevicePositions::upload(gpu, &places).expect("places"),
            conditions: (0..2).map(frame).collect(),
            field,
        }
    }

    fn step(&mut self) {
        self.there.ask(&self.field, &self.conditions, &self.places).expect("rows");
        self.there.backward(&self.field).expect("gradients");
        let rates = LearnRates {
            planes: 1e-3,
            embedding: 1e-3,
            plane_corrections: [0.1, 0.001],
            embedding_corrections: [0.1, 0.001],
        };
        self.there.learn(&rates).expect("a step");
    }
}

#[test]
fn steps_without_end_take_no_memory_without_end() {
    let (case, rasterizer) = (case(1, 60, 2, [32, 32]), gpu());
    let mut keeper = rasterizer.keeper().expect("the GPU keeps surfels");
    put(&mut *keeper, &kept(&case.cloud));
    let mut field = SmallField::new(rasterizer.keeper().expect("a keeper").device());
    let mut steps = |count: usize| {
        for _ in 0..count {
            field.step();
            for (rows, weights) in [(None, STATIC), (Some(case.rows.as_slice()), WEIGHTS)] {
                look(&mut *keeper, &case, rows, &weights);
                keeper.step(&RATES).expect("a step");
            }
        }
        resident()
    };
    let first = steps(60);
    let last = steps(240);
    eprintln!("{first:.1} MiB after 60 steps of either stage, {last:.1} after 300");
    assert!(last < first + GROWTH, "{first} MiB became {last}");
}
