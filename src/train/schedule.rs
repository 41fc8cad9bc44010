//! What changes with the step: learning rates and the degree of the harmonics in use.

use super::config::TrainConfig;
use super::position::{Position, Stage};
use crate::head::backend::{CloudRates, FieldRates, Rates};
use std::f64::consts::PI;

/// Higher bands of the harmonics learn this much slower than band 0 (3DGS).
const HIGHER_BANDS: f64 = 1.0 / 20.0;
/// The part of a rate that is left at the end of the stage with the field.
const SETTLED: f64 = 0.01;

/// The learning rates of a step, for a cloud whose initial half size was `extent`.
pub(super) fn rates(config: &TrainConfig, position: Position, extent: f32) -> Rates {
    let Position { stage, step, steps } = position;
    let settling = if stage == Stage::Coarse { 1.0 } else { settling(config.settle_from, step, steps) };
    let factor = if stage == Stage::Coarse { 1.0 } else { config.fine_cloud_lr * settling };
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
        .map(|[first, last]| (settling * log_linear(first, last, step, steps)) as f32);
    let field = FieldRates { planes, other, embedding: (settling * config.embedding_lr) as f32 };
    Rates { cloud: (factor > 0.0).then_some(cloud), field: (stage == Stage::Fine).then_some(field) }
}

/// Noise on audio rows at a step of the stage with the field, deviations: it falls as the rates do.
pub(super) fn audio_noise(config: &TrainConfig, position: Position) -> f64 {
    let [first, last] = config.audio_noise;
    let left = (settling(config.settle_from, position.step, position.steps) - SETTLED) / (1.0 - SETTLED);
    last + (first - last) * left
}

/// The factor on all rates of a stage: 1 up to its share `from`, then half a cosine down to [`SETTLED`] at its end, so that the
/// last steps average over many frames instead of following each batch.
fn settling(from: f64, step: u64, steps: u64) -> f64 {
    let done = if steps == 0 { 1.0 } else { (step as f64 / steps as f64).min(1.0) };
    if done <= from {
        return 1.0;
    }
    let fallen = 0.5 - 0.5 * (PI * (done - from) / (1.0 - from)).cos();
    1.0 - (1.0 - SETTLED) * fallen
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
    fn rates_settle_in_the_last_part_of_the_stage() {
        let at = |step| settling(0.6, step, 1000);
        assert_eq!([at(0), at(600)], [1.0, 1.0]);
        assert!((at(800) - 0.505).abs() < 1e-9 && (at(1000) - 0.01).abs() < 1e-9, "{} {}", at(800), at(1000));
        assert_eq!(settling(1.0, 1000, 1000), 1.0, "a share of 1 leaves the rates alone");
        let config = TrainConfig { settle_from: 0.5, ..TrainConfig::default() };
        let of =
            |stage, step| rates(&config, Position { stage, step, steps: 100 }, 1.0).cloud.unwrap().opacity;
        assert_eq!(of(Stage::Coarse, 100), of(Stage::Coarse, 1), "the static stage keeps its rates");
        assert!(of(Stage::Fine, 100) < 0.02 * of(Stage::Fine, 1));
    }

    #[test]
    fn noise_on_the_sound_falls_as_the_rates_settle() {
        let config = TrainConfig { audio_noise: [1.0, 0.25], settle_from: 0.6, ..TrainConfig::default() };
        let at = |step| audio_noise(&config, Position { stage: Stage::Fine, step, steps: 1000 });
        assert_eq!([at(1), at(600)], [1.0, 1.0]);
        assert!((at(800) - 0.625).abs() < 1e-9 && (at(1000) - 0.25).abs() < 1e-9);
    }

    #[test]
    fn harmonics_open_one_degree_at_a_time() {
        assert_eq!([0, 999, 1000, 2500, 9000].map(|s| active_degree(s, 1000, 3)), [0, 0, 1, 2, 3]);
    }
}
