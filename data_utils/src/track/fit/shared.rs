//! Identity, offsets and focal length from the key frames. Pose and expression of each frame are eliminated (Schur
//! complement); the remaining system is solved by conjugate gradients, without forming its matrix.
//!
//! The shared unknowns s = (identity, offsets, ln focal) act through y = D·s, the movement of the 468 points and of
//! ln focal. With M the frames' second derivatives by y, C their coupling to y and A the matrix of their own unknowns, the system is
//! Dᵀ(M − Σ Cᵀ A⁻¹ C)D + priors.

use super::priors::{FOCAL_FRAMES, Priors};
use super::state::{FitOptions, FrameLandmarks, MOST_DEVIATIONS, State};
use super::system::{Coupling, System, Unknowns, frame_and_shape};
use crate::error::{Error, Result};
use crate::track::math::{Cholesky, M3, V3, add, apply, conjugate_gradients, dot, scale};
use crate::track::model::{FaceModel, POINTS};
use rayon::prelude::*;

const STEPS: usize = 12;
const DAMPING: f64 = 1e-3;
const LEAST_DAMPING: f64 = 1e-6;
const GIVE_UP: f64 = 1e5;
/// Iteration ends when a step lowers the cost by less than this share.
const ENOUGH: f64 = 1e-4;
/// Conjugate gradients: most rounds, and the share of the first residual at which they end; for a step, and for the
/// deviation of the focal length.
const ROUNDS: usize = 80;
const CLOSE: [f64; 2] = [0.005, 1e-4];
const COLUMNS: usize = 3 * POINTS + 1;

/// One frame with its unknowns eliminated: factor, L⁻¹·gradient, L⁻¹·C.
struct Eliminated {
    factor: Cholesky,
    right: Vec<f64>,
    mixed: Vec<f64>,
}

/// Minimises over shape, focal length and the unknowns of the key frames. Returns the relative standard deviation of the
/// focal length.
pub(super) fn refine(
    model: &FaceModel,
    landmarks: &[FrameLandmarks],
    options: &FitOptions,
    key: &[usize],
    state: &mut State,
) -> Result<f64> {
    let priors = Priors::new(model, options, key.len());
    let weights = super::state::weights(model);
    let systems = |state: &State| -> Vec<(System, Coupling)> {
        let shape = state.neutral(model);
        key.par_iter()
            .filter_map(|i| {
                let points = landmarks[*i].as_ref()?;
                let (expression, pose) = (&state.expression[*i], &state.poses[*i]);
                let at = Unknowns { shape: &shape, expression, pose, lens: &state.lens };
                Some(frame_and_shape(model, &at, points, &weights))
            })
            .collect()
    };
    let cost = |state: &State, systems: &[(System, Coupling)]| {
        systems.iter().map(|(s, _)| s.cost).sum::<f64>() + priors.cost(state)
    };
    let mut now = systems(state);
    let mut lowest = cost(state, &now);
    let mut damping = DAMPING;
    for _ in 0..STEPS {
        let reduced = Reduced::new(&priors, state, &now, damping)?;
        let next = reduced.step(state, key);
        let tried = systems(&next);
        let found = cost(&next, &tried);
        if found < lowest {
            let done = lowest - found < ENOUGH * lowest;
            (*state, now, lowest, damping) = (next, tried, found, (damping * 0.3).max(LEAST_DAMPING));
            if done {
                break;
            }
        } else {
            damping *= 5.0;
            if damping > GIVE_UP {
                break;
            }
        }
    }
    let reduced = Reduced::new(&priors, state, &now, 0.0)?;
    let mut only_focal = vec![0.0; reduced.unknowns()];
    if let Some(last) = only_focal.last_mut() {
        *last = 1.0;
    }
    let variance = reduced.solve(&only_focal, CLOSE[1]).last().copied().unwrap_or(0.0);
    // Errors are correlated between frames, so all of them together say as much about the focal length as a few
    // independent ones would.
    Ok((variance.max(0.0) * (key.len() as f64 / FOCAL_FRAMES).max(1.0)).sqrt())
}

/// The system of the shared unknowns.
struct Reduced<'a> {
    priors: &'a Priors<'a>,
    frames: Vec<Eliminated>,
    points: Vec<M3>,
    point_focal: Vec<V3>,
    focal: f64,
    anchor: (f64, Vec<(usize, V3)>),
    /// Gradient of y, frames' unknowns eliminated.
    gradient: Vec<f64>,
    prior_gradient: Vec<f64>,
    /// Weight of the prior on each identity coefficient.
    held: Vec<f64>,
    /// One plus the damping.
    grown: f64,
    identity_factor: Option<Cholesky>,
}

impl<'a> Reduced<'a> {
    fn new(
        priors: &'a Priors<'a>,
        state: &State,
        systems: &[(System, Coupling)],
        damping: f64,
    ) -> Result<Self> {
        let frames: Vec<Eliminated> = systems
            .par_iter()
            .map(|(system, coupling)| {
                let factor = Cholesky::new(system.damped(damping), system.n)
                    .ok_or_else(|| Error::Internal("a key frame that cannot be solved".into()))?;
                let (mut right, mut mixed) = (system.gradient.clone(), coupling.mixed.clone());
                factor.forward(&mut right, 1);
                factor.forward(&mut mixed, COLUMNS);
                Ok(Eliminated { factor, right, mixed })
            })
            .collect::<Result<_>>()?;
        let mut reduced = Reduced {
            priors,
            points: vec![[[0.0; 3]; 3]; POINTS],
            point_focal: vec![[0.0; 3]; POINTS],
            focal: 0.0,
            anchor: priors.anchor(state),
            gradient: vec![0.0; COLUMNS],
            prior_gradient: priors.gradient(state),
            held: priors.held(state),
            grown: 1.0 + damping,
            identity_factor: None,
            frames,
        };
        for (_, coupling) in systems {
            for l in 0..POINTS {
                (0..3).for_each(|a| (0..3).for_each(|b| reduced.points[l][a][b] += coupling.points[l][a][b]));
                reduced.point_focal[l] = add(reduced.point_focal[l], coupling.point_focal[l]);
            }
            reduced.focal += coupling.focal;
            reduced.gradient.iter_mut().zip(&coupling.gradient).for_each(|(g, c)| *g += c);
        }
        for frame in &reduced.frames {
            subtract_transposed(&frame.mixed, &frame.right, &mut reduced.gradient);
        }
        let (off, slopes) = &reduced.anchor;
        for (l, slope) in slopes {
            (0..3).for_each(|k| reduced.gradient[3 * l + k] += off * slope[k]);
        }
        reduced.identity_factor = reduced.identity_block();
        Ok(reduced)
    }

    fn unknowns(&self) -> usize {
        self.priors.model.identity.modes() + COLUMNS
    }

    /// y = D·s.
    fn movement(&self, s: &[f64]) -> Vec<f64> {
        let modes = self.priors.model.identity.modes();
        let moved = self.priors.model.identity.at(&s[..modes]);
        let mut y: Vec<f64> = s[modes..].to_vec();
        y.iter_mut().zip(moved.as_flattened()).for_each(|(y, m)| *y += m);
        y
    }

    /// Dᵀ·y.
    fn gathered(&self, y: &[f64]) -> Vec<f64> {
        let identity = &self.priors.model.identity;
        let mut s = vec![0.0; identity.modes()];
        for l in 0..POINTS {
            let at = [y[3 * l], y[3 * l + 1], y[3 * l + 2]];
            s.iter_mut().zip(identity.of(l)).for_each(|(s, mode)| *s += dot(*mode, at));
        }
        s.extend_from_slice(y);
        s
    }

    /// The system's matrix times `s`.
    fn times(&self, s: &[f64]) -> Vec<f64> {
        let y = self.movement(s);
        let mut z = vec![0.0; COLUMNS];
        let last = COLUMNS - 1;
        for l in 0..POINTS {
            let at = [y[3 * l], y[3 * l + 1], y[3 * l + 2]];
            let moved =
                add(scale(apply(&self.points[l], at), self.grown), scale(self.point_focal[l], y[last]));
            (0..3).for_each(|k| z[3 * l + k] = moved[k]);
            z[last] += dot(self.point_focal[l], at);
        }
        z[last] += self.focal * self.grown * y[last];
        let (_, slopes) = &self.anchor;
        let along: f64 = slopes.iter().map(|(l, v)| (0..3).map(|k| v[k] * y[3 * l + k]).sum::<f64>()).sum();
        slopes.iter().for_each(|(l, v)| (0..3).for_each(|k| z[3 * l + k] += along * v[k]));
        let shares: Vec<Vec<f64>> = self
            .frames
            .par_iter()
            .map(|frame| {
                let product = |row: &[f64]| row.iter().zip(&y).map(|(a, b)| a * b).sum::<f64>();
                let reduced: Vec<f64> = frame.mixed.chunks_exact(COLUMNS).map(product).collect();
                let mut share = vec![0.0; COLUMNS];
                subtract_transposed(&frame.mixed, &reduced, &mut share);
                share
            })
            .collect();
        for share in shares {
            z.iter_mut().zip(&share).for_each(|(z, v)| *z += v);
        }
        let mut out = self.gathered(&z);
        self.priors.times(s, &self.held, &mut out);
        out
    }

    /// The identity's own block without the Schur complement, factored: half of the preconditioner.
    fn identity_block(&self) -> Option<Cholesky> {
        let identity = &self.priors.model.identity;
        let n = identity.modes();
        let mut block = vec![0.0; n * n];
        for l in 0..POINTS {
            let basis = identity.of(l);
            for (a, mode) in basis.iter().enumerate() {
                let moved = apply(&self.points[l], *mode);
                let row = &mut block[a * n..a * n + a + 1];
                row.iter_mut().zip(basis).for_each(|(h, other)| *h += dot(moved, *other));
            }
        }
        (0..n).for_each(|k| block[k * n + k] = block[k * n + k] * self.grown + self.held[k]);
        Cholesky::new(block, n)
    }

    /// An approximate inverse: identity, each landmark's offset and the focal length by themselves.
    fn precondition(&self, r: &[f64]) -> Vec<f64> {
        let n = self.priors.model.identity.modes();
        let mut out = r.to_vec();
        if let Some(factor) = &self.identity_factor {
            factor.solve(&mut out[..n]);
        }
        let own = self.priors.of_an_offset();
        for l in 0..POINTS {
            let mut block =
                self.points[l].as_flattened().iter().map(|v| v * self.grown).collect::<Vec<f64>>();
            (0..3).for_each(|k| block[4 * k] += own);
            if let Some(factor) = Cholesky::new(block, 3) {
                factor.solve(&mut out[n + 3 * l..n + 3 * l + 3]);
            }
        }
        if let Some(last) = out.last_mut() {
            *last /= self.focal * self.grown + self.priors.focal.1;
        }
        out
    }

    /// The system's solution for the right side `b`.
    fn solve(&self, b: &[f64], close: f64) -> Vec<f64> {
        conjugate_gradients(b, |s| self.times(s), |r| self.precondition(r), ROUNDS, close)
    }

    /// The state after one step.
    fn step(&self, state: &State, key: &[usize]) -> State {
        let gradient = self.gathered(&self.gradient);
        let right: Vec<f64> = gradient.iter().zip(&self.prior_gradient).map(|(a, b)| -(a + b)).collect();
        let s = self.solve(&right, CLOSE[0]);
        let y = self.movement(&s);
        let mut next = state.clone();
        let modes = next.identity.len();
        for (c, d) in next.identity.iter_mut().zip(&s) {
            *c = (*c + d).clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS);
        }
        for (o, d) in next.offsets.as_flattened_mut().iter_mut().zip(&s[modes..]) {
            *o += d;
        }
        next.lens.focal *= y[COLUMNS - 1].clamp(-0.5, 0.5).exp();
        for (frame, i) in self.frames.iter().zip(key) {
            let product = |row: &[f64]| row.iter().zip(&y).map(|(a, b)| a * b).sum::<f64>();
            let mut step: Vec<f64> = frame.mixed.chunks_exact(COLUMNS).map(product).collect();
            step.iter_mut().zip(&frame.right).for_each(|(s, r)| *s = -(*s + r));
            frame.factor.backward(&mut step);
            let modes = next.expression[*i].len();
            next.poses[*i] = state.poses[*i].moved(&step[modes..]);
            for (c, d) in next.expression[*i].iter_mut().zip(&step) {
                *c = (*c + d).clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS);
            }
        }
        next
    }
}

/// Subtracts matrixᵀ · v; `matrix` is `[v.len(), COLUMNS]`.
fn subtract_transposed(matrix: &[f64], v: &[f64], out: &mut [f64]) {
    for (row, factor) in matrix.chunks_exact(COLUMNS).zip(v) {
        out.iter_mut().zip(row).for_each(|(o, m)| *o -= factor * m);
    }
}
