//! The weights of the loss at a step.

use super::config::TrainConfig;
use super::position::Stage;
use crate::loss::term::Phase;
use crate::loss::{TERMS, Weights};

/// The weights at `step` of a stage; `extent` is half the size of the initial cloud.
pub(super) fn weights(config: &TrainConfig, stage: Stage, step: u64, extent: f32) -> Weights {
    let mut each = config.weights.each();
    for (weight, term) in each.iter_mut().zip(TERMS) {
        let counts = match term.phase {
            Phase::Always => true,
            Phase::Surface => stage == Stage::Coarse && step >= config.surface_from,
            Phase::Field => stage == Stage::Fine,
            Phase::Attention => stage == Stage::Fine && step >= config.attention_from,
            Phase::Perceptual => stage == Stage::Fine && has_lpips(config, step),
        };
        *weight = if counts { *weight / extent.powi(term.length_power) } else { 0.0 };
    }
    let weights = Weights::new(each);
    Weights { l1: 1.0 - weights.dssim, ..weights }
}

/// Whether LPIPS counts at `step` of the stage with the field.
fn has_lpips(config: &TrainConfig, step: u64) -> bool {
    config.lpips_weights.is_some() && step as f64 > config.lpips_from * config.fine_iterations as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_term_counts_in_its_phase_and_no_other() {
        let config = TrainConfig {
            weights: Weights { dssim: 0.25, distortion: 8.0, gradient: 0.125, ..Weights::default() },
            surface_from: 10,
            attention_from: 20,
            fine_iterations: 100,
            lpips_from: 0.5,
            lpips_weights: Some("lpips.pt".into()),
            ..TrainConfig::default()
        };
        let Weights { lips, eyes, gradient, mask, mouth, normal, .. } = config.weights;
        let Weights { lpips, lpips_lips, attention_audio, attention_expression, .. } = config.weights;
        let always = Weights { l1: 0.75, dssim: 0.25, mask, ..Weights::ZERO };
        let field = Weights { lips, eyes, gradient, mouth, ..always };
        let at = |stage, step| weights(&config, stage, step, 2.0);
        assert_eq!(at(Stage::Coarse, 9), always);
        assert_eq!(at(Stage::Coarse, 10), Weights { normal, distortion: 2.0, ..always });
        assert_eq!(at(Stage::Fine, 19), field);
        let attended = Weights { attention_audio, attention_expression, ..field };
        assert_eq!(at(Stage::Fine, 20), attended);
        assert_eq!(at(Stage::Fine, 50), attended);
        assert_eq!(at(Stage::Fine, 51), Weights { lpips, lpips_lips, ..attended });
        let without = TrainConfig { lpips_weights: None, ..config.clone() };
        assert_eq!(weights(&without, Stage::Fine, 51, 2.0), attended);
    }
}
