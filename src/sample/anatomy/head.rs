//! The skin over the skull, and the ears. Leaves room for the eyelids ([`super::eyes`]) and the lips ([`super::mouth`]).

use super::super::curve::{Chance, bell, mix, ramp, spline};
use super::super::element::{Element, Label, Motion, Side};
use super::super::light::{SKIN, lit};
use super::palette::Palette;
use super::surface::{PROFILE, normal, row_of, skin_albedo, surface};
use super::{eyes, hair, mouth};
use glam::{Vec3, vec3};
use std::f32::consts::PI;

/// Distance of the surfels in the middle of the face and elsewhere.
const FINE: f32 = 2.6;
const COARSE: f32 = 4.2;

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
