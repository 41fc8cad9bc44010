//! Arithmetic of three numbers, in f64.

#[inline(always)]
pub(super) fn add(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

#[inline(always)]
pub(super) fn scale(a: [f64; 3], s: f64) -> [f64; 3] {
    a.map(|v| v * s)
}

#[inline(always)]
pub(super) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[inline(always)]
pub(super) fn norm(a: [f64; 3]) -> f64 {
    dot(a, a).sqrt()
}

#[inline(always)]
pub(super) fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// m·a, `m` by rows.
#[inline(always)]
pub(super) fn transform(m: &[[f64; 3]; 3], a: [f64; 3]) -> [f64; 3] {
    [dot(m[0], a), dot(m[1], a), dot(m[2], a)]
}

/// mᵀ·a, `m` by rows.
#[inline(always)]
pub(super) fn transform_transposed(m: &[[f64; 3]; 3], a: [f64; 3]) -> [f64; 3] {
    std::array::from_fn(|k| m[0][k] * a[0] + m[1][k] * a[1] + m[2][k] * a[2])
}
