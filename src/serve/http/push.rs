//! A session whose pictures and sound go to a streaming service as long as the server runs. Its name is `push`: LiveTalking's calls
//! have it speak.

use super::frames::{QUALITY, jpeg};
use super::service::Service;
use super::sessions::open;
use crate::serve::drawing::Pace;
use crate::serve::session::Session;
use crate::serve::speech::pcm_bytes;
use crate::{Error, Result};
use data_utils::audio::{FRAME_RATE, SAMPLE_RATE};
use data_utils::media::push::{Push, PushTarget};
use std::sync::Arc;
use std::time::Duration;

/// The name of the session.
const NAME: &str = "push";
/// How long to wait before a stream that ended is begun again.
const PAUSE: Duration = Duration::from_secs(5);

/// Sends to `target` for ever; a stream that breaks is begun again.
pub(super) async fn push(service: Arc<Service>, target: PushTarget) {
    loop {
        if service.drawing.is_ready() {
            match stream(&service, &target).await {
                Ok(()) => return,
                Err(text) => tracing::error!(host = target.host(), text, "the stream ended; it begins again"),
            }
        }
        tokio::time::sleep(PAUSE / if service.drawing.is_ready() { 1 } else { 50 }).await;
    }
}

/// Sends a session until it ends.
async fn stream(service: &Arc<Service>, target: &PushTarget) -> std::result::Result<(), String> {
    let pace = Pace::Live { lead: Duration::ZERO };
    let session = open(service, None, None, pace).await.map_err(|fault| fault.text)?;
    service.sessions.add_as(NAME, &session);
    tracing::info!(host = target.host(), "a stream begins");
    let (runtime, target) = (tokio::runtime::Handle::current(), target.clone());
    let speaker = Arc::clone(&session);
    // It waits for a program.
    let sent = tokio::task::spawn_blocking(move || send(&runtime, &speaker, &target)).await;
    sent.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
    session.outbox.fault().map_or(Ok(()), Err)
}

fn send(runtime: &tokio::runtime::Handle, session: &Session, target: &PushTarget) -> Result<()> {
    let mut stream = Push::start(target, session.head.size, FRAME_RATE, SAMPLE_RATE)?;
    let mut last = Vec::new();
    while let Some(frame) = runtime.block_on(session.outbox.next()) {
        // One that was passed over: the one before stays.
        if let Some(picture) = &frame.picture {
            last = jpeg(picture, QUALITY)?;
        }
        if last.is_empty() {
            continue;
        }
        let samples: Vec<u8> = pcm_bytes(&frame.sound).collect();
        stream.write(frame.position * 1000 / u64::from(SAMPLE_RATE), &last, &samples)?;
    }
    stream.end().map_err(|error| Error::Internal(error.to_string()))
}
