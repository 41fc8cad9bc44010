//! Lips, teeth, tongue, and the hollow behind them.
//!
//! The lips are a ring: an outer edge that lies on the skin and goes where the skin goes, and a rim whose gap
//! is a parameter, so that "closed" is closed whatever the jaw does. Angles: 0 left corner (+x), π/2 middle of
//! the upper lip, π right corner, 3π/2 middle of the lower lip.

use super::super::curve::{bell, mix, polyline, ramp};
use super::super::element::{Element, Label, Motion, Place};
use super::super::light::{ENAMEL, LIP, lit};
use super::super::params::{FacePose, MouthPose};
use super::super::warp::{HALF_WIDTH, SEAM, Warp};
use super::palette::Palette;
use super::surface::front;
use glam::{Vec3, vec3};
use std::f32::consts::PI;
use std::sync::LazyLock;

/// Half the width of the lips' outer edge.
const OUTER: f32 = 25.4;

/// How much higher the corners are than the middle: a hint of a smile.
const RISE: f32 = 2.6;

/// Height of the outer edge at `s` = x / OUTER, relative to the seam.
fn edge(s: f32, upper: bool) -> f32 {
    let s = s.abs();
    if upper {
        polyline(&[(0.0, 6.1), (0.08, 6.6), (0.2, 7.6), (0.32, 7.1), (0.55, 4.9), (0.8, 2.1), (1.0, 0.3)], s)
    } else {
        -8.8 * (1.0 - s * s).max(0.0).powf(0.8) + 0.3
    }
}

/// Height of the seam at x: the corners turn up a little.
fn seam(x: f32) -> f32 {
    SEAM + RISE * (x / HALF_WIDTH).powi(2) - 0.5 * bell(x / 4.0, 0.0)
}

/// Outer edge and rim at rest for evenly spaced angles.
static RING: LazyLock<Vec<[Vec3; 2]>> = LazyLock::new(|| {
    (0..=256)
        .map(|i| {
            let (s, c) = (i as f32 / 256.0 * 2.0 * PI).sin_cos();
            let (xo, xi) = (OUTER * c, HALF_WIDTH * c);
            let yo = seam(HALF_WIDTH * c) + edge(c, s >= 0.0) * ramp(0.0, 0.12, s.abs());
            let outer = vec3(xo, yo, front(xo, yo) + 0.5);
            let inner = vec3(xi, seam(xi), front(xi, seam(xi)) + 1.6);
            [outer, inner]
        })
        .collect()
});

fn ring(angle: f32) -> [Vec3; 2] {
    let t = (angle / (2.0 * PI)).rem_euclid(1.0) * 256.0;
    let i = (t as usize).min(255);
    let f = t - i as f32;
    std::array::from_fn(|k| RING[i][k].lerp(RING[i + 1][k], f))
}

/// A point of the lips: `way` 0 at the outer edge, 1 on the rim, up to 1.5 behind it.
pub(in super::super) fn lip(warp: &Warp, angle: f32, way: f32) -> Vec3 {
    let m = &warp.mouth;
    let [outer, inner] = ring(angle);
    let (s, c) = angle.sin_cos();
    let upper = s >= 0.0;
    let rim = rim(warp, angle, inner);
    // Pressed lips roll inwards, a tucked lower lip too: less red is seen.
    let rolled = 0.32 * m.press + if upper { 0.0 } else { 0.45 * m.tuck };
    let edge = warp.skin(outer).lerp(rim, (rolled * s.abs()).min(0.7));
    let t = way.min(1.0);
    let along = 1.0 - (1.0 - t).powf(1.25);
    let full = if upper { 2.3 } else { 3.4 } * s.abs().powf(0.6) * (1.0 - 0.5 * m.press);
    let mut p = edge.lerp(rim, along);
    p.z += full * (PI * t.powf(0.85)).sin().max(0.0).powf(0.8);
    if way > 1.0 {
        let in_ = way - 1.0;
        p += vec3(-c * 2.0, if upper { 2.5 } else { -2.5 }, -13.0) * in_;
    }
    p
}

fn rim(warp: &Warp, angle: f32, rest: Vec3) -> Vec3 {
    let m = &warp.mouth;
    let (s, c) = angle.sin_cos();
    let corner_rest = vec3(c.signum() * HALF_WIDTH, SEAM + RISE, rest.z);
    let corner = warp.skin(corner_rest) - corner_rest;
    // Round mouths open as an ellipse, others as a lens.
    let shape = s.abs().powf(mix(1.5, 1.0, m.round));
    let middle = if s >= 0.0 { warp.upper } else { -warp.lower() };
    let back = if s >= 0.0 { 0.0 } else { -0.16 * warp.lower() - 2.2 * m.tuck };
    rest + vec3(
        corner.x * c.abs(),
        mix(corner.y, middle, shape),
        corner.z * (1.0 - shape) + shape * (5.5 * m.round - 1.2 * m.press + back),
    )
}

/// True where the lips take the skin's place.
pub(super) fn covers(p: Vec3) -> bool {
    let s = p.x / OUTER;
    if s.abs() >= 0.94 || p.z < 30.0 {
        return false;
    }
    let dy = p.y - seam(p.x * HALF_WIDTH / OUTER);
    dy < edge(s, true) - 0.7 && dy > edge(s, false) + 0.7
}

/// Lips and all that is behind them.
pub(super) fn build(palette: &Palette, out: &mut Vec<Element>) {
    let rest = Warp::new(MouthPose::default(), FacePose::default());
    let rows: &[f32] = &[0.0, 0.15, 0.30, 0.45, 0.60, 0.74, 0.87, 0.97, 1.10, 1.25];
    for (i, &way) in rows.iter().enumerate() {
        let count = 62;
        for j in 0..count {
            let angle = (j as f32 + 0.5 * (i % 2) as f32) / count as f32 * 2.0 * PI;
            let at = |a: f32, w: f32| lip(&rest, a, w);
            let u = at(angle + 0.05, way) - at(angle - 0.05, way);
            let w = at(angle, (way + 0.08).min(1.0)) - at(angle, (way - 0.08).max(0.0));
            let normal = w.cross(u).normalize_or(Vec3::Z);
            let normal = if normal.z < 0.0 { -normal } else { normal };
            let deep = ramp(0.76, 0.99, way);
            let edge = 0.65 * ramp(0.16, 0.0, way);
            let crinkle = 0.04 * (angle * 38.0).sin() * ramp(0.0, 0.3, way);
            let albedo = palette.lips.lerp(palette.skin, edge) * (1.0 - crinkle);
            let color = lit(albedo.lerp(vec3(0.36, 0.10, 0.12), 0.92 * deep), normal, 1.0 - 0.8 * deep, LIP);
            let place =
                Place::Lip { angle, way, size: [0.75 * 2.0 * PI / count as f32, mix(0.105, 0.06, deep)] };
            out.push(Element { place, color, opacity: 0.98, label: Label::Mouth });
        }
    }
    teeth(out);
    tongue(out);
    hollow(out);
}

/// Depth of the dental arch at x.
fn arch(x: f32) -> f32 {
    front(0.0, SEAM) - 7.5 - 0.022 * x * x
}

fn teeth(out: &mut Vec<Element>) {
    // Edges between teeth, from the middle outwards.
    let upper: &[f32] = &[0.0, 8.2, 14.6, 20.4, 25.0];
    let lower: &[f32] = &[0.0, 5.6, 11.4, 17.4, 23.0];
    for (top, bottom, motion, gaps) in
        [(-41.5, -52.0, Motion::Skull, upper), (-54.2, -63.0, Motion::Jaw, lower)]
    {
        let is_upper = matches!(motion, Motion::Skull);
        let rows = ((top - bottom) / 1.3_f32).ceil() as usize;
        for i in 0..rows {
            let y = top - (i as f32 + 0.5) * (top - bottom) / rows as f32;
            for j in -17..=17 {
                let x = j as f32 * 1.3 + if i % 2 == 0 { 0.0 } else { 0.65 };
                let tooth = gaps.windows(2).find(|g| (g[0]..g[1]).contains(&x.abs()));
                let Some(tooth) = tooth else { continue };
                let near = (x.abs() - tooth[0]).min(tooth[1] - x.abs());
                // Incisors' edges are rounded, the second one shorter.
                let bite = if is_upper { y - bottom } else { top - y };
                let short = if is_upper && tooth[0] == 8.2 { 1.0 } else { 0.0 };
                if bite < short + 0.9 * bell(near / 0.6, 0.0) {
                    continue;
                }
                let gum = if is_upper { ramp(-45.0, -43.0, y) } else { ramp(-60.0, -62.0, y) };
                let albedo = vec3(0.95, 0.92, 0.87).lerp(vec3(0.78, 0.42, 0.42), gum);
                let open = (0.98
                    - 0.030 * x.abs()
                    - 0.22 * bell(near / 0.6, 0.0)
                    - if is_upper { 0.0 } else { 0.22 })
                .max(0.2);
                let at = vec3(x, y, arch(x));
                let normal = vec3(0.05 * x, 0.0, 1.0).normalize();
                let tangents = [vec3(1.0, 0.0, -0.044 * x) * 0.95, vec3(0.0, 0.95, 0.0)];
                let color = lit(albedo, normal, open, ENAMEL);
                out.push(Element::disc(at, tangents, motion, color, Label::Mouth));
            }
        }
    }
}

fn tongue(out: &mut Vec<Element>) {
    let middle = vec3(0.0, -62.5, 56.0);
    let at = |u: f32, v: f32| {
        // u across, v from the root (0) over the back to below the tip (1).
        let w = 15.5 * (1.0 - 0.35 * v * v);
        let turn = v * 2.2;
        let groove = -1.2 * bell(u / 0.15, 0.0);
        middle + vec3(u * w, (9.0 + groove) * (turn).cos() * (1.0 - u * u).max(0.0).sqrt(), 15.0 * turn.sin())
    };
    for i in 0..11 {
        let v = (i as f32 + 0.5) / 11.0;
        for j in 0..13 {
            let u = (j as f32 + 0.5) / 6.5 - 1.0;
            let (a, b) = (at(u + 0.077, v) - at(u - 0.077, v), at(u, v + 0.045) - at(u, v - 0.045));
            let normal = a.cross(-b).normalize_or(Vec3::Y);
            let normal = if normal.z < 0.0 { -normal } else { normal };
            let color = lit(vec3(0.62, 0.26, 0.27), normal, 0.12 + 0.30 * v, LIP);
            out.push(Element::disc(at(u, v), [a * 0.75, b * 0.75], Motion::Tongue, color, Label::Mouth));
        }
    }
}

/// A dark curtain behind everything.
fn hollow(out: &mut Vec<Element>) {
    for i in 0..15 {
        for j in 0..16 {
            let (x, y) = (-28.0 + 4.0 * i as f32, -26.0 - 3.6 * j as f32);
            let z = 50.0 - 0.02 * x * x;
            if z > front(x, y) - 9.0 {
                continue;
            }
            let depth = bell(x / 22.0, (y + 52.0) / 20.0);
            let color = vec3(0.30, 0.085, 0.085) * (1.0 - 0.45 * depth);
            let tangents = [vec3(3.0, 0.0, 0.0), vec3(0.0, 2.8, 0.0)];
            out.push(Element::disc(vec3(x, y, z), tangents, Motion::Skull, color, Label::Mouth));
        }
    }
}
