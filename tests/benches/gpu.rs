//! Milliseconds of the GPU rasterizer by stage, on whatever adapter there is: `cargo bench --bench gpu`.
//!
//! The scene is made up here: discs as `tests/common` draws them, RGB and attention, alpha; or read from the npz file
//! that `SURFELTALK_BENCH_SCENE` names (arrays xyz, quat, scale, opacity, rgb, attn, w2c and K at 512 × 512). Numbers
//! after the name choose surfels, side of the image and frames together: `cargo bench --bench gpu -- 50000 512 16`.
//! Wall clock is that of the whole call with its copies to and from the host; device time is the sum of the stages.

#[path = "../common/scene.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod scene;

use data_utils::formats::npz;
use scene::{Scene, random_gradients, random_scene};
use std::collections::BTreeMap;
use std::time::Instant;
use surfeltalk::Result;
use surfeltalk::gpu::{Choice, Gpu};
use surfeltalk::raster::gpu::GpuRasterizer;
use surfeltalk::raster::{Outputs, Rasterizer};

/// Runs that are measured, after those that warm up.
const RUNS: usize = 20;
const WARM_UP: usize = 3;

fn main() -> Result<()> {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let Some(gpu) = Gpu::open(Choice::Any)? else {
        println!("no adapter");
        return Ok(());
    };
    println!("{}", gpu.name());
    let cases: Vec<[usize; 3]> = match (numbers.as_slice(), gpu.is_software()) {
        (&[surfels, side, frames], _) => vec![[surfels, side, frames]],
        (_, true) => vec![[5000, 128, 1], [5000, 128, 4]],
        _ => {
            vec![[20_000, 512, 1], [50_000, 512, 1], [50_000, 512, 16], [200_000, 512, 1], [200_000, 1024, 1]]
        }
    };
    for [surfels, side, frames] in cases {
        measure(&gpu, surfels, side as u32, frames)?;
    }
    Ok(())
}

/// Discs about as wide as those of a trained head: neighbours overlap, each touches three or four tiles.
fn head(surfels: usize, side: u32, frames: usize) -> Scene<f32> {
    let mut scene: Scene<f32> = random_scene(1, surfels, side, side).cast();
    let size = 3.4 / (surfels as f32).sqrt();
    scene.scales.iter_mut().for_each(|s| *s *= size);
    scene
        .opacities
        .iter_mut()
        .enumerate()
        .for_each(|(i, o)| *o = if i % 4 == 0 { *o } else { 0.9 + 0.09 * *o });
    scene.cameras = vec![scene.cameras[0]; frames];
    scene.settings.outputs = Outputs { attention: true, ..Outputs::default() };
    scene
}

/// The scene of a file from its first camera; `None` where none is named.
fn scene_of_file(side: u32, frames: usize) -> Result<Option<Scene<f32>>> {
    let Some(path) = std::env::var_os("SURFELTALK_BENCH_SCENE") else { return Ok(None) };
    let arrays = npz::read(std::path::Path::new(&path))?;
    let array = |name: &str| {
        let found = arrays.get(name).map(|a| a.data.clone());
        found.ok_or_else(|| surfeltalk::Error::Internal(format!("the scene has no array {name}")))
    };
    let (w2c, k) = (array("w2c")?, array("K")?);
    let mut scene = random_scene(1, 1, side, side).cast::<f32>();
    scene.positions = array("xyz")?;
    scene.rotations = array("quat")?;
    scene.scales = array("scale")?;
    scene.opacities = array("opacity")?;
    scene.colors = array("rgb")?;
    scene.attention = Some(array("attn")?);
    scene.surfels = scene.opacities.len();
    let by = f64::from(side) / 512.0;
    let mut camera = scene.cameras[0];
    camera.camera_from_world = std::array::from_fn(|r| std::array::from_fn(|c| f64::from(w2c[4 * r + c])));
    (camera.fx, camera.fy) = (f64::from(k[0]) * by, f64::from(k[4]) * by);
    (camera.cx, camera.cy) = (f64::from(k[2]) * by - 0.5, f64::from(k[5]) * by - 0.5);
    scene.cameras = vec![camera; frames];
    scene.settings.outputs = Outputs { attention: true, ..Outputs::default() };
    Ok(Some(scene))
}

/// As many copies as frames, as a batch of deformed heads has them.
fn with_copies(mut scene: Scene<f32>) -> Scene<f32> {
    let n = scene.cameras.len();
    scene.copies = n;
    let Scene { positions, rotations, scales, opacities, colors, .. } = &mut scene;
    for values in [positions, rotations, scales, opacities, colors] {
        *values = values.repeat(n);
    }
    scene.attention = scene.attention.map(|a| a.repeat(n));
    scene
}

fn measure(gpu: &Gpu, surfels: usize, side: u32, frames: usize) -> Result<()> {
    let scene = scene_of_file(side, frames)?.unwrap_or_else(|| head(surfels, side, frames));
    let scene = with_copies(scene);
    let surfels = scene.surfels;
    let batch = scene.batch();
    let timed = GpuRasterizer::timed(gpu.clone());
    let plain = GpuRasterizer::new(gpu.clone());
    let mut stages: BTreeMap<&str, (usize, f64)> = BTreeMap::new();
    let mut walls = [Vec::new(), Vec::new()];
    for run in 0..WARM_UP + RUNS {
        let start = Instant::now();
        let rendered = plain.forward(&batch, &scene.cameras, &scene.settings)?;
        let forward = start.elapsed();
        let upstream = random_gradients(1, &rendered);
        let start = Instant::now();
        plain.backward(&batch, &scene.cameras, &scene.settings, &rendered, &upstream)?;
        let backward = start.elapsed();
        let again = timed.forward(&batch, &scene.cameras, &scene.settings)?;
        timed.backward(&batch, &scene.cameras, &scene.settings, &again, &upstream)?;
        let times = timed.take_times();
        if run >= WARM_UP {
            walls[0].push(forward.as_secs_f64() * 1e3);
            walls[1].push(backward.as_secs_f64() * 1e3);
            for (order, (stage, time)) in times.into_iter().enumerate() {
                let entry = stages.entry(stage).or_insert((order, 0.0));
                entry.1 += time / RUNS as f64;
            }
        }
    }
    walls.iter_mut().for_each(|w| w.sort_by(f64::total_cmp));
    let [forward, backward] = walls.map(|w| w[w.len() / 2] / frames as f64);
    println!("\n{surfels} surfels, {side} × {side}, {frames} frames; milliseconds a frame");
    let mut stages: Vec<_> = stages.into_iter().collect();
    stages.sort_by_key(|s| s.1.0);
    for (stage, (_, time)) in &stages {
        println!("  {stage:18} {:9.4}", time / frames as f64);
    }
    let drawn = plain.forward(&batch, &scene.cameras, &scene.settings)?;
    let covered = drawn.alpha.iter().filter(|&&a| a > 0.5).count() as f64 / drawn.alpha.len() as f64;
    println!("  {:18} {:9.1} %", "covered", 100.0 * covered);
    let total: f64 = stages.iter().map(|s| s.1.1).sum();
    println!("  {:18} {:9.4}", "all stages", total / frames as f64);
    println!("  {:18} {forward:9.4}", "forward, wall");
    println!("  {:18} {backward:9.4}", "backward, wall");
    Ok(())
}
