//! Stage `project_backward`: from gradients of what blending read to gradients of a surfel's parameters.
//!
//! The chain is that of [`super::project`], backwards and in f64. As in the published rasterizer the quaternion's
//! gradient is that of the rotation's polynomial at the unit quaternion, not projected, and the densification signal
//! is taken before the low-pass centre adds its share to the rows.

use super::blend_backward::{CENTER, COFACTORS, DRAWN_CHANNELS, OPACITY};
use super::input::{OneCopy, SurfelInput};
use super::project::{Projection, geometry, view_direction};
use super::sh;
use super::vector::{add, cross, dot, scale, transform_transposed};
use super::view::View;
use crate::raster::constants::*;
use crate::raster::{Real, SurfelGradients};

/// Where the gradients of consecutive surfels go; all are added to but `screen`, which is set.
pub(super) struct Gradients<'a, R> {
    position: &'a mut [R],
    rotation: &'a mut [R],
    scale: &'a mut [R],
    opacity: &'a mut [R],
    /// [`Colors::width`](crate::raster::Colors::width) numbers each.
    color: &'a mut [R],
    /// 4 numbers each, or none.
    attention: &'a mut [R],
    screen: &'a mut [R],
}

impl<'a, R> Gradients<'a, R> {
    /// The gradients of `[frame, copy]`, in pieces of `size` surfels of the copy's `surfels`.
    pub(super) fn chunks(
        out: &'a mut SurfelGradients<R>,
        [frame, copy]: [usize; 2],
        surfels: usize,
        size: usize,
    ) -> Vec<Self> {
        let all = out.opacities.len().max(1);
        let (color, attention) = (out.colors.len() / all, out.attention.len() / all);
        let pieces = |values: &'a mut [R], at: usize, width: usize| {
            values[at * surfels * width..(at + 1) * surfels * width].chunks_mut((size * width).max(1))
        };
        let mut position = pieces(&mut out.positions, copy, 3);
        let mut rotation = pieces(&mut out.rotations, copy, 4);
        let mut scale = pieces(&mut out.scales, copy, 2);
        let mut opacity = pieces(&mut out.opacities, copy, 1);
        let mut color = pieces(&mut out.colors, copy, color);
        let mut attention = pieces(&mut out.attention, copy, attention);
        let mut screen = pieces(&mut out.screen, frame, 2);
        (0..surfels.div_ceil(size))
            .map(|_| Gradients {
                position: position.next().unwrap_or_default(),
                rotation: rotation.next().unwrap_or_default(),
                scale: scale.next().unwrap_or_default(),
                opacity: opacity.next().unwrap_or_default(),
                color: color.next().unwrap_or_default(),
                attention: attention.next().unwrap_or_default(),
                screen: screen.next().unwrap_or_default(),
            })
            .collect()
    }

    /// Those of surfel `i`.
    #[inline(always)]
    pub(super) fn one(&mut self, i: usize) -> Gradients<'_, R> {
        let surfels = self.opacity.len();
        let (color, attention) = (self.color.len() / surfels, self.attention.len() / surfels);
        Gradients {
            position: &mut self.position[3 * i..3 * i + 3],
            rotation: &mut self.rotation[4 * i..4 * i + 4],
            scale: &mut self.scale[2 * i..2 * i + 2],
            opacity: &mut self.opacity[i..i + 1],
            color: &mut self.color[color * i..color * (i + 1)],
            attention: &mut self.attention[attention * i..attention * (i + 1)],
            screen: &mut self.screen[2 * i..2 * i + 2],
        }
    }
}

/// Layout of the numbers per surfel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// 3, or 7 with attention.
    pub(super) channels: usize,
    /// Whether gradients of Tw and of the normal follow.
    pub(super) geometry: bool,
}

/// Runs the stage for surfel `index`, `sums` its numbers from blending.
#[inline(always)]
pub(super) fn project_backward<R: Real>(
    view: &View,
    copy: &OneCopy<'_, R>,
    index: usize,
    sums: &[R],
    layout: Layout,
    out: &mut Gradients<'_, R>,
) {
    let surfel = copy.surfel(index);
    let Some(p) = geometry(view, &surfel) else { return };
    let three = |at: usize| -> [f64; 3] { std::array::from_fn(|k| sums[at + k].to_f64()) };
    let (depth_row, normal) = if layout.geometry {
        let at = DRAWN_CHANNELS + layout.channels;
        (three(at), three(at + 3))
    } else {
        ([0.0; 3], [0.0; 3])
    };
    let center = [sums[CENTER].to_f64(), sums[CENTER + 1].to_f64()];
    let cofactors = [three(COFACTORS), three(COFACTORS + 3), three(COFACTORS + 6)];

    let mut rows = rows_gradient(&p, cofactors, depth_row);
    for (k, (screen, size)) in out.screen.iter_mut().zip(view.size).enumerate() {
        *screen = R::from_f64(rows[k][2] * p.rows[2][2] * size as f64 / 2.0);
    }
    if center != [0.0; 2] {
        add_center(&p, center, &mut rows);
    }
    let mut position = geometry_gradient(view, &surfel, &p, &rows, normal, out);
    let color = three(DRAWN_CHANNELS);
    match copy.harmonics {
        None => add_to(out.color, &color),
        Some(degree) => {
            let from_direction = harmonics_gradient(view, copy, index, degree, &surfel.position, color, out);
            position = add(position, from_direction);
        }
    }
    add_to(out.position, &position);
    out.opacity[0] += sums[OPACITY];
    if layout.channels == CHANNELS {
        for (gradient, sum) in out.attention.iter_mut().zip(&sums[DRAWN_CHANNELS + 3..]) {
            *gradient += *sum;
        }
    }
}

#[inline(always)]
fn add_to<R: Real>(out: &mut [R], values: &[f64]) {
    for (gradient, &value) in out.iter_mut().zip(values) {
        *gradient += R::from_f64(value);
    }
}

/// Gradient of Tu, Tv, Tw from that of A = Tu × Tv, B = Tv × Tw, C = Tw × Tu and of Tw itself.
#[inline(always)]
fn rows_gradient(p: &Projection, cofactors: [[f64; 3]; 3], depth_row: [f64; 3]) -> [[f64; 3]; 3] {
    let [tu, tv, tw] = p.rows;
    // What is drawn does not depend on the common factor, so it counts as a constant.
    let [a, b, c] = cofactors.map(|g| scale(g, p.factor));
    [
        add(cross(tv, a), cross(c, tw)),
        add(cross(a, tu), cross(tw, b)),
        add(add(cross(b, tv), cross(tu, c)), depth_row),
    ]
}

/// Adds the share of the box's centre, where the low-pass filter sits.
#[inline(always)]
fn add_center(p: &Projection, gradient: [f64; 2], rows: &mut [[f64; 3]; 3]) {
    let weights = [CUTOFF * CUTOFF, CUTOFF * CUTOFF, -1.0].map(|t| t / p.denominator);
    for (k, g) in gradient.into_iter().enumerate() {
        for i in 0..3 {
            let (row, tw) = (p.rows[k][i], p.rows[2][i]);
            rows[k][i] += g * weights[i] * tw;
            rows[2][i] += g * weights[i] * (row - 2.0 * p.center[k] * tw);
        }
    }
}

/// Adds rotation and scale gradients; the gradient of the centre in the world.
#[inline(always)]
fn geometry_gradient<R: Real>(
    view: &View,
    surfel: &SurfelInput,
    p: &Projection,
    rows: &[[f64; 3]; 3],
    normal: [f64; 3],
    out: &mut Gradients<'_, R>,
) -> [f64; 3] {
    // The rows count pixels from the anchor: Tu = fx·(view x) + (cx − anchor)·Tw.
    let shift = [0, 1].map(|k| view.principal[k] - p.anchor[k]);
    let depth_row: [f64; 3] =
        std::array::from_fn(|i| rows[2][i] + shift[0] * rows[0][i] + shift[1] * rows[1][i]);
    // Of the tangents and of the centre: from view space to the world.
    let world = |i: usize| {
        let in_view = [view.focal[0] * rows[0][i], view.focal[1] * rows[1][i], depth_row[i]];
        transform_transposed(&view.rotation, in_view)
    };
    let tangents = [world(0), world(1)];
    let normal = scale(transform_transposed(&view.rotation, normal), p.sign);
    add_to(out.scale, &[0, 1].map(|k| dot(tangents[k], p.axes[k])));
    let axes = [scale(tangents[0], surfel.scale[0]), scale(tangents[1], surfel.scale[1]), normal];
    add_to(out.rotation, &quaternion_gradient(p.quaternion, &axes));
    world(2)
}

/// Gradient of the polynomial of [`super::project::axes`], `g` by columns of the rotation.
#[inline(always)]
fn quaternion_gradient(q: [f64; 4], g: &[[f64; 3]; 3]) -> [f64; 4] {
    let [w, x, y, z] = q;
    let d = |row: usize, column: usize| g[column][row];
    [
        2.0 * (x * (d(2, 1) - d(1, 2)) + y * (d(0, 2) - d(2, 0)) + z * (d(1, 0) - d(0, 1))),
        2.0 * (y * (d(0, 1) + d(1, 0)) + z * (d(0, 2) + d(2, 0)) + w * (d(2, 1) - d(1, 2)))
            - 4.0 * x * (d(1, 1) + d(2, 2)),
        2.0 * (x * (d(0, 1) + d(1, 0)) + z * (d(1, 2) + d(2, 1)) + w * (d(0, 2) - d(2, 0)))
            - 4.0 * y * (d(0, 0) + d(2, 2)),
        2.0 * (x * (d(0, 2) + d(2, 0)) + y * (d(1, 2) + d(2, 1)) + w * (d(1, 0) - d(0, 1)))
            - 4.0 * z * (d(0, 0) + d(1, 1)),
    ]
}

/// Adds the coefficients' gradients; the gradient of the centre through the viewing direction.
fn harmonics_gradient<R: Real>(
    view: &View,
    copy: &OneCopy<'_, R>,
    index: usize,
    degree: usize,
    position: &[f64; 3],
    color: [f64; 3],
    out: &mut Gradients<'_, R>,
) -> [f64; 3] {
    let (direction, distance) = view_direction(view, position);
    let basis = sh::basis(degree, direction);
    let raw = copy.raw_color(index, degree, &basis);
    let color: [f64; 3] = std::array::from_fn(|c| if raw[c] < 0.0 { 0.0 } else { color[c] });
    for (k, weight) in basis.iter().enumerate().take(sh::functions(degree)) {
        add_to(&mut out.color[3 * k..3 * k + 3], &scale(color, *weight));
    }
    let derivative = sh::basis_derivative(degree, direction);
    let mut along = [0.0; 3];
    for (k, slope) in derivative.iter().enumerate().take(sh::functions(degree)) {
        along = add(along, scale(*slope, dot(copy.coefficient(index, degree, k), color)));
    }
    // Normalising the direction leaves what is across it.
    scale(add(along, scale(direction, -dot(direction, along))), 1.0 / distance)
}
