//! How the server does: health, readiness, figures for Prometheus, and the description of all endpoints.

use super::service::App;
use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// `status` and `services` are SyncTalk_2D's.
pub(super) async fn health(service: App) -> Json<Value> {
    let state = service.speech.state().await;
    let tts = match (&state.engine, state.is_first) {
        (None, _) => "error",
        (Some(_), true) => "ok",
        (Some(_), false) => "fallback",
    };
    let model = if service.drawing.fault().is_none() { "ok" } else { "error" };
    let status = if tts == "ok" && model == "ok" { "ok" } else { "degraded" };
    Json(json!({
        "status": status,
        "services": {"tts": tts, "model": model},
        "voice": state.engine,
        "device": service.drawing.device(),
        "version": env!("CARGO_PKG_VERSION"),
    }))
}

pub(super) async fn ready(service: App) -> (StatusCode, Json<Value>) {
    match service.drawing.is_ready() {
        true => (StatusCode::OK, Json(json!({"ready": true}))),
        false => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"ready": false, "fault": service.drawing.fault()})))
        }
    }
}

pub(super) async fn metrics(service: App) -> impl IntoResponse {
    let figures = service.drawing.figures();
    let mut text = String::new();
    let mut put = |name: &str, kind: &str, help: &str, values: &[(String, f64)]| {
        // Writing to a string cannot fail.
        let _ = write!(text, "# HELP surfeltalk_{name} {help}\n# TYPE surfeltalk_{name} {kind}\n");
        for (labels, value) in values {
            let _ = writeln!(text, "surfeltalk_{name}{labels} {value}");
        }
    };
    let one = |value: f64| [(String::new(), value)];
    put("sessions", "gauge", "Sessions that are open.", &one(service.drawing.sessions() as f64));
    put("sessions_opened_total", "counter", "Sessions that were opened.", &one(figures.opened as f64));
    put(
        "sessions_refused_total",
        "counter",
        "Sessions that were refused since all was taken.",
        &one(figures.refused as f64),
    );
    put("jobs", "gauge", "Jobs that wait or are worked on.", &one(service.jobs.open_count() as f64));
    put("pictures_drawn_total", "counter", "Pictures that were drawn.", &one(figures.drawn as f64));
    put(
        "pictures_skipped_total",
        "counter",
        "Pictures that would have come too late.",
        &one(figures.skipped as f64),
    );
    put("drawing_seconds_total", "counter", "Time spent on drawing.", &one(figures.seconds));
    let delays = [0.5, 0.95, 0.99].map(|share| (format!("{{quantile=\"{share}\"}}"), figures.delay(share)));
    put("delay_seconds", "summary", "How long after it was due a live frame was there.", &delays);
    let costs: Vec<(String, f64)> = service
        .heads
        .all()
        .iter()
        .map(|head| (format!("{{head=\"{}\"}}", head.name), service.drawing.milliseconds(&head.name) / 1e3))
        .collect();
    put("frame_seconds", "gauge", "Time that a frame of a head takes.", &costs);
    put("up_seconds", "gauge", "Time since the start.", &one(service.started.elapsed().as_secs_f64()));
    ([("content-type", "text/plain; version=0.0.4")], text)
}

pub(super) async fn openapi() -> impl IntoResponse {
    ([("content-type", "application/json")], super::docs::OPENAPI)
}
