//! Matrix products on slices, on the calling thread only (the rows of the field are already spread over rayon).

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder};

/// A row-major matrix in a slice; the rows may lie further apart than they are long.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    stride: usize,
    transposed: bool,
}

impl<'a> Matrix<'a> {
    /// `rows × columns`, one row after the other.
    pub(super) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Matrix { values, rows, columns, stride: columns, transposed: false }
    }

    /// `columns` columns from `first` on, of a matrix whose rows are `stride` long.
    pub(super) fn part(values: &'a [f32], rows: usize, stride: usize, first: usize, columns: usize) -> Self {
        Matrix { values: &values[first.min(values.len())..], rows, columns, stride, transposed: false }
    }

    /// The transposed matrix.
    pub(super) fn t(self) -> Self {
        Matrix { transposed: !self.transposed, ..self }
    }

    fn view(&self) -> ArrayView2<'a, f32> {
        let shape = (self.rows, self.columns).strides((self.stride, 1));
        let view =
            ArrayView2::from_shape(shape, self.values).expect("callers pass slices as long as they say");
        if self.transposed { view.reversed_axes() } else { view }
    }
}

/// `c = keep·c + a·b`; rows of `c` are `stride` long, the product lies in its columns from `first` on.
pub(super) fn multiply_part(
    c: &mut [f32],
    stride: usize,
    first: usize,
    keep: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
) {
    let (a, b) = (a.view(), b.view());
    if a.nrows() == 0 || b.ncols() == 0 {
        return;
    }
    let shape = (a.nrows(), b.ncols()).strides((stride, 1));
    let mut c =
        ArrayViewMut2::from_shape(shape, &mut c[first..]).expect("callers pass slices as long as they say");
    general_mat_mul(1.0, &a, &b, keep, &mut c);
}

/// `c = keep·c + a·b`.
pub(super) fn multiply(c: &mut [f32], keep: f32, a: Matrix<'_>, b: Matrix<'_>) {
    let columns = if b.transposed { b.rows } else { b.columns };
    multiply_part(c, columns, 0, keep, a, b);
}

/// Every row of `c` becomes `row`.
pub(super) fn fill_rows(c: &mut [f32], row: &[f32]) {
    for r in c.chunks_exact_mut(row.len()) {
        r.copy_from_slice(row);
    }
}

/// `sums += ` the sum of the rows of `m`.
pub(super) fn add_rows(sums: &mut [f32], m: &[f32]) {
    for row in m.chunks_exact(sums.len()) {
        for (s, v) in sums.iter_mut().zip(row) {
            *s += v;
        }
    }
}
