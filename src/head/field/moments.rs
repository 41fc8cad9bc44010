//! Mean and deviation of what drives a field.

/// Mean and standard deviation of numbers that come in rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moments {
    pub(super) mean: Vec<f32>,
    pub(super) deviation: Vec<f32>,
}

impl Moments {
    /// Changes nothing: mean 0, deviation 1.
    pub(super) fn none(width: usize) -> Self {
        Moments { mean: vec![0.0; width], deviation: vec![1.0; width] }
    }

    /// Of these rows; `floor` gives the least deviation for a mean.
    pub(super) fn of<'a>(
        rows: impl Iterator<Item = &'a [f32]> + Clone,
        width: usize,
        floor: impl Fn(f64) -> f64,
    ) -> Self {
        let count = rows.clone().count();
        if count == 0 {
            return Moments::none(width);
        }
        let mut mean = vec![0.0f64; width];
        rows.clone().for_each(|row| mean.iter_mut().zip(row).for_each(|(m, v)| *m += f64::from(*v)));
        mean.iter_mut().for_each(|m| *m /= count as f64);
        let mut variance = vec![0.0f64; width];
        for row in rows {
            for ((sum, v), m) in variance.iter_mut().zip(row).zip(&mean) {
                *sum += (f64::from(*v) - m).powi(2);
            }
        }
        let deviation = variance.iter().zip(&mean);
        let deviation = deviation.map(|(v, m)| (v / count as f64).sqrt().max(floor(*m)) as f32).collect();
        Moments { mean: mean.iter().map(|m| *m as f32).collect(), deviation }
    }

    pub(super) fn normal(&self, at: usize, value: f32) -> f32 {
        (value - self.mean[at]) / self.deviation[at]
    }
}
