//! One conversation with a head, as everyone but the drawing thread sees it.

use super::command::{SendCommand, SessionCommand, Wish};
use super::heads::ServedHead;
use super::outbox::Outbox;
use super::queue::Speech;
use super::speaker::{Event, SpokenFrame};
use crate::Result;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast;

/// Events that wait for a slow listener.
const EVENTS: usize = 64;
/// The most of a live voice that waits for its frame, samples: one second.
const VOICE: usize = 16_000;

/// A session. Dropping the last handle ends it.
pub struct Session {
    /// Its name: 32 hexadecimal digits.
    pub id: String,
    /// Who speaks.
    pub head: Arc<ServedHead>,
    /// Its frames.
    pub outbox: Arc<Outbox>,
    /// Texts and sounds in their turn, one after the other.
    pub turn: tokio::sync::Mutex<()>,
    key: u64,
    send: SendCommand,
    generation: AtomicU64,
    /// A live voice that no frame was made of.
    voice: Mutex<VecDeque<f32>>,
    utterances: AtomicU64,
    is_speaking: AtomicBool,
    /// Samples of speech that wait.
    waiting: AtomicU64,
    events: broadcast::Sender<Event>,
    recorder: Mutex<Option<Box<dyn Recorder>>>,
}

/// Takes the frames of a session while they are made. Called by the drawing thread, so it must not wait.
pub trait Recorder: Send {
    /// Takes a frame; false ends the recording.
    fn push(&mut self, frame: &SpokenFrame) -> bool;
    /// To get back what was started.
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any + Send>;
}

impl Session {
    pub(super) fn new(id: String, key: u64, head: Arc<ServedHead>, send: SendCommand) -> Self {
        Session {
            id,
            head,
            outbox: Arc::default(),
            turn: tokio::sync::Mutex::default(),
            key,
            send,
            generation: AtomicU64::new(0),
            voice: Mutex::default(),
            utterances: AtomicU64::new(0),
            is_speaking: AtomicBool::new(false),
            waiting: AtomicU64::new(0),
            events: broadcast::channel(EVENTS).0,
            recorder: Mutex::new(None),
        }
    }

    fn ask(&self, wish: Wish) {
        (self.send)(SessionCommand { key: self.key, wish });
    }

    /// Counts interruptions: speech that was made for an earlier number is not said.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The number of the next text or sound.
    pub fn next_utterance(&self) -> u64 {
        self.utterances.fetch_add(1, Ordering::Relaxed)
    }

    /// Says speech that was made for interruption `generation`. False when there was another one since, or the session has
    /// ended.
    pub fn say(&self, generation: u64, speech: Speech) -> bool {
        if generation != self.generation() || self.outbox.is_closed() {
            return false;
        }
        self.waiting.fetch_add(speech.samples.len() as u64, Ordering::Relaxed);
        self.ask(Wish::Say { generation, speech });
        true
    }

    /// Hears a live voice, 16 kHz, full scale ±1; of one that comes faster than it is heard the last second is kept.
    pub fn hear(&self, samples: impl IntoIterator<Item = f32>) {
        let mut voice = self.voice.lock().unwrap_or_else(PoisonError::into_inner);
        voice.extend(samples);
        let excess = voice.len().saturating_sub(VOICE);
        voice.drain(..excess);
    }

    /// The live voice that came since it was last taken.
    pub(super) fn take_voice(&self) -> Vec<f32> {
        self.voice.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    /// Stops what is being said and forgets what waits, from the next frame on. An event says at which sample.
    pub fn interrupt(&self) {
        self.voice.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Ends it, whoever still has a handle.
    pub fn end(&self) {
        self.outbox.close(None);
        self.ask(Wish::Close);
    }

    /// Whether something is said or waits to be.
    pub fn is_speaking(&self) -> bool {
        self.is_speaking.load(Ordering::Relaxed) || self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Seconds of speech that wait.
    pub fn waiting_seconds(&self) -> f64 {
        self.waiting.load(Ordering::Relaxed) as f64 / f64::from(data_utils::audio::SAMPLE_RATE)
    }

    /// What begins and ends from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Starts to record; an earlier recording is given up.
    pub fn record(&self, recorder: Box<dyn Recorder>) {
        *self.recorder.lock().unwrap_or_else(PoisonError::into_inner) = Some(recorder);
    }

    /// Ends the recording.
    pub fn take_recorder(&self) -> Option<Box<dyn Recorder>> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether it is recorded.
    pub fn is_recording(&self) -> bool {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// What only the drawing thread calls: hands on a frame. False when nobody takes it.
    pub(super) fn deliver(&self, frame: SpokenFrame, waiting: u64) -> bool {
        self.is_speaking.store(frame.is_speaking, Ordering::Relaxed);
        self.waiting.store(waiting, Ordering::Relaxed);
        for event in &frame.events {
            // Nobody need listen.
            let _ = self.events.send(event.clone());
        }
        {
            let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
            if recorder.as_mut().is_some_and(|recorder| !recorder.push(&frame)) {
                *recorder = None;
            }
        }
        self.outbox.push(frame)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
    }
}

/// A name that nobody guesses: 32 hexadecimal digits from the system's random numbers.
///
/// # Errors
/// [`crate::Error::Internal`] when the system has none.
pub fn random_name() -> Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| crate::Error::Internal(format!("random numbers: {e}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
