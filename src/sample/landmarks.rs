//! The 68 landmarks (iBUG) of the talker, known from its anatomy, and the true opening of its mouth.

use super::anatomy::{eyes, face, mouth, surface};
use super::curve::mix;
use super::element::Side;
use super::params::Params;
use super::scene::{Frame, camera};
use crate::Camera;
use glam::{Vec3, vec3};
use std::f32::consts::PI;

/// Landmarks in the head's frame, millimetres, in iBUG's order (the picture's left first).
pub(super) fn points(params: &Params) -> [Vec3; 68] {
    let frame = Frame::new(params);
    let w = &frame.warp;
    let on_skin = |x: f32, y: f32| w.skin(vec3(x, y, surface::front(x, y)));
    let mut out = [Vec3::ZERO; 68];
    // Jaw line: from ear to ear along the edge of the face.
    for (i, p) in out.iter_mut().take(17).enumerate() {
        let s = i as f32 / 8.0 - 1.0;
        let y = mix(-100.0, -4.0, s.abs().powf(1.6));
        let theta = s.signum() * mix(0.0, 1.25, s.abs().powf(0.55));
        *p = w.skin(surface::surface(theta, surface::row_of(y)));
    }
    for k in 0..5 {
        let s = k as f32 / 4.0;
        out[17 + k] = w.skin(face::brow(Side::Right, 1.0 - s));
        out[22 + k] = w.skin(face::brow(Side::Left, s));
    }
    for (k, y) in [14.0, 3.0, -9.0, -22.0].into_iter().enumerate() {
        out[27 + k] = on_skin(0.0, y);
    }
    for (k, x) in [-11.0, -6.0, 0.0, 6.0, 11.0].into_iter().enumerate() {
        out[31 + k] = on_skin(x, -31.0 - 1.5 * (1.0 - (x / 11.0_f32).powi(2)));
    }
    // Eyes: picture's left (the person's right) outer corner first, over the upper lid; the other from its inner.
    for (k, turn) in [0.0, 0.34, 0.66, 1.0, 1.34, 1.66].into_iter().enumerate() {
        out[36 + k] = eyes::lid(w, Side::Right, turn * PI, 1.0);
        let inner_first = [1.0, 0.66, 0.34, 0.0, 1.66, 1.34][k];
        out[42 + k] = eyes::lid(w, Side::Left, inner_first * PI, 1.0);
    }
    // Lips from the picture's left corner over the upper lip; angle π is that corner.
    for k in 0..12 {
        out[48 + k] = mouth::lip(w, PI - k as f32 * PI / 6.0, 0.0);
    }
    for k in 0..8 {
        out[60 + k] = mouth::lip(w, PI - k as f32 * PI / 4.0, 1.0);
    }
    out
}

/// Landmarks in pixels of a square picture of `size`: column and row, pixel centres at integers.
pub fn landmarks(params: &Params, size: u32) -> [[f32; 2]; 68] {
    let camera = camera(params, size);
    points(params).map(|p| project(&camera, p))
}

pub(super) fn project(camera: &Camera, p: Vec3) -> [f32; 2] {
    let [column, row, _] = camera.project([p.x, p.y, p.z].map(|v| f64::from(v) / 1e3));
    [column as f32, row as f32]
}

/// True gap between the lips in the middle of the mouth, pixels of a square picture of `size`.
pub fn mouth_opening(params: &Params, size: u32) -> f32 {
    let l = landmarks(params, size);
    (l[66][0] - l[62][0]).hypot(l[66][1] - l[62][1])
}
