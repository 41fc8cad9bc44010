//! How loud the voice was that a head was trained with, channel by channel of its mel features.

use crate::{Error, Result};
use data_utils::audio::Sound;
use data_utils::audio::features::{AudioFeatures, AudioKind, FeatureStream};

/// Levels of one mel channel over a whole voice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChannelLevels {
    /// 0.1 quantile: the channel in a pause.
    pub quiet: f32,
    /// 0.9 quantile: the channel in loud speech.
    pub loud: f32,
    /// Smallest value.
    pub least: f32,
    /// Largest value.
    pub most: f32,
}

/// Share of a channel's values below its quiet and below its loud level.
pub const QUANTILES: [f64; 2] = [0.1, 0.9];

impl ChannelLevels {
    /// The levels of values in ascending order, of which there is at least one.
    pub fn of_sorted(values: &[f32]) -> Self {
        let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        ChannelLevels { quiet: at(QUANTILES[0]), loud: at(QUANTILES[1]), least: at(0.0), most: at(1.0) }
    }
}

/// Levels of a voice's mel channels.
#[derive(Debug, Clone, PartialEq)]
pub struct VoiceStatistics {
    /// One for each mel channel.
    pub channels: Vec<ChannelLevels>,
}

impl VoiceStatistics {
    /// The levels of a voice; `None` for features other than mel, which need no matching, and for a voice without rows.
    ///
    /// Only the middle step of each row is looked at, since the windows of neighbouring rows overlap.
    pub fn of(features: &AudioFeatures) -> Option<Self> {
        if features.kind != AudioKind::Mel || features.rows == 0 {
            return None;
        }
        let mut steps = vec![Vec::with_capacity(features.rows); features.channels];
        add_middle_steps(&features.values, features.width, &mut steps);
        Some(Self::of_steps(steps))
    }

    /// The levels of a voice at 16 kHz and the number of its rows, as [`VoiceStatistics::of`] gives them, from its mel
    /// features made `piece` samples at a time.
    ///
    /// # Errors
    /// [`Error::Internal`] when the features cannot be made.
    pub fn of_sound(sound: &Sound, piece: usize) -> Result<Option<(Self, usize)>> {
        let (channels, width) = (AudioKind::Mel.channels(), AudioKind::Mel.width());
        let mut stream = FeatureStream::mel();
        let mut steps = vec![Vec::new(); channels];
        for samples in sound.samples.chunks(piece.max(1)) {
            add_middle_steps(&stream.push(samples)?, width, &mut steps);
        }
        add_middle_steps(&stream.finish()?, width, &mut steps);
        let rows = steps.first().map_or(0, Vec::len);
        Ok((rows > 0).then(|| (Self::of_steps(steps), rows)))
    }

    fn of_steps(steps: Vec<Vec<f32>>) -> Self {
        let levels = |mut values: Vec<f32>| {
            values.sort_by(f32::total_cmp);
            ChannelLevels::of_sorted(&values)
        };
        VoiceStatistics { channels: steps.into_iter().map(levels).collect() }
    }

    /// The levels as numbers, `[channels, 4]`: quiet, loud, least, most.
    pub fn to_numbers(&self) -> Vec<f32> {
        self.channels.iter().flat_map(|c| [c.quiet, c.loud, c.least, c.most]).collect()
    }

    /// What [`VoiceStatistics::to_numbers`] made. `at` names the file in errors.
    ///
    /// # Errors
    /// [`Error::Input`] for another number of channels than mel features have, or values that are not finite.
    pub fn from_numbers(numbers: &[f32], at: &str) -> Result<Self> {
        let channels = AudioKind::Mel.channels();
        if numbers.len() != 4 * channels || numbers.iter().any(|v| !v.is_finite()) {
            return Err(Error::input(
                at,
                format!("finite levels of {channels} mel channels"),
                format!("{} numbers", numbers.len()),
                "use a file that this version of surfeltalk wrote",
            ));
        }
        let level = |c: &[f32]| ChannelLevels { quiet: c[0], loud: c[1], least: c[2], most: c[3] };
        Ok(VoiceStatistics { channels: numbers.chunks_exact(4).map(level).collect() })
    }
}

/// Adds the middle step of each row, `[rows, channels, width]`, to the steps of its channels.
fn add_middle_steps(rows: &[f32], width: usize, steps: &mut [Vec<f32>]) {
    for row in rows.chunks_exact(steps.len() * width) {
        steps
            .iter_mut()
            .zip(row.chunks_exact(width))
            .for_each(|(steps, channel)| steps.push(channel[width / 2]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_a_voice_in_pieces_are_those_of_the_whole_voice() {
        let samples = (0..30_000).map(|i| (i as f32 * 0.03).sin() * (i as f32 * 0.0007).sin()).collect();
        let sound = Sound { samples, rate: 16_000 };
        let features = AudioFeatures::mel(&sound).expect("features");
        let whole = VoiceStatistics::of(&features).expect("levels");
        assert_eq!(VoiceStatistics::of_sound(&sound, 1234).expect("levels"), Some((whole, features.rows)));
    }
}
