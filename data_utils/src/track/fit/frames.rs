//! Expression and pose of all frames with a fixed shape: each frame's expression is eliminated; the remaining system of
//! the poses is a band matrix because of the prior in time.

use super::state::{FitOptions, FrameLandmarks, MOST_DEVIATIONS, State};
use super::system::{System, Unknowns, frame};
use crate::error::{Error, Result};
use crate::track::math::Cholesky;
use crate::track::model::FaceModel;
use crate::track::temporal::{self, PathPrior, PoseBand};
use rayon::prelude::*;

const STEPS: usize = 12;
const DAMPING: f64 = 1e-4;
const GIVE_UP: f64 = 1e4;
/// Iteration ends when a step lowers the cost by less than this share.
const ENOUGH: f64 = 1e-5;

/// Moves poses and expressions to the minimum.
pub(super) fn refine(
    model: &FaceModel,
    landmarks: &[FrameLandmarks],
    options: &FitOptions,
    state: &mut State,
) -> Result<()> {
    let shape = state.neutral(model);
    let weights = super::state::weights(model);
    let seen: Vec<bool> = landmarks.iter().map(Option::is_some).collect();
    let prior = PathPrior::new(options.turn_deviation, options.shift_deviation, &seen, &options.cuts);
    let systems = |state: &State| -> Vec<Option<System>> {
        (0..landmarks.len())
            .into_par_iter()
            .map(|i| {
                let points = landmarks[i].as_ref()?;
                let (expression, pose) = (&state.expression[i], &state.poses[i]);
                let at = Unknowns { shape: &shape, expression, pose, lens: &state.lens };
                Some(frame(model, &at, points, &weights))
            })
            .collect()
    };
    let cost = |state: &State, systems: &[Option<System>]| -> f64 {
        systems.iter().flatten().map(|s| s.cost).sum::<f64>() + prior.cost(&state.poses)
    };
    let mut now = systems(state);
    let mut lowest = cost(state, &now);
    let mut damping = DAMPING;
    for _ in 0..STEPS {
        let next = step(&now, &prior, damping, state)?;
        let tried = systems(&next);
        let found = cost(&next, &tried);
        if found < lowest {
            let done = lowest - found < ENOUGH * lowest;
            (*state, now, lowest, damping) = (next, tried, found, damping * 0.2);
            if done {
                break;
            }
        } else {
            damping *= 10.0;
            if damping > GIVE_UP {
                break;
            }
        }
    }
    temporal::bridge(&mut state.poses, &seen);
    bridge(landmarks, &mut state.expression);
    Ok(())
}

/// One damped step of all frames.
fn step(systems: &[Option<System>], prior: &PathPrior, damping: f64, state: &State) -> Result<State> {
    let fail = || Error::Internal("normal equations of a frame that cannot be solved".into());
    // Factor of each frame's matrix, and that factor's inverse applied to its gradient.
    let factors: Vec<Option<(Cholesky, Vec<f64>)>> = systems
        .par_iter()
        .map(|system| {
            let Some(system) = system else { return Ok(None) };
            let factor = Cholesky::new(system.damped(damping), system.n).ok_or_else(fail)?;
            let mut right = system.gradient.clone();
            factor.forward(&mut right, 1);
            Ok(Some((factor, right)))
        })
        .collect::<Result<_>>()?;
    let mut band = PoseBand::new(state.poses.len());
    prior.add_to(&state.poses, &mut band);
    for (i, (factor, right)) in factors.iter().enumerate().filter_map(|(i, f)| Some((i, f.as_ref()?))) {
        let (matrix, gradient) = factor.trailing::<6>(right);
        band.add_frame(i, &matrix, &gradient);
    }
    let steps = band.solve().ok_or_else(fail)?;
    let mut next = state.clone();
    for (i, factor) in factors.iter().enumerate() {
        let turn = &steps[i * 6..i * 6 + 6];
        next.poses[i] = state.poses[i].moved(turn);
        let Some((factor, right)) = factor else { continue };
        let modes = state.expression[i].len();
        let mut whole: Vec<f64> = right.iter().map(|v| -v).collect();
        whole[modes..].copy_from_slice(turn);
        factor.backward_leading(&mut whole, modes);
        for (c, d) in next.expression[i].iter_mut().zip(&whole) {
            *c = (*c + d).clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS);
        }
    }
    Ok(next)
}

/// Interpolates the expressions of frames without a face.
fn bridge(landmarks: &[FrameLandmarks], expression: &mut [Vec<f64>]) {
    let known: Vec<usize> = (0..landmarks.len()).filter(|i| landmarks[*i].is_some()).collect();
    for i in (0..landmarks.len()).filter(|i| landmarks[*i].is_none()) {
        let after = known.partition_point(|k| *k < i);
        let (before, after) = (after.checked_sub(1).and_then(|k| known.get(k)), known.get(after));
        let (Some(&a), Some(&b)) = (before.or(after), after.or(before)) else { continue };
        let share = if b > a { (i - a) as f64 / (b - a) as f64 } else { 0.0 };
        expression[i] = expression[a].iter().zip(&expression[b]).map(|(x, y)| x + (y - x) * share).collect();
    }
}
