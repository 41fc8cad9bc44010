//! How errors are said: JSON with a status, before anything else was sent.

use crate::serve::refusal::Refusal;
use crate::{Error, Result};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Seconds after which a client that was refused may try again.
const RETRY: &str = "5";

/// An error as the client sees it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) status: StatusCode,
    pub(super) text: String,
    /// What is said in place of the usual body.
    body: Option<Value>,
}

pub(super) type Answer<T> = std::result::Result<T, Fault>;

impl Fault {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Fault { status, text: text.into(), body: None }
    }

    pub(super) fn bad(text: impl Into<String>) -> Self {
        Fault::new(StatusCode::BAD_REQUEST, text)
    }

    pub(super) fn missing(text: impl Into<String>) -> Self {
        Fault::new(StatusCode::NOT_FOUND, text)
    }

    /// A parameter that is missing or wrong, as FastAPI says it.
    pub(super) fn parameter(place: &str, name: &str, kind: &str, text: impl Into<String>) -> Self {
        let text = text.into();
        let detail = json!([{"type": kind, "loc": [place, name], "msg": text, "input": null}]);
        Fault {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            body: Some(json!({"detail": detail, "error": text})),
            text,
        }
    }

    /// The body of the answer in the form that LiveTalking's clients know.
    pub(super) fn with_code(mut self) -> Self {
        self.body = Some(json!({"code": -1, "msg": self.text}));
        self
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Input(_) | Error::Inputs(_) => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::error!(%error, "a request failed");
        }
        Fault::new(status, error.to_string())
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Busy(text) => Fault::new(StatusCode::SERVICE_UNAVAILABLE, text),
            Refusal::Failed(error) => error.into(),
        }
    }
}

impl From<tokio::task::JoinError> for Fault {
    fn from(error: tokio::task::JoinError) -> Self {
        Error::Internal(error.to_string()).into()
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let message = "nothing was lost; mend the request, or try again later";
        let body = self.body.unwrap_or_else(|| json!({"error": self.text, "message": message}));
        let mut response = (self.status, Json(body)).into_response();
        if [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&self.status) {
            let value = axum::http::HeaderValue::from_static(RETRY);
            response.headers_mut().insert(axum::http::header::RETRY_AFTER, value);
        }
        response
    }
}

/// Runs what waits or computes on a thread that may.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Answer<T> {
    Ok(tokio::task::spawn_blocking(work).await??)
}

pub(super) async fn not_found() -> Fault {
    Fault::missing("there is no such page; GET /openapi.json lists what there is")
}

/// What a client sees of a panic.
pub(super) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request ended in a bug");
    Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "this is a bug of surfeltalk; please report it")
        .into_response()
}
