//! Factors of symmetric positive definite matrices.

/// A symmetric positive definite matrix, factored in place: lower triangle L with L·Lᵀ = A, rows of `n`.
#[derive(Debug, Clone)]
pub struct Cholesky {
    n: usize,
    rows: Vec<f64>,
}

impl Cholesky {
    /// Factors `matrix` (`[n, n]`, only the lower triangle is read); none when it is not positive definite.
    pub fn new(mut matrix: Vec<f64>, n: usize) -> Option<Self> {
        for i in 0..n {
            let (above, from_i) = matrix.split_at_mut(i * n);
            let row = &mut from_i[..n];
            for j in 0..i {
                let other = &above[j * n..j * n + j + 1];
                let sum: f64 = row[..j].iter().zip(&other[..j]).map(|(a, b)| a * b).sum();
                row[j] = (row[j] - sum) / other[j];
            }
            let sum: f64 = row[..i].iter().map(|a| a * a).sum();
            let pivot = row[i] - sum;
            if pivot.is_nan() || pivot <= 0.0 {
                return None;
            }
            row[i] = pivot.sqrt();
        }
        Some(Cholesky { n, rows: matrix })
    }

    /// L, `[n, n]`; what lies above the diagonal means nothing.
    pub fn lower(&self) -> &[f64] {
        &self.rows
    }

    /// L⁻¹ applied to the `columns` columns of `b` (`[n, columns]`), in place.
    pub fn forward(&self, b: &mut [f64], columns: usize) {
        for i in 0..self.n {
            let (above, from_i) = b.split_at_mut(i * columns);
            let row = &mut from_i[..columns];
            for j in 0..i {
                let factor = self.rows[i * self.n + j];
                let other = &above[j * columns..(j + 1) * columns];
                row.iter_mut().zip(other).for_each(|(a, o)| *a -= factor * o);
            }
            let inverse = 1.0 / self.rows[i * self.n + i];
            row.iter_mut().for_each(|a| *a *= inverse);
        }
    }

    /// L⁻ᵀ applied to one vector, in place.
    pub fn backward(&self, b: &mut [f64]) {
        self.backward_leading(b, self.n);
    }

    /// Solves the leading `m` unknowns of Lᵀ·x = b in place, given the solution of the others.
    pub fn backward_leading(&self, b: &mut [f64], m: usize) {
        for i in (0..self.n).rev() {
            if i < m {
                b[i] /= self.rows[i * self.n + i];
            }
            let value = b[i];
            let row = &self.rows[i * self.n..i * self.n + i.min(m)];
            b.iter_mut().zip(row).for_each(|(b, r)| *b -= r * value);
        }
    }

    /// Matrix and gradient of the last `M` unknowns after the others are eliminated (Schur complement); `right` is L⁻¹
    /// applied to the gradient.
    pub fn trailing<const M: usize>(&self, right: &[f64]) -> ([[f64; M]; M], [f64; M]) {
        let from = self.n - M;
        let entry = |r: usize, c: usize| if c > r { 0.0 } else { self.rows[(from + r) * self.n + from + c] };
        let matrix =
            std::array::from_fn(|a| std::array::from_fn(|b| (0..M).map(|k| entry(a, k) * entry(b, k)).sum()));
        (matrix, std::array::from_fn(|a| (0..M).map(|k| entry(a, k) * right[from + k]).sum()))
    }

    /// A⁻¹ applied to one vector, in place.
    pub fn solve(&self, b: &mut [f64]) {
        self.forward(b, 1);
        self.backward(b);
    }
}
