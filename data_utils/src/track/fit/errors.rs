//! Distances between landmarks and the fitted model.

use super::state::{FrameLandmarks, State};
use crate::track::math::add;
use crate::track::model::FaceModel;

/// Distances between landmarks and the projected model, pixels, over all frames with a face.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FitErrors {
    /// Median over the stable landmarks.
    pub stable_median: f64,
    /// Mean over the stable landmarks.
    pub stable_mean: f64,
    /// 95th percentile over the stable landmarks.
    pub stable_p95: f64,
    /// Mean over all 468.
    pub all_mean: f64,
}

impl FitErrors {
    pub(super) fn of(model: &FaceModel, state: &State, landmarks: &[FrameLandmarks]) -> Self {
        let neutral = state.neutral(model);
        let (mut stable, mut sum, mut count) = (Vec::new(), 0.0, 0usize);
        for (i, points) in landmarks.iter().enumerate() {
            let Some(points) = points else { continue };
            let moved = model.expression.at(&state.expression[i]);
            let distances: Vec<f64> = (0..points.len())
                .map(|l| {
                    let p = state.poses[i].to_camera(add(neutral[l], moved[l]));
                    let [x, y] = state.lens.project(p);
                    (x - points[l][0]).hypot(y - points[l][1])
                })
                .collect();
            stable.extend(model.stable.iter().map(|l| distances[*l]));
            sum += distances.iter().sum::<f64>();
            count += distances.len();
        }
        stable.sort_by(f64::total_cmp);
        let at = |share: f64| stable.get((stable.len() as f64 * share) as usize).copied().unwrap_or(0.0);
        FitErrors {
            stable_median: at(0.5),
            stable_mean: stable.iter().sum::<f64>() / stable.len().max(1) as f64,
            stable_p95: at(0.95),
            all_mean: sum / count.max(1) as f64,
        }
    }
}
