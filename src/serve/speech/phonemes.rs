//! Phonemes as a Piper voice takes them: each code point of espeak-ng's IPA has numbers in the voice's settings.

use crate::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What begins, separates and ends phonemes.
const BEGIN: &str = "^";
const PAD: &str = "_";
const END: &str = "$";
/// The most phonemes of a sentence: a network may take memory with the square of them.
const MOST: usize = 2000;

/// What stands beside the network.
#[derive(Debug, Deserialize)]
pub(super) struct VoiceSettings {
    pub(super) audio: AudioSettings,
    pub(super) espeak: EspeakSettings,
    #[serde(default)]
    inference: Inference,
    phoneme_id_map: BTreeMap<String, Vec<i32>>,
    #[serde(default)]
    pub(super) num_speakers: u32,
}

#[derive(Debug, Deserialize)]
pub(super) struct AudioSettings {
    pub(super) sample_rate: u32,
}

#[derive(Debug, Deserialize)]
pub(super) struct EspeakSettings {
    pub(super) voice: String,
}

/// How much chance there is in sound and lengths, and how slow it speaks.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Inference {
    noise_scale: f32,
    length_scale: f32,
    noise_w: f32,
}

impl Default for Inference {
    fn default() -> Self {
        Inference { noise_scale: 0.667, length_scale: 1.0, noise_w: 0.8 }
    }
}

impl VoiceSettings {
    /// Reads the settings of a voice; `at` names their file.
    ///
    /// # Errors
    /// [`Error::Input`] for another file.
    pub(super) fn parse(bytes: &[u8], at: &str) -> Result<Self> {
        let wrong = |found: String| {
            let remedy = "give a voice of Piper: its .onnx, with the .onnx.json beside it";
            Error::input(at, "the settings of a Piper voice (JSON)", found, remedy)
        };
        let settings: VoiceSettings = serde_json::from_slice(bytes).map_err(|e| wrong(e.to_string()))?;
        for mark in [BEGIN, PAD, END] {
            if settings.phoneme_id_map.get(mark).is_none_or(Vec::is_empty) {
                return Err(wrong(format!("no number for {mark:?} in phoneme_id_map")));
            }
        }
        if !(4_000..=192_000).contains(&settings.audio.sample_rate) {
            return Err(wrong(format!("audio.sample_rate is {}", settings.audio.sample_rate)));
        }
        // It becomes an argument of a program.
        super::child::voice_name(&settings.espeak.voice).map_err(|e| wrong(e.to_string()))?;
        if settings.scales().iter().any(|value| !(0.0..=10.0).contains(value)) {
            return Err(wrong(format!("inference is {:?}", settings.inference)));
        }
        Ok(settings)
    }

    /// What the network calls `scales`.
    pub(super) fn scales(&self) -> [f32; 3] {
        let Inference { noise_scale, length_scale, noise_w } = self.inference;
        [noise_scale, length_scale, noise_w]
    }
}

/// espeak-ng's lines as one text. It leaves out marks and begins a line at each clause, so a comma stands between lines and the sentence's
/// own mark at the end; names of languages, in parentheses, are no phonemes.
pub(super) fn clean(phonemes: &str, sentence: &str) -> String {
    let mut text = String::new();
    let mut is_name = false;
    for line in phonemes.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if !text.is_empty() {
            text.push_str(", ");
        }
        for c in line.chars() {
            match c {
                '(' => is_name = true,
                ')' => is_name = false,
                c if !is_name => text.push(c),
                _ => {}
            }
        }
        is_name = false;
    }
    let marks = ['.', '!', '?'];
    text.push(sentence.trim_end().chars().next_back().filter(|c| marks.contains(c)).unwrap_or('.'));
    text
}

/// The numbers of phonemes, with what begins, separates and ends them. A code point that the voice does not know is left out.
pub(super) fn ids(settings: &VoiceSettings, phonemes: &str) -> Vec<i32> {
    let of = |name: &str| settings.phoneme_id_map.get(name).map(Vec::as_slice).unwrap_or_default();
    let mut buffer = [0; 4];
    let mut ids = [of(BEGIN), of(PAD)].concat();
    for c in phonemes.chars().take(MOST) {
        let known = of(c.encode_utf8(&mut buffer));
        if !known.is_empty() {
            ids.extend(known);
            ids.extend(of(PAD));
        }
    }
    ids.extend(of(END));
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &str = r#"{"audio": {"sample_rate": 22050, "quality": "medium"}, "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": 0.5, "length_scale": 1, "noise_w": 0.75}, "num_symbols": 256, "num_speakers": 1,
        "phoneme_id_map": {"_": [0], "^": [1], "$": [2], " ": [3], ".": [10], ",": [8], "h": [20], "ə": [59], "l": [24, 25]}}"#;

    #[test]
    fn phonemes_become_numbers_with_a_pad_after_each() {
        let settings = VoiceSettings::parse(SETTINGS.as_bytes(), "x.json").expect("settings");
        assert_eq!(ids(&settings, "hə. l"), [1, 0, 20, 0, 59, 0, 10, 0, 3, 0, 24, 25, 0, 2]);
        // One that is not known is left out, and no text is too long.
        assert_eq!(ids(&settings, "h\u{1f600}"), [1, 0, 20, 0, 2]);
        assert_eq!(ids(&settings, &"h".repeat(1_000_000)).len(), 3 + 2 * MOST);
        assert_eq!(settings.scales(), [0.5, 1.0, 0.75]);
    }

    #[test]
    fn clauses_are_joined_and_the_sentence_keeps_its_mark() {
        assert_eq!(clean("həlˈoʊ\n ðɛɹ\n", "Hello, there?"), "həlˈoʊ, ðɛɹ?");
        assert_eq!(clean("(fr)bɔ̃ʒuʁ(en) həlˈoʊ\n", "Bonjour hello"), "bɔ̃ʒuʁ həlˈoʊ.");
        assert_eq!(clean("", ""), ".");
    }

    #[test]
    fn settings_that_are_none_are_refused() {
        for (from, to) in [
            ("{\"audio\"", ""),
            ("22050", "0"),
            ("en-us", "-f/etc/passwd"),
            ("\"^\"", "\"!\""),
            ("0.75", "-1"),
            ("[0]", "[]"),
            ("\"num_speakers\": 1", "\"num_speakers\": -1"),
        ] {
            let wrong = SETTINGS.replacen(from, to, 1);
            let refused = VoiceSettings::parse(wrong.as_bytes(), "x.json").expect_err(from).to_string();
            assert!(refused.contains("x.json"), "{refused}");
        }
    }
}
