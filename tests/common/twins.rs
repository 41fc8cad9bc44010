//! Drawing the same scene on the CPU and on whatever adapter there is, and what may differ.

use super::compare::{gradient_difference, image_difference};
use super::device::Differentiable;
use super::scene::{Scene, random_gradients, random_scene};
use std::sync::LazyLock;
use surfeltalk::Result;
use surfeltalk::gpu::Restrictions;
use surfeltalk::gpu::{Choice, Gpu};
use surfeltalk::raster::cpu::CpuRasterizer;
use surfeltalk::raster::gpu::GpuRasterizer;
use surfeltalk::raster::{ImageGradients, Rasterizer as _, Rendered, SurfelGradients};

/// The adapter.
pub static ADAPTER: LazyLock<Gpu> = LazyLock::new(|| open(Restrictions::default()));

/// The best adapter, without some of its abilities.
pub fn open(restrictions: Restrictions) -> Gpu {
    Gpu::restricted(Choice::Any, restrictions).expect("a device").expect(
        "a Vulkan, Metal or DirectX adapter; on Debian, apt-get install mesa-vulkan-drivers brings one",
    )
}

/// A rasterizer on the adapter.
pub fn gpu() -> GpuRasterizer {
    GpuRasterizer::new(ADAPTER.clone())
}

/// Images, and gradients.
pub type Outcome = (Rendered<f32>, SurfelGradients<f32>);

/// Forward and backward.
pub fn run(
    rasterizer: &dyn Differentiable,
    scene: &Scene<f32>,
    upstream: Option<&ImageGradients<f32>>,
) -> Result<Outcome> {
    let batch = scene.batch();
    let rendered = rasterizer.forward(&batch, &scene.cameras, &scene.settings)?;
    let random = random_gradients(7, &rendered);
    let upstream = upstream.unwrap_or(&random);
    let gradients = rasterizer.backward(&batch, &scene.cameras, &scene.settings, &rendered, upstream)?;
    Ok((rendered, gradients))
}

/// By name.
pub fn images(r: &Rendered<f32>) -> [(&'static str, &Vec<f32>); 7] {
    [
        ("color", &r.color),
        ("attention", &r.attention),
        ("alpha", &r.alpha),
        ("depth", &r.depth),
        ("median", &r.median),
        ("normal", &r.normal),
        ("distortion", &r.distortion),
    ]
}

/// By name.
pub fn gradients(g: &SurfelGradients<f32>) -> [(&'static str, &Vec<f32>); 7] {
    [
        ("positions", &g.positions),
        ("rotations", &g.rotations),
        ("scales", &g.scales),
        ("opacities", &g.opacities),
        ("colors", &g.colors),
        ("attention", &g.attention),
        ("screen", &g.screen),
    ]
}

/// What differs between two outcomes by more than rounding, in words.
///
/// A ray whose surfel is drawn with alpha 1/255 by one and not at all by the other, or that ends one surfel sooner,
/// differs by up to 1/255 and more; the share of such pixels is bounded instead.
pub fn differences(found: &Outcome, expected: &Outcome) -> Vec<String> {
    let mut faults = Vec::new();
    for ((name, a), (_, b)) in images(&found.0).into_iter().zip(images(&expected.0)) {
        if a.len() != b.len() {
            faults.push(format!("{name}: {} numbers where {} belong", a.len(), b.len()));
        } else if !a.is_empty() {
            let difference = image_difference(a, b, &vec![true; a.len()]);
            eprintln!("{name:10} max {:.1e}, 99.9 % {:.1e}", difference.max, difference.p999);
            let (max, p999) = if matches!(name, "median" | "depth") { (3.0, 1e-3) } else { (2e-2, 1e-4) };
            if !(difference.max <= max && difference.p999 <= p999) {
                faults.push(format!("{name}: {difference:?}"));
            }
        }
    }
    // Discs that reach behind the eye have radii without meaning, too large for f32 to count in ones.
    let off = |(a, b): &(&u32, &u32)| f64::from(a.abs_diff(**b)) > 1.0 + 1e-3 * f64::from(**b);
    let wrong = found.0.radii.iter().zip(&expected.0.radii).filter(off).count();
    if found.0.radii.len() != expected.0.radii.len() || wrong * 1000 > expected.0.radii.len() {
        faults.push(format!("{wrong} radii"));
    }
    for ((name, a), (_, b)) in gradients(&found.1).into_iter().zip(gradients(&expected.1)) {
        if a.len() != b.len() {
            faults.push(format!("{name}: {} numbers where {} belong", a.len(), b.len()));
        } else if !a.is_empty() {
            let surfels = if name == "screen" { expected.0.radii.len() } else { expected.1.opacities.len() };
            let difference = gradient_difference(a, b, a.len() / surfels, &vec![true; surfels]);
            // Where nearly all gradients are zero, such as those of the scales under a median depth, the quantile
            // compares rounding with rounding.
            let tiny = a.iter().zip(b.iter()).all(|(a, b)| (a - b).abs() < 1e-4);
            eprintln!("{name:10} L2 {:.1e}, p95 {:.1e}", difference.relative, difference.p95);
            if !(difference.relative <= 2e-3 && (difference.p95 <= 2e-3 || tiny)) {
                faults.push(format!("gradient of {name}: {difference:?}"));
            }
        }
    }
    faults
}

/// The scene drawn by `rasterizer` and by the CPU, both gone back from the same image gradients; what they differ by.
///
/// Where half of the light is left to the last bit, the median depth may be one surfel's or the next's: no gradient
/// comes from such a pixel.
pub fn compared(rasterizer: &dyn Differentiable, scene: &Scene<f32>) -> (Outcome, Vec<String>) {
    let cpu = CpuRasterizer::new();
    let batch = scene.batch();
    let expected = cpu.forward(&batch, &scene.cameras, &scene.settings).expect("the CPU draws");
    let found = rasterizer.forward(&batch, &scene.cameras, &scene.settings).expect("the GPU draws");
    let mut upstream = random_gradients(7, &expected);
    for ((g, a), b) in upstream.median.iter_mut().zip(&expected.median).zip(&found.median) {
        if (a - b).abs() > 1e-3 {
            *g = 0.0;
        }
    }
    let back = |rasterizer: &dyn Differentiable, drawn: &Rendered<f32>| {
        rasterizer.backward(&batch, &scene.cameras, &scene.settings, drawn, &upstream).expect("a way back")
    };
    let expected_gradients = back(&cpu, &expected);
    let found_gradients = back(rasterizer, &found);
    let found = (found, found_gradients);
    let faults = differences(&found, &(expected, expected_gradients));
    (found, faults)
}

pub fn assert_twins(scene: &Scene<f32>) -> Outcome {
    let (found, faults) = compared(&gpu(), scene);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    found
}

/// A random scene.
pub fn scene(seed: u64, surfels: usize, width: u32, height: u32) -> Scene<f32> {
    random_scene(seed, surfels, width, height).cast()
}

/// The scene from several cameras.
pub fn seen_from(mut scene: Scene<f32>, cameras: usize) -> Scene<f32> {
    let first = scene.cameras[0];
    scene.cameras = (0..cameras)
        .map(|i| {
            let mut camera = first;
            camera.camera_from_world[0][3] += 0.05 * i as f64;
            camera.camera_from_world[1][3] -= 0.03 * i as f64;
            camera.cx += 3.0 * i as f64;
            camera
        })
        .collect();
    scene
}

/// As many copies as cameras, each a little different.
pub fn with_copies(mut scene: Scene<f32>) -> Scene<f32> {
    let n = scene.cameras.len();
    scene.copies = n;
    let vary = |values: &mut Vec<f32>, by: f32| {
        let one = values.clone();
        *values = (0..n).flat_map(|c| one.iter().map(move |v| v * (1.0 + by * c as f32))).collect();
    };
    vary(&mut scene.positions, 0.01);
    vary(&mut scene.rotations, 0.0);
    vary(&mut scene.scales, 0.05);
    vary(&mut scene.opacities, -0.02);
    vary(&mut scene.colors, 0.03);
    if let Some(attention) = &mut scene.attention {
        vary(attention, 0.02);
    }
    scene
}
