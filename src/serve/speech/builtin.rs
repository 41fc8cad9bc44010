//! The voice inside: needs nothing installed, speaks English.

use super::Engine;
use crate::Result;
use crate::sample::say;
use data_utils::audio::Sound;

/// The sample talker's formant voice with letter-to-sound rules.
pub struct Builtin;

impl Engine for Builtin {
    fn name(&self) -> String {
        "builtin".into()
    }

    fn speak(&self, sentence: &str) -> Result<Sound> {
        say(sentence)
    }
}
