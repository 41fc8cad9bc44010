//! What changes with the step: learning rates and the degree of the harmonics in use.

/// A rate that falls log-linearly from `start` to `end` over `steps` (3DGS, `get_expon_lr_func` without delay).
pub fn log_linear(start: f64, end: f64, step: u64, steps: u64) -> f64 {
    let t = if steps == 0 { 1.0 } else { (step as f64 / steps as f64).clamp(0.0, 1.0) };
    (start.ln() * (1.0 - t) + end.ln() * t).exp()
}

/// The degree of spherical harmonics in use: one more every `interval` steps, at most `degree`.
pub fn active_degree(step: u64, interval: u64, degree: usize) -> usize {
    step.checked_div(interval).map_or(degree, |opened| (opened as usize).min(degree))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_meet_both_ends_and_the_geometric_middle() {
        assert!((log_linear(1e-2, 1e-4, 0, 100) - 1e-2).abs() < 1e-12);
        assert!((log_linear(1e-2, 1e-4, 50, 100) - 1e-3).abs() < 1e-12);
        assert!((log_linear(1e-2, 1e-4, 500, 100) - 1e-4).abs() < 1e-12);
    }

    #[test]
    fn harmonics_open_one_degree_at_a_time() {
        assert_eq!([0, 999, 1000, 2500, 9000].map(|s| active_degree(s, 1000, 3)), [0, 0, 1, 2, 3]);
    }
}
