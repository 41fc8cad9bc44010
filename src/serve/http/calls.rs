//! Calls by WebRTC: an offer is answered, and a session goes on until one end hangs up. `/whep` is the protocol of players (WHEP,
//! draft-ietf-wish-whep), `/offer` LiveTalking's. A data channel of the client's carries the messages of the WebSocket.

use super::call::{Call, talk};
use super::messages::{Wishes, marks};
use super::reply::{Answer, Fault, blocking};
use super::service::{App, Service};
use super::sessions::open;
use crate::serve::drawing::Pace;
use crate::serve::rtc::coder::Coder;
use crate::serve::rtc::peer::Peer;
use crate::serve::rtc::port::Port;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_utils::media::live_vp8;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The media type of an offer and of an answer.
const SDP: &str = "application/sdp";
/// The other end keeps what it needs to play evenly, so a frame is sent when it is due.
const PACE: Pace = Pace::Live { lead: Duration::ZERO };

/// The body of `POST /offer`. More fields of LiveTalking's, as those of a voice, are not used.
#[derive(Debug, Deserialize)]
pub(super) struct Offer {
    sdp: String,
    #[serde(rename = "type")]
    kind: String,
    avatar: Option<String>,
}

/// What an offer is answered with.
struct Answered {
    session: String,
    sdp: String,
}

/// Whether calls are taken; otherwise why not.
pub(super) fn port(service: &Service) -> Answer<&Arc<Port>> {
    let missing = |text: String| Fault::new(StatusCode::SERVICE_UNAVAILABLE, text);
    let off = || missing("WebRTC is off: start the server with --webrtc_port PORT".into());
    let port = service.calls.as_ref().ok_or_else(off)?;
    live_vp8::find().map_err(|found| {
        missing(format!("WebRTC needs an ffmpeg that codes VP8: {found}; the WebSocket /ws needs none"))
    })?;
    Ok(port)
}

pub(super) async fn whep(
    service: App,
    wishes: Query<Wishes>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<Response> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().is_none_or(|kind| !kind.trim().eq_ignore_ascii_case(SDP)) {
        return Err(Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("an offer as {SDP} is expected")));
    }
    let offer = String::from_utf8(body.into()).map_err(|_| Fault::bad("the offer is no text"))?;
    let Answered { session, sdp } = answer(&service, &wishes, &headers, &offer).await?;
    let headers = [(header::LOCATION, format!("/whep/{session}")), (header::CONTENT_TYPE, SDP.to_owned())];
    Ok((StatusCode::CREATED, headers, sdp).into_response())
}

/// Hangs up.
pub(super) async fn hang_up(service: App, id: Path<String>) -> Answer<StatusCode> {
    service.sessions.find(&id)?.end();
    Ok(StatusCode::OK)
}

pub(super) async fn offer(
    service: App,
    headers: HeaderMap,
    body: std::result::Result<Json<Offer>, JsonRejection>,
) -> Answer<Json<Value>> {
    let fault = |rejection: JsonRejection| Fault::new(rejection.status(), rejection.body_text()).with_code();
    let Json(offer) = body.map_err(fault)?;
    if offer.kind != "offer" {
        return Err(Fault::bad(format!("type: offer, not {:?}", offer.kind)).with_code());
    }
    let wishes = Wishes { head: offer.avatar.filter(|name| !name.is_empty()), ..Wishes::default() };
    let answered = answer(&service, &wishes, &headers, &offer.sdp).await.map_err(Fault::with_code)?;
    let Answered { session, sdp } = answered;
    Ok(Json(json!({"sdp": sdp, "type": "answer", "sessionid": session})))
}

async fn answer(service: &App, wishes: &Wishes, headers: &HeaderMap, offer: &str) -> Answer<Answered> {
    let port = port(service)?;
    let marks = marks(wishes.mark.as_deref())?;
    let (head, background) = (wishes.head.as_deref(), wishes.background.as_deref());
    if service.backdrops.find(background)?.is_transparent() {
        return Err(Fault::bad("a call has no transparency: name a colour, as 00ff00, or use the WebSocket"));
    }
    // Before anything is done in vain.
    service.drawing.check_place(&*service.heads.find(head)?, PACE)?;
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let (mut peer, sdp) = Peer::answer(offer, port.address(host), Instant::now())?;
    let session = open(service, head, background, PACE).await?;
    let size = session.head.size;
    let coder = blocking(move || Coder::start(size)).await?;
    let way = port.call(peer.name());
    let id = session.id.clone();
    tokio::spawn(talk(Arc::clone(service), session, Call { peer, way, coder, marks }));
    Ok(Answered { session: id, sdp })
}
