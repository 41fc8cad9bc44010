//! Stage `blend_backward`: from image gradients to gradients of what blending read, one set per (surfel, tile) pair.
//!
//! A ray is walked from its last surfel to its first. q is what a surfel adds to the loss per unit of weight, V what
//! lies behind it is worth per unit of transmittance; then dL/dα = T·(q − V) and V ← V + α·(q − V) on the way to the
//! front, starting from the background. Where the derivative departs from the exact one, it does as the published
//! rasterizer does: the cap of alpha is ignored, and under the low-pass filter the depth does not move the
//! intersection (its exact derivative explodes for discs seen from the edge).

use super::blend::{Saved, Tile, distortion_slope};
use super::intersect::{Column, intersect};
use super::lanes::*;
use super::project::Splat;
use super::upstream::Upstream;
use crate::raster::Real;

/// Gradient of A; B and C follow.
pub(super) const COFACTORS: usize = 0;
/// Gradient of the low-pass centre, 2.
pub(super) const CENTER: usize = 9;
/// Gradient of the opacity, 1.
pub(super) const OPACITY: usize = 11;
/// Gradient of the colour, then attention; then, where geometry is asked for, of Tw (3) and of the normal (3).
pub(super) const DRAWN_CHANNELS: usize = 12;
/// Numbers per pair with everything asked for.
const WIDTH_MAX: usize = 25;

/// Numbers per pair.
pub(super) fn width(channels: usize, geometry: bool) -> usize {
    DRAWN_CHANNELS + channels + if geometry { 6 } else { 0 }
}

/// Gradients of a tile's pairs, `[pairs, width]` into `out`, which is zero. `C` is 3, or 7 with attention.
#[inline(always)]
pub(super) fn blend_backward<R: Real, const C: usize>(
    tile: &Tile<'_, R>,
    saved: &Saved<R>,
    upstream: &Upstream<R, C>,
    out: &mut [R],
) {
    let width = width(C, upstream.geometry);
    let mut walk =
        Walk { saved, upstream, transmittance: saved.transmittance, behind: upstream.background_value };
    // Place after the last surfel that a granule's rays see, 0 where no gradient arrives.
    let ends: [u32; GRANULES] = std::array::from_fn(|g| {
        if upstream.arrives[g] { saved.last[g].iter().copied().max().unwrap_or(0) } else { 0 }
    });
    let end = ends.iter().copied().max().unwrap_or(0) as usize;
    let pixel_columns: [Lanes<R>; COLUMNS] = std::array::from_fn(pixel_columns);
    let pixel_rows: [Lanes<R>; ROWS] = std::array::from_fn(pixel_rows);
    for (place, &rank) in tile.pairs[..end].iter().enumerate().rev() {
        let splat = &tile.splats[rank as usize];
        let (columns, rows, corner) = tile.reached(splat);
        let mut sums = [[R::ZERO; LANES]; WIDTH_MAX];
        let mut any = false;
        for c in (0..COLUMNS).filter(|&c| columns[c]) {
            let mut rows = rows;
            let column = Column::new(splat, &pixel_columns[c], corner[0]);
            while rows != 0 {
                let row = rows.trailing_zeros() as usize;
                rows &= rows - 1;
                let g = c * ROWS + row;
                if place as u32 >= ends[g] {
                    continue;
                }
                let y: Lanes<R> = std::array::from_fn(|i| pixel_rows[row][i] + corner[1]);
                any |= walk.step(g, splat, &column, &y, place as u32, &mut sums);
            }
        }
        if any {
            let pair = &mut out[place * width..(place + 1) * width];
            for (number, lanes) in pair.iter_mut().zip(&sums) {
                *number = sum(lanes);
            }
        }
    }
}

/// Where the rays of a tile are on their way to the front.
struct Walk<'a, R, const C: usize> {
    saved: &'a Saved<R>,
    upstream: &'a Upstream<R, C>,
    transmittance: Plane<R>,
    /// V, see the module.
    behind: Plane<R>,
}

impl<R: Real, const C: usize> Walk<'_, R, C> {
    /// Takes granule `g` past a splat; whether it was drawn there.
    #[inline(always)]
    fn step(
        &mut self,
        g: usize,
        splat: &Splat<R>,
        column: &Column<R>,
        y: &Lanes<R>,
        place: u32,
        sums: &mut [Lanes<R>; WIDTH_MAX],
    ) -> bool {
        let mut hit = intersect(splat, column, y);
        let last = &self.saved.last[g];
        for i in 0..LANES {
            hit.alpha[i] = if place < last[i] { hit.alpha[i] } else { R::ZERO };
        }
        if sum(&hit.alpha) == R::ZERO {
            return false;
        }
        let up = self.upstream;
        let (alpha, low_pass) = (&hit.alpha, &hit.low_pass);
        let mut weight = [R::ZERO; LANES];
        let mut worth = up.alpha[g];
        for i in 0..LANES {
            self.transmittance[g][i] = self.transmittance[g][i] / (R::ONE - alpha[i]);
            weight[i] = alpha[i] * self.transmittance[g][i];
        }
        for k in 0..C {
            let gradient = &up.channels[k][g];
            for i in 0..LANES {
                worth[i] += splat.channels[k] * gradient[i];
                sums[DRAWN_CHANNELS + k][i] += weight[i] * gradient[i];
            }
        }
        let mut depth_gradient = [R::ZERO; LANES];
        if up.geometry {
            self.geometry(g, splat, &hit.depth, &weight, place, &mut worth, &mut depth_gradient);
            for (k, gradient) in up.normal.iter().enumerate() {
                for i in 0..LANES {
                    sums[DRAWN_CHANNELS + C + 3 + k][i] += weight[i] * gradient[g][i];
                }
            }
            let tw = DRAWN_CHANNELS + C;
            for i in 0..LANES {
                let gradient = if alpha[i] > R::ZERO { depth_gradient[i] } else { R::ZERO };
                depth_gradient[i] = gradient;
                sums[tw][i] += gradient * hit.s[0][i];
                sums[tw + 1][i] += gradient * hit.s[1][i];
                sums[tw + 2][i] += gradient;
            }
        }
        let behind = &mut self.behind[g];
        let two = R::ONE + R::ONE;
        for i in 0..LANES {
            let difference = worth[i] - behind[i];
            behind[i] += alpha[i] * difference;
            let alpha_gradient =
                if alpha[i] > R::ZERO { self.transmittance[g][i] * difference } else { R::ZERO };
            let opacity_gradient = hit.gaussian[i] * alpha_gradient;
            sums[OPACITY][i] += opacity_gradient;
            let exponent_gradient = splat.opacity * opacity_gradient;
            let low = exponent_gradient * low_pass[i] * two;
            sums[CENTER][i] += low * (column.x[i] - splat.center[0]);
            sums[CENTER + 1][i] += low * (y[i] - splat.center[1]);
            let on_disc = R::ONE - low_pass[i];
            let disc = exponent_gradient * on_disc;
            let ray = depth_gradient[i] * on_disc;
            let (s0, s1) = (hit.s[0][i], hit.s[1][i]);
            let ds0 = ray * splat.depth_row[0] - disc * s0;
            let ds1 = ray * splat.depth_row[1] - disc * s1;
            let dp = [ds0 * hit.inverse[i], ds1 * hit.inverse[i], -(ds0 * s0 + ds1 * s1) * hit.inverse[i]];
            for k in 0..3 {
                sums[COFACTORS + k][i] += dp[k];
                sums[COFACTORS + 3 + k][i] += dp[k] * column.x[i];
                sums[COFACTORS + 6 + k][i] += dp[k] * y[i];
            }
        }
        true
    }

    /// Adds what depth, normal, median and distortion say to the worth of a splat and to the gradient of its depth.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "one loop body, cut in two to be read")]
    fn geometry(
        &self,
        g: usize,
        splat: &Splat<R>,
        depth: &Lanes<R>,
        weight: &Lanes<R>,
        place: u32,
        worth: &mut Lanes<R>,
        depth_gradient: &mut Lanes<R>,
    ) {
        let up = self.upstream;
        for i in 0..LANES {
            worth[i] += up.depth[g][i] * depth[i];
            depth_gradient[i] = up.depth[g][i] * weight[i];
        }
        for (k, gradient) in up.normal.iter().enumerate() {
            for i in 0..LANES {
                worth[i] += gradient[g][i] * splat.normal[k];
            }
        }
        if let Some(median) = &self.saved.median {
            for i in 0..LANES {
                let here = if median[g][i] == place + 1 { up.median[g][i] } else { R::ZERO };
                depth_gradient[i] += here;
            }
        }
        if let Some(moments) = &self.saved.moments {
            let slope = distortion_slope::<R>();
            let two = R::ONE + R::ONE;
            for i in 0..LANES {
                let inverse_depth = R::ONE / depth[i];
                let m = slope * (moments.first[g][i] - inverse_depth);
                let (m1, m2) = (moments.m1[g][i], moments.m2[g][i]);
                let coverage = R::ONE - self.saved.transmittance[g][i];
                let gradient = up.distortion[g][i];
                worth[i] += gradient * (m * m * coverage + m2 - two * m * m1);
                let along = two * weight[i] * (m * coverage - m1) * gradient;
                depth_gradient[i] += along * slope * inverse_depth * inverse_depth;
            }
        }
    }
}
