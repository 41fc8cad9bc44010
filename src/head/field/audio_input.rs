//! What the audio net is given of the rows: each channel brought to mean 0 and deviation 1 over the training, channels that are
//! not heard set to the mean, and the rest on the principal components of the training where the field asks for them.

use super::FieldConfig;
use super::moments::Moments;
use data_utils::linear::principal_components;

/// Deviations after which audio is cut off.
const LIMIT: f32 = 6.0;

/// Buffers of the field, from the rows of the training frames.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AudioInput {
    /// Of each channel of a row.
    pub(super) moments: Moments,
    /// `[components, channels − direct]`, scaled together so that the mean square of what they give is 1; empty where rows are
    /// taken as they are.
    pub(super) components: Vec<f32>,
}

impl AudioInput {
    /// Mean 0, deviation 1, and the first channels as components.
    pub(super) fn none(config: &FieldConfig) -> Self {
        let (count, width) = config.audio_projection();
        let mut components = vec![0.0; count * width];
        (0..count.min(width)).for_each(|k| components[k * width + k] = 1.0);
        AudioInput { moments: Moments::none(config.audio_channels), components }
    }

    /// Of rows `[channels, width]`.
    pub(super) fn of<'a>(rows: impl Iterator<Item = &'a [f32]>, config: &FieldConfig) -> Self {
        let (channels, width) = (config.audio_channels, config.audio_width);
        let steps: Vec<f32> = rows
            .flat_map(|row| (0..width).flat_map(move |t| (0..channels).map(move |c| row[c * width + t])))
            .collect();
        let hardly = |mean: f64| 1e-3 * mean.abs().max(1.0);
        let moments = Moments::of(steps.chunks_exact(channels), channels, hardly);
        let mut input = AudioInput { moments, ..Self::none(config) };
        let (count, projected) = config.audio_projection();
        if count > 0 && !steps.is_empty() {
            let normal: Vec<f32> = steps
                .chunks_exact(channels)
                .flat_map(|row| (0..projected).map(|c| input.channel(c, row[c], config)))
                .collect();
            let (directions, variances) = principal_components(&normal, projected, count);
            let mean = variances.iter().sum::<f64>() / count as f64;
            let scale = (1.0 / mean.max(1e-6).sqrt()) as f32;
            input.components = directions.iter().map(|v| v * scale).collect();
        }
        input
    }

    fn channel(&self, channel: usize, value: f32, config: &FieldConfig) -> f32 {
        let [first, end] = config.audio_heard;
        match (first..end).contains(&channel) {
            true => self.moments.normal(channel, value).clamp(-LIMIT, LIMIT),
            false => 0.0,
        }
    }

    /// Rows `[8, channels, width]` to `[8, inputs, width]`, inputs as [`FieldConfig::audio_inputs`] says.
    pub(super) fn apply(&self, values: &[f32], config: &FieldConfig) -> Vec<f32> {
        let (channels, width) = (config.audio_channels, config.audio_width);
        let normal = |(i, v): (usize, &f32)| self.channel(i / width % channels, *v, config);
        let normal: Vec<f32> = values.iter().enumerate().map(normal).collect();
        let (count, projected) = config.audio_projection();
        if count == 0 {
            return normal;
        }
        let mut inputs = Vec::with_capacity(values.len() / channels * config.audio_inputs());
        for row in normal.chunks_exact(channels) {
            let (row, direct) = row.split_at(projected);
            let along = |direction: &[f32]| direction.iter().zip(row).map(|(d, v)| d * v).sum::<f32>();
            inputs.extend(self.components.chunks_exact(projected).map(along));
            inputs.extend_from_slice(direct);
        }
        inputs
    }
}
