//! What lies on the skin: brows and freckles.

use super::super::curve::{Chance, mix, polyline};
use super::super::element::{Element, Label, Motion, Side};
use super::super::light::{SKIN, lit};
use super::eyes;
use super::palette::Palette;
use super::surface::{front, skin_albedo};
use glam::{Vec3, vec3};

/// Height of the middle of a brow at the distance `x` from the middle of the face.
fn arch(x: f32) -> f32 {
    polyline(
        &[(11.0, 33.0), (18.0, 35.8), (27.0, 38.6), (36.0, 40.3), (42.0, 40.0), (50.0, 37.0), (56.0, 33.0)],
        x,
    )
}

/// A point of a brow, `s` from its inner (0) to its outer (1) end.
pub(in super::super) fn brow(side: Side, s: f32) -> Vec3 {
    let x = mix(12.0, 54.0, s);
    let y = arch(x);
    vec3(side.sign() * x, y, front(side.sign() * x, y) + 1.2)
}

fn facing(x: f32, y: f32) -> Vec3 {
    let dx = (front(x + 1.0, y) - front(x - 1.0, y)) / 2.0;
    let dy = (front(x, y + 1.0) - front(x, y - 1.0)) / 2.0;
    vec3(-dx, -dy, 1.0).normalize()
}

/// Brows and freckles.
pub(super) fn build(palette: &Palette, chance: &mut Chance, out: &mut Vec<Element>) {
    for side in Side::BOTH {
        for i in 0..76 {
            brow_hair(palette, chance, side, (i as f32 + 0.5) / 76.0, out);
        }
    }
    let mut placed = 0;
    while placed < 70 {
        let (x, y) = (54.0 * chance.sign(), chance.between(-34.0, 2.0));
        // Thick over the nose and the cheeks, thin outwards.
        let here = (-((x / 34.0).powi(2) + ((y + 12.0) / 12.0).powi(2))).exp();
        let p = vec3(x, y, front(x, y));
        if chance.unit() > here || eyes::covers(p) {
            continue;
        }
        placed += 1;
        let normal = facing(x, y);
        let tone = chance.between(0.55, 0.85);
        let albedo = skin_albedo(palette, p).lerp(vec3(0.66, 0.40, 0.28), tone);
        let size = chance.between(0.55, 0.95);
        let color = lit(albedo, normal, 0.97, SKIN);
        let spot = Element::dot(p + normal * 0.8, normal, size, Motion::Skin, color, Label::Face);
        out.push(spot.faded(chance.between(0.45, 0.8)));
    }
}

fn brow_hair(palette: &Palette, chance: &mut Chance, side: Side, s: f32, out: &mut Vec<Element>) {
    let middle = brow(side, s);
    let thick = 2.5 * (1.0 - 0.75 * s) * (0.55 + 2.0 * s).min(1.0);
    let x = middle.x.abs() + chance.sign();
    let y = middle.y + thick * chance.sign();
    let normal = facing(side.sign() * x, y);
    let slope = (arch(x + 1.0) - arch(x - 1.0)) / 2.0;
    // Hairs stand up near the nose and lie down outwards.
    let lean = mix(1.1, 0.12, (s * 2.2).min(1.0)) * if y > middle.y { 0.6 } else { 1.0 };
    let along = vec3(side.sign(), slope + lean, 0.0);
    let along = (along - normal * along.dot(normal)).normalize_or(Vec3::X);
    let p = vec3(side.sign() * x, y, front(side.sign() * x, y) + 1.2);
    let tone = palette.hair * chance.between(0.85, 1.15) * 0.92;
    let hair = Element::strand(p, along * mix(2.6, 1.9, s), normal, 0.85, tone, Label::Face);
    out.push(hair.carried(Motion::Skin).faded(0.75));
}
