//! Small curves the anatomy is drawn with: bells, ramps, splines, and seeded chance.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A bell of height 1: exp(−(x² + y²)/2), arguments in standard deviations.
pub(super) fn bell(x: f32, y: f32) -> f32 {
    (-0.5 * (x * x + y * y)).exp()
}

/// 0 at `from`, 1 at `to` and beyond, smooth in between; `from` may lie above `to`.
pub(super) fn ramp(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// From `a` (t = 0) to `b` (t = 1) on a straight line.
pub(super) fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// Catmull-Rom spline through evenly spaced rows of `N` numbers; `v` counts rows and is clamped to the table.
pub(super) fn spline<const N: usize>(rows: &[[f32; N]], v: f32) -> [f32; N] {
    let last = rows.len() - 1;
    let v = v.clamp(0.0, last as f32);
    let i = (v as usize).min(last.saturating_sub(1));
    let t = v - i as f32;
    let row = |k: isize| &rows[k.clamp(0, last as isize) as usize];
    let (a, b, c, d) = (row(i as isize - 1), row(i as isize), row(i as isize + 1), row(i as isize + 2));
    std::array::from_fn(|k| {
        let (p, q, r, s) = (a[k], b[k], c[k], d[k]);
        0.5 * (2.0 * q
            + (r - p) * t
            + (2.0 * p - 5.0 * q + 4.0 * r - s) * t * t
            + (3.0 * q - p - 3.0 * r + s) * t * t * t)
    })
}

/// Piecewise linear function through (x, y) knots with ascending x; constant outside.
pub(super) fn polyline(knots: &[(f32, f32)], x: f32) -> f32 {
    let after = knots.partition_point(|k| k.0 <= x);
    match (after.checked_sub(1).map(|i| knots[i]), knots.get(after)) {
        (Some(a), Some(b)) => mix(a.1, b.1, (x - a.0) / (b.0 - a.0)),
        (Some(a), None) => a.1,
        (None, Some(b)) => b.1,
        (None, None) => 0.0,
    }
}

/// A seeded stream of chance, the same on every machine.
pub(super) struct Chance(ChaCha8Rng);

impl Chance {
    /// One stream per seed and purpose, so that adding a purpose does not disturb the others.
    pub(super) fn new(seed: u64, purpose: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(purpose);
        Chance(rng)
    }

    /// Uniform in 0..1.
    pub(super) fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / (1u32 << 24) as f32
    }

    /// Uniform between two numbers.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform in −1..1.
    pub(super) fn sign(&mut self) -> f32 {
        self.between(-1.0, 1.0)
    }
}
