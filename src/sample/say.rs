//! Any English text in the talker's voice.

use super::clip::speak;
use super::pronounce::pronounce;
use crate::Result;
use data_utils::audio::Sound;

/// Pause that is left before and after a sentence, seconds; the talker leaves more.
const BEFORE: f32 = 0.04;
const AFTER: f32 = 0.16;

/// A text in the talker's voice, 16 kHz: words that it does not know by letter-to-sound rules. The same text gives the same sound.
///
/// # Errors
/// [`crate::Error::Input`] when nothing in it is English.
pub fn say(text: &str) -> Result<Sound> {
    let sentence = pronounce(text)?;
    let seed = sentence.text.len() as u64;
    Ok(shortened(speak(&[sentence], seed)?))
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
        let sound = say("The zebra's 42 stripes are extraordinary!").expect("speech");
        assert_eq!(sound.rate, 16_000);
        let seconds = sound.samples.len() as f32 / 16_000.0;
        assert!((2.0..7.0).contains(&seconds), "{seconds}");
        let loud = |part: &[f32]| part.iter().any(|sample| sample.abs() > 0.03);
        assert!(loud(&sound.samples[..8000]) && sound.samples.iter().all(|sample| sample.abs() <= 1.0));
        assert!(say("你好").is_err());
    }
}
