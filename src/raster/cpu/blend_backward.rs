//! Stage `blend_backward`: from image gradients to gradients of what blending read, one set per (surfel, tile) pair.
//!
//! A ray is walked from its last surfel to its first. q is what a surfel adds to the loss per unit of weight, V what
//! lies behind it is worth per unit of transmittance; then dL/dα = T·(q − V) and V ← V + α·(q − V) on the way to the
//! front, starting from the background. Where the derivative departs from the exact one, it does as the published
//! rasterizer does: the cap of alpha is ignored, and under the low-pass filter the depth does not move the
//! intersection (its exact derivative explodes for discs seen from the edge).

use super::blend::{STAGE, Saved, Tile, distortion_slope};
use super::intersect::{Column, Hit, intersect};
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
    // Where the last of a granule's rays ended, 0 where no gradient arrives.
    let ends: [u32; GRANULES] = std::array::from_fn(|g| {
        if upstream.arrives[g] { saved.end[g].0.iter().copied().max().unwrap_or(0) } else { 0 }
    });
    let end = ends.iter().copied().max().unwrap_or(0) as usize;
    let (pixel_columns, pixel_rows) = (pixel_columns::<R>(), pixel_rows::<R>());
    let mut hits = [Hit::none(); GRANULES];
    for (block, ranks) in tile.pairs[..end].chunks(STAGE).enumerate().rev() {
        let staged = tile.stage(ranks);
        for (i, splat) in staged[..ranks.len()].iter().enumerate().rev() {
            let place = block * STAGE + i;
            let (columns, reached, corner) = tile.reached(splat);
            // In two parts as the forward pass, for the same reason.
            let mut drawn = 0_u32;
            for c in (0..COLUMNS).filter(|&c| columns[c]) {
                let mut rows = reached;
                let column = Column::new(splat, &pixel_columns[c].shifted(corner[0]));
                while rows != 0 {
                    let row = rows.trailing_zeros() as usize;
                    rows &= rows - 1;
                    let g = c * ROWS + row;
                    if place as u32 >= ends[g] {
                        continue;
                    }
                    let mut hit = intersect(splat, &column, &pixel_rows[row].shifted(corner[1]));
                    let end = &saved.end[g];
                    for i in 0..LANES {
                        hit.alpha[i] = if (place as u32) < end[i] { hit.alpha[i] } else { R::ZERO };
                    }
                    drawn |= u32::from(hit.alpha.any_positive()) << g;
                    hits[g] = hit;
                }
            }
            if drawn == 0 {
                continue;
            }
            let mut sums = [Lanes::all(R::ZERO); WIDTH_MAX];
            while drawn != 0 {
                let g = drawn.trailing_zeros() as usize;
                drawn &= drawn - 1;
                let pixels =
                    [pixel_columns[g / ROWS].shifted(corner[0]), pixel_rows[g % ROWS].shifted(corner[1])];
                walk.step(g, splat, &hits[g], &pixels, place as u32, &mut sums);
            }
            let pair = &mut out[place * width..(place + 1) * width];
            for (number, lanes) in pair.iter_mut().zip(&sums) {
                *number = lanes.sum();
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
    /// Takes granule `g` past a splat. `pixels` are their columns and rows, from the anchor.
    #[inline(always)]
    fn step(
        &mut self,
        g: usize,
        splat: &Splat<R>,
        hit: &Hit<R>,
        pixels: &[Lanes<R>; 2],
        place: u32,
        sums: &mut [Lanes<R>; WIDTH_MAX],
    ) {
        let up = self.upstream;
        let zero = Lanes::all(R::ZERO);
        let (alpha, mut transmittance, mut weight) = (&hit.alpha, self.transmittance[g], zero);
        for i in 0..LANES {
            transmittance[i] /= R::ONE - alpha[i];
            weight[i] = alpha[i] * transmittance[i];
        }
        let (mut worth, mut depth_gradient) = (up.alpha[g], zero);
        for k in 0..C {
            worth.add_scaled(&up.channels[k][g], splat.channels[k]);
            sums[DRAWN_CHANNELS + k].add_product(&up.channels[k][g], &weight);
        }
        if up.geometry {
            self.geometry(g, splat, hit, &weight, place, &mut worth, &mut depth_gradient);
            let one = Lanes::all(R::ONE);
            for (k, factor) in [&hit.s[0], &hit.s[1], &one].into_iter().enumerate() {
                sums[DRAWN_CHANNELS + C + k].add_product(&depth_gradient, factor);
            }
            for k in 0..3 {
                sums[DRAWN_CHANNELS + C + 3 + k].add_product(&up.normal[k][g], &weight);
            }
        }
        let mut behind = self.behind[g];
        let (mut opacity, mut center, mut dp) = (zero, [zero; 2], [zero; 3]);
        for i in 0..LANES {
            let difference = worth[i] - behind[i];
            behind[i] += alpha[i] * difference;
            // Not where the ray had ended, though the disc is there.
            let gaussian = if alpha[i] > R::ZERO { hit.gaussian[i] } else { R::ZERO };
            opacity[i] = gaussian * transmittance[i] * difference;
            let exponent = opacity[i] * splat.opacity;
            let disc = exponent * hit.on_disc[i];
            let low_pass = exponent - disc;
            let low_pass = low_pass + low_pass;
            center[0][i] = low_pass * (pixels[0][i] - splat.center[0]);
            center[1][i] = low_pass * (pixels[1][i] - splat.center[1]);
            let along = depth_gradient[i] * hit.on_disc[i];
            let ds0 = along * splat.depth_row[0] - disc * hit.s[0][i];
            let ds1 = along * splat.depth_row[1] - disc * hit.s[1][i];
            dp[0][i] = ds0 * hit.inverse[i];
            dp[1][i] = ds1 * hit.inverse[i];
            dp[2][i] = -(ds0 * hit.s[0][i] + ds1 * hit.s[1][i]) * hit.inverse[i];
        }
        self.transmittance[g] = transmittance;
        self.behind[g] = behind;
        let one = R::ONE;
        sums[OPACITY].add_scaled(&opacity, one);
        sums[CENTER].add_scaled(&center[0], one);
        sums[CENTER + 1].add_scaled(&center[1], one);
        for k in 0..3 {
            sums[COFACTORS + k].add_scaled(&dp[k], one);
            sums[COFACTORS + 3 + k].add_product(&dp[k], &pixels[0]);
            sums[COFACTORS + 6 + k].add_product(&dp[k], &pixels[1]);
        }
    }

    /// Adds what depth, normal, median and distortion say to the worth of a splat, and sets the gradient of its depth.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "one step, cut in two to be read")]
    fn geometry(
        &self,
        g: usize,
        splat: &Splat<R>,
        hit: &Hit<R>,
        weight: &Lanes<R>,
        place: u32,
        worth: &mut Lanes<R>,
        depth_gradient: &mut Lanes<R>,
    ) {
        let up = self.upstream;
        worth.add_product(&up.depth[g], &hit.depth);
        depth_gradient.add_product(&up.depth[g], weight);
        for k in 0..3 {
            worth.add_scaled(&up.normal[k][g], splat.normal[k]);
        }
        if let Some(median) = &self.saved.median {
            let mut sum = *depth_gradient;
            for i in 0..LANES {
                sum[i] += if median[g][i] == place + 1 { up.median[g][i] } else { R::ZERO };
            }
            *depth_gradient = sum;
        }
        if let Some(moments) = &self.saved.moments {
            let slope = distortion_slope::<R>();
            let (first, m1, m2) = (&moments.first[g], &moments.m1[g], &moments.m2[g]);
            let (left, gradient) = (&self.saved.transmittance[g], &up.distortion[g]);
            let (mut more, mut along) = (*worth, *depth_gradient);
            for i in 0..LANES {
                let inverse_depth = R::ONE / hit.depth[i];
                let m = slope * (first[i] - inverse_depth);
                let coverage = R::ONE - left[i];
                more[i] += gradient[i] * (m * m * coverage + m2[i] - (m + m) * m1[i]);
                let in_m = weight[i] * (m * coverage - m1[i]) * gradient[i];
                along[i] += (in_m + in_m) * slope * inverse_depth * inverse_depth;
            }
            (*worth, *depth_gradient) = (more, along);
        }
    }
}
