//! The messages of a live session beside its sound and its pictures, as JSON: `hello`, events and errors down, wishes up. The WebSocket
//! and the data channel of a call carry the same ones.

use super::reply::{Answer, Fault};
use super::service::Service;
use super::sessions::say;
use crate::serve::queue::Mark;
use crate::serve::session::Session;
use crate::serve::speaker::Event;
use crate::serve::speech::samples;
use data_utils::audio::{FRAME_RATE, SAMPLE_RATE};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// Answers that wait for a client that does not read them; more are not given.
pub(super) const REPLIES: usize = 16;

/// What a live session is opened with.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wishes {
    pub(super) head: Option<String>,
    pub(super) background: Option<String>,
    pub(super) mark: Option<String>,
}

/// What comes from the other end.
pub(super) enum Up<'a> {
    /// A wish, as JSON.
    Text(&'a str),
    /// Samples of its voice.
    Samples(&'a [u8]),
}

/// What the other end asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    text: Option<String>,
    voice: Option<String>,
    #[serde(default)]
    interrupt: bool,
}

/// Whether pictures are to be marked, by the parameter `mark` of a request.
pub(super) fn marks(mark: Option<&str>) -> Answer<bool> {
    match mark {
        None => Ok(false),
        Some("sound") => Ok(true),
        Some(other) => Err(Fault::bad(format!("mark: sound, not {other:?}"))),
    }
}

/// The first message. `lead` is how long before it is heard a frame is sent, `picture` the media type of pictures.
pub(super) fn hello(service: &Service, session: &Session, lead: Duration, picture: &str) -> Value {
    let [width, height] = session.head.size;
    json!({
        "event": "hello", "session": session.id, "width": width, "height": height, "fps": FRAME_RATE,
        "rate": SAMPLE_RATE, "lead_ms": lead.as_millis() as u64, "head": session.head.name,
        "is_sample": session.head.is_sample, "heads": service.heads.names(),
        "voices": service.speech.names(), "picture": picture, "synthetic": true
    })
}

/// An event as JSON.
pub(super) fn event_json(event: &Event) -> Value {
    let position = event.position;
    match &event.mark {
        Mark::Speaking => json!({"event": "speaking", "position": position}),
        Mark::Sentence { utterance, index, text } => {
            json!({"event": "sentence", "position": position, "utterance": utterance, "index": index, "text": &**text})
        }
        Mark::Done { utterance } => json!({"event": "done", "position": position, "utterance": utterance}),
        Mark::Cut => json!({"event": "cut", "position": position}),
        Mark::Silent => json!({"event": "silent", "position": position}),
    }
}

/// Does what the other end asks for. What cannot be done is told in `replies`.
pub(super) fn obey(service: &Arc<Service>, session: &Arc<Session>, message: Up<'_>, replies: &Sender<Value>) {
    let tell = |replies: &Sender<Value>, error: String| {
        // The other end may be gone, or not read.
        let _ = replies.try_send(json!({"event": "error", "error": error}));
    };
    let text = match message {
        Up::Samples(bytes) => return session.hear(samples(bytes)),
        Up::Text(text) => text,
    };
    match serde_json::from_str::<Wish>(text) {
        Ok(Wish { text: Some(text), voice, interrupt }) => {
            let (service, session, replies) = (Arc::clone(service), Arc::clone(session), replies.clone());
            tokio::spawn(async move {
                if let Err(fault) = say(&service, &session, &text, voice, interrupt).await {
                    tell(&replies, fault.text);
                }
            });
        }
        Ok(Wish { interrupt: true, .. }) => session.interrupt(),
        Ok(_) => tell(replies, "a message with text or interrupt is expected".into()),
        Err(error) => tell(replies, format!("the message is not understood: {error}")),
    }
}
