//! Texts and sounds into a session, one after the other.

use super::queue::Speech;
use super::session::Session;
use super::speech::{SpeechChain, sentences};
use crate::{Error, Result};
use data_utils::audio::Sound;
use std::sync::Arc;

/// The longest text, characters.
pub const LONGEST_TEXT: usize = 20_000;
/// Seconds of speech that may wait in a session.
const LONGEST_QUEUE: f64 = 1800.0;

/// The sentences of a text that is to be said.
///
/// # Errors
/// [`Error::Input`] for a text without words, or a longer one than [`LONGEST_TEXT`].
pub fn check_text(text: &str) -> Result<Vec<String>> {
    let length = text.chars().count();
    if length > LONGEST_TEXT {
        let expected = format!("at most {LONGEST_TEXT} characters");
        return Err(Error::input("the text", expected, format!("{length}"), "send it in parts"));
    }
    let sentences = sentences(text);
    match sentences.is_empty() {
        true => Err(Error::input("the text", "at least one word", "none", "write a word")),
        false => Ok(sentences),
    }
}

/// Makes speech of each sentence and has it said, until the session is interrupted; a sentence is said while the next one is
/// made. `generation` is that of the session when the text was taken. Waits for the engine.
///
/// # Errors
/// [`Error::Input`] when no engine can say a sentence, or too much waits already.
pub fn read_aloud(
    session: &Session,
    generation: u64,
    chain: &SpeechChain,
    sentences: &[String],
    engine: Option<&str>,
) -> Result<()> {
    let utterance = session.next_utterance();
    for (index, text) in sentences.iter().enumerate() {
        if session.generation() != generation || session.outbox.is_closed() {
            return Ok(());
        }
        let spoken = check_queue(session).and_then(|()| chain.speak(text, engine));
        let (samples, fault) = match spoken {
            Ok(spoken) => (spoken.sound.samples, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let sentence = fault.is_none().then(|| (index, Arc::from(text.as_str())));
        // Without the rest of it the text is done, too.
        let is_last = fault.is_some() || index + 1 == sentences.len();
        session.say(generation, Speech { utterance, sentence, samples, is_last });
        if let Some(error) = fault {
            return Err(error);
        }
    }
    Ok(())
}

/// Has a sound at 16 kHz said.
///
/// # Errors
/// [`Error::Input`] when too much waits already.
pub fn play(session: &Session, sound: Sound) -> Result<()> {
    check_queue(session)?;
    let utterance = session.next_utterance();
    let speech = Speech { utterance, sentence: None, samples: sound.samples, is_last: true };
    session.say(session.generation(), speech);
    Ok(())
}

fn check_queue(session: &Session) -> Result<()> {
    let waiting = session.waiting_seconds();
    if waiting <= LONGEST_QUEUE {
        return Ok(());
    }
    let expected = format!("at most {LONGEST_QUEUE} seconds of speech that wait");
    Err(Error::input("the session", expected, format!("{waiting:.0}"), "wait, or interrupt"))
}
