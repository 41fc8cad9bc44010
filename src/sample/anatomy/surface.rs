//! The surface of the head: horizontal ellipses along a spline, with the features of the face as bells and ridges in depth.

use super::super::curve::{bell, polyline, ramp, spline};
use super::super::element::normal_of;
use super::palette::Palette;
use glam::{Vec3, vec3};

/// Height, half width, half depth and depth of the middle of each ellipse, from the crown to the chin.
pub(super) const PROFILE: [[f32; 4]; 16] = [
    [124.0, 1.0, 1.0, -8.0],
    [120.0, 26.0, 30.0, -8.0],
    [110.0, 46.0, 54.0, -8.0],
    [94.0, 61.0, 72.0, -7.0],
    [74.0, 71.0, 86.0, -7.0],
    [52.0, 75.5, 92.0, -6.0],
    [30.0, 76.0, 92.0, -5.0],
    [10.0, 75.0, 90.0, -4.0],
    [-10.0, 72.5, 86.0, -1.0],
    [-30.0, 68.0, 80.0, 4.0],
    [-50.0, 60.5, 73.0, 10.0],
    [-68.0, 51.5, 64.0, 17.0],
    [-83.0, 40.5, 53.5, 25.0],
    [-94.0, 29.0, 41.0, 33.0],
    [-101.0, 15.0, 26.0, 43.0],
    [-103.5, 1.0, 3.0, 54.0],
];

/// How far along the profile (rows of the table) the ellipse of height `y` is.
pub(in super::super) fn row_of(y: f32) -> f32 {
    let (mut low, mut high) = (0.0, (PROFILE.len() - 1) as f32);
    for _ in 0..24 {
        let middle = 0.5 * (low + high);
        if spline(&PROFILE, middle)[0] > y {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// A point of the head at azimuth `theta` (0 in front, positive to +x) and profile row `v`.
pub(in super::super) fn surface(theta: f32, v: f32) -> Vec3 {
    let [y, a, b, c] = spline(&PROFILE, v);
    let (s, co) = theta.sin_cos();
    let x = a * s;
    vec3(x, y, c + b * co + features(x, y) * ramp(0.05, 0.55, co))
}

/// The head without its features, pushed outwards by `offset`.
pub(super) fn shell(theta: f32, v: f32, offset: f32) -> Vec3 {
    let bare = |t: f32, v: f32| {
        let [y, a, b, c] = spline(&PROFILE, v);
        vec3(a * t.sin(), y, c + b * t.cos())
    };
    bare(theta, v) + offset * normal_of(bare, theta, v, 0.01, -0.02)
}

/// Depth of the front of the face at (x, y).
pub(in super::super) fn front(x: f32, y: f32) -> f32 {
    let [_, a, b, c] = spline(&PROFILE, row_of(y));
    let s = (x / a).clamp(-0.98, 0.98);
    let co = (1.0 - s * s).sqrt();
    c + b * co + features(x, y) * ramp(0.05, 0.55, co)
}

/// Relief of the face, millimetres towards the viewer.
fn features(x: f32, y: f32) -> f32 {
    let ax = x.abs();
    let ridge = polyline(
        &[
            (-38.0, 0.0),
            (-34.0, 2.5),
            (-31.0, 8.0),
            (-27.0, 14.5),
            (-23.0, 17.0),
            (-18.0, 15.5),
            (-8.0, 11.5),
            (4.0, 7.5),
            (16.0, 4.5),
            (30.0, 1.5),
            (45.0, 0.0),
        ],
        y,
    );
    let half = polyline(&[(-30.0, 7.0), (-20.0, 6.8), (-5.0, 5.6), (15.0, 5.6), (40.0, 12.0)], y);
    let nose = ridge * bell(x / half, 0.0) + 5.0 * bell((ax - 9.8) / 3.8, (y + 26.0) / 4.4);
    let sockets = -6.5 * bell((ax - 31.0) / 14.5, (y - 13.0) / 11.0);
    let brow = 2.5 * bell((ax - 28.0) / 20.0, (y - 33.0) / 8.0);
    let cheeks = 4.5 * bell((ax - 37.0) / 16.0, (y + 20.0) / 15.0);
    let muzzle = 4.5 * bell(x / 24.0, (y + 48.0) / 15.0);
    let philtrum = -0.9 * bell(x / 3.0, (y + 39.0) / 4.5);
    let crease = -2.8 * bell(x / 15.0, (y + 67.0) / 4.5);
    let chin = 6.0 * bell(x / 15.0, (y + 84.0) / 10.0);
    nose + sockets + brow + cheeks + muzzle + philtrum + crease + chin
}

/// Unit normal of the skin at (theta, v).
pub(super) fn normal(theta: f32, v: f32) -> Vec3 {
    normal_of(surface, theta, v, 0.012, -0.03)
}

/// Albedo of the skin at `p`: blush, warmer nose and chin, light on the ridge of the nose, nostrils.
pub(super) fn skin_albedo(palette: &Palette, p: Vec3) -> Vec3 {
    let ax = p.x.abs();
    let blush = 0.42 * bell((ax - 40.0) / 14.0, (p.y + 20.0) / 10.0)
        + 0.30 * bell(p.x / 9.0, (p.y + 23.0) / 8.0)
        + 0.14 * bell(p.x / 13.0, (p.y + 85.0) / 9.0)
        + 0.16 * bell((ax - 30.0) / 12.0, (p.y - 22.0) / 6.0);
    let skin = palette.skin.lerp(palette.blush, blush);
    let nostril = 0.75 * bell((ax - 5.6) / 1.7, (p.y + 31.6) / 1.3);
    let shine = 0.16 * bell(p.x / 3.0, (p.y + 20.0) / 3.5) + 0.10 * bell(p.x / 2.6, (p.y - 4.0) / 13.0);
    skin.lerp(Vec3::ONE, shine).lerp(vec3(0.36, 0.14, 0.12), nostril)
}
