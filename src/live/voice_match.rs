//! A voice brought to the levels of the one that a head was trained with.
//!
//! Mel features depend on the microphone and the room: an old recording has another noise floor, another voice another tilt.
//! Each channel is mapped linearly so that its quiet and its loud level fall on those of the training voice (cepstral mean and
//! variance normalization, Viikki and Laurila 1998, with quantiles for mean and deviation, since one voice may pause for
//! longer than another).
//!
//! The levels of the new voice are either measured beforehand over the whole of it, or while it is spoken: then each row is
//! mapped by the levels of the last [`WINDOW_ROWS`] rows up to and including itself, so a row never waits for later ones and
//! the result does not depend on how the sound is cut into pieces.

use crate::head::{ChannelLevels, VoiceStatistics};
use std::collections::VecDeque;

/// Rows (1/25 s) of a voice from which its own levels count for half; a short one is left more as it is.
const HALF_TRUST: f32 = 25.0;
/// A channel is stretched or compressed by no more than this, its quiet level held: without loud values it is silence.
const MAX_STRETCH: f32 = 2.0;
/// Rows that the running levels are taken from: half a minute.
pub const WINDOW_ROWS: usize = 750;
/// The value of every mel channel in digital silence, which says nothing about the voice.
const FLOOR: f32 = -1.0;

/// Maps the mel rows of one voice.
#[derive(Debug, Clone)]
pub struct VoiceMatch {
    trained: VoiceStatistics,
    width: usize,
    levels: Levels,
}

#[derive(Debug, Clone)]
enum Levels {
    /// Measured over a whole voice of so many rows.
    Known(VoiceStatistics, usize),
    /// Of the rows so far.
    Running(RunningLevels),
}

impl VoiceMatch {
    /// Measures the voice while it is spoken. `width` is the number of steps in a row of features.
    pub fn running(trained: VoiceStatistics, width: usize) -> Self {
        let levels = Levels::Running(RunningLevels::new(trained.channels.len()));
        VoiceMatch { trained, width, levels }
    }

    /// Uses levels of the voice that were measured beforehand over `rows` rows.
    pub fn known(trained: VoiceStatistics, width: usize, voice: VoiceStatistics, rows: usize) -> Self {
        VoiceMatch { trained, width, levels: Levels::Known(voice, rows) }
    }

    /// Maps rows in place, `[rows, channels, width]`, in the order they are spoken.
    pub fn apply(&mut self, rows: &mut [f32]) {
        let (channels, width) = (self.trained.channels.len(), self.width);
        for row in rows.chunks_exact_mut((channels * width).max(1)) {
            if let Levels::Running(running) = &mut self.levels {
                running.push(row, width);
            }
            for (channel, values) in row.chunks_exact_mut(width).enumerate() {
                self.map(channel, values);
            }
        }
    }

    fn map(&self, channel: usize, values: &mut [f32]) {
        let trained = &self.trained.channels[channel];
        let clamp = |v: f32| v.clamp(trained.least, trained.most);
        let (voice, rows) = match &self.levels {
            Levels::Known(voice, rows) => (voice.channels.get(channel).copied(), *rows),
            Levels::Running(running) => (running.levels(channel), running.rows()),
        };
        let Some(voice) = voice else {
            values.iter_mut().for_each(|value| *value = clamp(*value));
            return;
        };
        let trust = rows as f32 / (rows as f32 + HALF_TRUST);
        let stretch = (trained.loud - trained.quiet).max(1e-3) / (voice.loud - voice.quiet).max(1e-3);
        let stretch = stretch.clamp(1.0 / MAX_STRETCH, MAX_STRETCH);
        for value in values {
            let matched = clamp(trained.quiet + (*value - voice.quiet) * stretch);
            *value = clamp(*value + trust * (matched - *value));
        }
    }
}

/// The middle values of the last rows, sorted in each channel.
#[derive(Debug, Clone)]
struct RunningLevels {
    rows: VecDeque<Box<[f32]>>,
    sorted: Vec<Vec<f32>>,
}

impl RunningLevels {
    fn new(channels: usize) -> Self {
        RunningLevels { rows: VecDeque::new(), sorted: vec![Vec::new(); channels] }
    }

    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn push(&mut self, row: &[f32], width: usize) {
        let middle: Box<[f32]> = row.chunks_exact(width).map(|values| values[width / 2]).collect();
        if middle.iter().all(|v| *v <= FLOOR) {
            return;
        }
        for (sorted, value) in self.sorted.iter_mut().zip(&middle) {
            let at = sorted.partition_point(|v| v.total_cmp(value).is_lt());
            sorted.insert(at, *value);
        }
        self.rows.push_back(middle);
        if self.rows.len() > WINDOW_ROWS
            && let Some(old) = self.rows.pop_front()
        {
            for (sorted, value) in self.sorted.iter_mut().zip(&old) {
                let at = sorted.partition_point(|v| v.total_cmp(value).is_lt());
                sorted.remove(at);
            }
        }
    }

    fn levels(&self, channel: usize) -> Option<ChannelLevels> {
        let sorted = &self.sorted[channel];
        (!sorted.is_empty()).then(|| ChannelLevels::of_sorted(sorted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_utils::audio::features::{AudioFeatures, AudioKind};

    const KIND: AudioKind = AudioKind::Mel;

    fn mel(rows: usize, value: impl Fn(usize, usize) -> f32) -> AudioFeatures {
        let (channels, width) = (KIND.channels(), KIND.width());
        let values = (0..rows * channels * width)
            .map(|i| value(i / (channels * width), i / width % channels))
            .collect();
        AudioFeatures { kind: KIND, rows, channels, width, values }
    }

    fn wave(row: usize, channel: usize) -> f32 {
        0.3 * ((row * 7 + channel) as f32 * 0.13).sin() - 0.2
    }

    fn statistics(features: &AudioFeatures) -> VoiceStatistics {
        VoiceStatistics::of(features).expect("mel features")
    }

    /// Both ways over the same voice: known beforehand, and running.
    fn matched(voice: &AudioFeatures, trained: &AudioFeatures) -> [Vec<f32>; 2] {
        let (width, trained) = (KIND.width(), statistics(trained));
        let known = VoiceMatch::known(trained.clone(), width, statistics(voice), voice.rows);
        [known, VoiceMatch::running(trained, width)].map(|mut matching| {
            let mut values = voice.values.clone();
            matching.apply(&mut values);
            values
        })
    }

    fn mean_distance(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / a.len() as f32
    }

    #[test]
    fn a_voice_through_another_microphone_becomes_the_voice_it_was() {
        let trained = mel(1000, wave);
        let voice = mel(1000, |row, channel| 0.7 * wave(row, channel) + 0.1 - 0.002 * channel as f32);
        let before = mean_distance(&voice.values, &trained.values);
        for (values, bound) in matched(&voice, &trained).iter().zip([0.1, 0.2]) {
            let after = mean_distance(values, &trained.values);
            assert!(after < bound * before, "{after} of {before}");
        }
    }

    #[test]
    fn the_running_levels_come_to_those_of_the_whole_voice() {
        let trained = mel(1000, wave);
        let voice = mel(700, |row, channel| 0.7 * wave(row, channel) + 0.1);
        let [known, running] = matched(&voice, &trained);
        let last = known.len() - 100 * KIND.channels() * KIND.width();
        let apart = mean_distance(&known[last..], &running[last..]);
        assert!(apart < 0.01, "{apart}");
    }

    #[test]
    fn pieces_of_a_voice_are_mapped_as_the_whole_is() {
        let trained = statistics(&mel(100, wave));
        let voice = mel(900, |row, channel| 0.5 * wave(row, channel));
        let mut whole = VoiceMatch::running(trained.clone(), KIND.width());
        let mut pieces = whole.clone();
        let (mut a, mut b) = (voice.values.clone(), voice.values);
        whole.apply(&mut a);
        b.chunks_mut(3 * KIND.channels() * KIND.width()).for_each(|piece| pieces.apply(piece));
        assert_eq!(a, b);
    }

    #[test]
    fn silence_stays_within_what_the_head_has_heard() {
        let trained = mel(500, wave);
        let voice = mel(500, |row, channel| if row < 250 { -1.0 } else { wave(row, channel) });
        let least = trained.values.iter().copied().fold(f32::INFINITY, f32::min);
        for values in matched(&voice, &trained) {
            assert!(values.iter().all(|v| *v >= least && v.is_finite()));
        }
    }

    #[test]
    fn a_file_of_silence_is_silence_to_the_head() {
        let trained = mel(500, wave);
        let voice = mel(200, |_, _| -1.0);
        for values in matched(&voice, &trained) {
            let heard = statistics(&AudioFeatures { values, ..voice.clone() });
            for channel in [0, 40, 79] {
                let quiet = statistics(&trained).channels[channel].quiet;
                let heard = heard.channels[channel].quiet;
                assert!(heard <= quiet + 1e-6, "channel {channel}: {heard} beside {quiet}");
            }
        }
    }

    #[test]
    fn a_pause_before_the_voice_does_not_change_how_it_is_mapped() {
        let trained = statistics(&mel(500, wave));
        let row = KIND.channels() * KIND.width();
        let run = |pause: usize| {
            let voice = mel(pause + 100, |r, c| if r < pause { -1.0 } else { 0.6 * wave(r - pause, c) });
            let mut values = voice.values;
            VoiceMatch::running(trained.clone(), KIND.width()).apply(&mut values);
            values[pause * row..].to_vec()
        };
        assert_eq!(run(0), run(300));
    }
}
