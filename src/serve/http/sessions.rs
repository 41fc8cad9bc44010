//! How requests open sessions and have them say texts.

use super::reply::{Answer, Fault};
use super::service::Service;
use crate::serve::drawing::{Pace, SessionOptions};
use crate::serve::read_aloud::{check_text, read_aloud};
use crate::serve::session::Session;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Texts of one session that may wait for their turn.
const WAITING_TEXTS: usize = 32;

/// The session of a request; it ends with the request, whoever else has a handle.
pub(super) struct OwnSession(Arc<Session>);

impl Deref for OwnSession {
    type Target = Arc<Session>;

    fn deref(&self) -> &Arc<Session> {
        &self.0
    }
}

impl Drop for OwnSession {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Counts a conversation as long as it lives: the server waits for those that go on when their request was answered.
pub(super) struct OpenConversation(Arc<AtomicUsize>);

impl OpenConversation {
    pub(super) fn count(conversations: &Arc<AtomicUsize>) -> Self {
        conversations.fetch_add(1, Ordering::AcqRel);
        OpenConversation(Arc::clone(conversations))
    }
}

impl Drop for OpenConversation {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Opens a session for a head and a background by name.
pub(super) async fn open(
    service: &Service,
    head: Option<&str>,
    backdrop: Option<&str>,
    pace: Pace,
) -> Answer<OwnSession> {
    let head = &service.heads.find(head)?;
    let options = SessionOptions { pace, backdrop: service.backdrops.find(backdrop)? };
    let session = service.drawing.open(head, options).await?;
    service.sessions.add(&session);
    Ok(OwnSession(session))
}

/// Has a text said in its turn, after the texts before it; returns when its speech has been made. `interrupt` stops those first.
pub(super) async fn say(
    service: &Arc<Service>,
    session: &Arc<Session>,
    text: &str,
    engine: Option<String>,
    interrupt: bool,
) -> Answer<()> {
    let sentences = check_text(text)?;
    if let Some(name) = &engine
        && !service.speech.names().contains(name)
    {
        let names = service.speech.names().join(", ");
        return Err(Fault::bad(format!("there is no voice {name:?}; there are {names}")));
    }
    if interrupt {
        session.interrupt();
    }
    // The session and everyone who waits for a turn hold a handle.
    if Arc::strong_count(session) > WAITING_TEXTS {
        let text = "too many texts wait in this session";
        return Err(Fault::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, text));
    }
    let generation = session.generation();
    let session = Arc::clone(session);
    let _turn = session.turn.lock().await;
    Ok(read_aloud(&session, generation, &service.speech, &sentences, engine.as_deref()).await?)
}
