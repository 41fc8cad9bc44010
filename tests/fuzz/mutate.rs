//! Changes of files, from a seed: the same inputs each time.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Longest input, bytes.
const LONGEST: usize = 1 << 20;
/// Numbers at which counts and lengths go wrong.
const EDGES: [u64; 12] =
    [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 40, u64::MAX];
/// Texts that stand for numbers that are none, or that terminals obey.
const TEXTS: [&str; 10] =
    ["nan", "inf", "-1", "1e999", "99999999999999999999", "0", "\u{1b}[2J", "\"", "{}", "null"];

/// Makes inputs out of others.
pub struct Mutator {
    random: ChaCha8Rng,
    words: &'static [&'static str],
}

impl Mutator {
    /// `words` are texts that the format knows.
    pub fn new(seed: u64, words: &'static [&'static str]) -> Self {
        Mutator { random: ChaCha8Rng::seed_from_u64(seed), words }
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.random.next_u64() % limit.max(1) as u64) as usize
    }

    /// One of `corpus` with one to eight changes.
    pub fn mutate(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..1 + self.below(8) {
            self.change(&mut input, corpus);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let length = input.len();
        // Half of the changes go to the start, where lengths and counts are.
        let at = if self.below(2) == 0 { self.below(length.min(128)) } else { self.below(length) };
        match self.below(9) {
            0 if length > 0 => input[at] ^= 1 << self.below(8),
            1 if length > 0 => input[at] = self.random.next_u32() as u8,
            2 => input.truncate(at),
            3 => {
                let number = EDGES[self.below(EDGES.len())];
                let width = [1, 2, 4, 8][self.below(4)];
                let bytes = if self.below(2) == 0 { number.to_le_bytes() } else { number.to_be_bytes() };
                let part = if self.below(2) == 0 { &bytes[..width] } else { &bytes[8 - width..] };
                let end = (at + width).min(length);
                input.splice(at..end, part.iter().copied());
            }
            4 => {
                let end = (at + self.below(64)).min(length);
                let part = input[at..end].to_vec();
                let to = self.below(length);
                input.splice(to..to, part);
            }
            5 => {
                let end = (at + self.below(64)).min(length);
                input.drain(at..end);
            }
            6 => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len());
                let end = (from + self.below(256)).min(other.len());
                let to = (at + end - from).min(length);
                input.splice(at..to, other[from..end].iter().copied());
            }
            7 => {
                let text = TEXTS[self.below(TEXTS.len())];
                let end = (at + self.below(text.len() + 1)).min(length);
                input.splice(at..end, text.bytes());
            }
            _ if !self.words.is_empty() => {
                let word = self.words[self.below(self.words.len())];
                input.splice(at..at, word.bytes());
            }
            _ => {}
        }
    }
}
