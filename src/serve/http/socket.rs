//! The live transport: one WebSocket that carries sound and pictures down, and text, interruptions and a voice up.
//!
//! Down: a text `hello` with size and rates; then for each 40 ms a binary message with its sound, and one with its picture
//! (`frames::message`); events as text, with the sample they happen at. Up, as text: `{"text": …}` with optional `voice` and
//! `interrupt`, `{"interrupt": true}`; as binary: samples of 16 bits, little-endian, mono, 16 kHz. The page plays sound by its
//! own clock and shows each picture with its sound.

use super::frames::{PICTURE, encoded, mark_sound, message, sound_message};
use super::reply::{Answer, Fault};
use super::service::{App, Service};
use super::sessions::{open, say};
use crate::serve::drawing::Pace;
use crate::serve::queue::Mark;
use crate::serve::session::Session;
use crate::serve::speaker::{Event, SpokenFrame};
use crate::serve::speech::samples;
use axum::extract::Query;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use data_utils::audio::{FRAME_RATE, SAMPLE_RATE};
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Sender, channel};

/// How long before it is heard a frame is sent.
const LEAD: Duration = Duration::from_millis(100);
/// How long a message may take.
const SLOW: Duration = Duration::from_secs(10);
/// How often the other end is asked whether it is there, and after which silence it is taken for gone.
const PING: Duration = Duration::from_secs(10);
const GONE: Duration = Duration::from_secs(30);
/// The largest message that is taken, bytes.
const LARGEST: usize = 256 << 10;
/// Answers that wait for a client that does not read them; more are not given.
const REPLIES: usize = 16;
/// Close codes of RFC 6455: going away, a message that is too large, an error here.
const AWAY: u16 = 1001;
const TOO_LARGE: u16 = 1009;
const FAILED: u16 = 1011;

/// What a session is opened with.
#[derive(Debug, Deserialize)]
pub(super) struct Wishes {
    head: Option<String>,
    background: Option<String>,
    mark: Option<String>,
}

/// How the pictures of a session are sent.
#[derive(Debug, Clone, Copy)]
struct Looks {
    /// With a mark where sound is heard.
    marks: bool,
    is_transparent: bool,
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

pub(super) async fn connect(
    service: App,
    wishes: Query<Wishes>,
    upgrade: WebSocketUpgrade,
) -> Answer<Response> {
    // Before the upgrade, so that a refusal has a status.
    let (head, background) = (wishes.head.as_deref(), wishes.background.as_deref());
    let marks = match wishes.mark.as_deref() {
        None => false,
        Some("sound") => true,
        Some(other) => return Err(Fault::bad(format!("mark: sound, not {other:?}"))),
    };
    let is_transparent = service.backdrops.find(background)?.is_transparent();
    let session = open(&service, head, background, Pace::Live { lead: LEAD }).await?;
    let service = Arc::clone(&service);
    let upgrade = upgrade.max_message_size(LARGEST).max_frame_size(LARGEST);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let id = session.id.clone();
        let _open = Open::count(&service.conversations);
        let why = talk(&service, socket, &session, Looks { marks, is_transparent }).await;
        tracing::info!(
            session = id,
            pictures_dropped = session.outbox.dropped(),
            why,
            "a conversation ended"
        );
    }))
}

/// Counts a conversation as long as it lives.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn count(conversations: &Arc<AtomicUsize>) -> Self {
        conversations.fetch_add(1, Ordering::AcqRel);
        Open(Arc::clone(conversations))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Both ways until one of them ends, and why.
async fn talk(
    service: &Arc<Service>,
    socket: WebSocket,
    session: &Arc<Session>,
    looks: Looks,
) -> &'static str {
    let (mut down, mut up) = socket.split();
    let (replies, mut waiting) = channel::<Value>(REPLIES);
    if !send(&mut down, Message::Text(hello(service, session, looks).to_string().into())).await {
        return "nothing could be sent";
    }
    let mut ping = tokio::time::interval(PING);
    let mut heard = Instant::now();
    loop {
        let sent = tokio::select! {
            frame = session.outbox.next() => match frame {
                Some(frame) => send_frame(&mut down, frame, looks.marks).await,
                None => {
                    let fault = session.outbox.fault();
                    let code = if fault.is_some() { FAILED } else { AWAY };
                    let reason = fault.unwrap_or_else(|| "the server is being stopped".into());
                    close(&mut down, code, &reason).await;
                    return "the session ended";
                }
            },
            received = up.next() => match received {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    if let Message::Close(_) = message {
                        return "the other end closed";
                    }
                    obey(service, session, message, &replies);
                    true
                }
                Some(Err(_)) => {
                    // A broken connection does not hear this.
                    close(&mut down, TOO_LARGE, "at most 256 KB a message").await;
                    return "the connection broke, or a message was too large";
                }
                None => return "the connection broke",
            },
            Some(reply) = waiting.recv() => send(&mut down, Message::Text(reply.to_string().into())).await,
            _ = ping.tick() => {
                if heard.elapsed() > GONE {
                    return "nothing came for 30 seconds";
                }
                send(&mut down, Message::Ping(Vec::new().into())).await
            }
        };
        if !sent {
            return "nothing could be sent";
        }
    }
}

async fn send(down: &mut SplitSink<WebSocket, Message>, message: Message) -> bool {
    matches!(tokio::time::timeout(SLOW, down.send(message)).await, Ok(Ok(())))
}

async fn close(down: &mut SplitSink<WebSocket, Message>, code: u16, reason: &str) {
    let reason: String = reason.chars().take(40).collect();
    send(down, Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
}

fn hello(service: &Service, session: &Session, looks: Looks) -> Value {
    let [width, height] = session.head.size;
    json!({
        "event": "hello", "session": session.id, "width": width, "height": height, "fps": FRAME_RATE,
        "rate": SAMPLE_RATE, "lead_ms": LEAD.as_millis() as u64, "head": session.head.name,
        "is_sample": session.head.is_sample, "heads": service.heads.names(),
        "voices": service.speech.names(), "picture": if looks.is_transparent { "image/png" } else { "image/jpeg" },
        "synthetic": true
    })
}

/// Events, then sound, then the picture.
async fn send_frame(down: &mut SplitSink<WebSocket, Message>, mut frame: SpokenFrame, marks: bool) -> bool {
    if marks {
        mark_sound(&mut frame);
    }
    for event in &frame.events {
        if !send(down, Message::Text(event_json(event).to_string().into())).await {
            return false;
        }
    }
    if !send(down, Message::Binary(sound_message(frame.position, &frame.sound).into())).await {
        return false;
    }
    let Some(picture) = frame.picture else { return true };
    let position = frame.position;
    let encoded = tokio::task::spawn_blocking(move || encoded(&picture)).await;
    match encoded {
        Ok(Ok(bytes)) => send(down, Message::Binary(message(PICTURE, position, &bytes).into())).await,
        Ok(Err(error)) => {
            tracing::error!(%error, "a picture was not sent");
            true
        }
        Err(_) => false,
    }
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

fn obey(service: &Arc<Service>, session: &Arc<Session>, message: Message, replies: &Sender<Value>) {
    let tell = |replies: &Sender<Value>, error: String| {
        // The other end may be gone, or not read.
        let _ = replies.try_send(json!({"event": "error", "error": error}));
    };
    match message {
        Message::Binary(bytes) => session.hear(samples(&bytes)),
        Message::Text(text) => match serde_json::from_str::<Wish>(&text) {
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
        },
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) => {}
    }
}
