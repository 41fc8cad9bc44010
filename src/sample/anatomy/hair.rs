//! Hair: a cap over the scalp, strands swept up into a bun, a curtain fringe with a lock beside each ear.

use super::super::curve::{Chance, bell, mix, polyline, ramp};
use super::super::element::{Element, Label, Motion};
use super::super::light::lit_strand;
use super::palette::Palette;
use super::surface::{row_of, shell};
use glam::{Vec3, vec3};
use std::f32::consts::PI;

/// Middle and radius of the bun.
const BUN: (Vec3, f32) = (Vec3::new(4.0, 130.0, -26.0), 29.0);
const DEGREE: f32 = PI / 180.0;

/// Height above which hair grows, at an azimuth (radians).
pub(super) fn hairline(theta: f32) -> f32 {
    polyline(
        &[
            (0.0, 94.0),
            (16.0, 86.0),
            (36.0, 70.0),
            (50.0, 50.0),
            (60.0, 34.0),
            (70.0, 20.0),
            (80.0, 14.0),
            (88.0, 18.0),
            (100.0, 2.0),
            (120.0, -40.0),
        ],
        theta.abs() / DEGREE,
    )
}

/// Every element of the hair.
pub(super) fn build(palette: &Palette, chance: &mut Chance, out: &mut Vec<Element>) {
    cap(palette, chance, out);
    swept(palette, chance, out);
    bun(palette, chance, out);
    for sign in [1.0, -1.0] {
        fringe(palette, chance, sign, out);
    }
}

/// Draws a strand through the points of `path` (0..1) with `pieces` discs.
fn strand(
    path: impl Fn(f32) -> Vec3,
    outward: impl Fn(Vec3) -> Vec3,
    pieces: usize,
    width: f32,
    color: impl Fn(f32, Vec3, Vec3) -> Vec3,
    out: &mut Vec<Element>,
) {
    for i in 0..pieces {
        let t = (i as f32 + 0.5) / pieces as f32;
        let half = 0.5 / pieces as f32;
        let at = path(t);
        let along = path((t + half).min(1.0)) - path((t - half).max(0.0));
        let normal = outward(at);
        let tangent = along.normalize_or(Vec3::Y);
        let taper = mix(1.0, 0.45, ramp(0.75, 1.0, t));
        let shade = color(t, tangent, normal);
        out.push(Element::strand(at, along * 0.62, normal, width * taper, shade, Label::Hair));
    }
}

fn outward(p: Vec3) -> Vec3 {
    (p - vec3(0.0, 30.0, -10.0)).normalize_or(Vec3::Z)
}

/// The dark layer under the strands.
fn cap(palette: &Palette, chance: &mut Chance, out: &mut Vec<Element>) {
    let mut y: f32 = 123.0;
    let mut odd = false;
    while y > -40.0 {
        let v = row_of(y);
        let rim = shell(90.0 * DEGREE, v, 0.0).x.abs().max(3.0);
        let step = 6.2;
        let count = (rim * 250.0 * DEGREE / step).ceil().max(4.0) as usize;
        for j in 0..=count {
            let theta = (j as f32 + if odd { 0.5 } else { 0.0 }) / count as f32 * 250.0 - 125.0;
            let theta = theta * DEGREE;
            if y < hairline(theta) - 1.0 {
                continue;
            }
            let offset = 3.0 + 3.0 * ramp(0.0, 25.0, y - hairline(theta));
            let at = shell(theta, v, offset);
            let normal = outward(at);
            let tone = palette.hair * chance.between(0.62, 0.80);
            let along = vec3(-at.x, 130.0 - at.y, 0.0).normalize_or(Vec3::Y);
            let color = lit_strand(tone, along, normal, 0.55);
            out.push(Element::dot(at, normal, 4.4, Motion::Skull, color, Label::Hair));
        }
        odd = !odd;
        y -= if y > 108.0 { 2.4 } else { 5.4 };
    }
}

/// Strands from the hairline up to the bun.
fn swept(palette: &Palette, chance: &mut Chance, out: &mut Vec<Element>) {
    let count = 104;
    for i in 0..count {
        let theta = mix(-112.0, 112.0, (i as f32 + 0.5 + 0.3 * chance.sign()) / count as f32) * DEGREE;
        let low = hairline(theta) + 2.5 * chance.sign() + 1.5;
        let high = chance.between(108.0, 119.0);
        let lift = chance.between(6.0, 8.5);
        let wave = 1.2 * chance.sign();
        let end = theta * 0.55 + 0.1 * chance.sign();
        let path = |t: f32| {
            let y = mix(low, high, t.powf(0.92));
            let around = mix(theta, end, t * t);
            shell(
                around,
                row_of(y),
                lift * (0.55 + 0.45 * (PI * t.min(0.8)).sin()) + wave * (t * 9.0).sin() * 0.4,
            )
        };
        let tone = chance.between(0.82, 1.15);
        let color = |t: f32, along: Vec3, normal: Vec3| {
            let band = bell((t - 0.42) / 0.16, 0.0);
            lit_strand(
                palette.hair.lerp(palette.shine, 0.15 + 0.45 * band) * tone,
                along,
                normal,
                mix(0.7, 1.0, t),
            )
        };
        strand(path, outward, 11, chance.between(1.4, 2.0), color, out);
    }
}

/// A knot of hair wound around its axis.
fn bun(palette: &Palette, chance: &mut Chance, out: &mut Vec<Element>) {
    let (middle, radius) = BUN;
    for i in 0..150 {
        // Evenly spread dark filling, front half only.
        let z = 1.0 - 1.25 * (i as f32 + 0.5) / 150.0;
        let phi = i as f32 * 2.399_963;
        let r = (1.0 - z * z).max(0.0).sqrt();
        let n = vec3(r * phi.cos(), r * phi.sin(), z);
        let color = lit_strand(palette.hair * 0.72, vec3(-n.y, n.x, 0.0).normalize_or(Vec3::X), n, 0.6);
        let at = middle + n * (radius - 2.5);
        out.push(Element::dot(at, n, 4.3, Motion::Skull, color, Label::Hair));
    }
    for i in 0..36 {
        // Coils: tilted circles, nested.
        let ring = (i as f32 + 0.5) / 36.0;
        let tilt = mix(-1.15, 1.15, ring) + 0.05 * chance.sign();
        let from = chance.between(-0.6, 0.2);
        let tone = chance.between(0.85, 1.15);
        let path = |t: f32| {
            let a = mix(from, from + PI * 1.1, t) - 0.2;
            let spin = tilt + 0.55 * (t - 0.5);
            let n = vec3(a.cos(), spin.sin() * a.sin(), spin.cos() * a.sin()).normalize_or(Vec3::Z);
            let n = vec3(0.86 * n.x - 0.5 * n.y, 0.5 * n.x + 0.86 * n.y, n.z);
            middle + n * (radius + 1.2 * (PI * t).sin())
        };
        let color = |t: f32, along: Vec3, normal: Vec3| {
            let groove = 0.80 + 0.20 * (tilt * 16.0).sin();
            let band = bell((t - 0.45) / 0.2, 0.0);
            lit_strand(palette.hair.lerp(palette.shine, 0.1 + 0.5 * band) * tone * groove, along, normal, 0.9)
        };
        strand(path, |p| (p - middle).normalize_or(Vec3::Z), 12, 1.9, color, out);
    }
}

/// One half of the curtain fringe, from the parting over the temple, ending in a lock beside the ear.
fn fringe(palette: &Palette, chance: &mut Chance, sign: f32, out: &mut Vec<Element>) {
    for i in 0..50 {
        let depth = (i as f32 + chance.unit()) / 50.0;
        // Strands further back in the parting lie higher and reach further down.
        let long = chance.between(0.0, 1.0);
        let end = mix(12.0, -52.0, long * long);
        let root = 5.0 + sign * 1.5 + 2.0 * chance.sign();
        let bow = mix(-13.0, 13.0, depth) + 1.5 * chance.sign();
        let wave = chance.between(0.5, 1.6);
        let phase = chance.between(0.0, 2.0);
        let path = |t: f32| {
            let y = polyline(
                &[
                    (0.0, 95.0),
                    (0.14, 86.0 + 0.3 * bow),
                    (0.32, 65.0 + 0.8 * bow),
                    (0.52, 42.0 + bow),
                    (0.70, 17.0 + 0.8 * bow),
                    (1.0, end),
                ],
                t,
            );
            let degrees = polyline(
                &[
                    (0.0, 0.0),
                    (0.14, 12.0),
                    (0.32, 27.0 - 0.3 * bow),
                    (0.52, 47.0 - 0.3 * bow),
                    (0.70, 63.0 - 0.2 * bow),
                    (1.0, 72.0),
                ],
                t,
            );
            let degrees = degrees + sign * root * ramp(0.2, 0.0, t);
            let lift =
                mix(9.0, 6.0 + 3.5 * depth, t) + 5.0 * bell((t - 0.3) / 0.2, 0.0) * (0.4 + 0.6 * depth);
            let curl = wave * ramp(0.55, 1.0, t) * (t * 11.0 + phase).sin();
            shell(sign * (degrees + curl) * DEGREE, row_of(y), lift + ramp(0.8, 1.0, t) * (3.0 + 2.0 * curl))
        };
        let tone = chance.between(0.84, 1.16);
        let color = |t: f32, along: Vec3, normal: Vec3| {
            let band = bell((t - 0.30) / 0.10, 0.0) + 0.35 * bell((t - 0.85) / 0.1, 0.0);
            let normal = (normal + vec3(0.0, 0.0, 0.4)).normalize_or(Vec3::Z);
            lit_strand(palette.hair.lerp(palette.shine, 0.12 + 0.5 * band) * tone, along, normal, 0.95)
        };
        strand(path, outward, 20, chance.between(1.2, 1.8), color, out);
    }
}
