//! Clients that mean harm, or have broken down: each is left in time, and nobody else notices.

use crate::server::{Server, receive, send, until};
use serde_json::json;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tungstenite::Message;

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.url.trim_start_matches("http://")).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    stream
}

/// What comes until the other end closes.
fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "the connection stays: {error}"),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn headers_that_never_end_and_bodies_that_never_come_are_left_after_some_seconds() {
    let server = Server::start(&[]);
    let begin = Instant::now();
    let mut endless = connect(&server);
    endless.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n").expect("sent");
    let mut empty = connect(&server);
    let body = b"POST /human HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    empty.write_all(body).expect("sent");
    let silent = connect(&server);
    // One header more each second, for ever.
    let drip = std::thread::spawn(move || {
        let mut count = 0;
        while endless.write_all(b"X-More: more\r\n").is_ok() && begin.elapsed() < Duration::from_secs(40) {
            std::thread::sleep(Duration::from_millis(500));
            count += 1;
        }
        count
    });
    let answer = rest(empty);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert_eq!(rest(silent), "");
    let sent = drip.join().expect("ended");
    assert!(begin.elapsed() < Duration::from_secs(25), "{sent} headers, {:?}", begin.elapsed());
    assert_eq!(server.get("/ready").0, 200);
}

#[test]
fn more_connections_than_there_are_places_are_told_so_and_the_others_go_on() {
    let server = Server::start(&[]);
    let (mut socket, _) = server.connect("");
    let many: Vec<TcpStream> = (0..520).map(|_| connect(&server)).collect();
    let mut one_more = connect(&server);
    one_more.write_all(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    let answer = rest(one_more);
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("Retry-After"), "{answer}");
    send(&mut socket, &json!({"text": "Well."}));
    until(&mut socket, "done");
    drop(many);
    let begin = Instant::now();
    while Server::agent().get(format!("{}/ready", server.url)).call().map_or(0, |a| a.status().as_u16())
        != 200
    {
        assert!(begin.elapsed() < Duration::from_secs(20), "the places are not free");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn ten_thousand_requests_without_the_token_are_refused_and_the_one_with_it_is_answered() {
    let server = Server::start(&["--token", "a long secret"]);
    let mut counts = [0_u32; 2];
    for k in 0..10_000 {
        let mut stream = connect(&server);
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
        let answer = rest(stream);
        let status = ["HTTP/1.1 401", "HTTP/1.1 429"].iter().position(|line| answer.starts_with(line));
        counts[status.unwrap_or_else(|| panic!("request {k}: {answer}"))] += 1;
        if k % 1000 == 999 {
            assert_eq!(server.get("/metrics?token=a%20long%20secret").0, 200);
        }
    }
    assert!(counts.iter().all(|count| *count >= 500), "{counts:?}");
}

#[test]
fn a_flood_over_the_socket_harms_no_other_session() {
    let server = Server::start(&["--overcommit"]);
    let (mut calm, _) = server.connect("");
    let (mut loud, _) = server.connect("");
    let flood = std::thread::spawn(move || {
        let noise = vec![0x11; 64 << 10];
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(4) {
            let messages = [
                Message::Binary(noise.clone().into()),
                Message::Text("{\"interrupt\": true}".into()),
                Message::Text("{\"text\": \"Again and again.\", \"interrupt\": true}".into()),
                Message::Text("nonsense".into()),
            ];
            // It reads nothing, so that in the end nothing is taken from it.
            if messages.into_iter().any(|message| loud.send(message).is_err()) {
                break;
            }
        }
    });
    let (begin, mut sounds) = (Instant::now(), 0);
    send(&mut calm, &json!({"text": "Hello there!"}));
    until(&mut calm, "done");
    while begin.elapsed() < Duration::from_secs(4) {
        sounds += u32::from(matches!(receive(&mut calm), crate::server::Received::Sound(..)));
    }
    assert!(sounds > 20, "{sounds} sounds in what was left of 4 s");
    flood.join().expect("ended");
}

#[test]
fn a_message_that_is_too_large_is_answered_with_a_reason() {
    let server = Server::start(&[]);
    let (mut socket, _) = server.connect("");
    let text = json!({"text": "word ".repeat(200_000)}).to_string();
    // The server may close before it has read all of it.
    let _ = socket.send(Message::Text(text.into()));
    let begin = Instant::now();
    let code = loop {
        assert!(begin.elapsed() < Duration::from_secs(20), "not closed");
        match socket.read() {
            Ok(Message::Close(frame)) => break frame.map(|frame| u16::from(frame.code)),
            Ok(_) => {}
            // The reason may be lost with what was not read; the session is over all the same.
            Err(_) => break None,
        }
    };
    assert!(code.is_none_or(|code| code == 1009), "{code:?}");
    assert_eq!(server.get("/ready").0, 200);
}

/// Sessions that are open.
fn open_sessions(server: &Server) -> f64 {
    let (_, text) = server.get("/metrics");
    let text = String::from_utf8(text).expect("text");
    let line = text.lines().find(|line| line.starts_with("surfeltalk_sessions ")).expect("sessions");
    line.rsplit(' ').next().and_then(|count| count.parse::<f64>().ok()).expect("a count")
}

#[test]
fn a_socket_that_is_half_open_is_left_and_its_place_is_free() {
    let server = Server::start(&[]);
    let mut deaf = connect(&server);
    let upgrade = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    deaf.write_all(upgrade.as_bytes()).expect("sent");
    let begin = Instant::now();
    while open_sessions(&server) < 1.0 {
        assert!(begin.elapsed() < Duration::from_secs(10), "it is not open");
    }
    while open_sessions(&server) > 0.0 {
        assert!(begin.elapsed() < Duration::from_secs(55), "it stays open");
        std::thread::sleep(Duration::from_millis(200));
    }
    drop(deaf);
}

#[test]
fn who_goes_away_leaves_neither_session_nor_work_behind() {
    let server = Server::start(&[]);
    let open = || open_sessions(&server);
    let long = "This is one of many sentences that nobody will hear. ".repeat(60);
    let body = json!({"input": long}).to_string();
    let requests = [
        format!("GET /generate?text={} HTTP/1.1\r\nHost: localhost\r\n\r\n", long.replace(' ', "%20")),
        format!(
            "POST /v1/video/speech HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    ];
    for request in requests {
        let mut stream = connect(&server);
        stream.write_all(request.as_bytes()).expect("sent");
        let begin = Instant::now();
        while open() == 0.0 {
            assert!(begin.elapsed() < Duration::from_secs(60), "nothing is made");
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(stream);
        let begin = Instant::now();
        while open() > 0.0 {
            assert!(begin.elapsed() < Duration::from_secs(10), "it goes on: {}", &request[..20]);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn a_speech_engine_that_hangs_stops_neither_sessions_nor_answers() {
    // It accepts, and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let engine = format!("openai:http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    let server = Server::start(&["--tts", &engine]);
    let (mut socket, _) = server.connect("");
    let url = server.url.clone();
    let ask = |path: &'static str| {
        let url = format!("{url}{path}");
        std::thread::spawn(move || Server::agent().get(url).call().expect("an answer").status().as_u16())
    };
    let asked: Vec<_> = (0..30).flat_map(|_| [ask("/health"), ask("/get-tts-audio?text=Well.")]).collect();
    send(&mut socket, &json!({"text": "Well."}));
    let (begin, mut longest, mut last, mut is_done) = (Instant::now(), Duration::ZERO, Instant::now(), false);
    while !is_done || begin.elapsed() < Duration::from_secs(6) {
        assert!(begin.elapsed() < Duration::from_secs(40), "nothing is said");
        match receive(&mut socket) {
            crate::server::Received::Event(event) => is_done |= event["event"] == "done",
            crate::server::Received::Sound(..) => {
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
            crate::server::Received::Picture(..) => {}
        }
    }
    assert!(longest < Duration::from_secs(1), "the session stood still for {longest:?}");
    for answer in asked {
        let status = answer.join().expect("ended");
        assert!([200, 503].contains(&status), "{status}");
    }
    assert_eq!(server.get_json("/health").1["services"]["tts"], "fallback");
}
