//! Texts and sounds into a session, one after the other.

use super::queue::Speech;
use super::refusal::Refusal;
use super::session::Session;
use super::speech::{LONGEST_SOUND, SpeechPool, sentences};
use crate::{Error, Result};
use data_utils::audio::Sound;
use std::sync::Arc;
use std::time::Duration;

/// The longest text, characters.
pub const LONGEST_TEXT: usize = 20_000;
/// Seconds of speech that may wait in a session.
const LONGEST_QUEUE: f64 = LONGEST_SOUND as f64 + 60.0;
/// Seconds of speech that wait before another sentence is made: who interrupts has not had the rest of a long text made.
const AHEAD: f64 = 30.0;
/// How often it is asked whether they were said.
const PAUSE: Duration = Duration::from_millis(200);

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
/// made. `generation` is that of the session when the text was taken. Returns when the last one was made.
///
/// # Errors
/// [`Refusal::Failed`] when no engine can say a sentence; [`Refusal::Busy`] when none comes to it in time.
pub async fn read_aloud(
    session: &Session,
    generation: u64,
    speech: &SpeechPool,
    sentences: &[String],
    engine: Option<&str>,
) -> std::result::Result<(), Refusal> {
    let utterance = session.next_utterance();
    let is_stale = || session.generation() != generation || session.outbox.is_closed();
    for (index, text) in sentences.iter().enumerate() {
        while !is_stale() && session.waiting_seconds() > AHEAD {
            tokio::time::sleep(PAUSE).await;
        }
        if is_stale() {
            return Ok(());
        }
        let (samples, fault) = match speech.speak(text, engine).await {
            Ok(spoken) => (spoken.sound.samples, None),
            Err(refusal) => (Vec::new(), Some(refusal)),
        };
        let sentence = fault.is_none().then(|| (index, Arc::from(text.as_str())));
        // Without the rest of it the text is done, too.
        let is_last = fault.is_some() || index + 1 == sentences.len();
        session.say(generation, Speech { utterance, sentence, samples, is_last });
        if let Some(refusal) = fault {
            return Err(refusal);
        }
    }
    Ok(())
}

/// Has a sound at 16 kHz said.
///
/// # Errors
/// [`Error::Input`] when too much waits already, or would then.
pub fn play(session: &Session, sound: Sound) -> Result<()> {
    let length = sound.samples.len() as f64 / f64::from(sound.rate);
    let waiting = session.waiting_seconds() + length;
    if waiting > LONGEST_QUEUE {
        let expected = format!("at most {LONGEST_QUEUE} seconds of speech that wait");
        let remedy = "wait, interrupt, or send a shorter sound";
        return Err(Error::input("the session", expected, format!("{waiting:.0}"), remedy));
    }
    let utterance = session.next_utterance();
    let speech = Speech { utterance, sentence: None, samples: sound.samples, is_last: true };
    session.say(session.generation(), speech);
    Ok(())
}
