//! Any English text as phonemes.

use super::numbers::number_words;
use super::rules::{LETTERS, RULES};
use super::sentences::{Sentence, lexicon};
use crate::{Error, Result};
use std::sync::OnceLock;

/// Words without stress.
const WEAK: [&str; 24] = [
    "a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "in", "is", "it", "of", "on",
    "or", "that", "the", "to", "was", "were", "with", "you",
];
/// Words that the rules say wrong.
const EXCEPTIONS: [(&str, &str); 23] = [
    ("again", "AH G EH1 N"),
    ("audio", "AO1 D IY OW"),
    ("because", "B IH K AO1 Z"),
    ("been", "B IH1 N"),
    ("computer", "K AH M P Y UW1 T ER"),
    ("have", "HH AE1 V"),
    ("hear", "HH IY1 R"),
    ("heard", "HH ER1 D"),
    ("house", "HH AW1 S"),
    ("language", "L AE1 NG G W IH JH"),
    ("many", "M EH1 N IY"),
    ("people", "P IY1 P AH L"),
    ("picture", "P IH1 K CH ER"),
    ("says", "S EH1 Z"),
    ("sentence", "S EH1 N T AH N S"),
    ("sure", "SH UH1 R"),
    ("today", "T AH D EY1"),
    ("tomorrow", "T AH M AA1 R OW"),
    ("understand", "AH N D ER S T AE1 N D"),
    ("video", "V IH1 D IY OW"),
    ("water", "W AO1 T ER"),
    ("welcome", "W EH1 L K AH M"),
    ("world", "W ER1 L D"),
];
/// Signs that are read as words.
const SIGNS: [(char, &str); 8] = [
    ('&', "and"),
    ('%', "percent"),
    ('+', "plus"),
    ('=', "equals"),
    ('@', "at"),
    ('$', "dollars"),
    ('€', "euros"),
    ('£', "pounds"),
];

/// One rule: letters between a left and a right context, and their phonemes.
struct Rule {
    left: &'static [u8],
    letters: &'static [u8],
    right: &'static [u8],
    phonemes: &'static str,
}

/// The rules by the first letter that they match.
fn rules() -> &'static [Vec<Rule>] {
    static TABLE: OnceLock<Vec<Vec<Rule>>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table: Vec<Vec<Rule>> = (0..26).map(|_| Vec::new()).collect();
        let parts = |line: &'static str| {
            let (left, rest) = line.split_once('[')?;
            let (letters, rest) = rest.split_once(']')?;
            let (right, phonemes) = rest.split_once('=')?;
            let [left, letters, right] = [left, letters, right].map(str::as_bytes);
            Some((*letters.first()?, Rule { left, letters, right, phonemes }))
        };
        for (first, rule) in RULES.lines().filter_map(parts) {
            if let Some(rules) = table.get_mut(usize::from(first.wrapping_sub(b'A'))) {
                rules.push(rule);
            }
        }
        table
    })
}

/// A sentence that the formant voice can say: known words by its lexicon, others by rules, numbers and letters by name.
///
/// # Errors
/// [`Error::Input`] when nothing in it is English.
pub(super) fn pronounce(text: &str) -> Result<Sentence> {
    let mut phonemes = String::new();
    let mut pause = false;
    for token in tokens(text) {
        match token {
            Token::Pause => pause = !phonemes.is_empty(),
            Token::Word(word) => {
                if std::mem::take(&mut pause) {
                    phonemes.push_str(" SIL");
                }
                phonemes.push(' ');
                phonemes.push_str(&word_phonemes(&word));
            }
        }
    }
    if phonemes.trim().is_empty() {
        let remedy = "write English, or take another voice for the language";
        return Err(Error::input("the text", "English words", format!("{text:?}"), remedy));
    }
    let mut sentence = Sentence::from_phonemes(&phonemes)?;
    sentence.question = text.trim_end().ends_with('?');
    sentence.text = text.to_owned();
    Ok(sentence)
}

enum Token {
    Word(String),
    Pause,
}

/// Words in lower case without accents, numbers and signs as words, pauses at punctuation.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    let mut number = String::new();
    let mut characters = text.chars().peekable();
    let finish = |word: &mut String, number: &mut String, tokens: &mut Vec<Token>| {
        let plain = word.trim_matches('\'').to_owned();
        word.clear();
        if !plain.is_empty() {
            tokens.push(Token::Word(plain));
        }
        if !number.is_empty() {
            let words = number_words(number);
            number.clear();
            tokens.extend(words.split(' ').map(|word| Token::Word(word.to_owned())));
        }
    };
    while let Some(c) = characters.next() {
        let next_is_digit = characters.peek().is_some_and(char::is_ascii_digit);
        let letter = without_accent(c);
        match c {
            '0'..='9' => {
                if !word.is_empty() {
                    finish(&mut word, &mut number, &mut tokens);
                }
                number.push(c);
            }
            '.' if !number.is_empty() && next_is_digit && !number.contains('.') => number.push(c),
            ',' if !number.is_empty() && next_is_digit => {}
            '\'' | '’' => word.push('\''),
            _ if !letter.is_empty() => {
                if !number.is_empty() {
                    finish(&mut word, &mut number, &mut tokens);
                }
                word.push_str(letter.as_str());
            }
            _ => {
                finish(&mut word, &mut number, &mut tokens);
                if let Some((_, name)) = SIGNS.iter().find(|(sign, _)| *sign == c) {
                    tokens.push(Token::Word((*name).to_owned()));
                } else if ",;:.!?…–—()".contains(c) {
                    tokens.push(Token::Pause);
                }
            }
        }
    }
    finish(&mut word, &mut number, &mut tokens);
    tokens
}

/// A letter of the alphabet in lower case, without its accent; nothing for other characters.
fn without_accent(c: char) -> String {
    let plain = match c.to_lowercase().next().unwrap_or(c) {
        c @ 'a'..='z' => return c.to_string(),
        'à'..='å' | 'ā' => "a",
        'æ' => "ae",
        'ç' | 'č' | 'ć' => "c",
        'è'..='ë' | 'ē' | 'ę' => "e",
        'ì'..='ï' | 'ī' => "i",
        'ñ' | 'ń' => "n",
        'ò'..='ö' | 'ø' | 'ō' => "o",
        'œ' => "oe",
        'š' | 'ś' => "s",
        'ß' => "ss",
        'ù'..='ü' | 'ū' => "u",
        'ý' | 'ÿ' => "y",
        'ž' | 'ź' | 'ż' => "z",
        _ => "",
    };
    plain.to_owned()
}

/// The phonemes of a word in lower case.
fn word_phonemes(word: &str) -> String {
    if let Some((_, phonemes)) = EXCEPTIONS.iter().find(|(known, _)| *known == word) {
        return (*phonemes).to_owned();
    }
    if let Some(phonemes) = lexicon(word) {
        return phonemes.to_owned();
    }
    if !word.contains(['a', 'e', 'i', 'o', 'u', 'y']) {
        let names = word.bytes().filter(u8::is_ascii_lowercase);
        let names = names.map(|letter| LETTERS[usize::from(letter - b'a')]);
        return names.collect::<Vec<_>>().join(" ");
    }
    let phonemes = by_rules(word);
    if WEAK.contains(&word) { phonemes } else { stressed(&phonemes) }
}

/// The phonemes of a word by the rules, without stress.
fn by_rules(word: &str) -> String {
    let letters = word.to_ascii_uppercase().into_bytes();
    let mut phonemes: Vec<&str> = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        let table = rules().get(usize::from(letters[at].wrapping_sub(b'A')));
        let rule = table.and_then(|rules| rules.iter().find(|rule| rule.fits(&letters, at)));
        match rule {
            Some(rule) => {
                phonemes.extend(rule.phonemes.split(' ').filter(|p| !p.is_empty()));
                at += rule.letters.len();
            }
            None => at += 1,
        }
    }
    phonemes.join(" ")
}

/// The first full vowel gets the stress; `AH` only where there is no other.
fn stressed(phonemes: &str) -> String {
    let all: Vec<&str> = phonemes.split(' ').collect();
    let is_vowel = |phoneme: &str| phoneme.starts_with(['A', 'E', 'I', 'O', 'U']);
    let full = all.iter().position(|phoneme| is_vowel(phoneme) && *phoneme != "AH");
    let place = full.or_else(|| all.iter().position(|phoneme| is_vowel(phoneme)));
    let marked = all
        .iter()
        .enumerate()
        .map(|(at, phoneme)| if Some(at) == place { format!("{phoneme}1") } else { (*phoneme).to_owned() });
    marked.collect::<Vec<_>>().join(" ")
}

impl Rule {
    fn fits(&self, word: &[u8], at: usize) -> bool {
        word[at..].starts_with(self.letters)
            && fits_left(self.left, &word[..at])
            && fits_right(self.right, &word[at + self.letters.len()..])
    }
}

fn is_vowel(letter: u8) -> bool {
    b"AEIOUY".contains(&letter)
}

fn is_consonant(letter: u8) -> bool {
    letter.is_ascii_uppercase() && !is_vowel(letter)
}

/// How many letters at the end of `before` are of a kind.
fn count_back(before: &[u8], kind: fn(u8) -> bool) -> usize {
    before.iter().rev().take_while(|letter| kind(**letter)).count()
}

/// Whether the letters before fit a pattern, read from its end.
fn fits_left(pattern: &[u8], before: &[u8]) -> bool {
    let Some((&sign, pattern)) = pattern.split_last() else { return true };
    let rest = |count: usize| fits_left(pattern, &before[..before.len() - count]);
    let last = before.last().copied().unwrap_or(0);
    match sign {
        b'_' => before.is_empty(),
        b'#' => is_vowel(last) && rest(count_back(before, is_vowel)),
        b':' => rest(count_back(before, is_consonant)),
        b'^' => is_consonant(last) && rest(1),
        b'.' => b"BDVGJLMNRWZ".contains(&last) && rest(1),
        b'+' => b"EIY".contains(&last) && rest(1),
        b'&' if before.ends_with(b"CH") || before.ends_with(b"SH") => rest(2),
        b'&' => b"SCGZXJ".contains(&last) && rest(1),
        b'@' if [b"TH", b"CH", b"SH"].iter().any(|pair| before.ends_with(*pair)) => rest(2),
        b'@' => b"TSRDLZNJ".contains(&last) && rest(1),
        letter => last == letter && rest(1),
    }
}

/// Whether the letters after fit a pattern.
fn fits_right(pattern: &[u8], after: &[u8]) -> bool {
    let Some((&sign, pattern)) = pattern.split_first() else { return true };
    let count = |kind: fn(u8) -> bool| after.iter().take_while(|letter| kind(**letter)).count();
    let rest = |count: usize| fits_right(pattern, &after[count..]);
    let first = after.first().copied().unwrap_or(0);
    match sign {
        b'_' => after.is_empty(),
        b'#' => is_vowel(first) && rest(count(is_vowel)),
        b':' => rest(count(is_consonant)),
        b'^' => is_consonant(first) && rest(1),
        b'.' => b"BDVGJLMNRWZ".contains(&first) && rest(1),
        b'+' => b"EIY".contains(&first) && rest(1),
        b'%' => ["ELY", "ING", "ER", "ES", "ED", "E"]
            .iter()
            .any(|suffix| after.starts_with(suffix.as_bytes()) && rest(suffix.len())),
        letter => first == letter && rest(1),
    }
}

#[cfg(test)]
mod tests {
    use super::super::phonemes::PHONEMES;
    use super::*;

    #[test]
    fn every_rule_names_phonemes_that_there_are() {
        let all: Vec<&Rule> = rules().iter().flatten().collect();
        assert_eq!(all.len(), RULES.lines().filter(|line| !line.is_empty()).count());
        for rule in all {
            for phoneme in rule.phonemes.split(' ').filter(|p| !p.is_empty()) {
                assert!(PHONEMES.contains(&phoneme), "{phoneme}");
            }
        }
        for name in LETTERS.iter().flat_map(|name| name.split(' ')) {
            assert!(PHONEMES.contains(&name), "{name}");
        }
        // Each letter is said somehow, whatever stands around it.
        for (letter, rules) in rules().iter().enumerate() {
            let any = |rule: &&Rule| rule.letters.len() == 1 && rule.left.is_empty() && rule.right.is_empty();
            let letter = char::from(b'A' + letter as u8);
            assert!(rules.iter().any(|rule| any(&rule)), "{letter}");
        }
    }

    #[test]
    fn words_are_said_as_the_rules_of_the_report_say() {
        for (word, phonemes) in [
            ("cat", "K AE T"),
            ("make", "M EY K"),
            ("light", "L AY T"),
            ("nation", "N EY SH AH N"),
            ("phone", "F OW N"),
            ("chicken", "CH IH K EH N"),
            ("knife", "N AY F"),
            ("working", "W ER K IH NG"),
            ("running", "R AH N IH NG"),
            ("happy", "HH AE P IY"),
            ("there", "DH EH R"),
            ("little", "L IH T AH L"),
            ("system", "S IH S T EH M"),
            ("question", "K W EH S CH AH N"),
        ] {
            assert_eq!(by_rules(word), phonemes, "{word}");
        }
    }

    #[test]
    fn numbers_signs_and_letters_are_said() {
        let said = |text: &str| {
            let sentence = pronounce(text).expect("a sentence");
            sentence.phonemes.iter().map(|spoken| spoken.phoneme).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(said("3%"), "TH R IY P ER S EH N T");
        assert_eq!(said("2.5"), said("two point five"));
        assert_eq!(said("1,000"), said("one thousand"));
        assert_eq!(said("TV"), "T IY V IY");
        assert_eq!(said("café"), said("cafe"));
        assert!(said("well, yes").contains(" SIL "));
        assert!(!said("don't").contains("SIL"));
        assert!(pronounce("Is it?").expect("a sentence").question);
    }

    #[test]
    fn what_is_not_english_is_refused_with_a_remedy() {
        for text in ["你好", "...", ""] {
            let error = pronounce(text).expect_err("refused").to_string();
            assert!(error.contains("English"), "{error}");
        }
    }

    #[test]
    fn any_bytes_of_letters_end() {
        for text in ["aeiou".repeat(100), "bcdfg".repeat(100), "e'e'e'".repeat(50), "xyzzy qqq".to_owned()] {
            assert!(pronounce(&text).is_ok(), "{text}");
        }
    }
}
