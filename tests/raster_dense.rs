//! The CPU rasterizer against a second one, written plainly from the formulas: every surfel on every pixel of its
//! tiles, in f64, no cofactors, no lanes, no bounds, the gradient-free half of 2DGS §4.2.

mod common;

use common::scene::{Random, Scene, random_scene};
use surfeltalk::Camera;
use surfeltalk::raster::Rasterizer;
use surfeltalk::raster::constants::FILTER_SIZE;
use surfeltalk::raster::cpu::CpuRasterizer;

/// A surfel as a camera sees it.
struct Seen {
    rows: [[f64; 3]; 3],
    center: [f64; 2],
    normal: [f64; 3],
    depth: f64,
    /// First column and row, last column and row + 1 of its tiles.
    tiles: [f64; 4],
    index: usize,
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|k| a[k] * b[k]).sum()
}

fn see(scene: &Scene<f64>, view: &Camera, i: usize) -> Option<Seen> {
    let m = &view.camera_from_world;
    let turn = |a: [f64; 3]| -> [f64; 3] { std::array::from_fn(|r| dot([m[r][0], m[r][1], m[r][2]], a)) };
    let [w, x, y, z] = std::array::from_fn(|k| scene.rotations[4 * i + k]);
    let u = turn([1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y)]);
    let v = turn([2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x)]);
    let n = turn([2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y)]);
    let p: [f64; 3] =
        std::array::from_fn(|r| turn(std::array::from_fn(|k| scene.positions[3 * i + k]))[r] + m[r][3]);
    if p[2] <= 0.2 {
        return None;
    }
    let columns = [u.map(|a| a * scene.scales[2 * i]), v.map(|a| a * scene.scales[2 * i + 1]), p];
    let rows = [
        columns.map(|c| view.fx * c[0] + view.cx * c[2]),
        columns.map(|c| view.fy * c[1] + view.cy * c[2]),
        columns.map(|c| c[2]),
    ];
    let weigh = |a: [f64; 3], b: [f64; 3]| 9.0 * (a[0] * b[0] + a[1] * b[1]) - a[2] * b[2];
    let d = weigh(rows[2], rows[2]);
    let center = [0, 1].map(|k| weigh(rows[k], rows[2]) / d);
    let half = [0, 1].map(|k| (center[k].powi(2) - weigh(rows[k], rows[k]) / d).max(1e-4).sqrt());
    let radius = half[0].max(half[1]).max(3.0 * FILTER_SIZE).ceil();
    let tile = |v: f64| (v / 16.0).trunc().max(0.0);
    let tiles = [
        tile(center[0] - radius),
        tile(center[1] - radius),
        tile(center[0] + radius + 15.0),
        tile(center[1] + radius + 15.0),
    ];
    let normal = if dot(p, n) < 0.0 { n } else { n.map(|v| -v) };
    Some(Seen { rows, center, normal, depth: p[2], tiles, index: i })
}

/// Colour 3, attention 4, alpha, depth, median, normal 3, distortion of one pixel.
fn pixel(scene: &Scene<f64>, seen: &[Seen], column: usize, row: usize) -> [f64; 14] {
    let (x, y) = (column as f64, row as f64);
    let mut out = [0.0; 14];
    let (mut transmittance, mut m1, mut m2) = (1.0_f64, 0.0, 0.0);
    for surfel in seen {
        let [tx, ty] = [(x / 16.0).trunc(), (y / 16.0).trunc()];
        let [x0, y0, x1, y1] = surfel.tiles;
        if tx < x0 || ty < y0 || tx >= x1 || ty >= y1 {
            continue;
        }
        let [tu, tv, tw] = surfel.rows;
        let k: [f64; 3] = std::array::from_fn(|j| x * tw[j] - tu[j]);
        let l: [f64; 3] = std::array::from_fn(|j| y * tw[j] - tv[j]);
        let p = [k[1] * l[2] - k[2] * l[1], k[2] * l[0] - k[0] * l[2], k[0] * l[1] - k[1] * l[0]];
        if p[2] == 0.0 {
            continue;
        }
        let s = [p[0] / p[2], p[1] / p[2]];
        let low_pass = 2.0 * ((surfel.center[0] - x).powi(2) + (surfel.center[1] - y).powi(2));
        let rho = (s[0] * s[0] + s[1] * s[1]).min(low_pass);
        let z = s[0] * tw[0] + s[1] * tw[1] + tw[2];
        let alpha = (scene.opacities[surfel.index] * (-0.5 * rho).exp()).min(0.99_f32 as f64);
        if z < 0.2_f32 as f64 || alpha < (1.0_f32 / 255.0) as f64 {
            continue;
        }
        if transmittance * (1.0 - alpha) < 1e-4_f32 as f64 {
            break;
        }
        let w = alpha * transmittance;
        let m = 100.0 / (100.0 - 0.2_f32 as f64) * (1.0 - 0.2_f32 as f64 / z);
        out[13] += w * (m * m * (1.0 - transmittance) + m2 - 2.0 * m * m1);
        m1 += w * m;
        m2 += w * m * m;
        for c in 0..3 {
            out[c] += w * scene.colors[3 * surfel.index + c];
            out[10 + c] += w * surfel.normal[c];
        }
        for c in 0..4 {
            out[3 + c] += w * scene.attention.as_ref().map_or(0.0, |a| a[4 * surfel.index + c]);
        }
        out[8] += w * z;
        if transmittance > 0.5 {
            out[9] = z;
        }
        transmittance *= 1.0 - alpha;
    }
    out[7] = 1.0 - transmittance;
    for (channel, background) in out.iter_mut().zip(&scene.settings.background) {
        *channel += transmittance * background;
    }
    out
}

fn compare(scene: &Scene<f64>, what: &str) {
    let view = scene.cameras[0];
    let drawn = CpuRasterizer::new()
        .forward(&scene.batch(), &scene.cameras, &scene.settings)
        .expect("a forward pass");
    let mut seen: Vec<Seen> = (0..scene.surfels).filter_map(|i| see(scene, &view, i)).collect();
    seen.sort_by(|a, b| (a.depth as f32).total_cmp(&(b.depth as f32)));
    let pixels = drawn.width * drawn.height;
    let images = [
        &drawn.color,
        &drawn.attention,
        &drawn.alpha,
        &drawn.depth,
        &drawn.median,
        &drawn.normal,
        &drawn.distortion,
    ];
    let mut covered = 0;
    for at in 0..pixels {
        let expected = pixel(scene, &seen, at % drawn.width, at / drawn.width);
        covered += usize::from(expected[7] > 0.1);
        let found = images.iter().flat_map(|image| image.iter().skip(at).step_by(pixels));
        for (channel, (found, expected)) in found.zip(expected).enumerate() {
            assert!(
                (found - expected).abs() < 1e-8,
                "{what}: channel {channel} of pixel {at}: {found}, {expected}"
            );
        }
    }
    assert!(covered * 10 > pixels, "{what}: too little is drawn");
}

#[test]
fn ordinary_scenes_agree() {
    for seed in 0..5 {
        compare(&random_scene(seed + 60, 60, 85, 70), "ordinary");
    }
}

#[test]
fn small_turned_and_opaque_surfels_agree() {
    for seed in 0..5 {
        let mut scene = random_scene(seed + 70, 400, 75, 66);
        let mut random = Random(seed);
        for i in 0..scene.surfels {
            scene.rotations[4 * i..4 * i + 4].copy_from_slice(&random.quaternion());
            scene.opacities[i] = random.uniform(0.0, 1.0).powf(0.2);
            let size = 10.0_f64.powf(random.uniform(-4.0, 0.0));
            scene.scales[2 * i] *= size;
            scene.scales[2 * i + 1] *= size * random.uniform(0.05, 1.0);
        }
        compare(&scene, "small, turned, opaque");
    }
}

#[test]
fn surfels_about_the_near_plane_and_off_the_screen_agree() {
    for seed in 0..5 {
        let mut scene = random_scene(seed + 80, 200, 64, 51);
        let mut random = Random(seed);
        for i in 0..scene.surfels {
            let z = if i % 4 == 0 { random.uniform(0.0, 0.4) } else { random.uniform(0.5, 3.0) };
            let aside = [(); 2].map(|()| random.uniform(-1.2, 1.2) * z);
            scene.positions[3 * i..3 * i + 3].copy_from_slice(&[aside[0], aside[1], z]);
            // Small enough not to reach behind the eye, where a box has no meaning.
            (scene.scales[2 * i], scene.scales[2 * i + 1]) = (0.1 * z, 0.05 * z);
        }
        compare(&scene, "near plane");
    }
}
