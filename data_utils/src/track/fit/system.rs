//! The normal equations of one frame: expression and pose, and how they couple to the shape and the focal length.

use crate::track::math::{M3, V3, add, dot, scale};
use crate::track::model::FaceModel;
use crate::track::pose::{Lens, Pose};

/// Scale of the Cauchy loss, pixels.
const CAUCHY: f64 = 2.0;

/// The point at which the equations are linearised.
pub(super) struct Unknowns<'a> {
    /// The person's neutral face, `[468]`.
    pub(super) shape: &'a [V3],
    /// Expression coefficients; empty when the expression is held at zero.
    pub(super) expression: &'a [f64],
    pub(super) pose: &'a Pose,
    pub(super) lens: &'a Lens,
}

/// Second derivatives (Gauss–Newton), gradient and cost. The unknowns are the expression, then the six of the pose.
pub(super) struct System {
    pub(super) n: usize,
    /// Lower triangle, `[n, n]`.
    pub(super) hessian: Vec<f64>,
    pub(super) gradient: Vec<f64>,
    /// Σ c²/2 · ln(1 + r²/c²) over the landmarks, and half the squares of the coefficients.
    pub(super) cost: f64,
}

impl System {
    /// The matrix with its diagonal increased by a share (damping).
    pub(super) fn damped(&self, damping: f64) -> Vec<f64> {
        let mut matrix = self.hessian.clone();
        (0..self.n).for_each(|i| matrix[i * self.n + i] *= 1.0 + damping);
        matrix
    }
}

/// Coupling of a frame to the points of the shape (3 values for each landmark) and to the logarithm of the focal length
/// (last).
pub(super) struct Coupling {
    /// Frame unknowns against shape and focal, `[n, 3 · 468 + 1]`.
    pub(super) mixed: Vec<f64>,
    /// Second derivatives of each point with itself.
    pub(super) points: Vec<M3>,
    /// Of each point with the focal length, and of that with itself.
    pub(super) point_focal: Vec<V3>,
    pub(super) focal: f64,
    /// Gradient of points and focal length.
    pub(super) gradient: Vec<f64>,
}

/// Contribution of one landmark: weight, residual, derivatives.
struct Share {
    weight: f64,
    residual: [f64; 2],
    point: [V3; 2],
    focal: [f64; 2],
}

/// The equations of one frame; `weights` are those of the landmarks.
pub(super) fn frame(model: &FaceModel, at: &Unknowns, points: &[[f64; 2]], weights: &[f64]) -> System {
    accumulate(model, at, points, weights, |_, _, _| {})
}

/// The equations of one frame with its coupling to what all frames share.
pub(super) fn frame_and_shape(
    model: &FaceModel,
    at: &Unknowns,
    points: &[[f64; 2]],
    weights: &[f64],
) -> (System, Coupling) {
    let n = at.expression.len() + 6;
    let columns = 3 * points.len() + 1;
    let mut coupling = Coupling {
        mixed: vec![0.0; n * columns],
        points: vec![[[0.0; 3]; 3]; points.len()],
        point_focal: vec![[0.0; 3]; points.len()],
        focal: 0.0,
        gradient: vec![0.0; columns],
    };
    let system = accumulate(model, at, points, weights, |l, share, rows| {
        for (axis, row) in rows.iter().enumerate() {
            let (p, f) = (share.point[axis], share.focal[axis]);
            let (w, e) = (share.weight, share.residual[axis]);
            for (i, j) in row.iter().enumerate() {
                let to = &mut coupling.mixed[i * columns..(i + 1) * columns];
                (0..3).for_each(|k| to[3 * l + k] += w * j * p[k]);
                to[columns - 1] += w * j * f;
            }
            for a in 0..3 {
                (0..3).for_each(|b| coupling.points[l][a][b] += w * p[a] * p[b]);
                coupling.point_focal[l][a] += w * p[a] * f;
                coupling.gradient[3 * l + a] += w * p[a] * e;
            }
            coupling.focal += w * f * f;
            coupling.gradient[columns - 1] += w * f * e;
        }
    });
    (system, coupling)
}

fn accumulate(
    model: &FaceModel,
    at: &Unknowns,
    points: &[[f64; 2]],
    weights: &[f64],
    mut shape: impl FnMut(usize, &Share, &[Vec<f64>; 2]),
) -> System {
    let modes = at.expression.len();
    let n = modes + 6;
    let (mut hessian, mut gradient) = (vec![0.0; n * n], vec![0.0; n]);
    let mut cost = 0.0;
    let mut rows = [vec![0.0; n], vec![0.0; n]];
    for (l, seen) in points.iter().enumerate() {
        let basis = if modes > 0 { model.expression.of(l) } else { &[] };
        let moved = basis.iter().zip(at.expression).fold(at.shape[l], |p, (b, c)| add(p, scale(*b, *c)));
        let (place, slope) = at.lens.slope(at.pose, moved);
        let residual = [place[0] - seen[0], place[1] - seen[1]];
        let relative = (residual[0].powi(2) + residual[1].powi(2)) / (CAUCHY * CAUCHY);
        cost += weights[l] * 0.5 * CAUCHY * CAUCHY * relative.ln_1p();
        let weight = weights[l] / (1.0 + relative);
        for axis in 0..2 {
            let row = &mut rows[axis];
            row[..modes].iter_mut().zip(basis).for_each(|(j, b)| *j = dot(slope.point[axis], *b));
            row[modes..].copy_from_slice(&slope.pose[axis]);
            for i in 0..n {
                let wi = weight * row[i];
                gradient[i] += wi * residual[axis];
                let to = &mut hessian[i * n..i * n + i + 1];
                to.iter_mut().zip(row.iter()).for_each(|(h, j)| *h += wi * j);
            }
        }
        let share = Share { weight, residual, point: slope.point, focal: slope.log_focal };
        shape(l, &share, &rows);
    }
    for (k, c) in at.expression.iter().enumerate() {
        hessian[k * n + k] += 1.0;
        gradient[k] += c;
        cost += 0.5 * c * c;
    }
    System { n, hessian, gradient, cost }
}
