//! Who may ask: those who name the token, where there is one; without one only pages of this server and programs of this
//! computer.
//!
//! Without a token the server listens on this computer alone, but any web page that is open in a browser here could still ask
//! it. So a request that a page of another origin sent is refused, and so is one for another host's name, by which a page
//! can make its own origin lead here (DNS rebinding).

use super::body::closing;
use super::reply::Fault;
use super::service::{App, Service};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use std::net::IpAddr;
use subtle::ConstantTimeEq;

/// What may be asked without the token: the page, which then asks for it, and whether the server is there.
const OPEN: [&str; 4] = ["/", "/zh", "/health", "/ready"];

pub(super) async fn check(service: App, request: Request, next: Next) -> Response {
    match refusal(&service, request.headers(), request.uri()) {
        Some(fault) => closing(fault),
        None => next.run(request).await,
    }
}

fn refusal(service: &Service, headers: &HeaderMap, uri: &Uri) -> Option<Fault> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST);
    if let Some(origin) = text(header::ORIGIN)
        && origin.split_once("://").map(|(_, origin)| origin) != host
    {
        return Some(Fault::new(StatusCode::FORBIDDEN, "pages of other origins may not ask"));
    }
    let Some(token) = &service.access.token else {
        let is_local = host.is_none_or(is_local);
        return (!is_local)
            .then(|| Fault::new(StatusCode::FORBIDDEN, "the name of the host is not this computer's"));
    };
    if OPEN.contains(&uri.path()) || given(headers, uri).is_some_and(|given| is_same(&given, token)) {
        return None;
    }
    if !service.strikes.add() {
        let text = "too many requests named no token or a wrong one; wait a moment";
        return Some(Fault::new(StatusCode::TOO_MANY_REQUESTS, text));
    }
    let text = "name the token: Authorization: Bearer TOKEN, or ?token=TOKEN";
    Some(Fault::new(StatusCode::UNAUTHORIZED, text))
}

/// Whether the two are the same, in a time that does not tell where they differ.
fn is_same(given: &str, token: &str) -> bool {
    given.as_bytes().ct_eq(token.as_bytes()).into()
}

fn given(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some(token) = bearer.and_then(|text| text.strip_prefix("Bearer ")) {
        return Some(token.trim().to_owned());
    }
    // Pictures and WebSockets of a page cannot carry a header.
    #[derive(serde::Deserialize)]
    struct Named {
        token: Option<String>,
    }
    axum::extract::Query::<Named>::try_from_uri(uri).ok()?.0.token
}

/// Whether a host's name with its port means this computer.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_computer_are_local() {
        for host in ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000", "127.0.0.1"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["example.com", "localhost.example.com:8000", "192.168.0.1:8000", "[::2]:1", ""] {
            assert!(!is_local(host), "{host}");
        }
    }

    #[test]
    fn a_token_is_taken_from_the_header_or_the_query() {
        let mut headers = HeaderMap::new();
        let uri: Uri = "/ws?head=a&token=a%20secret".parse().expect("a URI");
        assert_eq!(given(&headers, &uri).as_deref(), Some("a secret"));
        headers.insert(header::AUTHORIZATION, "Bearer other".parse().expect("a value"));
        assert_eq!(given(&headers, &uri).as_deref(), Some("other"));
        assert!(is_same("secret", "secret") && !is_same("secre", "secret") && !is_same("", "secret"));
    }
}
