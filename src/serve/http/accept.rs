//! Connections: how many there may be, how long a request's headers may take, and their end.

use super::connection::Connection;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Connections at once; their files stay below the usual limit of a process.
const MOST: usize = 512;
/// How long the headers of a request may take; an idle connection is closed after it as well.
const HEADERS: Duration = Duration::from_secs(10);
/// How long a connection that is one too many is listened to before it is told so.
const BRIEF: Duration = Duration::from_millis(500);
/// How long to wait when the system gives no connection any more.
const PAUSE: Duration = Duration::from_millis(100);
/// What a connection that is one too many is told.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 44\r\n\
    Retry-After: 5\r\nConnection: close\r\n\r\n{\"error\": \"there are too many connections\"}\n";

/// Answers connections until `stopping` says so, then waits until those that are being answered are done.
pub(super) async fn accept(listener: TcpListener, router: Router, mut stopping: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(MOST));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told(&mut stopping) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                // Small messages go at once; where that cannot be said they go a little later.
                let _ = stream.set_nodelay(true);
                match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => drop(tokio::spawn(answer(stream, router.clone(), stopping.clone(), place))),
                    Err(_) => drop(tokio::spawn(refuse(stream))),
                }
            }
            Err(error) if is_of_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection is accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    // Every connection holds one.
    let _ = places.acquire_many(MOST as u32).await;
}

/// Waits until it is said that the server stops.
async fn told(stopping: &mut watch::Receiver<bool>) {
    // Fails when the sender is gone, which is the end as well.
    let _ = stopping.wait_for(|stops| *stops).await;
}

/// Whether it is the client that went away.
fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Answers the requests of a connection.
async fn answer(
    stream: TcpStream,
    router: Router,
    mut stopping: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS);
    let io = TokioIo::new(Connection::new(stream));
    let mut connection =
        std::pin::pin!(http.serve_connection(io, TowerToHyperService::new(router)).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told(&mut stopping) => {
            // The answer that is being sent is finished.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Tells a client that there are too many, once it has asked something.
async fn refuse(stream: TcpStream) {
    if tokio::time::timeout(BRIEF, stream.readable()).await.is_ok_and(|ready| ready.is_ok()) {
        // What it asked must be read, or it would not see the answer.
        let _ = stream.try_read(&mut [0; 8192]);
        let _ = stream.try_write(FULL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_whole() {
        let text = std::str::from_utf8(FULL).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{} bytes", body.len());
    }
}
