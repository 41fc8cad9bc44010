//! What the talker says: sentences, the words it knows, and how they are pronounced.

use super::phonemes::PHONEMES;
use crate::{Error, Result};

/// Sentences of the training clip; together they hold every phoneme.
pub const TRAINING: [&str; 10] = [
    "Hello there, my name is Juniper.",
    "The quick brown fox jumps over the lazy dog.",
    "A measure of rain fell through the thick yellow leaves.",
    "We choose five shiny boys to sing with joy.",
    "Show me how you push the blue boat out to sea.",
    "Papa bought a warm cup of coffee and a big piece of cake.",
    "Nothing beats a voice that keeps good time.",
    "Both of my uncles live near the harbour and watch the fishing ships.",
    "Bright red cherries hang above the garage wall.",
    "What a treasure!",
];

/// New sentences, never in the training clip.
pub const HELD_OUT: [&str; 2] = [
    "My voice is new, but the lips still follow every word.",
    "Good morning! Shall we go for a walk by the river?",
];

/// Words and their phonemes; 1 after a vowel marks the stressed syllable.
const LEXICON: &[(&str, &str)] = &[
    ("a", "AH"),
    ("above", "AH B AH1 V"),
    ("and", "AE N D"),
    ("beats", "B IY1 T S"),
    ("big", "B IH1 G"),
    ("blue", "B L UW1"),
    ("boat", "B OW1 T"),
    ("both", "B OW1 TH"),
    ("bought", "B AO1 T"),
    ("boys", "B OY1 Z"),
    ("bright", "B R AY1 T"),
    ("brown", "B R AW1 N"),
    ("but", "B AH T"),
    ("by", "B AY"),
    ("cake", "K EY1 K"),
    ("cherries", "CH EH1 R IY Z"),
    ("choose", "CH UW1 Z"),
    ("coffee", "K AO1 F IY"),
    ("cup", "K AH1 P"),
    ("dog", "D AO1 G"),
    ("every", "EH1 V R IY"),
    ("fell", "F EH1 L"),
    ("fishing", "F IH1 SH IH NG"),
    ("five", "F AY1 V"),
    ("follow", "F AA1 L OW"),
    ("for", "F AO R"),
    ("fox", "F AA1 K S"),
    ("garage", "G ER AA1 ZH"),
    ("go", "G OW1"),
    ("good", "G UH1 D"),
    ("hang", "HH AE1 NG"),
    ("harbour", "HH AA1 R B ER"),
    ("hello", "HH AH L OW1"),
    ("how", "HH AW1"),
    ("is", "IH Z"),
    ("joy", "JH OY1"),
    ("jumps", "JH AH1 M P S"),
    ("juniper", "JH UW1 N AH P ER"),
    ("keeps", "K IY1 P S"),
    ("lazy", "L EY1 Z IY"),
    ("leaves", "L IY1 V Z"),
    ("lips", "L IH1 P S"),
    ("live", "L IH1 V"),
    ("me", "M IY"),
    ("measure", "M EH1 ZH ER"),
    ("morning", "M AO1 R N IH NG"),
    ("my", "M AY"),
    ("name", "N EY1 M"),
    ("near", "N IH1 R"),
    ("new", "N UW1"),
    ("nothing", "N AH1 TH IH NG"),
    ("of", "AH V"),
    ("out", "AW1 T"),
    ("over", "OW1 V ER"),
    ("papa", "P AA1 P AH"),
    ("piece", "P IY1 S"),
    ("push", "P UH1 SH"),
    ("quick", "K W IH1 K"),
    ("rain", "R EY1 N"),
    ("red", "R EH1 D"),
    ("river", "R IH1 V ER"),
    ("sea", "S IY1"),
    ("shall", "SH AE L"),
    ("shiny", "SH AY1 N IY"),
    ("ships", "SH IH1 P S"),
    ("show", "SH OW1"),
    ("sing", "S IH1 NG"),
    ("still", "S T IH1 L"),
    ("that", "DH AE T"),
    ("the", "DH AH"),
    ("there", "DH EH1 R"),
    ("thick", "TH IH1 K"),
    ("through", "TH R UW"),
    ("time", "T AY1 M"),
    ("to", "T UW"),
    ("treasure", "T R EH1 ZH ER"),
    ("uncles", "AH1 NG K AH L Z"),
    ("voice", "V OY1 S"),
    ("walk", "W AO1 K"),
    ("wall", "W AO1 L"),
    ("warm", "W AO1 R M"),
    ("watch", "W AA1 CH"),
    ("we", "W IY"),
    ("what", "W AH1 T"),
    ("with", "W IH DH"),
    ("word", "W ER1 D"),
    ("yellow", "Y EH1 L OW"),
    ("you", "Y UW"),
];

/// One phoneme of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spoken {
    /// One of [`PHONEMES`].
    pub phoneme: &'static str,
    /// The vowel of a stressed syllable.
    pub stressed: bool,
}

/// A sentence as phonemes, pauses included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// The words as given.
    pub text: String,
    /// The phonemes, "SIL" at punctuation, none at the ends.
    pub phonemes: Vec<Spoken>,
    /// True when the pitch rises at the end.
    pub question: bool,
}

impl Sentence {
    /// A sentence of words the talker knows; `,` `;` `.` `!` `?` and dashes are pauses.
    ///
    /// # Errors
    /// [`Error::Input`] naming the first unknown word.
    pub fn new(text: &str) -> Result<Self> {
        let mut phonemes = Vec::new();
        let mut pause = false;
        for token in text.split_whitespace() {
            let word: String = token
                .chars()
                .filter(|c| c.is_alphabetic() || *c == '\'')
                .flat_map(char::to_lowercase)
                .collect();
            if !word.is_empty() {
                if pause && !phonemes.is_empty() {
                    phonemes.push(Spoken { phoneme: "SIL", stressed: false });
                }
                pause = false;
                phonemes.extend(parse(lexicon(&word).ok_or_else(|| unknown(&word))?)?);
            }
            pause |= token.ends_with([',', ';', ':', '.', '!', '?']) || word.is_empty();
        }
        finish(text, phonemes)
    }

    /// A sentence from ARPAbet phonemes separated by spaces ("HH AH L OW1"), for words outside the lexicon.
    ///
    /// # Errors
    /// [`Error::Input`] naming the first thing that is no phoneme.
    pub fn from_phonemes(text: &str) -> Result<Self> {
        finish(text, parse(text)?)
    }
}

/// The phonemes of a word in lower case that the talker knows.
pub fn lexicon(word: &str) -> Option<&'static str> {
    LEXICON.binary_search_by_key(&word, |entry| entry.0).ok().map(|found| LEXICON[found].1)
}

/// The training clip's sentences.
///
/// # Errors
/// [`Error::Input`] when a word is not in the lexicon; a test sees to it that all are.
pub fn training() -> Result<Vec<Sentence>> {
    TRAINING.iter().map(|t| Sentence::new(t)).collect()
}

fn finish(text: &str, phonemes: Vec<Spoken>) -> Result<Sentence> {
    if phonemes.is_empty() {
        return Err(Error::input("the sentence", "at least one word", format!("{text:?}"), "write a word"));
    }
    Ok(Sentence { text: text.to_string(), phonemes, question: text.trim_end().ends_with('?') })
}

fn parse(text: &str) -> Result<Vec<Spoken>> {
    text.split_whitespace()
        .map(|token| {
            let stressed = token.ends_with('1');
            let name = token.trim_end_matches(['0', '1', '2']);
            let phoneme = PHONEMES.iter().find(|p| **p == name).ok_or_else(|| {
                Error::input(
                    "the sentence",
                    "ARPAbet phonemes",
                    format!("{token:?}"),
                    "see the list of phonemes",
                )
            })?;
            Ok(Spoken { phoneme, stressed })
        })
        .collect()
}

fn unknown(word: &str) -> Error {
    Error::input(
        "the sentence",
        "words the sample talker knows",
        format!("{word:?}"),
        "use its training sentences' words, or give the sentence as ARPAbet phonemes",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_lexicon_is_sorted_and_pronounceable() {
        assert!(LEXICON.windows(2).all(|w| w[0].0 < w[1].0));
        for (word, phonemes) in LEXICON {
            assert!(!parse(phonemes).unwrap().is_empty(), "{word}");
        }
    }

    #[test]
    fn the_training_sentences_hold_every_phoneme() {
        let said: BTreeSet<&str> =
            training().unwrap().iter().flat_map(|s| &s.phonemes).map(|p| p.phoneme).collect();
        let missing: Vec<_> = PHONEMES.iter().filter(|p| !said.contains(**p)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn held_out_sentences_are_not_in_the_training_set() {
        for text in HELD_OUT {
            assert!(!TRAINING.contains(&text));
            assert!(Sentence::new(text).is_ok());
        }
    }

    #[test]
    fn an_unknown_word_is_named() {
        let error = Sentence::new("hello zebra").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("zebra"));
        assert!(Sentence::new(" ... ").is_err());
        assert!(Sentence::from_phonemes("HH QQ").is_err());
    }

    #[test]
    fn punctuation_pauses_inside_a_sentence_only() {
        let s = Sentence::new("Hello, you!").unwrap();
        let pauses: Vec<_> = s.phonemes.iter().enumerate().filter(|p| p.1.phoneme == "SIL").collect();
        assert_eq!(pauses.len(), 1);
        assert_eq!(pauses[0].0, 4);
    }
}
