//! Where the rays of a granule meet a disc, and with which alpha. Forward and backward run this very code, so both
//! take the same decisions.

use super::lanes::{LANES, Lanes};
use super::project::Splat;
use crate::raster::Real;
use crate::raster::constants::*;

/// A splat, prepared for a column of granules of one tile.
pub(super) struct Column<R> {
    /// Columns of the pixels, from the anchor.
    pub(super) x: Lanes<R>,
    /// A + x·B.
    base: [Lanes<R>; 3],
    /// (centre.x − x)².
    distance_squared: Lanes<R>,
}

/// What the rays of a granule meet. Lanes that draw nothing have alpha, s and inverse 0 and depth 1.
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
    /// 1 where the low-pass filter decides, else 0.
    pub(super) low_pass: Lanes<R>,
}

impl<R: Real> Column<R> {
    /// `pixels` are columns in the tile, `left` the tile's first column, from the anchor.
    #[inline(always)]
    pub(super) fn new(splat: &Splat<R>, pixels: &Lanes<R>, left: R) -> Self {
        let [a, b, _] = &splat.cofactors;
        let mut column =
            Column { x: [R::ZERO; LANES], base: [[R::ZERO; LANES]; 3], distance_squared: [R::ZERO; LANES] };
        for i in 0..LANES {
            let x = pixels[i] + left;
            column.x[i] = x;
            for k in 0..3 {
                column.base[k][i] = a[k] + x * b[k];
            }
            let d = splat.center[0] - x;
            column.distance_squared[i] = d * d;
        }
        column
    }
}

/// `y` are the pixels' rows, from the anchor.
#[inline(always)]
pub(super) fn intersect<R: Real>(splat: &Splat<R>, column: &Column<R>, y: &Lanes<R>) -> Hit<R> {
    let c = &splat.cofactors[2];
    let cap = R::from_f64(ALPHA_CAP);
    let smallest = R::from_f64(ALPHA_MIN);
    let near = R::from_f64(NEAR);
    let filter = R::from_f64(FILTER_INVERSE_SQUARE);
    let minus_half = R::from_f64(-0.5);
    // Infinities and NaN of rays in the disc's plane fail this.
    let finite = R::from_f64(1e37);
    let mut hit = Hit {
        alpha: [R::ZERO; LANES],
        depth: [R::ZERO; LANES],
        s: [[R::ZERO; LANES]; 2],
        inverse: [R::ZERO; LANES],
        gaussian: [R::ZERO; LANES],
        low_pass: [R::ZERO; LANES],
    };
    for i in 0..LANES {
        let p0 = column.base[0][i] + y[i] * c[0];
        let p1 = column.base[1][i] + y[i] * c[1];
        let p2 = column.base[2][i] + y[i] * c[2];
        let inverse = R::ONE / p2;
        let (s0, s1) = (p0 * inverse, p1 * inverse);
        let depth = splat.determinant * inverse;
        let disc = s0 * s0 + s1 * s1;
        let dy = splat.center[1] - y[i];
        let low = filter * (column.distance_squared[i] + dy * dy);
        let rho = if disc < low { disc } else { low };
        let gaussian = (minus_half * rho).exp_nonpositive();
        let raw = splat.opacity * gaussian;
        let alpha = if raw < cap { raw } else { cap };
        let drawn = (alpha >= smallest) & (depth >= near) & (disc + depth < finite);
        hit.alpha[i] = if drawn { alpha } else { R::ZERO };
        hit.depth[i] = if drawn { depth } else { R::ONE };
        hit.s[0][i] = if drawn { s0 } else { R::ZERO };
        hit.s[1][i] = if drawn { s1 } else { R::ZERO };
        hit.inverse[i] = if drawn { inverse } else { R::ZERO };
        hit.gaussian[i] = gaussian;
        hit.low_pass[i] = if disc > low { R::ONE } else { R::ZERO };
    }
    hit
}
