//! Eyeballs, lids and lashes. The lids are a ring like the lips: an outer edge on the skin and a margin that
//! slides over the eyeball when the eye blinks. Angles: 0 outer corner, π/2 middle of the upper lid, π inner
//! corner, 3π/2 middle of the lower lid.

use super::super::curve::{Chance, bell, mix, ramp};
use super::super::element::{Element, Label, Motion, Place, Side};
use super::super::light::{ENAMEL, SKIN, lit};
use super::super::params::{FacePose, MouthPose};
use super::super::warp::Warp;
use super::palette::Palette;
use super::surface::{front, skin_albedo};
use glam::{Mat3, Vec3, vec3};
use std::f32::consts::PI;
use std::sync::LazyLock;

/// Radius of the eyeball.
const BALL: f32 = 14.0;
/// Radius on which the lids slide.
const LIDS: f32 = 15.4;
/// Half axes of the ring's outer edge: across, up, down.
const OUTER: [f32; 3] = [21.5, 14.5, 12.0];
/// Half width of the opening, its height above and below the middle.
const OPENING: [f32; 3] = [16.4, 8.8, 6.2];
/// Radii of iris and pupil.
const IRIS: [f32; 2] = [7.3, 3.1];

/// The middle of an eyeball.
pub(in super::super) fn center(side: Side) -> Vec3 {
    vec3(32.0 * side.sign(), 12.0, 64.5)
}

/// How the eyeball turns for a gaze.
pub(in super::super) fn turn(gaze: [f32; 2]) -> Mat3 {
    Mat3::from_rotation_y(0.30 * gaze[0]) * Mat3::from_rotation_x(-0.22 * gaze[1])
}

/// Outer edge for evenly spaced angles, left eye.
static EDGE: LazyLock<Vec<Vec3>> = LazyLock::new(|| {
    let c = center(Side::Left);
    (0..=128)
        .map(|i| {
            let (s, co) = (i as f32 / 128.0 * 2.0 * PI).sin_cos();
            let (x, y) = (c.x + OUTER[0] * co, c.y + s * if s > 0.0 { OUTER[1] } else { OUTER[2] });
            vec3(x, y, front(x, y) + 0.5)
        })
        .collect()
});

fn edge(side: Side, angle: f32) -> Vec3 {
    let t = (angle / (2.0 * PI)).rem_euclid(1.0) * 128.0;
    let i = (t as usize).min(127);
    let p = EDGE[i].lerp(EDGE[i + 1], t - i as f32);
    vec3(p.x * side.sign(), p.y, p.z)
}

/// The margin of the lids in the plane, relative to the eye's middle; +x is outwards.
fn margin(face: &FacePose, side: Side, angle: f32) -> [f32; 2] {
    let (s, c) = angle.sin_cos();
    let blink = face.blink[side.index()].clamp(0.0, 1.0);
    let lens = s.abs().powf(1.25);
    // The outer corner is higher than the inner one; the upper lid is highest a little inwards.
    let tilt = 1.5 * c - 0.4;
    let up = (OPENING[1] + 1.8 * face.wide) * (1.0 - 0.12 * c);
    let down = OPENING[2] * (1.0 + 0.15 * c);
    let meet = -0.72 * down * lens;
    let upper = mix(up * lens, meet, blink);
    let lower = mix(-down * lens, meet, blink);
    [OPENING[0] * c, tilt + if s >= 0.0 { upper } else { lower }]
}

/// A point of the lids: `way` 0 at the outer edge, 1 at the margin, beyond it the margin's thickness.
pub(in super::super) fn lid(warp: &Warp, side: Side, angle: f32, way: f32) -> Vec3 {
    let middle = center(side);
    let [x, y] = margin(&warp.face, side, angle);
    let outer = warp.skin(edge(side, angle));
    let t = way.min(1.0);
    let flat = vec3(mix(outer.x, middle.x + side.sign() * x, t), mix(outer.y, middle.y + y, t), 0.0);
    let (dx, dy) = (flat.x - middle.x, flat.y - middle.y);
    let dome = middle.z + (LIDS * LIDS - dx * dx - dy * dy).max(0.0).sqrt();
    // The skin sinks from the bone into the socket before it climbs over the ball.
    let fold = if angle.sin() > 0.0 { 1.2 } else { 0.0 };
    let skin = mix(outer.z, dome, ramp(0.25, 1.0, t)) - fold * bell((t - 0.42) / 0.12, 0.0);
    let z = skin.max(mix(outer.z - 1.0, dome, ramp(0.0, 0.5, t)).min(dome));
    vec3(flat.x, flat.y, z - 1.6 * (way - 1.0).max(0.0) / 0.15)
}

/// Root, direction and normal of a lash.
pub(in super::super) fn lash(warp: &Warp, side: Side, angle: f32) -> [Vec3; 2] {
    let root = lid(warp, side, angle, 1.0);
    let blink = warp.face.blink[side.index()];
    let out = angle.cos();
    let rise = if angle.sin() > 0.0 { mix(0.75, -0.45, blink) } else { -0.5 };
    [root, vec3(side.sign() * out * 0.8, rise, 0.65).normalize()]
}

/// True where the lids take the skin's place.
pub(super) fn covers(p: Vec3) -> bool {
    let (x, y) = (p.x.abs() - 32.0, p.y - 12.0);
    let h = if y > 0.0 { OUTER[1] } else { OUTER[2] };
    p.z > 30.0 && (x / OUTER[0]).powi(2) + (y / h).powi(2) < 0.86
}

/// Everything of both eyes.
pub(super) fn build(palette: &Palette, chance: &mut Chance, out: &mut Vec<Element>) {
    for side in Side::BOTH {
        ball(palette, chance, side, out);
        lids(palette, side, out);
        for i in 0..22 {
            let angle = mix(0.10, 0.80, i as f32 / 21.0) * PI;
            let long = mix(2.3, 1.1, i as f32 / 21.0);
            lash_at(palette, side, angle, long, 0.8, out);
        }
        for i in 0..10 {
            let angle = (1.92 - 0.5 * i as f32 / 9.0) * PI;
            lash_at(palette, side, angle, 1.0, 0.35, out);
        }
    }
}

fn lash_at(palette: &Palette, side: Side, angle: f32, long: f32, opacity: f32, out: &mut Vec<Element>) {
    let place = Place::Lash { side, angle, size: [long, 0.55] };
    out.push(Element { place, color: palette.hair * 0.38, opacity, label: Label::Face });
}

fn ball(palette: &Palette, chance: &mut Chance, side: Side, out: &mut Vec<Element>) {
    let middle = center(side);
    let mut psi: f32 = 0.02;
    let mut ring = 0;
    while psi < 1.36 {
        let step = if psi < 0.60 { 1.15 } else { 2.2 };
        let count = ((2.0 * PI * BALL * psi.sin() / step).round() as usize).max(1);
        for j in 0..count {
            let phi = (j as f32 + 0.5 * (ring % 2) as f32) / count as f32 * 2.0 * PI;
            let n = vec3(psi.sin() * phi.cos(), psi.sin() * phi.sin(), psi.cos());
            let p = middle + n * BALL;
            let color = eye_color(palette, chance, psi, phi, n);
            let motion = Motion::Eye(side);
            out.push(Element::dot(p, n, 0.70 * step, motion, color, Label::Face));
        }
        psi += step / BALL;
        ring += 1;
    }
    // The window's reflection, and the light of the floor in the iris's lower half.
    for (x, y, size, opacity) in
        [(-2.3_f32, 2.7_f32, 1.15, 0.97), (-1.2, 3.0, 0.8, 0.9), (2.4, -2.6, 0.75, 0.55)]
    {
        let z = (BALL * BALL - x * x - y * y).sqrt() + 0.55;
        let glint = Element::dot(
            middle + vec3(x, y, z),
            Vec3::Z,
            size,
            Motion::Skull,
            Vec3::splat(0.99),
            Label::Face,
        );
        out.push(glint.faded(opacity));
    }
    // The pink corner near the nose.
    for k in 0..4 {
        let x = -side.sign() * (13.0 + 0.6 * k as f32);
        let p = middle + vec3(x, -1.9, (LIDS * LIDS - x * x).max(0.0).sqrt() - 2.2);
        out.push(Element::dot(p, Vec3::Z, 1.1, Motion::Skull, vec3(0.80, 0.48, 0.46), Label::Face));
    }
}

fn eye_color(palette: &Palette, chance: &mut Chance, psi: f32, phi: f32, n: Vec3) -> Vec3 {
    let r = BALL * psi.sin();
    let [iris, pupil] = IRIS;
    // Shade of the upper lid.
    let open = mix(0.58, 1.0, ramp(9.5, 3.0, n.y * BALL));
    let white = lit(vec3(0.93, 0.91, 0.90), n, open * mix(1.0, 0.72, ramp(8.0, 13.0, r)), ENAMEL);
    if r > iris + 0.5 {
        return white.lerp(vec3(0.86, 0.60, 0.56), 0.25 * ramp(9.0, 13.0, r));
    }
    // Rays, brighter below where the light gathers, dark rim and a warm ring around the pupil.
    let rays = 0.10 * (phi * 17.0).sin() + 0.06 * chance.sign();
    let gathers = mix(0.72, 1.45, ramp(2.5, -4.5, n.y * BALL));
    let warm = vec3(0.62, 0.42, 0.18);
    let mut color = palette.iris.lerp(warm, 0.45 * bell((r - pupil - 0.9) / 0.9, 0.0)) * (gathers + rays);
    color = color.lerp(vec3(0.07, 0.09, 0.10), 0.85 * ramp(iris - 1.6, iris - 0.1, r));
    color = color.lerp(vec3(0.025, 0.02, 0.025), ramp(pupil + 0.6, pupil - 0.3, r));
    color.lerp(white, ramp(iris, iris + 0.6, r)).min(Vec3::ONE)
}

fn lids(palette: &Palette, side: Side, out: &mut Vec<Element>) {
    let rest = Warp::new(MouthPose::default(), FacePose::default());
    let rows: &[f32] = &[0.0, 0.16, 0.32, 0.46, 0.60, 0.74, 0.87, 0.97, 1.08];
    let count = 40;
    for (i, &way) in rows.iter().enumerate() {
        for j in 0..count {
            let angle = (j as f32 + 0.5 * (i % 2) as f32) / count as f32 * 2.0 * PI;
            let at = |a: f32, w: f32| lid(&rest, side, a, w);
            let u = at(angle + 0.06, way) - at(angle - 0.06, way);
            let w = at(angle, (way + 0.07).min(1.0)) - at(angle, (way - 0.07).max(0.0));
            let normal = u.cross(w).normalize_or(Vec3::Z);
            let normal = if normal.z < 0.0 { -normal } else { normal };
            let upper = angle.sin() > 0.0;
            // Below the eye the light evens out; the true normal would draw bags.
            let normal = if upper { normal } else { normal.lerp(vec3(0.0, 0.25, 0.97), 0.65).normalize() };
            let s = angle.sin().abs();
            let crease = if upper { 0.55 * bell((way - 0.52) / 0.075, 0.0) * s.powf(0.5) } else { 0.0 };
            let bag = if upper { 0.0 } else { 0.03 * bell((way - 0.45) / 0.15, 0.0) };
            let albedo = skin_albedo(palette, at(angle, way));
            let tint = vec3(0.80, 0.52, 0.46);
            let albedo = albedo.lerp(tint, if upper { 0.40 * ramp(0.2, 0.9, way) } else { 0.15 });
            let mut color = lit(albedo, normal, 0.86 - crease - bag, SKIN);
            let line = if upper { ramp(0.86, 0.97, way) } else { 0.42 * ramp(0.93, 1.05, way) };
            color = color.lerp(palette.hair * 0.36, line * (0.35 + 0.65 * s).min(1.0));
            let place = Place::Lid { side, angle, way, size: [0.75 * 2.0 * PI / count as f32, 0.105] };
            out.push(Element { place, color, opacity: 0.98, label: Label::Face });
        }
    }
}
