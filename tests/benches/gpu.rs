//! Milliseconds of the GPU rasterizer by stage, on whatever adapter there is: `cargo bench --bench gpu`.
//!
//! The scene is made up here: discs as `tests/common` draws them, RGB and attention, alpha; or read from the npz file
//! that `SURFELTALK_BENCH_SCENE` names (arrays xyz, quat, scale, opacity, rgb, attn, w2c and K at 512 × 512). Numbers
//! after the name choose surfels, side of the image and frames together: `cargo bench --bench gpu -- 50000 512 16`.
//!
//! The table has milliseconds a frame, medians: of each stage by the device's clock, and by the wall clock of whole calls
//! with their copies to and from the host. Below is a training step's loss with both passes, on the device and on the CPU.
//! Devices slow down while they idle, so runs follow each other without a pause.
//!
//! `cargo bench --bench gpu -- compare FOLDER` draws one frame on the CPU and on the adapter instead, writes the pictures
//! into the folder and says how far they lie apart. `cargo bench --bench gpu -- steps 10000` scores a tiny batch that often
//! and says what memory it takes. `cargo bench --bench gpu -- trained HEAD DATA 16` measures 16 frames of a trained head, whose
//! folder (`point_cloud/iteration_…`) and dataset are named. `cargo bench --bench gpu -- lpips` measures LPIPS of a pair of
//! pictures.

#[path = "../common/mod.rs"]
mod common;
#[path = "gpu/compare.rs"]
mod compare;
#[path = "gpu/lpips.rs"]
mod lpips;
#[path = "gpu/step.rs"]
mod step;
#[path = "gpu/steps.rs"]
mod steps;
#[path = "gpu/trained.rs"]
mod trained;

use common::device::Differentiable as _;
use common::scene::{Scene, random_gradients, random_scene};
use data_utils::formats::npz;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;
use surfeltalk::Result;
use surfeltalk::gpu::{Choice, Gpu};
use surfeltalk::gpu::{HOST, Timing};
use surfeltalk::raster::gpu::GpuRasterizer;
use surfeltalk::raster::{Outputs, Rasterizer};

/// As the programs have it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs that are measured, after those that warm up.
const RUNS: usize = 40;
const WARM_UP: usize = 10;
/// Those with copies to and from the host.
const HOST_RUNS: usize = 10;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [.., word, folder] = words.as_slice()
        && word == "compare"
    {
        return compare::compare(Path::new(folder));
    }
    if let [.., word, steps] = words.as_slice()
        && word == "steps"
    {
        return steps::steps(steps.parse().unwrap_or(10_000));
    }
    if let [.., word, head, data, frames] = words.as_slice()
        && word == "trained"
    {
        let scene = trained::scene(Path::new(head), Path::new(data), frames.parse().unwrap_or(1))?;
        return match Gpu::open(Choice::Any)? {
            Some(gpu) => measure(&gpu, &scene),
            None => Ok(()),
        };
    }
    let numbers: Vec<usize> = words.iter().filter_map(|a| a.parse().ok()).collect();
    let Some(gpu) = Gpu::open(Choice::Any)? else {
        println!("no adapter");
        return Ok(());
    };
    if words.last().is_some_and(|word| word == "lpips") {
        let (runs, warm_up) = if gpu.is_software() { (3, 1) } else { (WARM_UP + RUNS, WARM_UP) };
        return lpips::measure(&gpu, runs, warm_up);
    }
    let cases: Vec<[usize; 3]> = match (numbers.as_slice(), gpu.is_software()) {
        (&[surfels, side, frames], _) => vec![[surfels, side, frames]],
        (_, true) => vec![[5000, 128, 1], [5000, 128, 4]],
        _ => {
            vec![[20_000, 512, 1], [50_000, 512, 1], [50_000, 512, 16], [200_000, 512, 1], [200_000, 1024, 1]]
        }
    };
    for [surfels, side, frames] in cases {
        let scene = scene_of_file(side as u32, frames)?.unwrap_or_else(|| head(surfels, side as u32, frames));
        measure(&gpu, &with_copies(scene))?;
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
    let arrays = npz::read(Path::new(&path))?;
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

/// The number in the middle.
fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

fn measure(gpu: &Gpu, scene: &Scene<f32>) -> Result<()> {
    let (batch, cameras, settings) = (scene.batch(), &scene.cameras, &scene.settings);
    let frames = cameras.len();
    let runs = if gpu.is_software() { 3 } else { WARM_UP + RUNS };
    let warm_up = if gpu.is_software() { 1 } else { WARM_UP };
    let size = cameras.first().map_or([0, 0], |c| [c.width, c.height]);
    println!("\n{}: {} surfels, {} × {}", gpu.name(), scene.surfels, size[0], size[1]);
    println!("  {frames} frames; milliseconds a frame");
    let line = |name: &str, value: f64| println!("  {name:34} {:9.4}", value / frames as f64);

    let plain = GpuRasterizer::new(gpu.clone());
    let rendered = plain.forward(&batch, cameras, settings)?;
    let upstream = random_gradients(1, &rendered);
    let covered = rendered.alpha.iter().filter(|&&a| a > 0.5).count() as f64 / rendered.alpha.len() as f64;

    let mut stages: BTreeMap<&str, (usize, Vec<f64>)> = BTreeMap::new();
    let timed = GpuRasterizer::timed(gpu.clone(), Timing::Stages);
    for run in 0..runs {
        timed.take_times();
        timed.backward(&batch, cameras, settings, &rendered, &upstream)?;
        let times = timed.take_times().into_iter().filter(|t| !t.0.starts_with(HOST));
        for (order, (stage, time)) in times.enumerate().filter(|_| run >= warm_up) {
            stages.entry(stage).or_insert((order, Vec::new())).1.push(time);
        }
    }
    let mut stages: Vec<_> = stages.into_iter().collect();
    stages.sort_by_key(|s| s.1.0);
    let mut sum = 0.0;
    for (stage, (_, times)) in stages {
        let time = median(times);
        sum += time;
        line(stage, time);
    }
    line("sum of the stages", sum);

    let mut walls = [Vec::new(), Vec::new()];
    for _ in 0..if gpu.is_software() { 1 } else { HOST_RUNS } {
        let start = Instant::now();
        let rendered = plain.forward(&batch, cameras, settings)?;
        walls[0].push(start.elapsed().as_secs_f64() * 1e3);
        let start = Instant::now();
        plain.backward(&batch, cameras, settings, &rendered, &upstream)?;
        walls[1].push(start.elapsed().as_secs_f64() * 1e3);
    }
    let [forward, both] = walls.map(median);
    line("forward with copies, wall", forward);
    line("both ways with copies, wall", both);
    step::measure(gpu, scene, runs, warm_up)?;
    println!("  {:34} {:9.1} %", "covered", 100.0 * covered);
    Ok(())
}
