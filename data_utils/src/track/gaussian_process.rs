//! Smooth random displacements of a set of points, as a few modes: a Gaussian process over their positions, whose
//! covariance is factored by pivoted Cholesky (Harbrecht, Peters & Schneider, "On the low-rank approximation by the
//! pivoted Cholesky decomposition", 2012) until enough of it is explained.

use super::math::{V3, add, cross, dot, scale, sub};

/// Covariance over distance along one axis: the sum of two Gaussians, (standard deviation, length scale) each, in the
/// unit of the points.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernel {
    pub(crate) near: (f64, f64),
    pub(crate) far: (f64, f64),
}

impl Kernel {
    fn at(&self, squared: f64) -> f64 {
        [self.near, self.far].iter().map(|(s, l)| s * s * (-squared / (2.0 * l * l)).exp()).sum()
    }
}

/// Up to `count` modes of the process, `[points, modes]`, for coefficients of standard deviation 1. `kernels` are the
/// covariances along x, y and z, `strength` scales it at a point; the axes are independent of each other.
pub(crate) fn modes(
    points: &[V3],
    count: usize,
    kernels: [Kernel; 3],
    strength: impl Fn(usize) -> V3,
) -> Vec<V3> {
    let strengths: Vec<V3> = (0..points.len()).map(&strength).collect();
    let mut left: Vec<f64> =
        strengths.iter().flat_map(|s| (0..3).map(|a| s[a] * s[a] * kernels[a].at(0.0))).collect();
    // The next pivot is a compromise between the largest remaining variance and the largest remaining share of a
    // point's own variance: lips need most of the modes, but points that hardly move say most about the head.
    let worth = |i: usize, left: f64| if left > 0.0 { left / strengths[i / 3][i % 3].powf(1.8) } else { 0.0 };
    let mut columns: Vec<(usize, Vec<f64>)> = Vec::new();
    for _ in 0..count {
        // The first of the largest, so that ties are always broken alike.
        let best = (0..left.len()).rev().max_by(|a, b| worth(*a, left[*a]).total_cmp(&worth(*b, left[*b])));
        let Some((pivot, variance)) = best.map(|i| (i, left[i])).filter(|(_, v)| *v > 1e-16) else { break };
        let (at, axis) = (pivot / 3, pivot % 3);
        let inverse = 1.0 / variance.sqrt();
        let column: Vec<f64> = (0..points.len())
            .map(|p| {
                let offset = sub(points[p], points[at]);
                let covariance =
                    strengths[p][axis] * strengths[at][axis] * kernels[axis].at(dot(offset, offset));
                let known: f64 = columns.iter().filter(|(a, _)| *a == axis).map(|(_, c)| c[p] * c[at]).sum();
                (covariance - known) * inverse
            })
            .collect();
        for (p, v) in column.iter().enumerate() {
            left[p * 3 + axis] -= v * v;
        }
        left[pivot] = 0.0;
        columns.push((axis, column));
    }
    let mut values = Vec::with_capacity(points.len() * columns.len());
    for p in 0..points.len() {
        values.extend(columns.iter().map(|(axis, column)| {
            let mut mode = [0.0; 3];
            mode[*axis] = column[p];
            mode
        }));
    }
    values
}

/// Removes translation, rotation and scaling of the whole point set from modes `[points, modes]`: these are described by
/// the pose.
pub(crate) fn without_similarity(points: &[V3], values: &mut [V3]) {
    let inverse = 1.0 / points.len().max(1) as f64;
    let middle = scale(points.iter().fold([0.0; 3], |sum, p| add(sum, *p)), inverse);
    let axis = |k: usize| -> V3 { std::array::from_fn(|a| f64::from(u8::from(a == k))) };
    let mut whole: Vec<Vec<V3>> = Vec::new();
    for k in 0..7 {
        let moved = |p: &V3| match k {
            0..3 => axis(k),
            3..6 => cross(axis(k - 3), sub(*p, middle)),
            _ => sub(*p, middle),
        };
        let mut field: Vec<V3> = points.iter().map(moved).collect();
        for other in &whole {
            let share: f64 = field.iter().zip(other).map(|(a, b)| dot(*a, *b)).sum();
            field.iter_mut().zip(other).for_each(|(a, b)| *a = sub(*a, scale(*b, share)));
        }
        let size = field.iter().map(|v| dot(*v, *v)).sum::<f64>().sqrt();
        if size > 1e-12 {
            whole.push(field.iter().map(|v| scale(*v, 1.0 / size)).collect());
        }
    }
    let modes = values.len() / points.len().max(1);
    for m in 0..modes {
        for field in &whole {
            let share: f64 = field.iter().enumerate().map(|(p, v)| dot(*v, values[p * modes + m])).sum();
            for (p, v) in field.iter().enumerate() {
                values[p * modes + m] = sub(values[p * modes + m], scale(*v, share));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_without_similarity_neither_shift_nor_turn_nor_grow() {
        let points: Vec<V3> =
            (0..9).map(|i| [f64::from(i), f64::from(i * i % 7), f64::from(i * 5 % 4)]).collect();
        let middle = scale(points.iter().fold([0.0; 3], |s, p| add(s, *p)), 1.0 / 9.0);
        // One mode that is all similarity, one that has a rest.
        let of = |p: &V3| {
            let turned = cross([0.2, -0.1, 0.3], *p);
            [add(add(turned, [1.0, 2.0, 3.0]), scale(*p, 0.1)), [p[0] * p[0], 0.0, p[1]]]
        };
        let mut values: Vec<V3> = points.iter().flat_map(of).collect();
        without_similarity(&points, &mut values);
        let mode = |m: usize| values.iter().skip(m).step_by(2);
        assert!(mode(0).flatten().all(|v| v.abs() < 1e-9));
        assert!(mode(1).flatten().any(|v| v.abs() > 0.1));
        let turn = points.iter().zip(mode(1)).fold([0.0; 3], |s, (p, v)| add(s, cross(sub(*p, middle), *v)));
        assert!(turn.iter().all(|v| v.abs() < 1e-9));
    }

    #[test]
    fn enough_modes_give_the_covariance_back() {
        let points: Vec<V3> = (0..12).map(|i| [f64::from(i) * 0.3, f64::from(i * i % 5), 0.1]).collect();
        let kernel = Kernel { near: (1.0, 0.5), far: (0.3, 2.0) };
        let strength = |p: usize| [1.0 + p as f64 * 0.1, 0.5, 0.0];
        let values = modes(&points, 100, [kernel; 3], strength);
        let count = values.len() / points.len();
        assert!(count <= 24, "{count} modes where only two axes move");
        for a in 0..points.len() {
            for b in 0..points.len() {
                let offset = sub(points[a], points[b]);
                let expected = strength(a)[0] * strength(b)[0] * kernel.at(dot(offset, offset));
                let found: f64 =
                    (0..count).map(|m| values[a * count + m][0] * values[b * count + m][0]).sum();
                assert!((expected - found).abs() < 1e-6, "{expected} {found}");
            }
        }
    }

    #[test]
    fn fewer_modes_lose_little_of_a_smooth_process() {
        let points: Vec<V3> = (0..50).map(|i| [f64::from(i) * 0.1, 0.0, 0.0]).collect();
        let kernel = Kernel { near: (1.0, 2.0), far: (0.0, 1.0) };
        let values = modes(&points, 8, [kernel; 3], |_| [1.0, 0.0, 0.0]);
        for p in 0..50 {
            let kept: f64 = values[p * 8..(p + 1) * 8].iter().map(|m| m[0] * m[0]).sum();
            assert!(kept > 0.99 && kept < 1.0 + 1e-9, "{kept}");
        }
    }
}
