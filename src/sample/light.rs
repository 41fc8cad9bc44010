//! Light baked into the colours: a warm key from the upper left, a cool fill, a hemisphere of sky and
//! floor. Skin lets the light wrap around its edges, red furthest, as light that scatters under it does.
//! Albedos are sRGB 0..1; the sums are made in linear light.

use glam::{Vec3, vec3};

/// What the light falls on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Material {
    /// How far light wraps past the edge, per channel.
    pub wrap: Vec3,
    /// Strength of the highlight.
    pub gloss: f32,
    /// Sharpness of the highlight (Blinn–Phong exponent).
    pub sharpness: f32,
}

/// Skin.
pub(super) const SKIN: Material =
    Material { wrap: Vec3::new(0.55, 0.36, 0.28), gloss: 0.10, sharpness: 14.0 };
/// Wet lips.
pub(super) const LIP: Material = Material { wrap: Vec3::new(0.5, 0.3, 0.28), gloss: 0.26, sharpness: 34.0 };
/// Wool.
pub(super) const WOOL: Material = Material { wrap: Vec3::splat(0.5), gloss: 0.0, sharpness: 1.0 };
/// Enamel and the white of the eye.
pub(super) const ENAMEL: Material = Material { wrap: Vec3::splat(0.7), gloss: 0.12, sharpness: 40.0 };

fn key() -> Vec3 {
    vec3(-0.46, 0.52, 0.72).normalize()
}

fn fill() -> Vec3 {
    vec3(0.85, 0.05, 0.45).normalize()
}

/// sRGB to linear light.
pub(super) fn linear(srgb: Vec3) -> Vec3 {
    srgb.max(Vec3::ZERO).powf(2.2)
}

/// Linear light to sRGB, with the brightest eased instead of cut.
pub(super) fn display(light: Vec3) -> Vec3 {
    let eased = |v: f32| if v > 0.7 { 0.7 + 0.3 * (1.0 - (-(v - 0.7) / 0.3).exp()) } else { v };
    vec3(eased(light.x), eased(light.y), eased(light.z)).max(Vec3::ZERO).powf(1.0 / 2.2)
}

/// Colour of a surface of `albedo` with unit `normal`; `open` is the share of the surroundings it sees, 0..1.
pub(super) fn lit(albedo: Vec3, normal: Vec3, open: f32, material: Material) -> Vec3 {
    let wrapped = |l: Vec3| {
        let d = Vec3::splat(normal.dot(l));
        ((d + material.wrap) / (Vec3::ONE + material.wrap)).max(Vec3::ZERO)
    };
    let up = 0.5 + 0.5 * normal.y;
    let ambient = vec3(0.20, 0.15, 0.135).lerp(vec3(0.30, 0.31, 0.34), up);
    let light = wrapped(key()) * vec3(0.90, 0.86, 0.79)
        + wrapped(fill()) * vec3(0.13, 0.15, 0.18)
        + ambient * (0.35 + 0.65 * open);
    let half = (key() + Vec3::Z).normalize();
    let shine = material.gloss * normal.dot(half).max(0.0).powf(material.sharpness) * open;
    let shade = 0.45 + 0.55 * open;
    // A cool rim from behind on the right parts the figure from the backdrop.
    let rim = (1.0 - normal.z.abs()).powi(3) * (0.4 + 0.6 * normal.x).max(0.0) * 0.22;
    display(linear(albedo) * (light * shade + vec3(0.8, 0.9, 1.0) * rim) + Vec3::splat(shine))
}

/// Colour of a strand of hair of `albedo` running along `tangent` with `normal` out of the head (Kajiya–Kay).
pub(super) fn lit_strand(albedo: Vec3, tangent: Vec3, normal: Vec3, open: f32) -> Vec3 {
    let across = |l: Vec3| (1.0 - tangent.dot(l).powi(2)).max(0.0).sqrt();
    let half = (key() + Vec3::Z).normalize();
    let facing = (normal.dot(key()) * 0.6 + 0.5).clamp(0.0, 1.0);
    let shine = across(half).powf(26.0) * facing;
    let body = linear(albedo) * (0.34 + 0.75 * facing * across(key()) + 0.10 * normal.x.max(0.0));
    display(body * (0.4 + 0.6 * open) + linear(albedo * 1.25 + vec3(0.10, 0.07, 0.05)) * shine * 0.75 * open)
}
