//! The voice inside: needs nothing installed, speaks English.

use super::Engine;
use super::pronounce::pronounce;
use crate::Result;
use crate::sample::speak;
use data_utils::audio::Sound;

/// Pause that is left before and after a sentence, seconds; the sample talker leaves more.
const BEFORE: f32 = 0.04;
const AFTER: f32 = 0.16;

/// The sample talker's formant voice with letter-to-sound rules.
pub struct Builtin;

impl Engine for Builtin {
    fn name(&self) -> String {
        "builtin".into()
    }

    fn speak(&self, sentence: &str) -> Result<Sound> {
        let sentence = pronounce(sentence)?;
        let seed = sentence.text.len() as u64;
        let sound = speak(&[sentence], seed)?;
        Ok(shortened(sound))
    }
}

/// Without most of the silence at both ends.
fn shortened(mut sound: Sound) -> Sound {
    let is_loud = |sample: &f32| sample.abs() > 0.01;
    let length = |seconds: f32| (seconds * sound.rate as f32) as usize;
    let first = sound.samples.iter().position(is_loud).unwrap_or(0).saturating_sub(length(BEFORE));
    let last = sound.samples.iter().rposition(is_loud).unwrap_or(0) + length(AFTER);
    sound.samples.truncate(last);
    sound.samples.drain(..first.min(sound.samples.len()));
    sound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_english_sentence_becomes_speech() {
        let sound = Builtin.speak("The zebra's 42 stripes are extraordinary!").expect("speech");
        assert_eq!(sound.rate, 16_000);
        let seconds = sound.samples.len() as f32 / 16_000.0;
        assert!((2.0..7.0).contains(&seconds), "{seconds}");
        let loud = |part: &[f32]| part.iter().any(|sample| sample.abs() > 0.03);
        assert!(loud(&sound.samples[..8000]) && sound.samples.iter().all(|sample| sample.abs() <= 1.0));
        assert!(Builtin.speak("你好").is_err());
    }
}
