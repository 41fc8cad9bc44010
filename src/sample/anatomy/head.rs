//! The skull and the skin over it: horizontal ellipses along a spline, with the features of the face as
//! bells and ridges in depth. Leaves room for the eyelids ([`super::eyes`]) and the lips ([`super::mouth`]).

use super::super::curve::{Chance, bell, mix, polyline, ramp, spline};
use super::super::element::{Element, Label, Motion, Side, normal_of};
use super::super::light::{SKIN, lit};
use super::{Palette, eyes, hair, mouth};
use glam::{Vec3, vec3};
use std::f32::consts::PI;

/// Height, half width, half depth and depth of the middle of each ellipse, from the crown to the chin.
const PROFILE: [[f32; 4]; 16] = [
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

/// Distance of the surfels in the middle of the face and elsewhere.
const FINE: f32 = 2.6;
const COARSE: f32 = 4.2;

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

/// Share of the surroundings that the skin at `p` sees: hollows and the shade below nose, lip, chin and hair.
fn openness(p: Vec3) -> f32 {
    let ax = p.x.abs();
    let mut dark = 0.30 * bell((ax - 27.0) / 10.0, (p.y - 21.0) / 7.0);
    dark += 0.20 * bell((ax - 17.0) / 5.0, (p.y - 10.0) / 9.0);
    dark += 0.18 * bell(p.x / 7.0, (p.y + 35.0) / 2.8);
    dark += 0.13 * bell((ax - 15.0) / 2.6, (p.y + 27.0) / 5.5);
    dark += 0.28 * bell(p.x / 14.0, (p.y + 66.5) / 3.6);
    dark += 0.55 * ramp(-90.0, -104.0, p.y);
    dark += 0.35 * ramp(52.0, 80.0, ax) * ramp(30.0, -60.0, p.y);
    dark += 0.45 * ramp(-14.0, 3.0, p.y - hair::hairline((p.x / 75.0).clamp(-1.0, 1.0).asin()));
    1.0 - dark.min(0.85)
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

/// The skin of the face and the ears.
pub(super) fn build(palette: &Palette, chance: &mut Chance, out: &mut Vec<Element>) {
    let mut v = row_of(118.0);
    let last = (PROFILE.len() - 1) as f32 - 0.02;
    let mut odd = false;
    while v < last {
        let y = spline(&PROFILE, v)[0];
        let step = if (-84.0..42.0).contains(&y) { FINE } else { COARSE };
        // The step along the profile that is `step` millimetres in front.
        let slope = (surface(0.0, v + 0.05) - surface(0.0, v - 0.05)).with_x(0.0).length() / 0.1;
        let dv = (step / slope.max(4.0)).min(0.2);
        row(palette, chance, v, dv, odd, out);
        odd = !odd;
        v += dv;
    }
    for side in Side::BOTH {
        ear(palette, side, out);
    }
}

fn row(palette: &Palette, chance: &mut Chance, v: f32, dv: f32, odd: bool, out: &mut Vec<Element>) {
    let limit = 100.0 * PI / 180.0;
    let [y, a, b, _] = spline(&PROFILE, v);
    let mut theta = -limit + if odd { 0.5 * FINE / a.max(4.0) } else { 0.0 };
    while theta < limit {
        let here = surface(theta, v);
        let fine = (here.x.abs() < 50.0 && (-84.0..42.0).contains(&y)) || a < 30.0;
        let step = if fine { FINE } else { COARSE };
        let per_angle = vec3(a * theta.cos(), b * theta.sin(), 0.0).length().max(3.0);
        let dt = step / per_angle;
        let t = theta + 0.15 * dt * chance.sign();
        theta += dt;
        let p = surface(t, v);
        let hidden = p.y > hair::hairline(t) + 14.0 || eyes::covers(p) || mouth::covers(p);
        if hidden {
            continue;
        }
        let k = 0.72;
        let u = (surface(t + 0.5 * dt, v) - surface(t - 0.5 * dt, v)) * k;
        let w = (surface(t, v - 0.5 * dv) - surface(t, v + 0.5 * dv)) * k;
        let color = lit(skin_albedo(palette, p), normal(t, v), openness(p), SKIN);
        out.push(Element::disc(p, [u, w], Motion::Skin, color, Label::Face));
    }
}

/// A shell with a rolled rim; the lower part is the lobe.
fn ear(palette: &Palette, side: Side, out: &mut Vec<Element>) {
    let sign = side.sign();
    let middle = vec3(sign * 74.5, -4.0, -4.0);
    let across = vec3(sign * 0.80, 0.10, -0.58).normalize();
    let up =
        (vec3(sign * 0.14, 0.97, -0.10) - across * vec3(sign * 0.14, 0.97, -0.10).dot(across)).normalize();
    let face = if sign > 0.0 { across.cross(up) } else { up.cross(across) };
    let at = |r: f32, phi: f32| {
        let (s, c) = phi.sin_cos();
        let tall = if s > 0.0 { 27.0 } else { 29.0 };
        let wide = mix(16.5, 12.0, ramp(0.1, -0.9, s));
        let rim =
            4.5 * bell((r - 0.85) / 0.13, 0.0) + 3.0 * bell((r - 0.42) / 0.13, 0.0) * ramp(-0.7, 0.2, s);
        middle + across * (wide * r * c) + up * (tall * r * s) + face * (rim - 3.0 * (1.0 - r))
    };
    let rings = 8;
    for i in 0..rings {
        let r = (i as f32 + 0.5) / rings as f32;
        let count = (r * 32.0).ceil().max(5.0) as usize;
        for j in 0..count {
            let phi = (j as f32 + 0.5 * (i % 2) as f32) / count as f32 * 2.0 * PI;
            let (dr, dp) = (0.5 / rings as f32, PI / count as f32);
            let u = (at(r, phi + dp) - at(r, phi - dp)) * 0.75;
            let w = (at((r + dr).min(1.0), phi) - at(r - dr, phi)) * 0.75;
            let n = u.cross(w).normalize_or(Vec3::Z);
            let n = if n.z < 0.0 { -n } else { n };
            let hollow = 0.5 * bell((r - 0.66) / 0.10, 0.0) + 0.6 * bell(r / 0.25, 0.0);
            let albedo = palette.skin.lerp(palette.blush, 0.35 + 0.2 * r);
            let color = lit(albedo, n, 0.92 - hollow.min(0.7), SKIN);
            out.push(Element::disc(at(r, phi), [u, w], Motion::Skull, color, Label::Hair));
        }
    }
}
