//! Requests that are no upload come whole within some seconds, or are refused: a client that names a length and sends nothing
//! keeps no one waiting.

use super::reply::Fault;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use std::time::Duration;

/// The largest request without an upload, bytes.
pub(super) const LARGEST: usize = 256 << 10;
/// Of a larger one so much is read and thrown away: most clients send all before they look for an answer.
const DISCARDED: u64 = 8 << 20;
/// How long it may take.
const SLOW: Duration = Duration::from_secs(10);

/// Reads the body before the request is answered.
pub(super) async fn read_whole(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let length = head.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let is_huge = length.and_then(|text| text.parse::<u64>().ok()).is_some_and(|length| length > DISCARDED);
    let read = match is_huge {
        true => Ok(None),
        false => tokio::time::timeout(SLOW, read(body)).await,
    };
    match read {
        Ok(Some(bytes)) => next.run(Request::from_parts(head, Body::from(bytes))).await,
        Ok(None) => closing(Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large")),
        Err(_) => closing(Fault::new(StatusCode::REQUEST_TIMEOUT, "the request took too long")),
    }
}

/// The whole body; `None` where it is too large, or breaks, which nobody hears.
async fn read(body: Body) -> Option<Vec<u8>> {
    let (mut bytes, mut count) = (Vec::new(), 0);
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        let part = part.ok()?;
        count += part.len();
        if count <= LARGEST {
            bytes.extend_from_slice(&part);
        } else if count as u64 > DISCARDED {
            return None;
        }
    }
    (count <= LARGEST).then_some(bytes)
}

/// An answer after which the connection ends: the rest of the request is not read.
pub(super) fn closing(fault: Fault) -> Response {
    let mut response = fault.into_response();
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    response
}
