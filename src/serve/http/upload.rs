//! Sounds and fields that a client sends as a form.

use super::reply::{Answer, Fault, blocking};
use crate::serve::speech::decode;
use axum::extract::Multipart;
use axum::extract::multipart::MultipartError;
use axum::http::StatusCode;
use data_utils::audio::Sound;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Uploads that are received at once: each may take as much memory as the largest one.
static UPLOADS: Semaphore = Semaphore::const_new(12);
/// Sounds that are decoded at once, and how long one waits for its turn.
static DECODERS: Semaphore = Semaphore::const_new(2);
const TURN: Duration = Duration::from_secs(60);
/// How long an upload may take.
const SLOW: Duration = Duration::from_secs(120);
/// The longest text field, bytes.
const LONGEST_FIELD: usize = 128 << 10;

/// A form: texts by name, and the bytes of a file. The file's name is not used.
#[derive(Debug, Default)]
pub(super) struct Form {
    texts: BTreeMap<String, String>,
    file: Option<Vec<u8>>,
}

impl Form {
    /// Reads a form whose file is in the field `file`.
    pub(super) async fn read(form: Multipart, file: &str) -> Answer<Self> {
        let full = |_| Fault::new(StatusCode::SERVICE_UNAVAILABLE, "too many files are being sent");
        let _place = UPLOADS.try_acquire().map_err(full)?;
        let late = |_| Fault::new(StatusCode::REQUEST_TIMEOUT, "the upload took too long");
        tokio::time::timeout(SLOW, Form::read_all(form, file)).await.map_err(late)?
    }

    async fn read_all(mut form: Multipart, file: &str) -> Answer<Self> {
        let broken = |error: MultipartError| Fault::new(error.status(), error.body_text());
        let mut read = Form::default();
        while let Some(field) = form.next_field().await.map_err(broken)? {
            let name = field.name().unwrap_or_default().to_owned();
            let bytes = field.bytes().await.map_err(broken)?;
            if name == file {
                read.file = Some(bytes.to_vec());
            } else if bytes.len() <= LONGEST_FIELD {
                read.texts.insert(name, String::from_utf8_lossy(&bytes).into_owned());
            } else {
                return Err(Fault::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format!("the field {name:?} is too long"),
                ));
            }
        }
        Ok(read)
    }

    /// A text by its name.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    pub(super) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// The bytes of the file; `name` is its field.
    pub(super) fn bytes(&mut self, name: &str) -> Answer<Vec<u8>> {
        let missing = || Fault::parameter("body", name, "missing", "Field required");
        self.file.take().ok_or_else(missing)
    }

    /// The file as sound at 16 kHz; `name` is its field.
    pub(super) async fn sound(&mut self, name: &str) -> Answer<Sound> {
        let bytes = self.bytes(name)?;
        let busy = |text: &str| Fault::new(StatusCode::SERVICE_UNAVAILABLE, text);
        let turn = tokio::time::timeout(TURN, DECODERS.acquire()).await;
        let turn = turn.map_err(|_| busy("too many files are being read"))?;
        let turn = turn.map_err(|_| busy("the server is being stopped"))?;
        blocking(move || {
            let _turn = turn;
            decode(&bytes, None)
        })
        .await
    }
}
