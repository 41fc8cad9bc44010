//! Where the rays of a granule meet a disc, and with which alpha. Forward and backward run this very code, so both
//! take the same decisions.

use super::lanes::{LANES, Lanes};
use super::project::Splat;
use crate::raster::Real;
use crate::raster::constants::*;

/// A splat, prepared for a column of granules of one tile.
pub(super) struct Column<R> {
    /// A + x·B.
    base: [Lanes<R>; 3],
    /// (centre.x − x)².
    distance_squared: Lanes<R>,
}

/// What the rays of a granule meet. Lanes that draw nothing have alpha, s, inverse and gaussian 0 and depth 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit<R> {
    /// Alpha, at most the cap; 0 where the surfel is not drawn.
    pub(super) alpha: Lanes<R>,
    /// Depth of the disc's plane on the ray.
    pub(super) depth: Lanes<R>,
    /// (u, v) of the disc's plane on the ray.
    pub(super) s: [Lanes<R>; 2],
    /// 1 / p.z.
    pub(super) inverse: Lanes<R>,
    /// e^(−ρ/2).
    pub(super) gaussian: Lanes<R>,
    /// 0 where the low-pass filter decides, else 1.
    pub(super) on_disc: Lanes<R>,
}

impl<R: Real> Hit<R> {
    /// No ray meets anything.
    #[inline(always)]
    pub(super) fn none() -> Self {
        let zero = Lanes::all(R::ZERO);
        let depth = Lanes::all(R::ONE);
        Hit { alpha: zero, depth, s: [zero; 2], inverse: zero, gaussian: zero, on_disc: zero }
    }
}

impl<R: Real> Column<R> {
    /// `x` are the columns of the pixels, from the anchor.
    #[inline(always)]
    pub(super) fn new(splat: &Splat<R>, x: &Lanes<R>) -> Self {
        let [a, b, _] = &splat.cofactors;
        let zero = Lanes::all(R::ZERO);
        let mut column = Column { base: [zero; 3], distance_squared: zero };
        for i in 0..LANES {
            for k in 0..3 {
                column.base[k][i] = a[k] + x[i] * b[k];
            }
            let d = x[i] - splat.center[0];
            column.distance_squared[i] = d * d;
        }
        column
    }
}

/// `y` are the rows of the pixels, from the anchor.
#[inline(always)]
pub(super) fn intersect<R: Real>(splat: &Splat<R>, column: &Column<R>, y: &Lanes<R>) -> Hit<R> {
    let number = |v: f64| R::from_f64(v);
    let (zero, one) = (R::ZERO, R::ONE);
    let (cap, smallest, near) = (number(ALPHA_CAP), number(ALPHA_MIN), number(NEAR));
    let (filter, minus_half, finite) = (number(FILTER_INVERSE_SQUARE), number(-0.5), number(1e37));
    let c = &splat.cofactors[2];
    let mut hit = Hit::none();
    for i in 0..LANES {
        let inverse = one / (column.base[2][i] + y[i] * c[2]);
        let s0 = (column.base[0][i] + y[i] * c[0]) * inverse;
        let s1 = (column.base[1][i] + y[i] * c[1]) * inverse;
        let depth = splat.determinant * inverse;
        let disc = s0 * s0 + s1 * s1;
        let dy = y[i] - splat.center[1];
        let low_pass = filter * (column.distance_squared[i] + dy * dy);
        // The low-pass filter, too, where a ray in the disc's plane has no distance.
        let rho = if disc < low_pass { disc } else { low_pass };
        let gaussian = (minus_half * rho).exp_nonpositive();
        let raw = splat.opacity * gaussian;
        let alpha = if raw < cap { raw } else { cap };
        // The last sum is below no number where one is NaN or infinite.
        let drawn = (alpha >= smallest) & (depth >= near) & (disc + depth < finite);
        hit.alpha[i] = if drawn { alpha } else { zero };
        hit.depth[i] = if drawn { depth } else { one };
        hit.s[0][i] = if drawn { s0 } else { zero };
        hit.s[1][i] = if drawn { s1 } else { zero };
        hit.inverse[i] = if drawn { inverse } else { zero };
        hit.gaussian[i] = if drawn { gaussian } else { zero };
        hit.on_disc[i] = if disc > low_pass { zero } else { one };
    }
    hit
}
