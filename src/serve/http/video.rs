//! A sound as a video file of a head.

use super::reply::{Answer, Fault};
use super::service::Service;
use super::sessions::open;
use super::video_file::{VideoFile, create, finish};
use crate::serve::drawing::Pace;
use crate::serve::read_aloud::play;
use crate::serve::session::Session;
use axum::http::StatusCode;
use data_utils::audio::Sound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Refuses a backdrop that a video cannot have.
pub(super) fn check_backdrop(service: &Service, name: Option<&str>) -> Answer<()> {
    match service.backdrops.find(name)?.is_transparent() {
        true => Err(Fault::bad("a video has no transparency: name a colour, as 00ff00")),
        false => Ok(()),
    }
}

/// A head that says `sound`, as fast as it can be drawn. `done` counts the frames.
pub(super) async fn render(
    service: &Arc<Service>,
    head: Option<&str>,
    background: Option<&str>,
    sound: Sound,
    done: Arc<AtomicU64>,
) -> Answer<VideoFile> {
    let session = open(service, head, background, Pace::Unpaced).await?;
    let runtime = tokio::runtime::Handle::current();
    // Where nobody waits for the video any more, the session ends, and with it the thread.
    let speaker = Arc::clone(&session);
    // Frames are taken and encoded on a thread that may wait.
    tokio::task::spawn_blocking(move || record(&runtime, &speaker, sound, &done)).await?
}

fn record(
    runtime: &tokio::runtime::Handle,
    session: &Session,
    sound: Sound,
    done: &AtomicU64,
) -> Answer<VideoFile> {
    let (mut writer, folder) = create(session.head.size, &sound)?;
    let total = sound.video_frames();
    play(session, sound)?;
    for _ in 0..total {
        let frame = runtime.block_on(session.outbox.next());
        let picture = frame.and_then(|frame| frame.picture).ok_or_else(|| {
            let fault = session.outbox.fault().unwrap_or_else(|| "the video was given up".into());
            Fault::new(StatusCode::SERVICE_UNAVAILABLE, fault)
        })?;
        writer.push(&*picture.rgb())?;
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(finish(writer, folder)?)
}
