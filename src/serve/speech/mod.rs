//! Text to speech: engines in a row, of which the first that answers speaks.

mod builtin;
mod chain;
mod child;
mod openai;
#[cfg(feature = "piper")]
mod phonemes;
#[cfg(feature = "piper")]
mod piper;
mod pool;
mod sentences;
mod sound_bytes;

pub use builtin::Builtin;
pub use chain::{SpeechChain, Spoken, State};
pub use child::{Espeak, Flite};
pub use openai::OpenAi;
#[cfg(feature = "piper")]
pub use piper::Piper;
pub use pool::SpeechPool;
pub use sentences::sentences;
pub use sound_bytes::{LONGEST_SOUND, decode, wav};
pub(in crate::serve) use sound_bytes::{pcm_bytes, samples};

use crate::Result;
use data_utils::audio::Sound;

/// Makes speech of a sentence.
pub trait Engine: Send + Sync {
    /// What it is, as `/health` says it.
    fn name(&self) -> String;

    /// A sentence as sound at 16 kHz. Waits no longer than some seconds.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when the engine does not answer, or cannot say this.
    fn speak(&self, sentence: &str) -> Result<Sound>;
}
