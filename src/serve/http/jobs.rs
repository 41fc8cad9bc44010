//! Videos that take longer: a job is started, asked for, and fetched.

use super::job_table::State;
use super::reply::{Answer, Fault};
use super::service::App;
use super::synctalk::speech;
use super::upload::Form;
use super::video::{check_backdrop, render};
use crate::serve::session::random_name;
use crate::serve::speech::LONGEST_SOUND;
use axum::Json;
use axum::extract::{Multipart, Path};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;

/// Starts a job: a form with `file` (a sound) or `text`, and perhaps `head`, `voice` and `background`.
pub(super) async fn create(service: App, form: Multipart) -> Answer<Response> {
    let mut form = Form::read(form, "file").await?;
    let owned = |name: &str| form.text(name).map(str::to_owned);
    let (head, voice, background) = (owned("head"), owned("voice"), owned("background"));
    service.heads.find(head.as_deref())?;
    check_backdrop(&service, background.as_deref())?;
    let sound = match (form.has_file(), owned("text")) {
        (true, None) => form.sound("file").await?,
        (false, Some(text)) => speech(&service, &text, voice).await?,
        _ => return Err(Fault::bad("name either a file or a text")),
    };
    let total = sound.video_frames() as u64;
    if total == 0 || total > u64::from(LONGEST_SOUND) * 25 {
        return Err(Fault::bad(format!("a sound of up to {LONGEST_SOUND} seconds is expected")));
    }
    let id = random_name()?;
    let done = service.jobs.add(&id, total)?;
    let (service, name) = (Arc::clone(&service), id.clone());
    let state = Arc::clone(&service);
    let work = tokio::spawn(async move {
        let _turn = service.jobs.turn.lock().await;
        service.jobs.set(&name, State::Processing);
        let (head, background) = (head.as_deref(), background.as_deref());
        let finished = match render(&service, head, background, sound, done).await {
            Ok(file) => State::Completed(Arc::new(file)),
            Err(fault) => State::Failed(fault.text),
        };
        service.jobs.set(&name, finished);
    });
    state.jobs.set_work(&id, work.abort_handle());
    let location = [(header::LOCATION, format!("/v1/jobs/{id}"))];
    Ok((StatusCode::ACCEPTED, location, Json(state.jobs.json(&id)?)).into_response())
}

pub(super) async fn list(service: App) -> Answer<Json<Value>> {
    let jobs: Vec<Value> = service.jobs.ids().iter().filter_map(|id| service.jobs.json(id).ok()).collect();
    Ok(Json(json!({"jobs": jobs})))
}

pub(super) async fn state(service: App, id: Path<String>) -> Answer<Json<Value>> {
    Ok(Json(service.jobs.json(&id)?))
}

/// Forgets a job; one that is being worked on is given up.
pub(super) async fn cancel(service: App, id: Path<String>) -> Answer<StatusCode> {
    service.jobs.remove(&id)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn video(service: App, id: Path<String>) -> Answer<Response> {
    match service.jobs.state(&id)? {
        State::Completed(file) => file.answer().await,
        State::Failed(error) => Err(Fault::new(StatusCode::GONE, error)),
        State::Pending | State::Processing => Err(Fault::bad("the video is not there yet")),
    }
}
