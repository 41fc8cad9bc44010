//! Neck, sweater and collar. The sweater is still before the camera, the neck bends between it and the head.

use super::super::curve::{Chance, bell, mix, polyline, ramp};
use super::super::element::{Element, Label, Motion, normal_of};
use super::super::light::{SKIN, WOOL, lit};
use super::palette::Palette;
use glam::{Vec3, vec3};
use std::f32::consts::PI;

/// Neck, collar and sweater.
pub(super) fn build(palette: &Palette, chance: &mut Chance, out: &mut Vec<Element>) {
    neck(palette, out);
    sweater(palette, chance, out);
    collar(palette, out);
}

fn neck_at(theta: f32, y: f32) -> Vec3 {
    let a = polyline(&[(-165.0, 52.0), (-140.0, 42.0), (-110.0, 38.5), (-60.0, 41.0)], y);
    let tendon = 1.6 * bell((theta.abs() - 0.45) / 0.12, 0.0) * ramp(-100.0, -135.0, y);
    let notch = -3.0 * bell(theta / 0.2, (y + 146.0) / 9.0);
    vec3(a * theta.sin(), y, -12.0 + (a + 4.0 + tendon + notch) * theta.cos())
}

fn neck(palette: &Palette, out: &mut Vec<Element>) {
    let (mut y, mut odd) = (-58.0_f32, false);
    while y > -149.0 {
        let count = 28;
        for j in 0..count {
            let theta = (j as f32 + if odd { 0.75 } else { 0.25 }) / count as f32 * 220.0 - 110.0;
            let theta = theta * PI / 180.0;
            let n = normal_of(neck_at, theta, y, 0.02, 1.0);
            let p = neck_at(theta, y);
            // The chin's shade, falling to the right with the key light from the left.
            let shade = 0.85 * ramp(-140.0, -108.0, y + 0.18 * p.x);
            let collar = 0.30 * ramp(-132.0, -148.0, y);
            let albedo = palette.skin.lerp(palette.blush, 0.10 + 0.15 * ramp(-130.0, -100.0, y));
            let color = lit(albedo * (1.0 - 0.22 * shade), n, 1.0 - (shade + collar).min(0.85), SKIN);
            let u = (neck_at(theta + 0.068, y) - neck_at(theta - 0.068, y)) * 0.72;
            let motion = Motion::Neck(ramp(-150.0, -85.0, y));
            out.push(Element::disc(p, [u, vec3(0.0, 3.0, 0.0)], motion, color, Label::Neck));
        }
        odd = !odd;
        y -= 4.0;
    }
}

fn sweater_at(x: f32, s: f32) -> Vec3 {
    let ax = x.abs();
    let top = polyline(
        &[
            (0.0, -140.0),
            (44.0, -139.0),
            (66.0, -145.0),
            (95.0, -152.0),
            (125.0, -160.0),
            (150.0, -170.0),
            (168.0, -183.0),
            (180.0, -200.0),
            (188.0, -222.0),
            (194.0, -250.0),
        ],
        ax,
    );
    let ridge = -22.0 - 0.0005 * ax * ax + 46.0 * bell(x / 42.0, 0.0);
    let out = 52.0 * (1.0 - (-3.2 * s).exp()) * (1.0 - 0.35 * (ax / 200.0).powi(2));
    vec3(x, top - 95.0 * s * s.sqrt() - 6.0 * s, ridge + out)
}

fn sweater(palette: &Palette, chance: &mut Chance, out: &mut Vec<Element>) {
    let step = 7.2;
    for i in 0..18 {
        let s = (i as f32 + 0.3) / 18.0;
        let mut x = -180.0 + if i % 2 == 0 { 0.0 } else { 0.5 * step };
        while x < 181.0 {
            let at = |x: f32, s: f32| sweater_at(x, s.max(0.0));
            let p = at(x, s);
            let n = normal_of(at, x, s, 1.0, -0.02);
            // Stitches: columns of small Vs.
            let stitch = 0.075 * (x / 14.4 * 2.0 * PI).cos() + 0.03 * chance.sign();
            let fold = 0.10 * (0.045 * p.x * p.x.signum() + 0.07 * p.y).sin() * ramp(0.2, 0.6, s);
            let neck = 0.35 * bell(p.x / 60.0, (p.y + 142.0) / 12.0);
            let color = lit(palette.wool * (1.0 + stitch + fold), n, 1.0 - neck, WOOL);
            let u = (at(x + 0.5 * step, s) - at(x - 0.5 * step, s)) * 0.75;
            let w = (at(x, s - 0.028) - at(x, s + 0.028)) * 0.75;
            out.push(Element::disc(p, [u, w], Motion::Body, color, Label::Torso));
            x += step;
        }
    }
}

/// A ribbed roll around the neck, lower in front.
fn collar(palette: &Palette, out: &mut Vec<Element>) {
    let at = |phi: f32, a: f32| {
        let (s, c) = phi.sin_cos();
        let tube = 8.5 + 0.5 * (phi * 26.0).cos();
        let reach = 46.0 + tube * a.cos();
        vec3(reach * s, -142.0 - 7.0 * c + tube * a.sin() * 1.15, -10.0 + (reach + 2.0) * c)
    };
    let (around, across) = (56, 7);
    for i in 0..around {
        let phi = mix(-115.0, 115.0, (i as f32 + 0.5) / around as f32) * PI / 180.0;
        for j in 0..across {
            let a = mix(-1.6, 2.2, (j as f32 + 0.5 * (i % 2) as f32) / across as f32);
            let n = normal_of(at, phi, a, 0.004, 0.05);
            let rib = 0.10 * (phi * 26.0 * 2.0).cos();
            let inside = 0.5 * ramp(1.3, 2.2, a);
            let color = lit(palette.wool * (1.04 + rib), n, 1.0 - inside, WOOL);
            let u = (at(phi + 0.036, a) - at(phi - 0.036, a)) * 0.75;
            let w = (at(phi, a + 0.27) - at(phi, a - 0.27)) * 0.75;
            out.push(Element::disc(at(phi, a), [u, w], Motion::Body, color, Label::Torso));
        }
    }
}
