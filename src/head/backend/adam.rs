//! Adam (Kingma & Ba 2015) over plain slices, with moments that can be cut and grown with the cloud.

use rayon::prelude::*;

/// Decay of the first moments.
pub(crate) const BETA1: f32 = 0.9;
/// Decay of the second moments.
pub(crate) const BETA2: f32 = 0.999;
/// As small as in 3DGS: gradients of single surfels are tiny.
pub(crate) const EPSILON: f32 = 1e-15;
const CHUNK: usize = 4096;
/// Parameters that one thread sees to.
const ALONE: usize = 32_768;

/// The state of Adam for one parameter array.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Adam {
    /// First moments, one per parameter.
    pub first: Vec<f32>,
    /// Second moments, one per parameter.
    pub second: Vec<f32>,
    /// Steps taken.
    pub steps: u64,
}

impl Adam {
    /// Fresh moments for `len` parameters.
    pub fn new(len: usize) -> Self {
        Adam { first: vec![0.0; len], second: vec![0.0; len], steps: 0 }
    }

    /// One step. Parameters come in rows of `rates.len()`, each column with its own learning rate.
    pub fn step(&mut self, parameters: &mut [f32], gradients: &[f32], rates: &[f32]) {
        self.steps += 1;
        let [c1, c2] = corrections(self.steps);
        let chunk = (CHUNK / rates.len()).max(1) * rates.len();
        if parameters.len() <= ALONE {
            // Waking another thread takes longer.
            return learn(parameters, gradients, [&mut self.first, &mut self.second], rates, [c1, c2]);
        }
        parameters
            .par_chunks_mut(chunk)
            .zip(gradients.par_chunks(chunk))
            .zip(self.first.par_chunks_mut(chunk).zip(self.second.par_chunks_mut(chunk)))
            .for_each(|((p, g), (m, v))| learn(p, g, [m, v], rates, [c1, c2]));
    }
}

/// One step of some parameters.
fn learn(
    parameters: &mut [f32],
    gradients: &[f32],
    [first, second]: [&mut [f32]; 2],
    rates: &[f32],
    [c1, c2]: [f32; 2],
) {
    let moments = first.iter_mut().zip(second);
    for (((p, g), (m, v)), rate) in
        parameters.iter_mut().zip(gradients).zip(moments).zip(rates.iter().cycle())
    {
        *m = BETA1 * *m + (1.0 - BETA1) * g;
        *v = BETA2 * *v + (1.0 - BETA2) * g * g;
        *p -= rate * (*m / c1) / ((*v / c2).sqrt() + EPSILON);
    }
}

/// 1 − βᵗ of either moment after `steps` steps.
pub(crate) fn corrections(steps: u64) -> [f32; 2] {
    let t = steps.min(i32::MAX as u64) as i32;
    [1.0 - BETA1.powi(t), 1.0 - BETA2.powi(t)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_moves_by_the_learning_rate_against_the_gradient() {
        let mut adam = Adam::new(4);
        let mut p = [0.0; 4];
        adam.step(&mut p, &[3.0, -0.5, 1e-6, 0.0], &[0.1, 0.01]);
        for (got, want) in p.iter().zip([-0.1, 0.01, -0.1, 0.0]) {
            assert!((got - want).abs() < 1e-6, "{p:?}");
        }
    }

    #[test]
    fn a_parabola_is_descended_to_its_floor() {
        let mut adam = Adam::new(1);
        let mut p = [1.0];
        for _ in 0..2000 {
            let g = [2.0 * (p[0] - 0.3)];
            adam.step(&mut p, &g, &[0.01]);
        }
        assert!((p[0] - 0.3).abs() < 1e-3);
    }
}
