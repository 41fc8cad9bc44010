//! What is wrong, hostile or too much is answered, and the server goes on.

use crate::server::{Server, receive, send, until, voice};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn what_is_wrong_is_answered_with_a_status_and_the_server_goes_on() {
    let server = Server::start(&[]);
    let (status, body) = server.get_json("/generate");
    assert_eq!((status, &body["detail"][0]["loc"]), (422, &json!(["query", "text"])));
    let (status, body) = server.get_json("/generate?text=hi&duration=long");
    assert_eq!((status, &body["detail"][0]["type"]), (422, &json!("float_parsing")));
    let (status, body) = server.get_json("/generate?text=hi&head=nobody");
    assert!(status == 422 && body["error"].as_str().is_some_and(|e| e.contains("sample")), "{body}");
    for text in ["%00%07", "...", "%E4%BD%A0%E5%A5%BD"] {
        assert_eq!(server.get_json(&format!("/generate?text={text}")).0, 422, "{text}");
    }
    // Control characters between words are spaces.
    assert_eq!(server.get("/get-tts-audio?text=a%1B%5B31mb%00c").0, 200);

    let long = "word ".repeat(200_000);
    assert_eq!(server.post("/generate", &json!({"text": long})).0, 413);
    let long = "word ".repeat(5_000);
    let (status, body) = server.post_json("/generate", &json!({"text": long}));
    assert!(status == 422 && body["error"].as_str().is_some_and(|e| e.contains("20000")), "{body}");
    assert_eq!(server.post_json("/v1/audio/speech", &json!({"input": long})).0, 400);
    assert_eq!(server.post_json("/generate", &json!({"words": "hi"})).0, 422);

    assert_eq!(server.form("/generate-from-audio", &[], None).0, 422);
    let (status, body) =
        server.form("/generate-from-audio", &[], Some(("audio_file", b"<html>no sound</html>")));
    assert_eq!(status, 422, "{}", String::from_utf8_lossy(&body));
    let sound = voice(&server);
    assert_eq!(server.form("/generate-from-audio", &[], Some(("audio_file", &sound[..40]))).0, 422);
    // One that is too large is refused before it is sent.
    let address = server.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("connected");
    let head = format!(
        "POST /generate-from-audio HTTP/1.1\r\nHost: {address}\r\nContent-Type: multipart/form-data; boundary=edge\r\n\
         Content-Length: 1000000000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut status = [0_u8; 12];
    stream.read_exact(&mut status).expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 413");

    assert_eq!(server.get_json("/no/such/page").0, 404);
    assert_eq!(server.get_json("/record/..%2F..%2Fetc%2Fpasswd").0, 404);
    assert_eq!(server.get_json("/v1/jobs/none").0, 404);
    for path in ["/human", "/interrupt_talk", "/is_speaking", "/record"] {
        let (status, body) = server.post_json(path, &json!({"sessionid": "none", "text": "hi"}));
        assert_eq!((status, &body["code"]), (404, &json!(-1)), "{path}");
    }
    assert!(server.get("/metrics").0 == 200 && server.get_json("/health").1["status"] == "ok");
}

#[test]
fn more_sessions_than_allowed_are_refused_at_once_and_those_that_run_go_on() {
    let server = Server::start(&["--max_sessions", "1"]);
    let (mut socket, _) = server.connect("");
    receive(&mut socket);
    let begin = Instant::now();
    let ask = || Server::agent().get(format!("{}/generate?text=hi", server.url)).call().expect("an answer");
    let answer = ask();
    assert_eq!(answer.status().as_u16(), 503);
    assert!(answer.headers()["retry-after"].to_str().expect("text").parse::<u32>().is_ok());
    assert!(begin.elapsed() < Duration::from_millis(500), "{:?}", begin.elapsed());
    for _ in 0..10 {
        receive(&mut socket);
    }
    socket.close(None).expect("closed");
    drop(socket);
    let begin = Instant::now();
    while ask().status().as_u16() != 200 {
        assert!(begin.elapsed() < Duration::from_secs(5), "the place is not free");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn pages_of_others_may_not_ask_a_server_of_this_computer() {
    let server = Server::start(&[]);
    let ask = |name: &str, value: &str| {
        let request = Server::agent().get(format!("{}/avatar", server.url)).header(name, value);
        request.call().expect("an answer").status().as_u16()
    };
    assert_eq!(ask("Origin", "http://example.com"), 403);
    assert_eq!(ask("Host", "example.com"), 403);
    assert_eq!(ask("Origin", &server.url), 200);
}

#[test]
fn a_token_is_asked_for_and_needed_to_listen_to_others() {
    let refused = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_serve")).args(arguments).output().expect("started");
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(refused(&["--listen", "0.0.0.0:0"]).contains("--token"));
    assert!(refused(&["--listen", "0.0.0.0:0", "--token", "short"]).contains("8 characters"));
    assert!(refused(&["-m", "no/such/model"]).contains("no/such/model"));
    assert!(refused(&["--tts", "parrot"]).contains("parrot"));

    let server = Server::start(&["--listen", "0.0.0.0:0", "--token", "a long secret"]);
    assert!(["/", "/health", "/ready"].iter().all(|path| server.get(path).0 == 200));
    for path in ["/avatar", "/metrics", "/openapi.json", "/v1/jobs", "/avatar?token=wrong", "/ws"] {
        assert_eq!(server.get_json(path).0, 401, "{path}");
    }
    let many = (0..300).filter(|_| server.get("/metrics").0 == 401).count();
    assert_eq!(many, 300);
    assert_eq!(server.get("/avatar?token=a%20long%20secret").0, 200);
    let request = Server::agent().get(format!("{}/metrics", server.url));
    let answer = request.header("Authorization", "Bearer a long secret").call().expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    let (_, hello) = server.connect("?token=a%20long%20secret");
    assert_eq!(hello["head"], "sample");
}

#[test]
fn a_client_that_never_reads_harms_nobody() {
    let server = Server::start(&["--overcommit"]);
    let address = server.url.trim_start_matches("http://").to_owned();
    let mut deaf = TcpStream::connect(&address).expect("connected");
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    deaf.write_all(upgrade.as_bytes()).expect("sent");
    // One that asks and says no more.
    let mut mute = TcpStream::connect(&address).expect("connected");
    mute.write_all(b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n")
        .expect("sent");
    let (mut socket, _) = server.connect("");
    send(&mut socket, &json!({"text": "Hello there!"}));
    until(&mut socket, "done");
    let mut status = [0_u8; 12];
    deaf.read_exact(&mut status).expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 101");
}
