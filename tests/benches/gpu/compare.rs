//! One frame as the CPU and the adapter draw it.

use super::common::scene::Scene;
use super::{head, scene_of_file};
use data_utils::formats::npz;
use std::path::Path;
use surfeltalk::gpu::{Choice, Gpu};
use surfeltalk::raster::cpu::CpuRasterizer;
use surfeltalk::raster::gpu::GpuRasterizer;
use surfeltalk::raster::{Rasterizer, Rendered};
use surfeltalk::{Error, Result};

/// How much differences are brightened.
const BRIGHTER: f32 = 256.0;

/// Draws the bench's scene and writes `cpu.png`, `gpu.png`, `difference.png`, each colour beside attention, and
/// `gpu.f32`, the numbers. Where the scene's file has an array `golden` `[7, rows, columns]`, both are held against it too.
pub(super) fn compare(folder: &Path) -> Result<()> {
    let Some(gpu) = Gpu::open(Choice::Any)? else {
        println!("no adapter");
        return Ok(());
    };
    let side =
        if gpu.is_software() && std::env::var_os("SURFELTALK_BENCH_SCENE").is_none() { 128 } else { 512 };
    let mut scene = scene_of_file(side, 1)?.unwrap_or_else(|| head(side as usize * 100, side, 1));
    scene.settings.background = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    println!("{} and the CPU, {} surfels, {side} × {side}", gpu.name(), scene.surfels);
    let drawn = draw(&GpuRasterizer::new(gpu), &scene)?;
    let expected = draw(&CpuRasterizer::new(), &scene)?;
    let exact = draw(&CpuRasterizer::new(), &scene.cast::<f64>())?;
    let single = |values: &[f64]| -> Vec<f32> { values.iter().map(|v| *v as f32).collect() };
    say("GPU − CPU", [&drawn.color, &drawn.attention], [&expected.color, &expected.attention]);
    let [color, attention] = [single(&exact.color), single(&exact.attention)];
    say("GPU − CPU in f64", [&drawn.color, &drawn.attention], [&color, &attention]);
    if let Some(golden) = golden()? {
        let (color, attention) = golden.split_at(expected.color.len().min(golden.len()));
        say("GPU − golden image", [&drawn.color, &drawn.attention], [color, attention]);
        say("CPU − golden image", [&expected.color, &expected.attention], [color, attention]);
    }
    let other = folder.join("gpu.f32");
    if let Ok(bytes) = std::fs::read(&other) {
        let (words, _) = bytes.as_chunks::<4>();
        let values: Vec<f32> = words.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let (color, attention) = values.split_at(drawn.color.len().min(values.len()));
        say("GPU − the GPU before", [&drawn.color, &drawn.attention], [color, attention]);
    }
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "a folder for the pictures", &e))?;
    let numbers = [drawn.color.as_slice(), &drawn.attention].concat();
    data_utils::media::files::write_bytes(&other, bytemuck::cast_slice(&numbers))?;
    let beside = |r: &Rendered<f32>| [r.color.as_slice(), attention_colors(&r.attention).as_slice()].concat();
    let (found, expected) = (beside(&drawn), beside(&expected));
    let apart: Vec<f32> = found.iter().zip(&expected).map(|(a, b)| BRIGHTER * (a - b).abs()).collect();
    for (name, planes) in [("cpu", &expected), ("gpu", &found), ("difference", &apart)] {
        let path = folder.join(name).with_extension("png");
        data_utils::media::files::write_bytes(
            &path,
            &data_utils::media::files::png(&picture(planes, side))?,
        )?;
        println!("{}", path.display());
    }
    Ok(())
}

fn draw<R: surfeltalk::raster::Real>(
    rasterizer: &dyn Rasterizer<R>,
    scene: &Scene<R>,
) -> Result<Rendered<R>> {
    rasterizer.forward(&scene.batch(), &scene.cameras, &scene.settings)
}

/// The array of the scene's file.
fn golden() -> Result<Option<Vec<f32>>> {
    let Some(path) = std::env::var_os("SURFELTALK_BENCH_SCENE") else { return Ok(None) };
    Ok(npz::read(Path::new(&path))?.remove("golden").map(|a| a.data))
}

/// Says how far colour and attention lie apart.
fn say(what: &str, found: [&[f32]; 2], expected: [&[f32]; 2]) {
    for ((name, a), b) in ["color", "attention"].into_iter().zip(found).zip(expected) {
        let mut apart: Vec<f64> = a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).collect();
        apart.sort_by(f64::total_cmp);
        let square = apart.iter().map(|d| d * d).sum::<f64>() / apart.len().max(1) as f64;
        let at =
            |q: f64| apart.get((q * (apart.len().max(1) - 1) as f64) as usize).copied().unwrap_or(f64::NAN);
        println!(
            "  {what:22} {name:10} {:6.1} dB, median {:.1e}, 99.9 % {:.1e}, most {:.1e}{}",
            -10.0 * square.log10(),
            at(0.5),
            at(0.999),
            at(1.0),
            if a.len() == b.len() { "" } else { " (sizes differ)" }
        );
    }
}

/// Audio red, expression green, camera and frame blue.
fn attention_colors(planes: &[f32]) -> Vec<f32> {
    let n = planes.len() / 4;
    let (first, last) = planes.split_at(2 * n);
    let blue = last.iter().zip(&last[n..]).map(|(a, b)| 0.5 * (a + b));
    first.iter().copied().chain(blue).collect()
}

/// Two pictures of planes side by side.
fn picture(planes: &[f32], side: u32) -> image::RgbImage {
    let n = (side * side) as usize;
    image::RgbImage::from_fn(2 * side, side, |x, y| {
        let first = if x < side { 0 } else { 3 * n };
        let at = first + (y * side + x % side) as usize;
        image::Rgb(std::array::from_fn(|c| (planes[at + c * n].clamp(0.0, 1.0) * 255.0 + 0.5) as u8))
    })
}
