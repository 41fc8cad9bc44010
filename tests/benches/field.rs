//! How long the deformation field takes on the CPU: the hand-written rows beside candle's graph.
//! `cargo bench --bench field`; one frame, the default configuration.

#[path = "../common/sphere.rs"]
mod sphere;

use candle_core::{Device, Tensor};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use sphere::sphere;
use std::hint::black_box;
use surfeltalk::head::field::{AUDIO_ROWS, Conditions, EXPRESSION, Field, FieldBounds, FieldConfig};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn field(c: &mut Criterion) {
    let mut group = c.benchmark_group("field");
    group.sample_size(10);
    for n in [5_000, 50_000] {
        let config = FieldConfig { head_gain: 0.1, ..FieldConfig::default() };
        let positions = sphere(n);
        let bounds = FieldBounds::around(&positions).expect("a sphere has bounds");
        let field = Field::new(config.clone(), &bounds, 0, &Device::Cpu).expect("the default field");
        let conditions = [Conditions {
            audio: vec![0.1; AUDIO_ROWS * config.audio_channels * config.audio_width],
            expression: vec![0.2; EXPRESSION],
            camera: [0.3; 12],
            frame: 7.0,
        }];
        let embedding = Tensor::zeros((n, config.embedding), candle_core::DType::F32, &Device::Cpu)
            .expect("memory for an embedding");
        let prepared = field.prepare(&positions).expect("finite positions");
        group.bench_with_input(BenchmarkId::new("prepare", n), &positions, |b, p| {
            b.iter(|| black_box(field.prepare(p).expect("finite positions")))
        });
        group.bench_function(BenchmarkId::new("infer, rows", n), |b| {
            b.iter(|| black_box(field.infer(&prepared, &embedding, &conditions).expect("a deformation")))
        });
        group.bench_function(BenchmarkId::new("infer, graph", n), |b| {
            b.iter(|| black_box(field.forward(&prepared, &embedding, &conditions).expect("a deformation")))
        });
        group.bench_function(BenchmarkId::new("step, rows", n), |b| {
            b.iter(|| {
                black_box(field.step(&prepared, &embedding, &conditions, |p| Ok(p.clone())).expect("a step"))
            })
        });
        group.bench_function(BenchmarkId::new("step, graph", n), |b| {
            b.iter(|| {
                let packed = field.forward(&prepared, &embedding, &conditions).expect("a deformation").packed;
                let loss = (&packed * packed.detach()).and_then(|t| t.sum_all()).expect("a loss");
                black_box(loss.backward().expect("gradients"))
            })
        });
    }
    group.finish();
}

criterion_group!(benches, field);
criterion_main!(benches);
