//! A head-like cloud for benchmarks: an ellipsoid of skin, dense lips and eyes, layers of hair, a neck and a chest,
//! with the sizes and opacities that trained clouds have (most nearly opaque, log-normal sizes).

use super::scene::{Random, Scene};
use data_utils::formats::npz;
use std::path::Path;
use surfeltalk::Camera;
use surfeltalk::raster::{Outputs, RasterSettings};

/// Half axes of the skull.
const SKULL: [f64; 3] = [0.308, 0.46, 0.392];

/// The camera in front, as wide as `size` pixels; 26 degrees.
pub fn head_camera(size: u32) -> Camera {
    let focal = 1100.0 * f64::from(size) / 512.0;
    let center = (f64::from(size) - 1.0) / 2.0;
    Camera {
        camera_from_world: [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, -0.13], [0.0, 0.0, 1.0, 4.0]],
        fx: focal,
        fy: focal,
        cx: center,
        cy: center,
        width: size,
        height: size,
    }
}

fn empty(size: u32) -> Scene<f32> {
    Scene {
        surfels: 0,
        copies: 1,
        positions: Vec::new(),
        rotations: Vec::new(),
        scales: Vec::new(),
        opacities: Vec::new(),
        colors: Vec::new(),
        degree: None,
        attention: Some(Vec::new()),
        cameras: vec![head_camera(size)],
        behind: None,
        settings: RasterSettings { background: [1.0; 7], outputs: Outputs::default() },
    }
}

/// About `surfels` surfels seen by [`head_camera`].
pub fn head(surfels: usize, size: u32) -> Scene<f32> {
    let mut random = Random(20_240_229);
    let mut scene = empty(size);
    let share = |part: f64| (part * surfels as f64) as usize;
    let skull_area = 1.9;
    for _ in 0..share(0.30) {
        let (p, n) = on_skull(&mut random, 1.0, |n| n[2] < 0.3);
        add(
            &mut scene,
            &mut random,
            p,
            n,
            0.85 * (0.62 * skull_area / share(0.30) as f64).sqrt(),
            0.35,
            0.22,
        );
    }
    for i in 0..share(0.16) {
        let (x, y) = if i % 2 == 0 {
            (0.075 * normal(&mut random), 0.225 + 0.045 * normal(&mut random))
        } else {
            let side = if i % 4 == 1 { 1.0 } else { -1.0 };
            (side * 0.115 + 0.04 * normal(&mut random), -0.06 + 0.04 * normal(&mut random))
        };
        let z = -SKULL[2] * (1.0 - (x / SKULL[0]).powi(2) - (y / SKULL[1]).powi(2)).clamp(0.02, 1.0).sqrt();
        let depth = if i % 8 == 0 { 0.06 * random.uniform(0.0, 1.0) } else { 0.003 * normal(&mut random) };
        let n = unit([x / SKULL[0].powi(2), y / SKULL[1].powi(2), z / SKULL[2].powi(2)]);
        let p = std::array::from_fn(|k| [x, y, z][k] - depth * n[k]);
        add(&mut scene, &mut random, p, n, 0.85 * (0.055 / share(0.16) as f64).sqrt(), 0.35, 0.25);
    }
    for _ in 0..share(0.26) {
        let (p, n) = on_skull(&mut random, 1.08, |n| {
            let face = n[2] < 0.05 && n[1] > -0.6 + 0.3 * n[0].abs();
            !face && n[1] < 0.33
        });
        let layer = 0.055 * random.uniform(0.0, 1.0) - 0.01;
        let p = std::array::from_fn(|k| p[k] + layer * n[k]);
        add(
            &mut scene,
            &mut random,
            p,
            n,
            0.98 * (0.55 * skull_area / share(0.26) as f64).sqrt(),
            0.85,
            0.40,
        );
    }
    for _ in 0..share(0.06) {
        let angle = random.uniform(-0.62, 0.62) * std::f64::consts::PI;
        let n = [angle.sin(), 0.0, -angle.cos()];
        let p = [0.2 * n[0], random.uniform(0.38, 0.72), 0.06 + 0.2 * n[2]];
        add(&mut scene, &mut random, p, n, 0.85 * (0.27 / share(0.06) as f64).sqrt(), 0.35, 0.2);
    }
    for _ in 0..share(0.22) {
        let x = random.uniform(-1.05, 1.05);
        let top = 0.60 + 0.20 * (x / 0.85_f64).powi(2) + 0.08 * x.abs();
        let below = random.uniform(0.0, 1.0) * (1.05 - f64::min(top, 1.0));
        let z = 0.10 - 0.28 * (below / 0.45).clamp(0.0, 1.0).sqrt() * (1.0 - (x / 1.2).powi(2)).sqrt();
        let n = unit([0.5 * x, -0.55, -1.0]);
        let p = [x, top + below, z + 0.006 * normal(&mut random)];
        add(&mut scene, &mut random, p, n, 0.85 * (0.80 / share(0.22) as f64).sqrt(), 0.4, 0.25);
    }
    scene
}

/// A scene file with xyz, quat, scale, opacity, rgb, attn, and cameras w2c and K at 512 pixels; camera 0.
pub fn read_head(path: &Path) -> Scene<f32> {
    let arrays = npz::read(path).expect("a scene file");
    let take = |name: &str| arrays[name].data.clone();
    let mut scene = empty(512);
    let (w2c, k) = (take("w2c"), take("K"));
    let camera = &mut scene.cameras[0];
    camera.camera_from_world = std::array::from_fn(|r| std::array::from_fn(|c| f64::from(w2c[4 * r + c])));
    // The file's pixel centres lie at halves.
    [camera.fx, camera.fy] = [f64::from(k[0]), f64::from(k[4])];
    [camera.cx, camera.cy] = [f64::from(k[2]) - 0.5, f64::from(k[5]) - 0.5];
    scene.positions = take("xyz");
    scene.rotations = take("quat");
    scene.scales = take("scale");
    scene.opacities = take("opacity");
    scene.colors = take("rgb");
    scene.attention = Some(take("attn"));
    scene.surfels = scene.opacities.len();
    scene
}

/// A point of the ellipsoid, scaled, and its normal, where `keep` likes the direction.
fn on_skull(random: &mut Random, scale: f64, keep: impl Fn(&[f64; 3]) -> bool) -> ([f64; 3], [f64; 3]) {
    loop {
        let d = unit([(); 3].map(|()| normal(random)));
        if keep(&d) {
            let p = std::array::from_fn(|k| scale * SKULL[k] * d[k]);
            return (p, unit(std::array::from_fn(|k| d[k] / SKULL[k])));
        }
    }
}

fn add(
    scene: &mut Scene<f32>,
    random: &mut Random,
    p: [f64; 3],
    n: [f64; 3],
    size: f64,
    aspect: f64,
    low: f64,
) {
    let n = unit(n.map(|v| v + 0.18 * normal(random)));
    // Turns +z to the normal, then spins about it.
    let turn = if n[2] > -0.999 {
        let w = 1.0 + n[2];
        quaternion_unit([w, -n[1], n[0], 0.0])
    } else {
        [0.0, 1.0, 0.0, 0.0]
    };
    let (s, c) = random.uniform(0.0, std::f64::consts::PI).sin_cos();
    let [w, x, y, z] = turn;
    let q = [w * c - z * s, x * c + y * s, y * c - x * s, z * c + w * s];
    let size = size * (0.55 * normal(random)).exp();
    let aspect = (aspect * normal(random).abs()).exp().sqrt();
    let opacity = if random.uniform(0.0, 1.0) < low {
        random.uniform(0.05, 0.75)
    } else {
        0.995 - 0.12 * random.uniform(0.0, 1.0) * random.uniform(0.0, 1.0)
    };
    scene.surfels += 1;
    scene.positions.extend(p.map(|v| v as f32));
    scene.rotations.extend(q.map(|v| v as f32));
    scene.scales.extend([size * aspect, size / aspect].map(|v| v.clamp(2e-4, 0.12) as f32));
    scene.opacities.push(opacity as f32);
    scene.colors.extend([(); 3].map(|()| random.uniform(0.0, 1.0) as f32));
    let attention = [(); 4].map(|()| random.uniform(0.0, 1.0) as f32);
    scene.attention.get_or_insert_default().extend(attention);
}

fn unit(v: [f64; 3]) -> [f64; 3] {
    let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    v.map(|x| x / length)
}

fn quaternion_unit(q: [f64; 4]) -> [f64; 4] {
    let length = q.iter().map(|x| x * x).sum::<f64>().sqrt();
    q.map(|x| x / length)
}

/// A standard normal number (Box and Muller 1958).
fn normal(random: &mut Random) -> f64 {
    let radius = (-2.0 * random.uniform(1e-300, 1.0).ln()).sqrt();
    radius * (random.uniform(0.0, std::f64::consts::TAU)).cos()
}
