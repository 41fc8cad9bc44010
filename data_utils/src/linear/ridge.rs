//! Linear regression that keeps its weights small.

use super::Cholesky;

/// What was learned: `y = W·x`.
#[derive(Debug, Clone, PartialEq)]
pub struct Ridge {
    inputs: usize,
    outputs: usize,
    /// `[inputs, outputs]`.
    weights: Vec<f64>,
}

impl Ridge {
    /// The weights that make `|X·W − Y|² + penalty·|W|²` smallest, for rows `x` `[n, inputs]` and `y` `[n, outputs]`. None
    /// without a penalty above 0, or for numbers that are not finite.
    pub fn fit(x: &[f32], inputs: usize, y: &[f32], outputs: usize, penalty: f64) -> Option<Self> {
        let mut square = vec![0.0f64; inputs * inputs];
        let mut right = vec![0.0f64; inputs * outputs];
        for (x, y) in x.chunks_exact(inputs).zip(y.chunks_exact(outputs)) {
            for (i, a) in x.iter().enumerate() {
                let a = f64::from(*a);
                let row = &mut square[i * inputs..i * inputs + i + 1];
                row.iter_mut().zip(x).for_each(|(to, b)| *to += a * f64::from(*b));
                let row = &mut right[i * outputs..(i + 1) * outputs];
                row.iter_mut().zip(y).for_each(|(to, b)| *to += a * f64::from(*b));
            }
        }
        (0..inputs).for_each(|i| square[i * inputs + i] += penalty);
        let factor = Cholesky::new(square, inputs)?;
        let mut weights = vec![0.0; inputs * outputs];
        for output in 0..outputs {
            let mut column: Vec<f64> = right.iter().skip(output).step_by(outputs).copied().collect();
            factor.solve(&mut column);
            weights.iter_mut().skip(output).step_by(outputs).zip(column).for_each(|(to, v)| *to = v);
        }
        weights.iter().all(|w| w.is_finite()).then_some(Ridge { inputs, outputs, weights })
    }

    /// What each input adds to each output, `[inputs, outputs]`.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// What rows `[n, inputs]` give, `[n, outputs]`.
    pub fn apply(&self, x: &[f32]) -> Vec<f64> {
        let mut y = Vec::with_capacity(x.len() / self.inputs.max(1) * self.outputs);
        for row in x.chunks_exact(self.inputs) {
            let mut sums = vec![0.0; self.outputs];
            for (x, weights) in row.iter().zip(self.weights.chunks_exact(self.outputs)) {
                sums.iter_mut().zip(weights).for_each(|(sum, w)| *sum += f64::from(*x) * w);
            }
            y.extend(sums);
        }
        y
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of three numbers without pattern, and two that follow from them.
    fn rows() -> (Vec<f32>, Vec<f32>) {
        let x: Vec<f32> = (0..300).map(|i| ((i * i) as f32 * 0.713).sin()).collect();
        let y = x.chunks(3).flat_map(|x| [2.0 * x[0] - x[1], 0.5 * x[2]]).collect();
        (x, y)
    }

    #[test]
    fn what_is_linear_is_found() {
        let (x, y) = rows();
        let ridge = Ridge::fit(&x, 3, &y, 2, 1e-9).expect("weights");
        assert!(ridge.apply(&x).iter().zip(&y).all(|(a, b)| (a - f64::from(*b)).abs() < 1e-5));
        assert_eq!(Ridge::fit(&[], 3, &[], 2, 1.0).expect("weights").apply(&[1.0, 2.0, 3.0]), [0.0, 0.0]);
    }

    #[test]
    fn a_penalty_makes_the_weights_smaller() {
        let (x, y) = rows();
        let size = |penalty| {
            let ridge = Ridge::fit(&x, 3, &y, 2, penalty).expect("weights");
            ridge.weights.iter().map(|w| w * w).sum::<f64>()
        };
        assert!(size(100.0) < 0.5 * size(1.0) && size(1.0) < size(1e-6));
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused() {
        let (mut x, y) = rows();
        x[7] = f32::NAN;
        assert_eq!(Ridge::fit(&x, 3, &y, 2, 1.0), None);
        assert_eq!(Ridge::fit(&[0.0; 6], 3, &[0.0; 4], 2, 0.0), None);
    }
}
