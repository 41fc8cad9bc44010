//! Priors on identity, offsets and focal length.

use super::state::{FitOptions, State, spread};
use crate::track::math::{V3, dot, scale, sub};
use crate::track::model::{FaceModel, POINTS};

/// Standard deviation of an offset, and of the difference of two offsets along an edge, metres.
const OFFSET: f64 = 0.0015;
const EDGE: f64 = 0.0005;
/// Landmark errors are correlated between frames, so the priors on shared unknowns are counted once for every so many
/// frames.
const PRIOR_FRAMES: f64 = 330.0;
/// The same for the prior on the focal length, whose evidence is the weakest.
pub(super) const FOCAL_FRAMES: f64 = 10.0;
/// Relative standard deviation of the size of a face, measured on the stable points: images do not determine it.
const SIZE: f64 = 0.002;
/// Beyond this many standard deviations the prior on identity is stronger by a factor, so that coefficients stay within
/// the five that are allowed.
const NEAR_WALL: f64 = 3.5;
const WALL: f64 = 300.0;

/// How far a coefficient is beyond [`NEAR_WALL`], with its sign.
fn beyond(c: f64) -> f64 {
    c - c.clamp(-NEAR_WALL, NEAR_WALL)
}

/// The priors on what frames share, and the scale anchor.
pub(super) struct Priors<'a> {
    pub(super) model: &'a FaceModel,
    strength: f64,
    edges: Vec<[usize; 2]>,
    size: f64,
    pub(super) focal: (f64, f64),
}

impl<'a> Priors<'a> {
    pub(super) fn new(model: &'a FaceModel, options: &FitOptions, frames: usize) -> Self {
        let mut edges: Vec<[usize; 2]> = model
            .triangles
            .iter()
            .flat_map(|t| [[t[0], t[1]], [t[1], t[2]], [t[2], t[0]]])
            .map(|[a, b]| [a.min(b) as usize, a.max(b) as usize])
            .filter(|[a, b]| a != b && *b < POINTS)
            .collect();
        edges.sort_unstable();
        edges.dedup();
        let focal = options.focal * f64::from(options.size[0].max(options.size[1]));
        Priors {
            model,
            strength: frames as f64 / PRIOR_FRAMES,
            edges,
            size: spread(model, &model.mean).0,
            focal: (
                focal.ln(),
                (frames as f64 / FOCAL_FRAMES).max(1.0) / options.focal_deviation.max(1e-9).powi(2),
            ),
        }
    }

    /// Error of the size divided by its standard deviation, and its derivatives by the stable points.
    pub(super) fn anchor(&self, state: &State) -> (f64, Vec<(usize, V3)>) {
        let shape = state.neutral(self.model);
        let (size, middle) = spread(self.model, &shape);
        let unit = 1.0 / (self.size * SIZE);
        let share = unit / (size * self.model.stable.len().max(1) as f64);
        let slopes = self.model.stable.iter().map(|l| (*l, scale(sub(shape[*l], middle), share)));
        ((size - self.size) * unit, slopes.collect())
    }

    pub(super) fn cost(&self, state: &State) -> f64 {
        let people: f64 = state.identity.iter().map(|c| c * c + WALL * beyond(*c).powi(2)).sum();
        let own: f64 = state.offsets.iter().map(|o| dot(*o, *o)).sum::<f64>() / (OFFSET * OFFSET);
        let difference = |[a, b]: &[usize; 2]| sub(state.offsets[*a], state.offsets[*b]);
        let smooth: f64 =
            self.edges.iter().map(|e| dot(difference(e), difference(e))).sum::<f64>() / (EDGE * EDGE);
        let (size, _) = self.anchor(state);
        let focal = (state.lens.focal.ln() - self.focal.0).powi(2) * self.focal.1;
        0.5 * (self.strength * (people + own + smooth) + size * size + focal)
    }

    /// Weight of the prior on each identity coefficient: larger near the most that is allowed.
    pub(super) fn held(&self, state: &State) -> Vec<f64> {
        let wall = |c: &f64| if beyond(*c) == 0.0 { 0.0 } else { WALL };
        state.identity.iter().map(|c| self.strength * (1.0 + wall(c))).collect()
    }

    /// Diagonal of the prior on an offset: its own, and that of about six edges.
    pub(super) fn of_an_offset(&self) -> f64 {
        self.strength * (1.0 / (OFFSET * OFFSET) + 6.0 / (EDGE * EDGE))
    }

    /// Adds the matrix of the priors times `s` to `out`, with the weights `held` on identity; the prior on the size acts on
    /// points and is not part of it.
    pub(super) fn times(&self, s: &[f64], held: &[f64], out: &mut [f64]) {
        let modes = self.model.identity.modes();
        let end = s.len() - 1;
        (0..modes).for_each(|k| out[k] += held[k] * s[k]);
        let own = self.strength / (OFFSET * OFFSET);
        (modes..end).for_each(|k| out[k] += own * s[k]);
        let smooth = self.strength / (EDGE * EDGE);
        for [a, b] in &self.edges {
            for k in 0..3 {
                let (i, j) = (modes + 3 * a + k, modes + 3 * b + k);
                let difference = smooth * (s[i] - s[j]);
                out[i] += difference;
                out[j] -= difference;
            }
        }
        out[end] += self.focal.1 * s[end];
    }

    /// The gradient of the priors.
    pub(super) fn gradient(&self, state: &State) -> Vec<f64> {
        let mut s = state.identity.clone();
        s.extend(state.offsets.as_flattened());
        s.push(state.lens.focal.ln() - self.focal.0);
        let mut out = vec![0.0; s.len()];
        self.times(&s, &vec![self.strength; state.identity.len()], &mut out);
        for (g, c) in out.iter_mut().zip(&state.identity) {
            *g += self.strength * WALL * beyond(*c);
        }
        out
    }
}
