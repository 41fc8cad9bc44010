//! Every endpoint with a line for curl, as a page: the description of `/openapi.json` for people.

use super::reply::{Answer, Fault};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse};
use serde_json::Value;
use std::fmt::Write as _;

/// The description of all endpoints.
pub(super) const OPENAPI: &str = include_str!("openapi.json");

const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
    content=\"width=device-width, initial-scale=1\"><title>surfeltalk: endpoints</title><style>:root{color-scheme:light dark}\
    body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}pre{overflow-x:auto;padding:.6rem;\
    border:1px solid #8886;border-radius:.5rem}h2{font-size:1rem;margin:1.6rem 0 .2rem}p{margin:.2rem 0}</style>\
    <h1>Endpoints</h1><p>In the lines below <code>$SESSION</code> is the session that the WebSocket's <code>hello</code> names, \
    <code>$JOB</code> the id of a job and <code>$BACKGROUND</code> that of a picture. Where the server wants a token, add \
    <code>-H \"Authorization: Bearer $TOKEN\"</code>. The same for programs: <a href=\"/openapi.json\">/openapi.json</a>.</p>";

pub(super) async fn page() -> Answer<impl IntoResponse> {
    let broken = |_| Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "the description cannot be read");
    let description: Value = serde_json::from_str(OPENAPI).map_err(broken)?;
    let headers = [(
        "content-security-policy",
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    )];
    Ok((headers, Html(text(&description))))
}

fn text(description: &Value) -> String {
    let mut text = HEAD.to_owned();
    for (path, methods) in description["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let summary = operation["summary"].as_str().unwrap_or_default();
            let sample = operation["x-codeSamples"][0]["source"].as_str().unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "<h2>{} {}</h2><p>{}</p><pre>{}</pre>",
                method.to_uppercase(),
                escape(path),
                escape(summary),
                escape(sample)
            );
        }
    }
    text
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_has_a_line_for_curl() {
        let description: Value = serde_json::from_str(OPENAPI).expect("JSON");
        for (path, methods) in description["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                let sample = &operation["x-codeSamples"][0];
                let line = sample["source"].as_str().unwrap_or_else(|| panic!("{method} {path} has no line"));
                assert!(sample["lang"] == "curl" && line.starts_with("curl "), "{method} {path}: {line}");
            }
        }
        assert!(text(&description).contains("<h2>POST /human</h2>"));
        assert_eq!(escape("<a & b>"), "&lt;a &amp; b&gt;");
    }
}
