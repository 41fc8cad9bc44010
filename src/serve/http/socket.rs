//! The live transport: one WebSocket that carries sound and pictures down, and text, interruptions and a voice up.
//!
//! Down: a text `hello` with size and rates; then for each 40 ms a binary message with its sound, and one with its picture
//! (`frames::message`); events as text, with the sample they happen at. Up, as text: `{"text": …}` with optional `voice` and
//! `interrupt`, `{"interrupt": true}`; as binary: samples of 16 bits, little-endian, mono, 16 kHz. The page plays sound by its
//! own clock and shows each picture with its sound.

use super::frames::{PICTURE, encoded, mark_sound, message, sound_message};
use super::messages::{REPLIES, Up, Wishes, event_json, hello, marks, obey};
use super::reply::Answer;
use super::service::{App, Service};
use super::sessions::{OpenConversation, open};
use crate::serve::drawing::Pace;
use crate::serve::session::Session;
use crate::serve::speaker::SpokenFrame;
use axum::extract::Query;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::channel;

/// How long before it is heard a frame is sent.
const LEAD: Duration = Duration::from_millis(100);
/// How long a message may take.
const SLOW: Duration = Duration::from_secs(10);
/// How often the other end is asked whether it is there, and after which silence it is taken for gone.
const PING: Duration = Duration::from_secs(10);
const GONE: Duration = Duration::from_secs(30);
/// The largest message that is taken, bytes.
const LARGEST: usize = 256 << 10;
/// Close codes of RFC 6455: going away, a message that is too large, an error here.
const AWAY: u16 = 1001;
const TOO_LARGE: u16 = 1009;
const FAILED: u16 = 1011;

/// How the pictures of a session are sent.
#[derive(Debug, Clone, Copy)]
struct Looks {
    /// With a mark where sound is heard.
    marks: bool,
    is_transparent: bool,
}

pub(super) async fn connect(
    service: App,
    wishes: Query<Wishes>,
    upgrade: WebSocketUpgrade,
) -> Answer<Response> {
    // Before the upgrade, so that a refusal has a status.
    let (head, background) = (wishes.head.as_deref(), wishes.background.as_deref());
    let marks = marks(wishes.mark.as_deref())?;
    let is_transparent = service.backdrops.find(background)?.is_transparent();
    let session = open(&service, head, background, Pace::Live { lead: LEAD }).await?;
    let service = Arc::clone(&service);
    let upgrade = upgrade.max_message_size(LARGEST).max_frame_size(LARGEST);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let id = session.id.clone();
        let _open = OpenConversation::count(&service.conversations);
        let why = talk(&service, socket, &session, Looks { marks, is_transparent }).await;
        tracing::info!(
            session = id,
            pictures_dropped = session.outbox.dropped(),
            why,
            "a conversation ended"
        );
    }))
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
    let hello = hello(service, session, LEAD, if looks.is_transparent { "image/png" } else { "image/jpeg" });
    if !send(&mut down, Message::Text(hello.to_string().into())).await {
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
                    match &message {
                        Message::Binary(bytes) => obey(service, session, Up::Samples(bytes), &replies),
                        Message::Text(text) => obey(service, session, Up::Text(text), &replies),
                        Message::Ping(_) | Message::Pong(_) | Message::Close(_) => {}
                    }
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
