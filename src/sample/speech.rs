//! When each phoneme is said, and what the mouth does over time: Cohen & Massaro's dominance functions blend
//! the poses of neighbouring phonemes, lips that must touch do.

use super::curve::{Chance, ramp};
use super::params::MouthPose;
use super::phonemes::{Phoneme, phoneme};
use super::sentences::Sentence;
use crate::{Error, Result};

/// Silence before the first and after the last sentence, and between sentences, seconds.
const LEAD: f32 = 0.32;
const BETWEEN: f32 = 0.34;
/// How fast a phoneme's say over the mouth fades outside of it, seconds.
const FADE: f32 = 0.034;
/// Time the lips take to meet and to part, seconds.
const MEET: f32 = 0.062;

/// A phoneme with its time.
#[derive(Debug, Clone)]
pub(super) struct Timed {
    pub name: &'static str,
    pub phoneme: Phoneme,
    /// Seconds.
    pub start: f32,
    pub end: f32,
    pub stressed: bool,
    /// Stretch of the phoneme's own lengths.
    pub stretch: f32,
}

/// Start and end of a sentence, and whether it asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phrase {
    pub start: f32,
    pub end: f32,
    pub question: bool,
}

/// A timed sequence of phonemes.
#[derive(Debug, Clone)]
pub(super) struct Speech {
    pub timed: Vec<Timed>,
    pub phrases: Vec<Phrase>,
    /// Seconds.
    pub duration: f32,
}

impl Speech {
    /// Times the sentences; small seeded differences keep the rhythm human.
    pub(super) fn new(sentences: &[Sentence], seed: u64) -> Result<Self> {
        let mut chance = Chance::new(seed, 11);
        let mut speech = Speech { timed: Vec::new(), phrases: Vec::new(), duration: 0.0 };
        speech.say("SIL", false, LEAD)?;
        for (i, sentence) in sentences.iter().enumerate() {
            if i > 0 {
                speech.say("SIL", false, BETWEEN)?;
            }
            let start = speech.duration;
            let last = sentence.phonemes.len().saturating_sub(5);
            for (k, spoken) in sentence.phonemes.iter().enumerate() {
                let p = known(spoken.phoneme)?;
                let mut stretch = chance.between(0.93, 1.07);
                if p.vowel {
                    stretch *= if spoken.stressed { 1.22 } else { 0.82 };
                }
                if k >= last {
                    stretch *= 1.18;
                }
                let seconds = p.segments.iter().map(|s| s.ms).sum::<f32>() * 1e-3 * stretch;
                speech.say(spoken.phoneme, spoken.stressed, seconds)?;
            }
            speech.phrases.push(Phrase { start, end: speech.duration, question: sentence.question });
        }
        speech.say("SIL", false, LEAD)?;
        Ok(speech)
    }

    fn say(&mut self, name: &'static str, stressed: bool, seconds: f32) -> Result<()> {
        let phoneme = known(name)?;
        let natural = phoneme.segments.iter().map(|s| s.ms).sum::<f32>() * 1e-3;
        let (start, end) = (self.duration, self.duration + seconds);
        self.timed.push(Timed { name, phoneme, start, end, stressed, stretch: seconds / natural });
        self.duration = end;
        Ok(())
    }

    /// The mouth at a time (seconds): a function of the phonemes alone.
    pub(super) fn mouth(&self, time: f32) -> MouthPose {
        let mut sum = [0.0; 8];
        let mut weight = 1e-9;
        let mut touch: f32 = 0.0;
        let mut still: f32 = 0.0;
        for t in self.timed.iter().filter(|t| time > t.start - 0.35 && time < t.end + 0.35) {
            let count = t.phoneme.mouths.len() as f32;
            for (k, mouth) in t.phoneme.mouths.iter().enumerate() {
                let part = (t.end - t.start) / count;
                let (start, end) = (t.start + part * k as f32, t.start + part * (k as f32 + 1.0));
                // Full say in the middle half, fading outside of it.
                let (from, to) = (start + 0.25 * part, end - 0.25 * part);
                let outside = (from - time).max(time - to).max(0.0);
                let stress = if t.phoneme.vowel && !t.stressed { 0.8 } else { 1.0 };
                let w = t.phoneme.dominance * stress * (-outside / FADE).exp();
                weight += w;
                let size = if t.phoneme.vowel && t.stressed { 1.08 } else { 1.0 };
                for (s, v) in sum.iter_mut().zip(mouth.to_array()) {
                    *s += w * v * size;
                }
            }
            if t.phoneme.closes {
                let (from, to) = (t.start + 0.1 * (t.end - t.start), t.start + 0.7 * (t.end - t.start));
                let away = (from - time).max(time - to).max(0.0);
                touch = touch.max(1.0 - ramp(0.0, MEET, away));
            }
            if t.name == "SIL" {
                // Silence closes the mouth once it has lasted as long as lips take to meet.
                let inside = (time - t.start - 0.02).min(t.end - time);
                still = still.max(ramp(0.0, MEET, inside));
            }
        }
        let mut pose = MouthPose::from_array(sum.map(|s| s / weight));
        pose.open *= (1.0 - touch) * (1.0 - still);
        pose.raise *= 1.0 - touch;
        pose.jaw *= 1.0 - still;
        pose.tuck *= 1.0 - still;
        pose
    }
}

fn known(name: &str) -> Result<Phoneme> {
    phoneme(name).ok_or_else(|| Error::Internal(format!("{name} is no phoneme")))
}

#[cfg(test)]
mod tests {
    use super::super::phonemes::PHONEMES;
    use super::*;

    #[test]
    fn every_phoneme_moves_the_mouth_and_silence_is_rest() {
        for name in PHONEMES {
            let p = phoneme(name).unwrap();
            let moved = p.mouths.iter().any(|m| m.to_array().iter().any(|v| v.abs() > 0.05));
            assert_eq!(moved, name != "SIL", "{name}");
            assert!(p.segments.iter().all(|s| s.ms > 0.0), "{name}");
        }
    }

    #[test]
    fn silence_closes_the_mouth() {
        let speech = Speech::new(&[Sentence::new("Hello, papa!").unwrap()], 1).unwrap();
        let pause = speech.timed.iter().find(|t| t.name == "SIL" && t.start > 0.5).unwrap();
        assert!(speech.mouth(0.5 * (pause.start + pause.end)).open < 0.02);
        assert!(speech.mouth(0.1).open < 1e-3);
        assert!(speech.mouth(speech.duration - 0.05).open < 1e-3);
    }

    #[test]
    fn lips_touch_for_every_p_b_and_m() {
        let speech = Speech::new(&[Sentence::new("Papa bought a warm cup").unwrap()], 2).unwrap();
        let closing: Vec<_> = speech.timed.iter().filter(|t| t.phoneme.closes).collect();
        assert_eq!(closing.len(), 5);
        for t in closing {
            assert!(speech.mouth(t.start + 0.4 * (t.end - t.start)).open < 0.01, "{} at {}", t.name, t.start);
        }
    }

    #[test]
    fn an_open_vowel_opens_more_than_a_close_one() {
        let open = |text: &str| {
            let speech = Speech::new(&[Sentence::from_phonemes(text).unwrap()], 3).unwrap();
            let vowel = speech.timed.iter().find(|t| t.phoneme.vowel).unwrap();
            speech.mouth(0.5 * (vowel.start + vowel.end)).open
        };
        assert!(open("K AA1 K") > open("K IY1 K") + 0.25);
    }
}
