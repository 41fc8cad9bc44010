//! The service on the network: one page, HTTP, WebSockets.
//!
//! * [`Service`] what every request sees; [`serve`] answers requests until it is told to stop
//! * `accept` connections and their limits, `connection` one of them, `body` the limits of a request
//! * `guard` who may ask, `strikes` who asks with a wrong token too often; `reply` how errors are said
//! * `page` the page, in English and Chinese; `socket` the live transport, `calls` and `call` the other one, WebRTC; `messages` what both
//!   say beside sound and pictures; `frames` the bytes of those
//! * `backdrops` pictures that clients send to stand behind a head; `docs` every endpoint with a line for curl
//! * `admin` heads that are loaded again; `push` a session that goes to a streaming service
//! * `synctalk` the endpoints of SyncTalk_2D; `livetalking` those of LiveTalking; `speech` those in OpenAI's form; `jobs` videos
//!   that take longer; `status` health, figures and the description of all

mod accept;
mod admin;
mod backdrop_table;
mod backdrops;
mod body;
mod call;
mod calls;
mod connection;
mod debug_files;
mod docs;
mod frames;
mod guard;
mod job_table;
mod jobs;
mod livetalking;
mod messages;
mod page;
mod push;
mod recording;
mod reply;
mod service;
mod session_table;
mod sessions;
mod socket;
mod speech;
mod status;
mod strikes;
mod synctalk;
mod upload;
mod video;
mod video_file;

use crate::{Error, Result};
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use axum::{Router, middleware};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;

pub use data_utils::media::push::PushTarget;
pub use service::{Access, LoadHeads, Service, check_access};

/// The largest upload, bytes.
const LARGEST_UPLOAD: usize = 50 << 20;
/// How long open connections are waited for at the end.
const GRACE: Duration = Duration::from_secs(10);
/// How often it is asked whether to stop.
const TICK: Duration = Duration::from_millis(100);

fn router(service: Arc<Service>) -> Router {
    let uploads = Router::new()
        .route("/generate-from-audio", post(synctalk::generate_from_audio))
        .route("/humanaudio", post(livetalking::human_audio))
        .route("/v1/jobs", post(jobs::create).get(jobs::list))
        .layer(DefaultBodyLimit::max(LARGEST_UPLOAD));
    let pictures = Router::new()
        .route("/v1/backgrounds", post(backdrops::create))
        .layer(DefaultBodyLimit::max(backdrops::LARGEST_FILE));
    let rest = Router::new()
        .route("/", get(page::english))
        .route("/zh", get(page::chinese))
        .route("/docs", get(docs::page))
        .route("/ws", get(socket::connect))
        .route("/whep", post(calls::whep))
        .route("/whep/{id}", delete(calls::hang_up))
        .route("/offer", post(calls::offer))
        .route("/generate", get(synctalk::generate).post(synctalk::generate_json))
        .route("/generate-from-audio", get(synctalk::avatar))
        .route("/avatar", get(synctalk::avatar))
        .route("/get-tts-audio", get(synctalk::tts_audio))
        .route("/debug/status", get(synctalk::debug_status))
        .route("/debug/config", post(synctalk::debug_config))
        .route("/human", post(livetalking::human))
        .route("/interrupt_talk", post(livetalking::interrupt_talk))
        .route("/is_speaking", post(livetalking::is_speaking))
        .route("/record", post(livetalking::record))
        .route("/record/{id}", get(livetalking::recorded))
        .route("/sse", get(livetalking::sse))
        .route("/v1/audio/speech", post(speech::audio))
        .route("/v1/video/speech", post(speech::video))
        .route("/v1/models", get(speech::models))
        .route("/v1/backgrounds/{id}", delete(backdrops::remove))
        .route("/v1/jobs/{id}", get(jobs::state).delete(jobs::cancel))
        .route("/v1/jobs/{id}/video", get(jobs::video))
        .route("/health", get(status::health))
        .route("/ready", get(status::ready))
        .route("/metrics", get(status::metrics))
        .route("/openapi.json", get(status::openapi))
        .route("/admin/reload", post(admin::reload))
        .layer(DefaultBodyLimit::max(body::LARGEST))
        .layer(middleware::from_fn(body::read_whole));
    uploads
        .merge(pictures)
        .merge(rest)
        .fallback(reply::not_found)
        .layer(middleware::from_fn_with_state(Arc::clone(&service), guard::check))
        .layer(RequestBodyLimitLayer::new(LARGEST_UPLOAD + (1 << 20)))
        .layer(CatchPanicLayer::custom(reply::panicked))
        .with_state(service)
}

/// Answers requests until `stop` says so; then open sessions are ended and waited for. Where `target` is given, a session of its own goes
/// there as long.
///
/// # Errors
/// [`Error::Internal`] when the system gives no threads, or no connections any more.
pub fn serve(
    service: Arc<Service>,
    listener: std::net::TcpListener,
    target: Option<PushTarget>,
    stop: impl Fn() -> bool + Send + 'static,
) -> Result<()> {
    let fail = |e: std::io::Error| Error::Internal(format!("the server: {e}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(fail)?;
    let (drawing, drawing_ends) = (service.drawing.clone(), service.drawing.clone());
    let conversations = Arc::clone(&service.conversations);
    let result = runtime.block_on(async {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let (tell, told) = watch::channel(false);
        if let Some(target) = target {
            tokio::spawn(push::push(Arc::clone(&service), target));
        }
        let stopping = async {
            while !stop() {
                tokio::time::sleep(TICK).await;
            }
            tracing::info!("stopping");
            drawing.stop();
            tell.send_replace(true);
            tokio::time::sleep(GRACE).await;
        };
        let ended = async {
            accept::accept(listener, router(service), told).await;
            // A WebSocket is no longer a connection of the server's.
            while conversations.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(TICK / 4).await;
            }
        };
        tokio::select! {
            () = ended => {}
            () = stopping => {}
        }
        Ok(())
    });
    // Threads that wait for an engine are left behind.
    runtime.shutdown_background();
    drawing_ends.stop();
    if !drawing_ends.wait_for_end(GRACE) {
        tracing::warn!("the thread that draws has not ended");
    }
    result.map_err(fail)
}
