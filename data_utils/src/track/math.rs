//! Small vectors, rotations and the banded factorisation the fits need, all in `f64`.

pub(crate) use crate::linear::Cholesky;

/// A vector or point of space.
pub type V3 = [f64; 3];
/// A 3×3 matrix, rows first.
pub type M3 = [[f64; 3]; 3];

pub(crate) fn add(a: V3, b: V3) -> V3 {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub(crate) fn sub(a: V3, b: V3) -> V3 {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub(crate) fn scale(a: V3, s: f64) -> V3 {
    a.map(|v| v * s)
}

pub(crate) fn dot(a: V3, b: V3) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn cross(a: V3, b: V3) -> V3 {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

pub(crate) fn length(a: V3) -> f64 {
    dot(a, a).sqrt()
}

/// The vector at length 1, or the zero vector where it has no direction.
pub(crate) fn unit(a: V3) -> V3 {
    let l = length(a);
    if l > 0.0 { scale(a, 1.0 / l) } else { [0.0; 3] }
}

pub(crate) fn apply(m: &M3, v: V3) -> V3 {
    [dot(m[0], v), dot(m[1], v), dot(m[2], v)]
}

/// Transposed matrix times vector: the inverse of a rotation.
pub(crate) fn apply_transposed(m: &M3, v: V3) -> V3 {
    std::array::from_fn(|k| m[0][k] * v[0] + m[1][k] * v[1] + m[2][k] * v[2])
}

pub(crate) fn product(a: &M3, b: &M3) -> M3 {
    std::array::from_fn(|r| std::array::from_fn(|c| (0..3).map(|k| a[r][k] * b[k][c]).sum()))
}

pub(crate) fn transposed(m: &M3) -> M3 {
    std::array::from_fn(|r| std::array::from_fn(|c| m[c][r]))
}

/// The rotation about `w` by |w| radians (Rodrigues).
pub(crate) fn rotation(w: V3) -> M3 {
    let angle = length(w);
    let (a, b) = if angle < 1e-6 {
        (1.0 - angle * angle / 6.0, 0.5 - angle * angle / 24.0)
    } else {
        (angle.sin() / angle, (1.0 - angle.cos()) / (angle * angle))
    };
    let outside = [[0.0, -w[2], w[1]], [w[2], 0.0, -w[0]], [-w[1], w[0], 0.0]];
    let twice = product(&outside, &outside);
    std::array::from_fn(|r| {
        std::array::from_fn(|c| f64::from(u8::from(r == c)) + a * outside[r][c] + b * twice[r][c])
    })
}

/// The rotation vector of a rotation, |w| ≤ π.
pub(crate) fn rotation_vector(m: &M3) -> V3 {
    let axis = [m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]];
    let sine = length(axis) / 2.0;
    let cosine = (m[0][0] + m[1][1] + m[2][2] - 1.0) / 2.0;
    let angle = sine.atan2(cosine);
    if sine > 1e-9 {
        return scale(axis, angle / (2.0 * sine));
    }
    if cosine > 0.0 {
        return scale(axis, 0.5);
    }
    // Half a turn: the axis is the column of (R + I) that is longest.
    let column = |c: usize| -> V3 { std::array::from_fn(|r| m[r][c] + f64::from(u8::from(r == c))) };
    let longest = (0..3).map(column).max_by(|a, b| length(*a).total_cmp(&length(*b))).unwrap_or_default();
    scale(unit(longest), angle)
}

/// The rotation nearest to a matrix that has drifted from one (Gram–Schmidt on its rows).
pub(crate) fn orthonormal(m: &M3) -> M3 {
    let x = unit(m[0]);
    let y = unit(sub(m[1], scale(x, dot(x, m[1]))));
    [x, y, cross(x, y)]
}

/// A symmetric positive definite band matrix: entry (i, i − k) is at `[i, k]`, k ≤ `half`.
#[derive(Debug, Clone)]
pub(crate) struct Banded {
    half: usize,
    values: Vec<f64>,
}

impl Banded {
    pub(crate) fn zeros(n: usize, half: usize) -> Self {
        Banded { half, values: vec![0.0; n * (half + 1)] }
    }

    /// Adds to entry (i, j) of the lower triangle, i − j ≤ half; the upper triangle follows by symmetry.
    pub(crate) fn add(&mut self, i: usize, j: usize, value: f64) {
        let (i, j) = (i.max(j), i.min(j));
        self.values[i * (self.half + 1) + (i - j)] += value;
    }

    /// Matrix times vector.
    pub(crate) fn times(&self, v: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; v.len()];
        for i in 0..v.len() {
            let row = &self.values[i * (self.half + 1)..(i + 1) * (self.half + 1)];
            out[i] += row[0] * v[i];
            for k in 1..=self.half.min(i) {
                out[i] += row[k] * v[i - k];
                out[i - k] += row[k] * v[i];
            }
        }
        out
    }

    /// L·Lᵀ in the same band; none when the matrix is not positive definite.
    pub(crate) fn factor(mut self) -> Option<Self> {
        let w = self.half + 1;
        for i in 0..self.values.len() / w {
            for k in (0..=self.half.min(i)).rev() {
                let j = i - k;
                let mut sum = self.values[i * w + k];
                for m in j.saturating_sub(self.half).max(i.saturating_sub(self.half))..j {
                    sum -= self.values[i * w + (i - m)] * self.values[j * w + (j - m)];
                }
                self.values[i * w + k] = if k > 0 {
                    sum / self.values[j * w]
                } else if sum > 0.0 {
                    sum.sqrt()
                } else {
                    return None;
                };
            }
        }
        Some(self)
    }

    /// A⁻¹ applied to a vector in place, by the factor of [`Banded::factor`].
    pub(crate) fn solve(&self, b: &mut [f64]) {
        let w = self.half + 1;
        for i in 0..b.len() {
            let sum: f64 = (1..=self.half.min(i)).map(|k| self.values[i * w + k] * b[i - k]).sum();
            b[i] = (b[i] - sum) / self.values[i * w];
        }
        for i in (0..b.len()).rev() {
            b[i] /= self.values[i * w];
            for k in 1..=self.half.min(i) {
                b[i - k] -= self.values[i * w + k] * b[i];
            }
        }
    }
}

/// Preconditioned conjugate gradients for A·x = b from x = 0: at most `rounds`, until the residual's energy has fallen
/// to `close`² of the first.
pub(crate) fn conjugate_gradients(
    b: &[f64],
    times: impl Fn(&[f64]) -> Vec<f64>,
    precondition: impl Fn(&[f64]) -> Vec<f64>,
    rounds: usize,
    close: f64,
) -> Vec<f64> {
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let mut x = vec![0.0; b.len()];
    let mut r = b.to_vec();
    let mut z = precondition(&r);
    let mut p = z.clone();
    let mut energy = product(&r, &z);
    let enough = energy * close * close;
    for _ in 0..rounds {
        let q = times(&p);
        let curvature = product(&p, &q);
        if curvature.is_nan() || curvature <= 0.0 || energy <= enough {
            break;
        }
        let step = energy / curvature;
        x.iter_mut().zip(&p).for_each(|(x, p)| *x += step * p);
        r.iter_mut().zip(&q).for_each(|(r, q)| *r -= step * q);
        z = precondition(&r);
        let next = product(&r, &z);
        let keep = next / energy;
        p.iter_mut().zip(&z).for_each(|(p, z)| *p = z + keep * *p);
        energy = next;
    }
    x
}

/// The median; 0 of no values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_come_back_from_their_vectors() {
        for w in [[0.3, -0.2, 0.5], [1e-9, 0.0, 2e-9], [0.0, 3.0, 0.0], [std::f64::consts::PI, 0.0, 0.0]] {
            let back = rotation_vector(&rotation(w));
            assert!(length(sub(back, w)) < 1e-7, "{w:?} {back:?}");
        }
        let m = rotation([0.3, -0.2, 0.5]);
        let drifted = m.map(|r| r.map(|v| v + 1e-9));
        assert!(length(sub(orthonormal(&drifted)[2], m[2])) < 1e-7);
    }

    #[test]
    fn both_factorisations_solve_the_same_system() {
        let (n, half) = (9, 2);
        let mut band = Banded::zeros(n, half);
        let mut dense = vec![0.0; n * n];
        for i in 0..n {
            for j in i.saturating_sub(half)..=i {
                let value = if i == j { 5.0 + i as f64 } else { 1.0 / (1 + i + 2 * j) as f64 };
                band.add(i, j, value);
                dense[i * n + j] = value;
            }
        }
        let right: Vec<f64> = (0..n).map(|i| (i as f64 - 3.0) * 0.7).collect();
        let (mut a, mut b) = (right.clone(), right.clone());
        Cholesky::new(dense, n).expect("positive definite").solve(&mut a);
        band.clone().factor().expect("positive definite").solve(&mut b);
        for (x, y) in a.iter().zip(&b) {
            assert!((x - y).abs() < 1e-12);
        }
        for (x, y) in band.times(&b).iter().zip(&right) {
            assert!((x - y).abs() < 1e-12);
        }
    }

    #[test]
    fn an_indefinite_matrix_is_refused() {
        assert!(Cholesky::new(vec![1.0, 0.0, 2.0, 1.0], 2).is_none());
        let mut band = Banded::zeros(2, 1);
        band.add(0, 0, 1.0);
        band.add(1, 0, 2.0);
        band.add(1, 1, 1.0);
        assert!(band.factor().is_none());
    }
}
