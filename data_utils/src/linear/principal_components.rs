//! Principal components of rows of numbers.

/// Sweeps over all pairs of columns; eight do for a few hundred.
const SWEEPS: usize = 30;
/// Part of the whole that may be left off the diagonal.
const TOLERANCE: f64 = 1e-12;

/// The directions in which rows of `width` numbers of mean 0 vary most, `[count, width]`, of length 1, the strongest first, and
/// the variance along each. The largest number of each direction is positive.
///
/// Eigenvectors of the covariance by cyclic Jacobi rotations (Golub and Van Loan, Matrix Computations, §8.5).
pub fn principal_components(rows: &[f32], width: usize, count: usize) -> (Vec<f32>, Vec<f64>) {
    let mut a = covariance(rows, width);
    // Row k becomes the eigenvector of the k-th number on the diagonal.
    let mut vectors = vec![0.0f64; width * width];
    (0..width).for_each(|k| vectors[k * width + k] = 1.0);
    for _ in 0..SWEEPS {
        let square = |i: usize, j: usize| a[i * width + j] * a[i * width + j];
        let off: f64 = (0..width).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| square(i, j)).sum();
        let on: f64 = (0..width).map(|k| square(k, k)).sum();
        if off <= TOLERANCE * TOLERANCE * on {
            break;
        }
        for p in 0..width {
            for q in p + 1..width {
                rotate(&mut a, &mut vectors, width, p, q);
            }
        }
    }
    let variance = |k: usize| a[k * width + k].max(0.0);
    let mut order: Vec<usize> = (0..width).collect();
    order.sort_by(|i, j| variance(*j).total_cmp(&variance(*i)));
    order.truncate(count);
    let direction = |k: usize| {
        let vector = &vectors[k * width..(k + 1) * width];
        let largest = vector.iter().copied().fold(0.0f64, |m, v| if v.abs() > m.abs() { v } else { m });
        vector.iter().map(move |v| (v * largest.signum()) as f32)
    };
    (order.iter().flat_map(|k| direction(*k)).collect(), order.iter().map(|k| variance(*k)).collect())
}

/// `[width, width]`.
fn covariance(rows: &[f32], width: usize) -> Vec<f64> {
    let mut a = vec![0.0f64; width * width];
    for row in rows.chunks_exact(width) {
        for (to, x) in a.chunks_exact_mut(width).zip(row) {
            to.iter_mut().zip(row).for_each(|(to, y)| *to += f64::from(*x) * f64::from(*y));
        }
    }
    let count = (rows.len() / width).max(1) as f64;
    a.iter_mut().for_each(|v| *v /= count);
    a
}

/// Turns columns and rows `p` and `q` so that nothing is left between them.
fn rotate(a: &mut [f64], vectors: &mut [f64], width: usize, p: usize, q: usize) {
    let between = a[p * width + q];
    if between == 0.0 {
        return;
    }
    let theta = (a[q * width + q] - a[p * width + p]) / (2.0 * between);
    let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let c = 1.0 / t.hypot(1.0);
    let s = t * c;
    for k in 0..width {
        let (x, y) = (a[k * width + p], a[k * width + q]);
        (a[k * width + p], a[k * width + q]) = (c * x - s * y, s * x + c * y);
    }
    for rows in [a, vectors] {
        for k in 0..width {
            let (x, y) = (rows[p * width + k], rows[q * width + k]);
            (rows[p * width + k], rows[q * width + k]) = (c * x - s * y, s * x + c * y);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers without pattern in -1..1.
    fn noise(count: usize) -> impl Iterator<Item = f32> {
        let mut state = 7u64;
        (0..count).map(move |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
    }

    #[test]
    fn directions_are_those_the_rows_were_made_of() {
        // Two directions of known strength in four dimensions, and a little of everything else.
        let (a, b) = ([0.5f32, 0.5, 0.5, 0.5], [0.5f32, -0.5, 0.5, -0.5]);
        let rows: Vec<f32> = noise(3000)
            .collect::<Vec<_>>()
            .as_chunks::<3>()
            .0
            .iter()
            .flat_map(|n| {
                std::array::from_fn::<f32, 4, _>(|k| 6.0 * n[0] * a[k] + 3.0 * n[1] * b[k] + 0.001 * n[2])
            })
            .collect();
        let (directions, variances) = principal_components(&rows, 4, 2);
        assert!((variances[0] - 12.0).abs() < 1.0 && (variances[1] - 3.0).abs() < 0.3, "{variances:?}");
        let along = |d: &[f32], e: &[f32; 4]| d.iter().zip(e).map(|(x, y)| x * y).sum::<f32>().abs();
        assert!(along(&directions[..4], &a) > 0.999 && along(&directions[4..], &b) > 0.999, "{directions:?}");
    }

    #[test]
    fn directions_stand_upright_on_each_other_and_hold_all_the_variance() {
        let width = 12;
        let rows: Vec<f32> = noise(40 * width).collect();
        let (directions, variances) = principal_components(&rows, width, width);
        for i in 0..width {
            for j in 0..width {
                let (x, y) = (&directions[i * width..][..width], &directions[j * width..][..width]);
                let dot: f32 = x.iter().zip(y).map(|(x, y)| x * y).sum();
                assert!((dot - f32::from(u8::from(i == j))).abs() < 1e-5, "{i} {j} {dot}");
            }
        }
        assert!(variances.is_sorted_by(|a, b| a >= b), "{variances:?}");
        let total: f64 = rows.iter().map(|v| f64::from(v * v)).sum::<f64>() / 40.0;
        assert!((variances.iter().sum::<f64>() - total).abs() < 1e-6 * total);
    }

    #[test]
    fn rows_that_never_change_have_no_variance() {
        let (directions, variances) = principal_components(&[0.0; 30], 3, 2);
        assert_eq!(variances, [0.0, 0.0]);
        assert!(directions.iter().all(|v| v.is_finite()));
    }
}
