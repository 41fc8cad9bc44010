//! Gradients of the CPU rasterizer in f64 against central differences, one image at a time and all together.
//!
//! A difference is only taken where the function is smooth: two step sizes must agree (no pixel crosses a threshold
//! between them), and depth, median and distortion carry no gradient on pixels that a low-pass filter decides, where
//! the derivative departs from the exact one on purpose.

mod common;

use common::scene::{ALL, Random, Scene, camera, loss, random_gradients, random_scene};
use surfeltalk::raster::cpu::CpuRasterizer;
use surfeltalk::raster::{ImageGradients, Rasterizer, SurfelGradients};

/// Relative L2 difference allowed over a group of parameters.
const GROUP: f64 = 1e-6;
/// Difference allowed for one parameter, of its size and of a hundredth of the group's largest.
const SINGLE: f64 = 1e-3;

/// What rounding of the loss makes of a difference whose value is zero.
const NOISE: f64 = 1e-7;

const GROUPS: [&str; 6] = ["positions", "rotations", "scales", "opacities", "colors", "attention"];

fn group<'a>(scene: &'a mut Scene<f64>, name: &str) -> &'a mut Vec<f64> {
    match name {
        "positions" => &mut scene.positions,
        "rotations" => &mut scene.rotations,
        "scales" => &mut scene.scales,
        "opacities" => &mut scene.opacities,
        "colors" => &mut scene.colors,
        "attention" => scene.attention.get_or_insert_default(),
        other => panic!("no group {other}"),
    }
}

/// The analytic gradient of a group, projected to unit quaternions where a difference sees only that.
fn analytic(scene: &Scene<f64>, gradients: &SurfelGradients<f64>, name: &str) -> Vec<f64> {
    match name {
        "positions" => gradients.positions.clone(),
        "rotations" => gradients
            .rotations
            .chunks(4)
            .zip(scene.rotations.chunks(4))
            .flat_map(|(g, q)| {
                let along: f64 = g.iter().zip(q).map(|(a, b)| a * b).sum();
                g.iter().zip(q).map(|(a, b)| a - along * b).collect::<Vec<f64>>()
            })
            .collect(),
        "scales" => gradients.scales.clone(),
        "opacities" => gradients.opacities.clone(),
        "colors" => gradients.colors.clone(),
        "attention" => gradients.attention.clone(),
        other => panic!("no group {other}"),
    }
}

fn value(scene: &Scene<f64>, upstream: &ImageGradients<f64>) -> f64 {
    let rendered = CpuRasterizer::new().forward(&scene.batch(), &scene.cameras, &scene.settings);
    loss(&rendered.expect("a forward pass"), upstream)
}

/// Compares every parameter of every group; differences that are not smooth are counted and must be few.
fn check(scene: &Scene<f64>, upstream: &ImageGradients<f64>, what: &str) {
    let rasterizer = CpuRasterizer::new();
    let rendered =
        rasterizer.forward(&scene.batch(), &scene.cameras, &scene.settings).expect("a forward pass");
    let gradients = rasterizer
        .backward(&scene.batch(), &scene.cameras, &scene.settings, &rendered, upstream)
        .expect("a backward pass");
    for name in GROUPS {
        let expected = analytic(scene, &gradients, name);
        let largest = expected.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
        let (mut square, mut total, mut rough) = (0.0, 0.0, 0);
        for (i, expected) in expected.iter().enumerate() {
            let mut moved = scene.clone();
            let start = group(&mut moved, name)[i];
            let mut difference = |step: f64| {
                let mut at = |v: f64| {
                    group(&mut moved, name)[i] = v;
                    value(&moved, upstream)
                };
                (at(start + step) - at(start - step)) / (2.0 * step)
            };
            let step = 1e-5 * start.abs().clamp(0.01, 1.0);
            let (wide, narrow) = (difference(step), difference(step / 2.0));
            if (wide - narrow).abs() > 1e-5 * (narrow.abs() + 0.01 * largest) + NOISE {
                rough += 1;
                continue;
            }
            // Richardson's step cancels the quadratic error.
            let found = (4.0 * narrow - wide) / 3.0;
            let error = (found - expected).abs();
            let bound = SINGLE * (expected.abs() + 0.01 * largest) + NOISE;
            assert!(error <= bound, "{what}, {name}[{i}]: {expected} but the difference is {found}");
            square += error * error;
            total += expected * expected;
        }
        let count = expected.len();
        assert!(rough * 20 <= count, "{what}, {name}: {rough} of {count} differences are not smooth");
        assert!(
            square.sqrt() <= GROUP * total.sqrt() + NOISE * (count as f64).sqrt(),
            "{what}, {name}: {} of {}",
            square.sqrt(),
            total.sqrt()
        );
    }
}

/// Pixels where a surfel of the scene is decided by its low-pass filter.
fn low_pass_pixels(scene: &Scene<f64>) -> Vec<bool> {
    let mut found = Vec::new();
    for view in &scene.cameras {
        let (width, height) = (view.width as usize, view.height as usize);
        let mut image = vec![false; width * height];
        for i in 0..scene.surfels {
            let [tu, tv, tw] = homography(scene, view, i);
            let weigh = |a: &[f64; 3], b: &[f64; 3]| 9.0 * (a[0] * b[0] + a[1] * b[1]) - a[2] * b[2];
            let center = [weigh(&tu, &tw) / weigh(&tw, &tw), weigh(&tv, &tw) / weigh(&tw, &tw)];
            for (at, pixel) in image.iter_mut().enumerate() {
                let (x, y) = ((at % width) as f64, (at / width) as f64);
                let k: [f64; 3] = std::array::from_fn(|j| x * tw[j] - tu[j]);
                let l: [f64; 3] = std::array::from_fn(|j| y * tw[j] - tv[j]);
                let p = [k[1] * l[2] - k[2] * l[1], k[2] * l[0] - k[0] * l[2], k[0] * l[1] - k[1] * l[0]];
                let disc = (p[0] * p[0] + p[1] * p[1]) / (p[2] * p[2]);
                let low_pass = 2.0 * ((center[0] - x).powi(2) + (center[1] - y).powi(2));
                *pixel |= low_pass <= disc * 1.01 && low_pass < 12.0;
            }
        }
        found.extend(image);
    }
    found
}

/// Rows Tu, Tv, Tw of a surfel, written anew from the definition.
fn homography(scene: &Scene<f64>, view: &surfeltalk::Camera, i: usize) -> [[f64; 3]; 3] {
    let [w, x, y, z] = std::array::from_fn(|k| scene.rotations[4 * i + k]);
    let u = [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y)];
    let v = [2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x)];
    let m = &view.camera_from_world;
    let turn = |a: [f64; 3]| -> [f64; 3] { std::array::from_fn(|r| (0..3).map(|c| m[r][c] * a[c]).sum()) };
    let p: [f64; 3] = std::array::from_fn(|k| scene.positions[3 * i + k]);
    let (tu, tv) = (turn(u).map(|a| a * scene.scales[2 * i]), turn(v).map(|a| a * scene.scales[2 * i + 1]));
    let center: [f64; 3] = std::array::from_fn(|r| turn(p)[r] + m[r][3]);
    let columns = [tu, tv, center];
    [
        columns.map(|c| view.fx * c[0] + view.cx * c[2]),
        columns.map(|c| view.fy * c[1] + view.cy * c[2]),
        columns.map(|c| c[2]),
    ]
}

/// Random upstream gradients, none of depth where a low-pass filter decides.
fn smooth_upstream(scene: &Scene<f64>, seed: u64) -> ImageGradients<f64> {
    let rendered = CpuRasterizer::new()
        .forward(&scene.batch(), &scene.cameras, &scene.settings)
        .expect("a forward pass");
    let mut upstream = random_gradients(seed, &rendered);
    let low_pass = low_pass_pixels(scene);
    let share = low_pass.iter().filter(|&&p| p).count() as f64 / low_pass.len() as f64;
    assert!(share < 0.5, "too little of the image is left");
    for image in [&mut upstream.depth, &mut upstream.median, &mut upstream.distortion] {
        for (value, _) in image.iter_mut().zip(&low_pass).filter(|(_, p)| **p) {
            *value = 0.0;
        }
    }
    upstream
}

fn turned_camera(width: u32, height: u32) -> surfeltalk::Camera {
    let (s, c) = 0.1_f64.sin_cos();
    let mut view = camera(width, height);
    view.camera_from_world = [[c, 0.0, s, -0.25], [0.0, 1.0, 0.0, 0.05], [-s, 0.0, c, 0.1]];
    view.fy *= 1.1;
    view.cx += 3.3;
    view.cy -= 2.2;
    view
}

#[test]
fn all_images_together_match_central_differences() {
    for seed in 1..4 {
        let scene = random_scene(seed, 14, 45, 37);
        check(&scene, &smooth_upstream(&scene, seed + 100), "all images");
    }
}

#[test]
fn each_image_alone_matches_central_differences() {
    let scene = random_scene(11, 10, 40, 33);
    let all = smooth_upstream(&scene, 5);
    let none = ImageGradients::default;
    check(&scene, &ImageGradients { color: all.color.clone(), ..none() }, "colour");
    check(&scene, &ImageGradients { attention: all.attention.clone(), ..none() }, "attention");
    check(&scene, &ImageGradients { alpha: all.alpha.clone(), ..none() }, "alpha");
    check(&scene, &ImageGradients { depth: all.depth.clone(), ..none() }, "depth");
    check(&scene, &ImageGradients { median: all.median.clone(), ..none() }, "median");
    check(&scene, &ImageGradients { normal: all.normal.clone(), ..none() }, "normal");
    check(&scene, &ImageGradients { distortion: all.distortion.clone(), ..none() }, "distortion");
}

#[test]
fn one_copy_seen_by_two_cameras_sums_their_gradients() {
    let mut scene = random_scene(21, 10, 40, 33);
    scene.cameras.push(turned_camera(40, 33));
    check(&scene, &smooth_upstream(&scene, 6), "two cameras");
}

#[test]
fn copies_have_gradients_of_their_own() {
    let mut scene = random_scene(31, 8, 40, 33);
    let second = random_scene(32, 8, 40, 33);
    for name in GROUPS {
        let more = group(&mut second.clone(), name).clone();
        group(&mut scene, name).extend(more);
    }
    scene.copies = 2;
    scene.cameras.push(turned_camera(40, 33));
    let upstream = {
        // The pixels of each copy are found with that copy alone.
        let mut all = smooth_upstream(
            &Scene { copies: 1, cameras: vec![scene.cameras[0]], ..random_scene(31, 8, 40, 33) },
            7,
        );
        let other = smooth_upstream(&Scene { cameras: vec![scene.cameras[1]], ..second }, 8);
        for (mine, more) in [
            (&mut all.color, other.color),
            (&mut all.attention, other.attention),
            (&mut all.alpha, other.alpha),
            (&mut all.depth, other.depth),
            (&mut all.median, other.median),
            (&mut all.normal, other.normal),
            (&mut all.distortion, other.distortion),
        ] {
            mine.extend(more);
        }
        all
    };
    check(&scene, &upstream, "two copies");
}

#[test]
fn harmonics_of_every_degree_match_central_differences() {
    for degree in 0..4 {
        let mut scene = random_scene(41, 8, 32, 32);
        let mut random = Random(9);
        scene.degree = Some(degree);
        scene.settings.outputs = surfeltalk::raster::Outputs { attention: true, ..Default::default() };
        scene.colors = (0..8 * 3 * (degree + 1).pow(2)).map(|_| random.uniform(-0.6, 0.9)).collect();
        scene.cameras = vec![turned_camera(32, 32)];
        check(&scene, &smooth_upstream(&scene, 10), "harmonics");
    }
}

#[test]
fn the_comparison_can_fail() {
    let mut scene = random_scene(51, 4, 24, 24);
    scene.settings.outputs = ALL;
    let upstream = smooth_upstream(&scene, 11);
    // Where alpha is capped the published rule, which we follow, ignores that the image no longer changes.
    scene.opacities = vec![0.999; 4];
    scene.scales.iter_mut().for_each(|s| *s *= 2.0);
    let outcome = std::panic::catch_unwind(|| check(&scene, &upstream, "capped"));
    assert!(outcome.is_err(), "the differences must see that the gradient ignores the cap");
}
