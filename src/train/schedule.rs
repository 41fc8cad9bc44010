//! What changes with the step: learning rates and the degree of the harmonics in use.

use super::config::TrainConfig;
use super::position::{Position, Stage};
use crate::head::backend::{CloudRates, FieldRates, Rates};

/// Higher bands of the harmonics learn this much slower than band 0 (3DGS).
const HIGHER_BANDS: f64 = 1.0 / 20.0;

/// The learning rates of a step, for a cloud whose initial half size was `extent`.
pub(super) fn rates(config: &TrainConfig, position: Position, extent: f32) -> Rates {
    let Position { stage, step, steps } = position;
    let factor = if stage == Stage::Coarse { 1.0 } else { config.fine_cloud_lr };
    let place = log_linear(config.position_lr[0], config.position_lr[1], step, steps) * f64::from(extent);
    let feature = (factor * config.feature_lr) as f32;
    let cloud = CloudRates {
        position: (factor * place) as f32,
        rotation: (factor * config.rotation_lr) as f32,
        scaling: (factor * config.scaling_lr) as f32,
        opacity: (factor * config.opacity_lr) as f32,
        feature,
        higher: feature * HIGHER_BANDS as f32,
    };
    let [planes, other] = [config.grid_lr, config.deformation_lr]
        .map(|[first, last]| log_linear(first, last, step, steps) as f32);
    let field = FieldRates { planes, other, embedding: config.embedding_lr as f32 };
    Rates { cloud: (factor > 0.0).then_some(cloud), field: (stage == Stage::Fine).then_some(field) }
}

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
