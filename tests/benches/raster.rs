//! How long the CPU rasterizer takes for a head of 50,000 surfels at 512², with 1 and with 2 threads (and with all,
//! where there are more): `cargo bench --bench raster`.
//!
//! "colour" asks for nothing else; "training" for attention, depth and normals too; "everything" for all there is.
//!
//! `SURFELTALK_BENCH_SCENE` names an npz with another scene (xyz, quat, scale, opacity, rgb, attn, w2c, K).

#[path = "../common/mod.rs"]
mod common;

use common::head::{head, read_head};
use common::scene::{ALL, Scene, random_gradients};
use criterion::{Criterion, criterion_group, criterion_main};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;
use surfeltalk::raster::cpu::CpuRasterizer;
use surfeltalk::raster::{Outputs, Rasterizer};

/// As in the programs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn pools() -> Vec<(usize, ThreadPool)> {
    let all = std::thread::available_parallelism().map_or(2, usize::from).max(2);
    let mut counts = vec![1, 2, all];
    counts.dedup();
    let pool = |n| ThreadPoolBuilder::new().num_threads(n).build().expect("threads");
    counts.into_iter().map(|n| (n, pool(n))).collect()
}

fn bench(criterion: &mut Criterion) {
    let scene = match std::env::var_os("SURFELTALK_BENCH_SCENE") {
        Some(path) => read_head(Path::new(&path)),
        None => head(50_000, 512),
    };
    let training = Outputs { attention: true, depth: true, normal: true, ..Outputs::default() };
    for (what, outputs) in [("colour", Outputs::default()), ("training", training), ("everything", ALL)] {
        run(criterion, &scene, what, outputs);
    }
}

fn run(criterion: &mut Criterion, scene: &Scene<f32>, what: &str, outputs: Outputs) {
    let mut scene = scene.clone();
    scene.settings.outputs = outputs;
    let (batch, rasterizer) = (scene.batch(), CpuRasterizer::new());
    let forward = || rasterizer.forward(&batch, &scene.cameras, &scene.settings).expect("images");
    let gradients = random_gradients(1, &forward());
    let mut group = criterion.benchmark_group(format!("raster/{what}"));
    group.sample_size(20).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    for (threads, pool) in pools() {
        group.bench_function(format!("forward/{threads} threads"), |b| {
            pool.install(|| b.iter(|| black_box(forward())));
        });
        group.bench_function(format!("forward+backward/{threads} threads"), |b| {
            pool.install(|| {
                b.iter(|| {
                    let drawn = forward();
                    let back = rasterizer
                        .backward(&batch, &scene.cameras, &scene.settings, &drawn, &gradients)
                        .expect("gradients");
                    black_box(back)
                });
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
