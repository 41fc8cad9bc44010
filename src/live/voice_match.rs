//! A foreign voice brought to the level and colour of the voice a head was trained with.
//!
//! Mel features carry the microphone and the room along: an old recording has another noise floor, another voice
//! another tilt. Each channel is mapped linearly so that its quiet and its loud values fall on those of the training
//! (cepstral mean and variance normalisation, Viikki and Laurila 1998, with quantiles for mean and deviation, since
//! a voice may pause for longer or shorter than the other).

use data_utils::audio::features::{AudioFeatures, AudioKind};

/// What counts as quiet and as loud, as parts of all values of a channel in rising order.
const LEVELS: [f64; 2] = [0.1, 0.9];
/// Rows (1/25 s) of a voice from which its own levels count for half; a short one is left more as it is.
const HALF_TRUST: f32 = 25.0;
/// A channel is stretched or compressed by no more than this, its quiet values held: what has no loud ones is silence.
const MAX_STRETCH: f32 = 2.0;

/// Brings `voice` to the levels of `trained`. Features of networks, which were trained to hear through such
/// differences, stay as they are.
pub fn match_voice(voice: &mut AudioFeatures, trained: &AudioFeatures) {
    let fits = voice.kind == AudioKind::Mel && trained.kind == AudioKind::Mel;
    if !fits || voice.channels != trained.channels || voice.rows == 0 || trained.rows == 0 {
        return;
    }
    let trust = voice.rows as f32 / (voice.rows as f32 + HALF_TRUST);
    let (channels, width) = (voice.channels, voice.width);
    for channel in 0..channels {
        let from = levels(voice, channel);
        let [low, high, least, most] = levels(trained, channel);
        let stretch = (high - low).max(1e-3) / (from[1] - from[0]).max(1e-3);
        let stretch = stretch.clamp(1.0 / MAX_STRETCH, MAX_STRETCH);
        for row in voice.values.chunks_exact_mut(channels * width) {
            for value in &mut row[channel * width..][..width] {
                let matched = (low + (*value - from[0]) * stretch).clamp(least, most);
                *value += trust * (matched - *value);
            }
        }
    }
}

/// Quiet, loud, least and most of a channel; one step of each row, since windows overlap.
fn levels(features: &AudioFeatures, channel: usize) -> [f32; 4] {
    let (row, step) = (features.channels * features.width, features.width / 2);
    let mut values: Vec<f32> =
        features.values.chunks_exact(row).map(|r| r[channel * features.width + step]).collect();
    values.sort_by(f32::total_cmp);
    let at = |part: f64| values[((values.len() - 1) as f64 * part).round() as usize];
    [at(LEVELS[0]), at(LEVELS[1]), at(0.0), at(1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mel(rows: usize, value: impl Fn(usize, usize) -> f32) -> AudioFeatures {
        let kind = AudioKind::Mel;
        let (channels, width) = (kind.channels(), kind.width());
        let values = (0..rows * channels * width)
            .map(|i| value(i / (channels * width), i / width % channels))
            .collect();
        AudioFeatures { kind, rows, channels, width, values }
    }

    fn wave(row: usize, channel: usize) -> f32 {
        0.3 * ((row * 7 + channel) as f32 * 0.13).sin() - 0.2
    }

    #[test]
    fn a_voice_through_another_microphone_becomes_the_voice_it_was() {
        let trained = mel(1000, wave);
        let mut voice = mel(1000, |row, channel| 0.7 * wave(row, channel) + 0.1 - 0.002 * channel as f32);
        let far = |a: &AudioFeatures| {
            let differences = a.values.iter().zip(&trained.values).map(|(a, b)| (a - b).abs());
            differences.sum::<f32>() / a.values.len() as f32
        };
        let before = far(&voice);
        match_voice(&mut voice, &trained);
        assert!(far(&voice) < 0.1 * before, "{} of {before}", far(&voice));
    }

    #[test]
    fn silence_stays_within_what_the_head_has_heard() {
        let trained = mel(500, wave);
        let mut voice = mel(500, |row, channel| if row < 250 { -1.0 } else { wave(row, channel) });
        match_voice(&mut voice, &trained);
        let least = trained.values.iter().copied().fold(f32::INFINITY, f32::min);
        // What trust the voice does not have leaves it a little outside.
        assert!(voice.values.iter().all(|v| *v >= least - 0.06 && v.is_finite()));
    }

    #[test]
    fn a_file_of_silence_is_silence_to_the_head() {
        let trained = mel(500, wave);
        let mut voice = mel(200, |_, _| -1.0);
        match_voice(&mut voice, &trained);
        for channel in [0, 40, 79] {
            let [low, ..] = levels(&trained, channel);
            let [heard, ..] = levels(&voice, channel);
            assert!(heard <= low + 1e-6, "channel {channel}: {heard} beside {low}");
        }
    }

    #[test]
    fn features_of_networks_stay_as_they_are() {
        let trained = AudioFeatures { kind: AudioKind::Ave, ..mel(50, wave) };
        let mut voice = AudioFeatures { kind: AudioKind::Ave, ..mel(50, |_, _| 0.5) };
        let before = voice.clone();
        match_voice(&mut voice, &trained);
        assert_eq!(voice, before);
    }
}
