//! Milliseconds of the field on whatever adapter there is, by part and by stage, beside the CPU: `cargo bench --bench
//! field_gpu`. Numbers after the name choose surfels and frames: `cargo bench --bench field_gpu -- 24000 4`.
//!
//! Medians. Of the parts by the wall clock, each waited for: tokens and folding (the CPU's share), the way there, the way back
//! with the gradients of tokens and small weights, Adam. Of the stages by the device's clock, each for itself, all its calls
//! together.

#[path = "../common/sphere.rs"]
mod sphere;

use candle_core::{Device, Tensor};
use sphere::sphere;
use std::collections::BTreeMap;
use std::time::Instant;
use surfeltalk::Result;
use surfeltalk::gpu::{Choice, Gpu};
use surfeltalk::gpu::{Recorder, Timing};
use surfeltalk::head::field::{
    AUDIO_ROWS, Conditions, DeviceField, EXPRESSION, Field, FieldBounds, FieldConfig, LearnRates, Learned,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs that are measured, after those that warm up.
const RUNS: usize = 15;
const WARM_UP: usize = 4;
const RATES: LearnRates = LearnRates {
    planes: 1e-4,
    embedding: 1e-4,
    plane_corrections: [0.1, 0.001],
    embedding_corrections: [0.1, 0.001],
};

fn main() -> Result<()> {
    surfeltalk::cli::threads::settle();
    let numbers: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let surfels = numbers.first().copied().unwrap_or(24_000);
    let counts = numbers.get(1).map_or(vec![1, 4, 16], |frames| vec![*frames]);
    // Sound as mel spectrograms have it.
    let config = FieldConfig { audio_channels: 80, audio_width: 16, ..FieldConfig::default() };
    let positions = sphere(surfels);
    let field = Field::new(config.clone(), &FieldBounds::around(&positions)?, 0, &Device::Cpu)?;
    let Some(gpu) = Gpu::open(Choice::Any)? else {
        println!("no Vulkan, Metal or DirectX 12 adapter");
        return Ok(());
    };
    println!("{}, {surfels} surfels, {} cores", gpu.name(), rayon::current_num_threads());
    for frames in counts {
        let conditions: Vec<Conditions> = (0..frames)
            .map(|i| Conditions {
                audio: vec![0.1 * i as f32; AUDIO_ROWS * config.audio_channels * config.audio_width],
                expression: vec![0.2; EXPRESSION],
                camera: [0.3; 12],
                frame: i as f32,
            })
            .collect();
        let (planes, embedding) = (field.plane_values()?, vec![0.1; surfels * config.embedding]);
        let learned = Learned { planes: [planes.as_slice(); 3], embedding: [embedding.as_slice(); 3] };
        let mut field_there = DeviceField::new(&gpu, &field, &learned)?;
        let places = gpu.upload(&[&positions])?;
        let mut parts: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let mut stages: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for timing in [Timing::Off, Timing::Stages] {
            for run in 0..WARM_UP + RUNS {
                let mut last = Instant::now();
                let mut lap = |parts: &mut BTreeMap<&str, Vec<f64>>, part: &'static str| {
                    let time = last.elapsed().as_secs_f64() * 1e3;
                    last = Instant::now();
                    if run >= WARM_UP && timing == Timing::Off {
                        parts.entry(part).or_default().push(time);
                    }
                };
                let mut times = Vec::new();
                let mut recorder = Recorder::new(&gpu, timing);
                field_there.record_forward(&mut recorder, &field, &conditions, &places)?;
                lap(&mut parts, "1 forward, recorded");
                times.extend(recorder.submit_and_read(&[], |_, _| ())?);
                lap(&mut parts, "2 forward, waited for");
                let mut recorder = Recorder::new(&gpu, timing);
                field_there.record_backward(&mut recorder)?;
                let mut sums = Vec::new();
                let read = |_: usize, data: &[u8]| {
                    sums.extend(data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)));
                };
                times.extend(recorder.submit_and_read(&[field_there.sums()?], read)?);
                lap(&mut parts, "3 backward, read back");
                field_there.gradients(&field, &sums)?;
                lap(&mut parts, "4 small networks, backward");
                let mut recorder = Recorder::new(&gpu, timing);
                let lent = field_there.record_adam(&mut recorder, &RATES)?;
                times.extend(recorder.submit_and_read(&[], |_, _| ())?);
                drop(lent);
                lap(&mut parts, "5 Adam");
                let mut of_run: BTreeMap<&str, f64> = BTreeMap::new();
                for (stage, time) in times {
                    *of_run.entry(stage).or_default() += time;
                }
                if run >= WARM_UP && timing == Timing::Stages {
                    of_run.into_iter().for_each(|(s, time)| stages.entry(s).or_default().push(time));
                }
            }
        }
        println!("\n{frames} frames");
        for (what, times) in parts.iter_mut().chain(&mut stages) {
            times.sort_by(f64::total_cmp);
            println!("  {what:24} {:9.3}", times[times.len() / 2]);
        }
        let start = Instant::now();
        let zeros = Tensor::zeros((surfels, config.embedding), candle_core::DType::F32, &Device::Cpu)?;
        let prepared = field.prepare(&positions)?;
        field.step(&prepared, &zeros, &conditions, |packed| Ok(packed.clone()))?;
        println!("  {:24} {:9.3}", "all of it on the CPU", start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(())
}
