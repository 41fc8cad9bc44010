//! A linear model of the 468 face landmarks: the mean face, how people differ (identity), how one person's face moves
//! (expression), and how rigidly each landmark follows the skull.
//!
//! Three sources give the same type: MediaPipe's canonical face ([`FaceModel::canonical`], which needs no file
//! beyond the landmark networks), ICT-FaceKit ([`super::ict`]) and BFM-2009 ([`super::bfm`]).
//! Lengths in metres; x to the right of the image, y up, z out of the face.

use super::gaussian_process::{Kernel, modes, without_similarity};
use super::math::{V3, add, scale};
use super::mobility;
use crate::error::{Error, Result};
use crate::face::CanonicalFace;

/// Landmarks of the face mesh; the ten of the irises are not part of it.
pub const POINTS: usize = 468;

/// Directions in which 468 points move together; coefficients are in standard deviations.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Basis {
    modes: usize,
    /// Metres for a coefficient of 1, `[468, modes]`.
    values: Vec<V3>,
}

impl Basis {
    /// A basis from its values, `[468, modes]`, metres for a coefficient of 1.
    ///
    /// # Errors
    /// [`Error::Internal`] when the values are not `modes` for each of 468 points.
    pub fn new(modes: usize, values: Vec<V3>) -> Result<Self> {
        if values.len() != POINTS * modes || values.as_flattened().iter().any(|v| !v.is_finite()) {
            return Err(Error::Internal(format!("{} values of {modes} modes", values.len())));
        }
        Ok(Basis { modes, values })
    }

    /// Number of modes.
    pub fn modes(&self) -> usize {
        self.modes
    }

    /// How point `point` moves with each mode.
    pub fn of(&self, point: usize) -> &[V3] {
        &self.values[point * self.modes..(point + 1) * self.modes]
    }

    /// The movement of every point at these coefficients.
    pub fn at(&self, coefficients: &[f64]) -> Vec<V3> {
        let sum = |row: &[V3]| {
            row.iter().zip(coefficients).fold([0.0; 3], |sum, (mode, c)| add(sum, scale(*mode, *c)))
        };
        (0..POINTS).map(|p| sum(self.of(p))).collect()
    }
}

/// A face model, reduced to the landmarks.
#[derive(Debug, Clone, PartialEq)]
pub struct FaceModel {
    /// Its name in reports.
    pub name: String,
    /// The mean face, `[468]`, metres.
    pub mean: Vec<V3>,
    /// How people differ.
    pub identity: Basis,
    /// How a face moves.
    pub expression: Basis,
    /// Names of the expression modes, where they have any.
    pub expression_names: Vec<String>,
    /// How rigidly each landmark follows the skull, 0..1, `[468]`.
    pub rigidity: Vec<f64>,
    /// Landmarks that hold still when the face moves.
    pub stable: Vec<usize>,
    /// MediaPipe's triangles between the landmarks, counter-clockwise seen from outside.
    pub triangles: Vec<[u32; 3]>,
}

/// Middles of the upper and the lower lip's inner edge, and a corner of the mouth.
const MOUTH: [usize; 3] = [13, 14, 61];
const INNER_UPPER: [usize; 9] = [191, 80, 81, 82, 13, 312, 311, 310, 415];
const INNER_LOWER: [usize; 9] = [95, 88, 178, 87, 14, 317, 402, 318, 324];
/// How far the lips are opened before distances are measured, and the length over which this fades downwards, metres.
const PARTED: f64 = 0.025;
const FADE: f64 = 0.03;
/// Number of modes.
const IDENTITY_MODES: usize = 100;
const EXPRESSION_MODES: usize = 75;
/// Standard deviation of an expression, in units of the table of movements (where 1 is an expression at its strongest).
const EXPRESSION: f64 = 0.5;

impl FaceModel {
    /// The model that needs no further file. Mean and triangles are MediaPipe's canonical face; identity and
    /// expression are smooth Gaussian processes over it (Lüthi et al., "Gaussian Process Morphable Models", 2018),
    /// whose correlation over distance is that of ICT-FaceKit's modes, expression scaled by how far each landmark
    /// is known to move.
    ///
    /// # Errors
    /// [`Error::Internal`] for a canonical face of another size than 468 points.
    pub fn canonical(face: &CanonicalFace) -> Result<Self> {
        if face.vertices.len() != POINTS {
            return Err(Error::Internal(format!("a canonical face of {} points", face.vertices.len())));
        }
        let mean: Vec<V3> = face.vertices.iter().map(|v| v.map(|c| f64::from(c) * 0.01)).collect();
        let people = Kernel { near: (0.005, 0.02), far: (0.008, 0.06) };
        let mut identity = modes(&mean, IDENTITY_MODES, [people; 3], |_| [1.0; 3]);
        without_similarity(&mean, &mut identity);
        let moves = |axis: usize| match axis {
            2 => Kernel { near: (0.775, 0.012), far: (0.632, 0.035) },
            _ => Kernel { near: (0.592, 0.012), far: (0.806, 0.045) },
        };
        let expression = modes(&parted(&mean), EXPRESSION_MODES, std::array::from_fn(moves), |p| {
            mobility::movement(p).map(|m| m * EXPRESSION)
        });
        let count = expression.len() / POINTS;
        Ok(FaceModel {
            name: "MediaPipe's canonical face".into(),
            identity: Basis::new(identity.len() / POINTS, identity)?,
            expression: Basis::new(count, expression)?,
            expression_names: (0..count).map(|i| format!("smooth_{i}")).collect(),
            rigidity: (0..POINTS).map(mobility::rigidity).collect(),
            stable: mobility::stable(),
            triangles: face.triangles.clone(),
            mean,
        })
    }

    /// The face at these coefficients, `[468]`, metres.
    pub fn shape(&self, identity: &[f64], expression: &[f64]) -> Vec<V3> {
        let moved = self.identity.at(identity).into_iter().zip(self.expression.at(expression));
        self.mean.iter().zip(moved).map(|(m, (i, e))| add(*m, add(i, e))).collect()
    }
}

/// The face with open lips, so that points of the upper and of the lower lip are not close to each other.
fn parted(mean: &[V3]) -> Vec<V3> {
    let [upper, lower, corner] = MOUTH.map(|l| mean[l]);
    let half = corner[0].abs();
    let line = |x: f64| {
        let middle = (upper[1] + lower[1]) / 2.0;
        middle + (corner[1] - middle) * (x / half).powi(2).min(1.0)
    };
    let below =
        |l: usize, p: &V3| INNER_LOWER.contains(&l) || (p[1] < line(p[0]) && !INNER_UPPER.contains(&l));
    let part = |(l, p): (usize, &V3)| {
        let open = PARTED * (1.0 - (p[0] / half).powi(2)).max(0.0);
        let depth = (line(p[0]) - p[1]).max(0.0);
        let down = if below(l, p) { open * (-depth / FADE).exp() } else { 0.0 };
        [p[0], p[1] - down, p[2]]
    };
    mean.iter().enumerate().map(part).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A made-up face for tests without a model file: 468 points of an egg, in front.
    pub(crate) fn egg() -> CanonicalFace {
        let point = |i: usize| {
            // Vogel's spiral on the front of an ellipsoid.
            let (r, turn) = (((i as f64 + 0.5) / POINTS as f64).sqrt() * 0.97, i as f64 * 2.399_963);
            let (x, y) = (r * turn.cos(), r * turn.sin());
            let z = (1.0 - r * r).sqrt();
            [x as f32 * 7.0, y as f32 * 9.0, z as f32 * 8.0 - 2.0]
        };
        CanonicalFace {
            vertices: (0..POINTS).map(point).collect(),
            triangles: vec![[0, 1, 2]],
            basis: Vec::new(),
        }
    }

    #[test]
    fn the_stable_landmarks_of_the_default_move_least() {
        let model = FaceModel::canonical(&egg()).expect("a model");
        assert_eq!((model.identity.modes(), model.expression.modes()), (IDENTITY_MODES, EXPRESSION_MODES));
        let spread = |l: &usize| model.expression.of(*l).iter().flatten().map(|v| v * v).sum::<f64>().sqrt();
        let (still, most): (Vec<usize>, Vec<usize>) = (0..POINTS).partition(|l| model.stable.contains(l));
        let largest = still.iter().map(spread).fold(0.0, f64::max);
        let mean = most.iter().map(spread).sum::<f64>() / most.len() as f64;
        // No landmark varies more than the table of movements allows the stable ones.
        let allowed = mobility::STABLE * EXPRESSION;
        assert!(largest < allowed && mean > 2.0 * largest, "{largest} {mean}");
    }

    #[test]
    fn the_basis_refuses_what_does_not_fit() {
        assert!(Basis::new(2, vec![[0.0; 3]; POINTS]).is_err());
        assert!(Basis::new(1, vec![[f64::NAN; 3]; POINTS]).is_err());
    }
}
