//! Many steps of a tiny batch: what memory they take.

use super::common::device::score_scene;
use super::common::goals::random_targets;
use super::common::memory::resident;
use super::common::scene::Scene;
use super::step::WEIGHTS;
use super::with_copies;
use std::time::Instant;
use surfeltalk::gpu::{Choice, Gpu};
use surfeltalk::loss::LossTerms;
use surfeltalk::raster::Outputs;
use surfeltalk::raster::gpu::GpuRasterizer;
use surfeltalk::{Error, Result};

/// MiB that later steps may take more than those after a tenth of the run.
const GROWTH: f64 = 4.0;

/// Scores two frames of 32 × 32 pixels so many times; an error where memory or buffers grow.
pub(super) fn steps(count: usize) -> Result<()> {
    let Some(gpu) = Gpu::open(Choice::Any)? else {
        println!("no adapter");
        return Ok(());
    };
    let mut scene: Scene<f32> = with_copies(super::head(60, 32, 2));
    scene.settings.outputs = Outputs { attention: true, ..Outputs::default() };
    let rasterizer = GpuRasterizer::new(gpu.clone());
    let targets = random_targets(&scene, 30);
    println!("{}, {count} steps of 2 frames of 32 × 32 pixels", gpu.name());
    let start = Instant::now();
    let mut seen = Vec::new();
    for step in 1..=count {
        // Every step is a little different, as in training.
        scene.opacities[0] = 0.5 + 0.4 * (step % 100) as f32 / 100.0;
        let scored = score_scene(&rasterizer, &scene, &targets, &WEIGHTS)?;
        if step.is_multiple_of((count / 10).max(1)) {
            let (memory, made) = (resident(), gpu.buffers_made());
            println!(
                "  step {step:6}: {memory:8.1} MiB resident, {made} buffers made, loss {:.6}, {:.2} ms a step",
                LossTerms::mean(&scored.scores).total,
                start.elapsed().as_secs_f64() * 1e3 / step as f64
            );
            seen.push((memory, made));
        }
    }
    match (seen.first(), seen.last()) {
        (Some(first), Some(last)) if last.0 > first.0 + GROWTH || last.1 > first.1 => {
            Err(Error::Internal(format!("memory grew from {first:?} to {last:?}")))
        }
        _ => Ok(()),
    }
}
