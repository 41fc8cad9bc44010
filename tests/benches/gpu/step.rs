//! The pictures of a training step: drawn, scored, gone back through.

use super::common::device::score_scene;
use super::common::goals::random_targets;
use super::common::scene::Scene;
use super::median;
use std::collections::BTreeMap;
use std::time::Instant;
use surfeltalk::Result;
use surfeltalk::gpu::Gpu;
use surfeltalk::gpu::Timing;
use surfeltalk::loss::{Composite, Target, Weights, image_loss};
use surfeltalk::raster::Rasterizer;
use surfeltalk::raster::cpu::CpuRasterizer;
use surfeltalk::raster::gpu::GpuRasterizer;

/// Those of the stage with the field.
pub(super) const WEIGHTS: Weights = Weights {
    l1: 0.8,
    dssim: 0.2,
    lips: 1.0,
    eyes: 0.5,
    mask: 0.1,
    attention_audio: 0.01,
    attention_expression: 0.01,
    ..Weights::ZERO
};
/// Of 30 pixels, one lies in the band along the head's edge.
const BACKGROUND_EVERY: usize = 30;
/// Runs of the CPU.
const CPU_RUNS: usize = 3;

/// Prints milliseconds a frame, medians of `runs` after `warm_up`.
pub(super) fn measure(gpu: &Gpu, scene: &Scene<f32>, runs: usize, warm_up: usize) -> Result<()> {
    let targets = random_targets(scene, BACKGROUND_EVERY);
    let frames = targets.len() as f64;
    let line = |name: &str, value: f64| println!("  {name:34} {:9.4}", value / frames);
    println!("  -- a step's pictures, wall");

    for timing in [Timing::Stages, Timing::Off] {
        let rasterizer = GpuRasterizer::timed(gpu.clone(), timing);
        let mut walls = Vec::new();
        let mut parts: BTreeMap<&str, (usize, Vec<f64>)> = BTreeMap::new();
        for run in 0..runs {
            let start = Instant::now();
            score_scene(&rasterizer, scene, &targets, &WEIGHTS)?;
            walls.push(start.elapsed().as_secs_f64() * 1e3);
            for (order, (part, time)) in rasterizer.take_times().into_iter().enumerate() {
                parts.entry(part).or_insert((order, Vec::new())).1.push(time);
            }
            if run < warm_up {
                parts.clear();
            }
        }
        let mut parts: Vec<_> = parts.into_iter().collect();
        parts.sort_by_key(|p| p.1.0);
        parts.into_iter().for_each(|(part, (_, times))| line(part, median(times)));
        if timing == Timing::Off {
            line("scored where they are drawn", median(walls.split_off(warm_up)));
        }
    }
    one_after_another("CPU", &CpuRasterizer::new(), scene, &targets, CPU_RUNS.min(runs))
}

fn one_after_another(
    name: &str,
    rasterizer: &CpuRasterizer,
    scene: &Scene<f32>,
    targets: &[Target],
    runs: usize,
) -> Result<()> {
    let (batch, cameras) = (scene.batch(), &scene.cameras);
    let over: [f32; 3] = std::array::from_fn(|k| scene.settings.background[k]);
    let mut parts: [Vec<f64>; 3] = Default::default();
    for _ in 0..runs {
        let start = Instant::now();
        let drawn = rasterizer.forward(&batch, cameras, &scene.settings)?;
        let after_drawing = Instant::now();
        let composite = Composite::new(&drawn, over, targets);
        let mut loss = image_loss(&drawn, &composite, cameras, targets, &WEIGHTS)?;
        let upstream = &mut loss.gradients;
        composite.add_alpha_gradient(targets, &upstream.color, &mut upstream.alpha);
        let after_loss = Instant::now();
        let gradients = rasterizer.backward(&batch, cameras, &scene.settings, &drawn, upstream)?;
        let times = [after_drawing - start, after_loss - after_drawing, after_loss.elapsed()];
        drop(gradients);
        parts.iter_mut().zip(times).for_each(|(p, t)| p.push(t.as_secs_f64() * 1e3));
    }
    let [forward, loss, backward] = parts.map(|p| median(p) / targets.len() as f64);
    let total = forward + loss + backward;
    println!("  {name:34} {total:9.4} = {forward:.3} forward + {loss:.3} loss + {backward:.3} backward");
    Ok(())
}
