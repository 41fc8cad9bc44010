//! Speech in OpenAI's form: a text becomes sound, or a video of a head that says it.

use super::reply::{Answer, Fault};
use super::service::App;
use super::synctalk::speech;
use super::video;
use crate::serve::drawing::Pace;
use crate::serve::speech::{pcm_bytes, wav};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use data_utils::audio::resample::Resampler;
use data_utils::audio::{SAMPLE_RATE, Sound};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The longest text, characters, as OpenAI has it.
const LONGEST: usize = 4096;

/// The body of `POST /v1/audio/speech` and `/v1/video/speech`. `voice` names an engine of the server, or is a name of OpenAI's,
/// which the server's own choice answers. `model` names a head where a video is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct SpeechRequest {
    input: String,
    model: Option<String>,
    voice: Option<String>,
    response_format: Option<String>,
    speed: Option<f32>,
    background: Option<String>,
}

type Body = std::result::Result<Json<SpeechRequest>, JsonRejection>;

impl SpeechRequest {
    fn from(body: Body) -> Answer<Self> {
        let Json(request) =
            body.map_err(|rejection| Fault::new(rejection.status(), rejection.body_text()))?;
        if request.input.chars().count() > LONGEST {
            return Err(Fault::bad(format!(
                "input: at most {LONGEST} characters; send it in parts, or as a job"
            )));
        }
        match request.speed {
            Some(speed) if !(0.25..=4.0).contains(&speed) => Err(Fault::bad("speed: 0.25 to 4")),
            _ => Ok(request),
        }
    }

    /// The speech at the speed that is asked for: faster speech is resampled, so it is higher, too.
    async fn sound(&self, service: &App) -> Answer<Sound> {
        let named = self.voice.clone().filter(|voice| service.speech.names().contains(voice));
        let sound = speech(service, &self.input, named).await?;
        let rate = (SAMPLE_RATE as f32 * self.speed.unwrap_or(1.0)).round() as u32;
        if rate == SAMPLE_RATE {
            return Ok(sound);
        }
        let mut resampler = Resampler::new(rate)?;
        let mut samples = resampler.push(&sound.samples)?;
        samples.extend(resampler.finish()?);
        Ok(Sound { samples, rate: SAMPLE_RATE })
    }
}

pub(super) async fn audio(service: App, body: Body) -> Answer<Response> {
    let request = SpeechRequest::from(body)?;
    let is_raw = match request.response_format.as_deref() {
        None | Some("wav") => false,
        Some("pcm") => true,
        Some(other) => return Err(Fault::bad(format!("response_format: wav or pcm, not {other:?}"))),
    };
    let sound = request.sound(&service).await?;
    if is_raw {
        let headers = [("content-type", "audio/pcm".to_owned()), ("x-sample-rate", sound.rate.to_string())];
        return Ok((headers, pcm_bytes(&sound.samples).collect::<Vec<u8>>()).into_response());
    }
    Ok(([("content-type", "audio/wav")], wav(&sound)).into_response())
}

pub(super) async fn video(service: App, body: Body) -> Answer<Response> {
    let request = SpeechRequest::from(body)?;
    let head = request.model.as_deref();
    service.drawing.check_place(&*service.heads.find(head)?, Pace::Unpaced)?;
    video::check_backdrop(&service, request.background.as_deref())?;
    let sound = request.sound(&service).await?;
    let file = video::render(&service, head, request.background.as_deref(), sound, Arc::default()).await?;
    Arc::new(file).answer().await
}

pub(super) async fn models(service: App) -> Json<Value> {
    let model = |head: &Arc<crate::serve::heads::ServedHead>| json!({"id": head.name, "object": "model", "owned_by": "surfeltalk", "width": head.size[0], "height": head.size[1]});
    let voices = service.speech.names();
    Json(
        json!({"object": "list", "data": service.heads.all().iter().map(model).collect::<Vec<_>>(), "voices": voices, "webrtc": super::calls::port(&service).is_ok()}),
    )
}
