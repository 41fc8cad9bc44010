//! Refines the offsets of the landmarks over all frames, with poses and expressions fixed. The key frames that they were
//! first taken from are the extremes of the clip, where detected landmarks are slightly biased.

use super::priors::Priors;
use super::state::{FitOptions, FrameLandmarks, State};
use super::system::{Unknowns, frame_and_shape};
use crate::track::math::{Cholesky, M3, V3, add, apply, conjugate_gradients};
use crate::track::model::{FaceModel, POINTS};
use rayon::prelude::*;

/// Frames that are summed together; a constant, so that sums do not depend on the number of threads.
const GROUP: usize = 16;
const ROUNDS: usize = 60;
const CLOSE: f64 = 1e-4;

/// Second derivatives and gradient of each point of the shape, summed over frames.
#[derive(Clone)]
struct Points {
    matrix: Vec<M3>,
    gradient: Vec<f64>,
}

impl Points {
    fn none() -> Self {
        Points { matrix: vec![[[0.0; 3]; 3]; POINTS], gradient: vec![0.0; 3 * POINTS] }
    }

    fn add(&mut self, matrix: &[M3], gradient: &[f64]) {
        for (a, b) in self.matrix.iter_mut().zip(matrix) {
            *a = std::array::from_fn(|k| add(a[k], b[k]));
        }
        self.gradient.iter_mut().zip(gradient).for_each(|(a, b)| *a += b);
    }
}

/// Moves the offsets to the minimum over all frames.
pub(super) fn refine(
    model: &FaceModel,
    landmarks: &[FrameLandmarks],
    options: &FitOptions,
    state: &mut State,
) {
    let known: Vec<usize> = (0..landmarks.len()).filter(|i| landmarks[*i].is_some()).collect();
    let priors = Priors::new(model, options, known.len());
    let weights = super::state::weights(model);
    let neutral = state.neutral(model);
    let of_group = |group: &[usize]| {
        let mut sum = Points::none();
        for i in group {
            let Some(points) = landmarks[*i].as_ref() else { continue };
            let moved = model.expression.at(&state.expression[*i]);
            let shape: Vec<V3> = neutral.iter().zip(&moved).map(|(a, b)| add(*a, *b)).collect();
            let at = Unknowns { shape: &shape, expression: &[], pose: &state.poses[*i], lens: &state.lens };
            let (_, coupling) = frame_and_shape(model, &at, points, &weights);
            sum.add(&coupling.points, &coupling.gradient);
        }
        sum
    };
    let groups: Vec<Points> = known.par_chunks(GROUP).map(of_group).collect();
    let mut all = Points::none();
    groups.iter().for_each(|g| all.add(&g.matrix, &g.gradient));

    // The priors also cover identity and focal length, which are fixed here.
    let modes = model.identity.modes();
    let still = vec![0.0; modes];
    let prior = |v: &[f64]| -> Vec<f64> {
        let s: Vec<f64> = still.iter().chain(v).chain(&[0.0]).copied().collect();
        let mut out = vec![0.0; s.len()];
        priors.times(&s, &still, &mut out);
        out[modes..modes + 3 * POINTS].to_vec()
    };
    let times = |v: &[f64]| -> Vec<f64> {
        let mut out = prior(v);
        for (l, matrix) in all.matrix.iter().enumerate() {
            let moved = apply(matrix, [v[3 * l], v[3 * l + 1], v[3 * l + 2]]);
            (0..3).for_each(|k| out[3 * l + k] += moved[k]);
        }
        out
    };
    let own = priors.of_an_offset();
    let factors: Vec<Option<Cholesky>> = all
        .matrix
        .iter()
        .map(|matrix| {
            let mut block = matrix.as_flattened().to_vec();
            (0..3).for_each(|k| block[4 * k] += own);
            Cholesky::new(block, 3)
        })
        .collect();
    let precondition = |r: &[f64]| -> Vec<f64> {
        let mut out = r.to_vec();
        for (part, factor) in out.chunks_exact_mut(3).zip(&factors) {
            if let Some(factor) = factor {
                factor.solve(part);
            }
        }
        out
    };
    let pull = prior(state.offsets.as_flattened());
    let right: Vec<f64> = all.gradient.iter().zip(&pull).map(|(g, p)| -(g + p)).collect();
    let step = conjugate_gradients(&right, times, precondition, ROUNDS, CLOSE);
    state.offsets.as_flattened_mut().iter_mut().zip(&step).for_each(|(o, d)| *o += d);
}
