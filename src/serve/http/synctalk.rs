//! The endpoints of SyncTalk_2D's server (cvoalex/digital-clone): a picture stream for a text or a sound, and the sound of a
//! text.
//!
//! A stream is `multipart/x-mixed-replace`. Its first picture is drawn before the headers are sent, so that errors have a
//! status. A browser shows a part when the next one begins, so the last picture is sent twice. The sound is not in the
//! stream; a client plays it beside, without a common clock: the WebSocket has one.

use super::debug_files::{DebugFiles, Switches};
use super::frames::{QUALITY, jpeg, mjpeg_part};
use super::reply::{Answer, Fault, blocking};
use super::service::{App, Service};
use super::sessions::{OwnSession, open};
use super::upload::Form;
use crate::serve::drawing::Pace;
use crate::serve::queue::{Mark, Speech};
use crate::serve::read_aloud::{check_text, play, read_aloud};
use crate::serve::session::Session;
use crate::serve::speaker::SpokenFrame;
use crate::serve::speech::wav;
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Multipart, Query};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_utils::audio::Sound;
use futures_util::stream::unfold;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Without a clock a picture is sent when its sound would be heard.
const PACE: Pace = Pace::Live { lead: Duration::ZERO };
const CONTENT_TYPE: &str = "multipart/x-mixed-replace; boundary=frame";

/// The query of `/generate`. `duration` is taken for compatibility; pictures always come at 25 a second.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    text: Option<String>,
    duration: Option<String>,
    head: Option<String>,
}

/// The body of `POST /generate`.
#[derive(Debug, Deserialize)]
pub(super) struct SaidJson {
    text: String,
}

impl Said {
    fn check_duration(&self) -> Answer<()> {
        let is_number = |text: &String| text.parse::<f64>().is_ok_and(f64::is_finite);
        match &self.duration {
            Some(text) if !is_number(text) => {
                let text = "Input should be a valid number, unable to parse string as a number";
                Err(Fault::parameter("query", "duration", "float_parsing", text))
            }
            _ => Ok(()),
        }
    }
}

pub(super) async fn generate(service: App, said: Query<Said>) -> Answer<Response> {
    said.check_duration()?;
    let text = said.text.as_deref();
    let text = text.ok_or_else(|| Fault::parameter("query", "text", "missing", "Field required"))?;
    stream_text(&service, text, said.head.as_deref()).await
}

pub(super) async fn generate_json(
    service: App,
    said: Query<Said>,
    body: std::result::Result<Json<SaidJson>, JsonRejection>,
) -> Answer<Response> {
    said.check_duration()?;
    let body = body.map_err(|rejection| match rejection.status() {
        status @ StatusCode::PAYLOAD_TOO_LARGE => Fault::new(status, "the request is too large"),
        _ => Fault::parameter("body", "text", "missing", rejection.body_text()),
    })?;
    stream_text(&service, &body.text, said.head.as_deref()).await
}

pub(super) async fn generate_from_audio(
    service: App,
    said: Query<Said>,
    form: Multipart,
) -> Answer<Response> {
    let mut form = Form::read(form, "audio_file").await?;
    service.drawing.check_place(&*service.heads.find(said.head.as_deref())?, PACE)?;
    let sound = form.sound("audio_file").await?;
    let session = open(&service, said.head.as_deref(), None, PACE).await?;
    let files = service.debug.files("audio", &session.id);
    let files = keep_sound(files, "upload", &sound).await?;
    play(&session, sound)?;
    stream(session, files).await
}

/// One picture of the head as it waits. It opens no session.
pub(super) async fn avatar(service: App, said: Query<Said>) -> Answer<Response> {
    let still = service.heads.find(said.head.as_deref())?.still().cloned();
    let loading = || Fault::new(StatusCode::SERVICE_UNAVAILABLE, "the heads are being loaded");
    let still = still.ok_or_else(loading)?;
    let part = mjpeg_part(&blocking(move || jpeg(&still, QUALITY)).await?);
    Ok((headers(), [part.clone(), part].concat()).into_response())
}

pub(super) async fn tts_audio(service: App, said: Query<Said>) -> Answer<Response> {
    let text = said.text.clone();
    let text = text.ok_or_else(|| Fault::parameter("query", "text", "missing", "Field required"))?;
    let sound = speech(&service, &text, None).await?;
    let seconds = format!("{}", sound.samples.len() as f64 / f64::from(sound.rate));
    let headers = [
        ("content-type", "audio/wav".to_owned()),
        ("content-disposition", "attachment; filename=tts_audio.wav".to_owned()),
        ("x-audio-duration", seconds),
    ];
    Ok((headers, wav(&sound)).into_response())
}

/// The speech of a whole text.
pub(super) async fn speech(service: &Arc<Service>, text: &str, engine: Option<String>) -> Answer<Sound> {
    let mut whole = Sound { samples: Vec::new(), rate: data_utils::audio::SAMPLE_RATE };
    for sentence in check_text(text)? {
        whole.samples.extend(service.speech.speak(&sentence, engine.as_deref()).await?.sound.samples);
    }
    Ok(whole)
}

fn headers() -> [(header::HeaderName, &'static str); 2] {
    [(header::CONTENT_TYPE, CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")]
}

/// Says a text: the first sentence is made before anything is sent, the others while it is said.
async fn stream_text(service: &Arc<Service>, text: &str, head: Option<&str>) -> Answer<Response> {
    let sentences = check_text(text)?;
    let (first, rest) = sentences.split_first().ok_or_else(|| Fault::bad("no words"))?;
    service.drawing.check_place(&*service.heads.find(head)?, PACE)?;
    let spoken = service.speech.speak(first, None).await?;
    let session = open(service, head, None, PACE).await?;
    let files = service.debug.files("text", &session.id);
    let files = keep_sound(files, "tts", &spoken.sound).await?;
    let generation = session.generation();
    session.say(
        generation,
        Speech {
            utterance: session.next_utterance(),
            sentence: Some((0, Arc::from(first.as_str()))),
            samples: spoken.sound.samples,
            is_last: rest.is_empty(),
        },
    );
    if !rest.is_empty() {
        let (service, session, rest) = (Arc::clone(service), Arc::clone(&session), rest.to_vec());
        tokio::spawn(async move {
            let said = read_aloud(&session, generation, &service.speech, &rest, None).await;
            if let Err(refusal) = said {
                tracing::warn!(?refusal, "a text was not said to its end");
                session.end();
            }
        });
    }
    stream(session, files).await
}

/// Saves a sound, where that was switched on.
async fn keep_sound(
    files: Option<DebugFiles>,
    kind: &'static str,
    sound: &Sound,
) -> Answer<Option<DebugFiles>> {
    let Some(files) = files else { return Ok(None) };
    let sound = sound.clone();
    blocking(move || files.save_sound(kind, &sound).map(|()| Some(files))).await
}

/// A picture that was drawn, and whether the last text was done with it.
struct Shown {
    jpeg: Vec<u8>,
    is_last: bool,
}

/// The next picture; those that were passed over are waited for.
async fn next_picture(session: &Session) -> Answer<Shown> {
    let mut is_last = false;
    loop {
        let frame: Option<SpokenFrame> = session.outbox.next().await;
        let Some(frame) = frame else {
            let fault = session.outbox.fault().unwrap_or_else(|| "the server is being stopped".into());
            return Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, fault));
        };
        is_last |= frame.events.iter().any(|event| matches!(event.mark, Mark::Done { .. }));
        if let Some(picture) = frame.picture {
            let jpeg = blocking(move || jpeg(&picture, QUALITY)).await?;
            return Ok(Shown { jpeg, is_last });
        }
    }
}

/// The pictures of a session until it is silent.
async fn stream(session: OwnSession, files: Option<DebugFiles>) -> Answer<Response> {
    struct Stream {
        /// It ends when nobody reads any more.
        session: OwnSession,
        files: Option<DebugFiles>,
        ready: Option<Shown>,
        is_over: bool,
    }
    let ready = Some(next_picture(&session).await?);
    let start = Stream { session, files, ready, is_over: false };
    let parts = unfold(start, |mut stream| async move {
        if stream.is_over {
            return None;
        }
        let shown = match stream.ready.take() {
            Some(shown) => shown,
            None => next_picture(&stream.session).await.ok()?,
        };
        if let Some(files) = &mut stream.files {
            files.save_frame(&shown.jpeg);
        }
        let mut part = mjpeg_part(&shown.jpeg);
        if shown.is_last {
            stream.is_over = true;
            part.extend_from_within(..);
        }
        Some((Ok::<_, Infallible>(part), stream))
    });
    Ok((headers(), Body::from_stream(parts)).into_response())
}

/// The answer of `/debug`.
#[derive(Debug, Serialize)]
pub(super) struct DebugState {
    #[serde(flatten)]
    switches: Switches,
    frames_dir: Option<String>,
    audio_dir: Option<String>,
}

pub(super) async fn debug_status(service: App) -> Json<DebugState> {
    Json(debug_state(&service))
}

pub(super) async fn debug_config(
    service: App,
    switches: std::result::Result<Json<Switches>, JsonRejection>,
) -> Answer<Json<DebugState>> {
    let Json(switches) = switches.map_err(|rejection| {
        Fault::parameter("body", "enabled, save_frames, save_audio", "missing", rejection.body_text())
    })?;
    if (switches.save_frames || switches.save_audio) && switches.enabled && service.debug.folder().is_none() {
        let text = "nothing is saved by this server; start it with --debug_dir FOLDER";
        return Err(Fault::new(StatusCode::CONFLICT, text));
    }
    service.debug.set(switches);
    Ok(Json(debug_state(&service)))
}

fn debug_state(service: &Service) -> DebugState {
    let folder = |name: &str| service.debug.folder().map(|folder| folder.join(name).display().to_string());
    DebugState { switches: service.debug.get(), frames_dir: folder("frames"), audio_dir: folder("audio") }
}
