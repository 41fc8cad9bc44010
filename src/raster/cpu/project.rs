//! Stage `project`: one surfel seen by one camera (2DGS, Huang et al. 2024, §4.2 and appendix A).
//!
//! A point (u, v) of a disc, in standard deviations, lands on the pixel (Tu·û / Tw·û, Tv·û / Tw·û) with û = (u, v, 1),
//! and Tw·û is its depth. The ray through pixel (x, y) meets the disc at p = (x·Tw − Tu) × (y·Tw − Tv), which is
//! linear in the pixel because Tw × Tw = 0:
//!
//! ```text
//! p = A + x·B + y·C,  A = Tu × Tv,  B = Tv × Tw,  C = Tw × Tu;   (u, v) = p.xy / p.z,   depth = (Tw·A) / p.z
//! ```
//!
//! Pixels are counted from an anchor near the disc's centre, which keeps f32 accurate far from the image's corner, and
//! A, B, C and the determinant Tw·A share a scale factor, which keeps it accurate for very small discs. This stage
//! computes in f64 whatever the pixels are computed in: it costs little beside them and edge-on discs gain by it.

use super::input::{OneCopy, SurfelInput};
use super::sh;
use super::vector::{add, cross, dot, norm, scale, transform};
use super::view::View;
use crate::raster::Real;
use crate::raster::constants::*;

/// What the geometry of a surfel is from a camera, in f64; forward and backward both start from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Projection {
    /// Unit quaternion (w, x, y, z).
    pub(super) quaternion: [f64; 4],
    /// Columns of its rotation: the two tangents and the normal, world.
    pub(super) axes: [[f64; 3]; 3],
    /// Rows Tu, Tv, Tw, with pixels counted from the anchor.
    pub(super) rows: [[f64; 3]; 3],
    /// The pixel that the rows count from.
    pub(super) anchor: [f64; 2],
    /// Centre of the 3σ box on the screen, from the anchor, pixels.
    pub(super) center: [f64; 2],
    /// (9, 9, −1)·Tw²; divides the centre.
    pub(super) denominator: f64,
    /// Half the side of the square box, pixels, a whole number.
    pub(super) radius: f64,
    /// Normal in view space, facing the camera.
    pub(super) normal: [f64; 3],
    /// −1 where the normal was turned round.
    pub(super) sign: f64,
    /// Depth of the centre.
    pub(super) depth: f64,
    /// A, B and C times [`Projection::factor`].
    pub(super) cofactors: [[f64; 3]; 3],
    /// Tw·A times [`Projection::factor`].
    pub(super) determinant: f64,
    /// What keeps A, B and C near 1.
    pub(super) factor: f64,
}

/// What blending reads of a surfel; 128 bytes in f32.
#[derive(Debug, Clone, Copy)]
pub(super) struct Splat<R> {
    /// A, B, C.
    pub(super) cofactors: [[R; 3]; 3],
    /// Tw·A.
    pub(super) determinant: R,
    /// Centre of the low-pass filter, from the anchor.
    pub(super) center: [R; 2],
    /// Opacity.
    pub(super) opacity: R,
    /// RGB, then attention.
    pub(super) channels: [R; CHANNELS],
    /// Normal in view space.
    pub(super) normal: [R; 3],
    /// Tu, Tv, Tw's last row: Tw.
    pub(super) depth_row: [R; 3],
    /// The pixel that the numbers count from.
    pub(super) anchor: [i32; 2],
    /// Pixels outside first column, first row, last column, last row (inclusive) have alpha under the smallest drawn.
    pub(super) reach: [i32; 4],
}

/// What a camera sees of a surfel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<R> {
    /// What blending reads.
    pub(super) splat: Splat<R>,
    /// Half the side of its box, pixels; 0 where it is hidden.
    pub(super) radius: u32,
    /// Bits of the depth that it is sorted by, in f32; positive floats sort as their bits do.
    pub(super) key: u32,
    /// Tiles that can show it: first column, first row, last column + 1, last row + 1; all 0 where none can.
    pub(super) tiles: [u32; 4],
}

impl<R: Real> Seen<R> {
    /// Shown by no tile.
    fn nowhere(radius: u32) -> Self {
        let zero = R::ZERO;
        let splat = Splat {
            cofactors: [[zero; 3]; 3],
            determinant: zero,
            center: [zero; 2],
            opacity: zero,
            channels: [zero; CHANNELS],
            normal: [zero; 3],
            depth_row: [zero; 3],
            anchor: [0; 2],
            reach: [0; 4],
        };
        Seen { splat, radius, key: 0, tiles: [0; 4] }
    }

    /// Whether a tile can show it.
    pub(super) fn is_drawn(&self) -> bool {
        self.tiles[2] > 0
    }
}

/// Columns of the rotation of a unit quaternion.
#[inline(always)]
pub(super) fn axes(q: [f64; 4]) -> [[f64; 3]; 3] {
    let [w, x, y, z] = q;
    [
        [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y)],
        [2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x)],
        [2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y)],
    ]
}

/// The geometry, or nothing where the surfel is not drawn: behind the near plane, seen exactly from its plane, or not
/// made of ordinary numbers.
#[inline(always)]
pub(super) fn geometry(view: &View, surfel: &SurfelInput) -> Option<Projection> {
    let ordinary = |v: &f64| v.abs() <= MAGNITUDE_MAX;
    if !(surfel.position.iter().chain(&surfel.scale).chain(&surfel.rotation).all(ordinary)) {
        return None;
    }
    let length = surfel.rotation.iter().map(|v| v * v).sum::<f64>().sqrt();
    let quaternion = surfel.rotation.map(|v| v / length);
    let axes = axes(quaternion);
    let center = add(transform(&view.rotation, surfel.position), view.translation);
    let depth = center[2];
    if depth.is_nan() || depth <= NEAR {
        return None;
    }
    let tangents = [0, 1].map(|k| scale(transform(&view.rotation, axes[k]), surfel.scale[k]));
    let normal = transform(&view.rotation, axes[2]);
    let facing = -dot(center, normal);
    if !(facing != 0.0 && facing.is_finite()) {
        return None;
    }
    let sign = if facing > 0.0 { 1.0 } else { -1.0 };

    // From the principal point, so that the box's centre does not depend on where the image's corner is.
    let [fx, fy] = view.focal;
    let column = |axis: usize| [tangents[0][axis], tangents[1][axis], center[axis]];
    let (tu, tv, tw) = (scale(column(0), fx), scale(column(1), fy), column(2));
    let cutoff = [CUTOFF * CUTOFF, CUTOFF * CUTOFF, -1.0];
    let denominator = cutoff[0] * (tw[0] * tw[0] + tw[1] * tw[1]) - tw[2] * tw[2];
    if denominator.is_nan() || denominator == 0.0 {
        return None;
    }
    let (box_center, half_squared) = conic_box(&tu, &tv, &tw, cutoff, denominator);
    let half = half_squared.map(|h| h.max(HALF_BOX_SQUARED_MIN).sqrt());
    let radius = half[0].max(half[1]).max(CUTOFF * FILTER_SIZE).ceil();
    let on_screen = [box_center[0] + view.principal[0], box_center[1] + view.principal[1]];
    if !(on_screen.iter().all(|c| c.is_finite()) && radius.is_finite()) {
        return None;
    }
    let anchor: [f64; 2] = std::array::from_fn(|k| {
        let size = view.size[k] as f64;
        on_screen[k].round().clamp(-size, 2.0 * size)
    });
    let shift = [view.principal[0] - anchor[0], view.principal[1] - anchor[1]];
    let rows = [add(tu, scale(tw, shift[0])), add(tv, scale(tw, shift[1])), tw];
    let raw = [cross(rows[0], rows[1]), cross(rows[1], rows[2]), cross(rows[2], rows[0])];
    let largest = raw.iter().map(|v| v[2].abs()).fold(0.0, f64::max);
    let factor = 1.0 / largest;
    let cofactors = raw.map(|v| scale(v, factor));
    let determinant = dot(tw, cofactors[0]);
    Some(Projection {
        quaternion,
        axes,
        rows,
        anchor,
        center: [on_screen[0] - anchor[0], on_screen[1] - anchor[1]],
        denominator,
        radius,
        normal: scale(normal, sign),
        sign,
        depth,
        cofactors,
        determinant,
        factor,
    })
}

/// Centre and squared half sides of the box around the image of the disc u² + v² ≤ r², `t` = (r², r², −1).
#[inline(always)]
fn conic_box(
    tu: &[f64; 3],
    tv: &[f64; 3],
    tw: &[f64; 3],
    t: [f64; 3],
    denominator: f64,
) -> ([f64; 2], [f64; 2]) {
    let weights = scale(t, 1.0 / denominator);
    let mean = |a: &[f64; 3], b: &[f64; 3]| {
        weights[0] * a[0] * b[0] + weights[1] * a[1] * b[1] + weights[2] * a[2] * b[2]
    };
    let center = [mean(tu, tw), mean(tv, tw)];
    (center, [center[0] * center[0] - mean(tu, tu), center[1] * center[1] - mean(tv, tv)])
}

/// Inclusive pixel bounds outside which alpha stays under [`ALPHA_MIN`], or nothing where it does so everywhere.
/// Generous by a hair, so that rounding in the pixels' arithmetic cannot reach beyond it.
#[inline(always)]
fn reach(view: &View, p: &Projection, opacity: f64) -> Option<[i32; 4]> {
    let [width, height] = view.size.map(|s| s as f64 - 1.0);
    let level = 2.0 * (opacity / ALPHA_MIN).ln() * (1.0 + 1e-4) + 1e-3;
    // The logarithm of a negative opacity is NaN.
    if level.is_nan() || level <= 0.0 {
        return None;
    }
    let [tu, tv, tw] = &p.rows;
    let t = [level, level, -1.0];
    let denominator = level * (tw[0] * tw[0] + tw[1] * tw[1]) - tw[2] * tw[2];
    let whole = [0.0, 0.0, width, height];
    let bounds = if denominator < -1e-3 * tw[2] * tw[2] {
        let (center, half_squared) = conic_box(tu, tv, tw, t, denominator);
        let low_pass = (level / FILTER_INVERSE_SQUARE).sqrt();
        let side = |k: usize, sign: f64| {
            let half = half_squared[k].max(0.0).sqrt() * (1.0 + 1e-3) + 0.01;
            let (disc, filter) = (center[k] + sign * half, p.center[k] + sign * (low_pass + 0.01));
            p.anchor[k] + if sign < 0.0 { disc.min(filter).ceil() } else { disc.max(filter).floor() }
        };
        [side(0, -1.0), side(1, -1.0), side(0, 1.0), side(1, 1.0)]
    } else {
        // Part of the disc is behind the eye; its image has no box.
        whole
    };
    if bounds.iter().any(|b| b.is_nan()) {
        return None;
    }
    let inside = [bounds[0].max(0.0), bounds[1].max(0.0), bounds[2].min(width), bounds[3].min(height)];
    (inside[0] <= inside[2] && inside[1] <= inside[3]).then(|| inside.map(|b| b as i32))
}

/// Tiles of the square box: first column, first row, last column + 1, last row + 1.
#[inline(always)]
fn square_tiles(view: &View, p: &Projection) -> [u32; 4] {
    let count = view.tiles().map(|t| t as f64);
    let tile = TILE as f64;
    let low = |k: usize| ((p.anchor[k] + p.center[k] - p.radius) / tile).trunc().clamp(0.0, count[k]);
    let high =
        |k: usize| ((p.anchor[k] + p.center[k] + p.radius + tile - 1.0) / tile).trunc().clamp(0.0, count[k]);
    [low(0) as u32, low(1) as u32, high(0) as u32, high(1) as u32]
}

/// Runs the stage for surfel `index` of one copy.
#[inline(always)]
pub(super) fn project<R: Real>(view: &View, copy: &OneCopy<'_, R>, index: usize) -> Seen<R> {
    let hidden = Seen::nowhere(0);
    let surfel = copy.surfel(index);
    let Some(p) = geometry(view, &surfel) else { return hidden };
    let square = square_tiles(view, &p);
    if square[0] >= square[2] || square[1] >= square[3] {
        return hidden;
    }
    let mut channels = [0.0; CHANNELS];
    let color = copy.color(index, view_direction(view, &surfel.position).0);
    channels[..3].copy_from_slice(&color);
    channels[3..].copy_from_slice(&copy.attention(index));
    if !channels.iter().chain([&surfel.opacity]).all(|v| v.abs() <= MAGNITUDE_MAX) {
        return hidden;
    }
    let radius = p.radius.min(f64::from(i32::MAX)) as u32;
    let Some(reach) = reach(view, &p, surfel.opacity) else { return Seen::nowhere(radius) };
    let touched =
        [reach[0], reach[1], reach[2] + TILE as i32, reach[3] + TILE as i32].map(|v| v as u32 / TILE as u32);
    let tiles = [
        square[0].max(touched[0]),
        square[1].max(touched[1]),
        square[2].min(touched[2]),
        square[3].min(touched[3]),
    ];
    if tiles[0] >= tiles[2] || tiles[1] >= tiles[3] {
        return Seen::nowhere(radius);
    }
    let number = |v: f64| R::from_f64(v);
    let splat = Splat {
        cofactors: p.cofactors.map(|v| v.map(number)),
        determinant: number(p.determinant),
        center: p.center.map(number),
        opacity: number(surfel.opacity),
        channels: channels.map(number),
        normal: p.normal.map(number),
        depth_row: p.rows[2].map(number),
        anchor: p.anchor.map(|v| v as i32),
        reach,
    };
    // A disc whose determinant or cofactors are no numbers in R has no area that a pixel could see.
    let cofactors = splat.cofactors.iter().flatten();
    if !cofactors.chain([&splat.determinant]).chain(&splat.center).all(|v| v.to_f64().abs() <= MAGNITUDE_MAX)
    {
        return hidden;
    }
    let key = (p.depth as f32 + copy.depth_offset(index)).to_bits();
    Seen { splat, radius, key, tiles }
}

/// Unit direction from the camera to a point, and the distance.
#[inline(always)]
pub(super) fn view_direction(view: &View, position: &[f64; 3]) -> ([f64; 3], f64) {
    let v = std::array::from_fn(|k| position[k] - view.position[k]);
    let length = norm(v);
    (scale(v, 1.0 / length), length)
}

impl<R: Real> OneCopy<'_, R> {
    /// Colour that surfel `index` shows in the direction `d`.
    #[inline(always)]
    fn color(&self, index: usize, d: [f64; 3]) -> [f64; 3] {
        match self.harmonics {
            None => self.ready_color(index),
            Some(degree) => {
                let basis = sh::basis(degree, d);
                self.raw_color(index, degree, &basis).map(|c| if c < 0.0 { 0.0 } else { c })
            }
        }
    }
}
