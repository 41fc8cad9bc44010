//! The endpoints of LiveTalking that drive a session: the one that `/offer` answers, or that the hello of the WebSocket names.
//!
//! Answers are `{"code": 0, "msg": "ok", "data": …}`; errors `{"code": -1, "msg": …}`, with a status that says so, too.

use super::recording::SessionRecorder;
use super::reply::{Answer, Fault, blocking};
use super::service::App;
use super::sessions::say;
use super::upload::Form;
use crate::serve::queue::Mark;
use crate::serve::read_aloud::play;
use crate::serve::session::Session;
use crate::serve::speaker::Event;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Multipart, Path, Query};
use axum::http::StatusCode;
use axum::response::sse::{self, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Deserialize;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;

/// The bodies of all of them.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    sessionid: Option<String>,
    text: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    interrupt: bool,
}

type Body = std::result::Result<Json<Named>, JsonRejection>;

impl Named {
    fn from(body: Body) -> Answer<Self> {
        let fault =
            |rejection: JsonRejection| Fault::new(rejection.status(), rejection.body_text()).with_code();
        body.map(|Json(named)| named).map_err(fault)
    }
}

fn ok(data: Value) -> Json<Value> {
    Json(json!({"code": 0, "msg": "ok", "data": data}))
}

fn find(service: &App, id: Option<&str>) -> Answer<Arc<Session>> {
    service.sessions.find(id.unwrap_or_default()).map_err(Fault::with_code)
}

/// Says a text. `chat`, for which LiveTalking asks a language model, is the client's part here.
pub(super) async fn human(service: App, body: Body) -> Answer<Json<Value>> {
    let named = Named::from(body)?;
    let session = find(&service, named.sessionid.as_deref())?;
    if named.kind.as_deref().is_some_and(|kind| kind != "echo") {
        let text = "this server asks no language model: ask yours, and send its answer with type echo";
        return Err(Fault::new(StatusCode::NOT_IMPLEMENTED, text).with_code());
    }
    let text = named.text.unwrap_or_default();
    crate::serve::read_aloud::check_text(&text).map_err(|error| Fault::from(error).with_code())?;
    let service = Arc::clone(&service);
    // The answer does not wait for the speech.
    tokio::spawn(async move {
        if let Err(fault) = say(&service, &session, &text, None, named.interrupt).await {
            tracing::warn!(fault = fault.text, "a text was not said");
        }
    });
    Ok(ok(Value::Null))
}

pub(super) async fn human_audio(service: App, form: Multipart) -> Answer<Json<Value>> {
    let mut form = Form::read(form, "file").await.map_err(Fault::with_code)?;
    let session = find(&service, form.text("sessionid"))?;
    let sound = form.sound("file").await.map_err(Fault::with_code)?;
    play(&session, sound).map_err(|error| Fault::from(error).with_code())?;
    Ok(ok(Value::Null))
}

pub(super) async fn interrupt_talk(service: App, body: Body) -> Answer<Json<Value>> {
    find(&service, Named::from(body)?.sessionid.as_deref())?.interrupt();
    Ok(ok(Value::Null))
}

pub(super) async fn is_speaking(service: App, body: Body) -> Answer<Json<Value>> {
    let session = find(&service, Named::from(body)?.sessionid.as_deref())?;
    Ok(ok(session.is_speaking().into()))
}

pub(super) async fn record(service: App, body: Body) -> Answer<Json<Value>> {
    let named = Named::from(body)?;
    let session = find(&service, named.sessionid.as_deref())?;
    match named.kind.as_deref() {
        Some("start_record") => {
            session.record(Box::new(service.recordings.start().map_err(Fault::with_code)?));
        }
        Some("end_record") => {
            let recorder =
                session.take_recorder().map(|recorder| recorder.into_any().downcast::<SessionRecorder>());
            let Some(Ok(recorder)) = recorder else {
                return Err(Fault::bad("nothing is being recorded").with_code());
            };
            let file = blocking(move || recorder.finish()).await.map_err(Fault::with_code)?;
            service.recordings.add(&session.id, file);
        }
        _ => return Err(Fault::bad("type: start_record or end_record").with_code()),
    }
    Ok(ok(Value::Null))
}

pub(super) async fn recorded(service: App, id: Path<String>) -> Answer<Response> {
    service.recordings.get(&id).map_err(Fault::with_code)?.answer().await
}

/// The texts of a session as they begin and end.
pub(super) async fn sse(service: App, named: Query<Named>) -> Answer<impl IntoResponse> {
    let session = find(&service, named.sessionid.as_deref())?;
    let events = session.events();
    drop(session);
    Ok(Sse::new(statuses(events)).keep_alive(sse::KeepAlive::default()))
}

fn statuses(
    events: tokio::sync::broadcast::Receiver<Event>,
) -> impl Stream<Item = std::result::Result<sse::Event, Infallible>> {
    unfold(events, |mut events| async move {
        loop {
            match events.recv().await {
                Ok(event) => {
                    if let Some(status) = status(&event) {
                        return Some((Ok(sse::Event::default().data(status.to_string())), events));
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    })
}

fn status(event: &Event) -> Option<Value> {
    let position = event.position;
    match &event.mark {
        Mark::Sentence { text, index, .. } => {
            Some(json!({"status": "start", "text": &**text, "index": index, "position": position}))
        }
        Mark::Done { utterance } => {
            Some(json!({"status": "end", "utterance": utterance, "position": position}))
        }
        Mark::Cut => Some(json!({"status": "end", "cut": true, "position": position})),
        Mark::Speaking | Mark::Silent => None,
    }
}
