//! Statistics of the training inputs, buffers of the field: every token's numbers are brought to mean 0 and deviation
//! 1 before its net sees them. Blendshapes that move by a hundredth and log-mel bands around −2 would otherwise be
//! drowned by what is large, and a pose or a raised brow outside of all training must not throw the field off.

use super::audio_input::AudioInput;
use super::blendshapes::stretched;
use super::moments::Moments;
use super::{Conditions, EXPRESSION, FieldConfig};

/// Deviations after which a camera is drawn nearer to the training's mean.
const CAMERA_LIMIT: f32 = 4.0;
/// Least deviation of a stretched blendshape: below it there is only the tracker's jitter.
const EXPRESSION_FLOOR: f64 = 0.1;
/// How far past what training saw a stretched blendshape may go, in ranges of the training.
const EXPRESSION_MARGIN: f32 = 0.1;

/// The statistics of all inputs that have some.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct InputStatistics {
    /// The camera's twelve numbers.
    pub(super) camera: Moments,
    /// The stretched blendshapes.
    pub(super) expression: Moments,
    /// Smallest and largest stretched blendshape that is let through.
    pub(super) expression_range: [Vec<f32>; 2],
    /// What the audio net is given of the rows.
    pub(super) audio: AudioInput,
}

impl InputStatistics {
    /// Changes nothing.
    pub(super) fn none(config: &FieldConfig) -> Self {
        InputStatistics {
            camera: Moments::none(12),
            expression: Moments::none(EXPRESSION),
            expression_range: [vec![f32::MIN; EXPRESSION], vec![f32::MAX; EXPRESSION]],
            audio: AudioInput::none(config),
        }
    }

    /// Of the conditions of all training frames, of their audio windows the frame's own row.
    pub(super) fn of(conditions: &[Conditions], config: &FieldConfig) -> Self {
        let hardly = |mean: f64| 1e-3 * mean.abs().max(1.0);
        let row = config.audio_channels * config.audio_width;
        let rows = conditions.iter().flat_map(|c| c.audio.chunks_exact(row).nth(config.audio_rows_before));
        let expressions: Vec<Vec<f32>> =
            conditions.iter().map(|c| c.expression.iter().map(|b| stretched(*b)).collect()).collect();
        let mut range = [vec![f32::MAX; EXPRESSION], vec![f32::MIN; EXPRESSION]];
        for row in &expressions {
            for (k, value) in row.iter().take(EXPRESSION).enumerate() {
                range[0][k] = range[0][k].min(*value);
                range[1][k] = range[1][k].max(*value);
            }
        }
        let [low, high] = &mut range;
        for (low, high) in low.iter_mut().zip(high) {
            let margin = EXPRESSION_MARGIN * (*high - *low).max(0.0);
            *low -= margin;
            *high += margin;
        }
        if conditions.is_empty() {
            return Self::none(config);
        }
        InputStatistics {
            camera: Moments::of(conditions.iter().map(|c| c.camera.as_slice()), 12, hardly),
            expression: Moments::of(expressions.iter().map(Vec::as_slice), EXPRESSION, |_| EXPRESSION_FLOOR),
            expression_range: range,
            audio: AudioInput::of(rows, config),
        }
    }

    /// The camera's twelve numbers as the net sees them. Where one lies beyond [`CAMERA_LIMIT`] deviations, all are
    /// scaled together: cut off one by one, they would describe a pose that no camera has.
    pub(super) fn camera(&self, values: &[f32]) -> Vec<f32> {
        let mut normal: Vec<f32> =
            values.iter().enumerate().map(|(k, v)| self.camera.normal(k, *v)).collect();
        let furthest = normal.iter().fold(0.0f32, |most, z| most.max(z.abs()));
        if furthest > CAMERA_LIMIT {
            normal.iter_mut().for_each(|z| *z = *z / furthest * CAMERA_LIMIT);
        }
        normal
    }

    pub(super) fn expression(&self, values: &[f32]) -> Vec<f32> {
        let [low, high] = &self.expression_range;
        let normal =
            |(k, v): (usize, &f32)| self.expression.normal(k, stretched(*v).max(low[k]).min(high[k]));
        values.iter().enumerate().map(normal).collect()
    }
}
