//! A session over the WebSocket.

use crate::server::{Received, Server, receive, send, size, until, voice};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tungstenite::Message;

#[test]
fn a_conversation_has_sound_and_pictures_of_the_same_samples() {
    let server = Server::start(&[]);
    let (mut socket, hello) = server.connect("");
    assert_eq!([&hello["width"], &hello["height"], &hello["fps"], &hello["rate"]], [256, 256, 25, 16000]);
    send(&mut socket, &json!({"text": "Hello there! How are you?"}));
    let (speaking, before) = until(&mut socket, "speaking");
    let (done, said) = until(&mut socket, "done");
    let position = |event: &Value| event["position"].as_u64().expect("a sample") as u32;
    let mut next = 0;
    let (mut drawn, mut loud, mut sentences) = (0, 0, Vec::new());
    for received in before.iter().chain(&said) {
        match received {
            Received::Sound(at, samples) => {
                // Sound has no gap, whatever becomes of pictures.
                assert_eq!((*at, samples.len()), (next, 640));
                next = at + 640;
                let is_loud = samples.iter().any(|sample| sample.unsigned_abs() > 1000);
                assert!(!is_loud || *at + 640 > position(&speaking), "speech at {at} before it began");
                loud += usize::from(is_loud);
            }
            Received::Picture(at, jpeg) => {
                assert_eq!(at + 640, next, "a picture comes after its sound");
                assert_eq!(size(jpeg), [256, 256]);
                drawn += 1;
            }
            Received::Event(event) => {
                assert!(event["event"] != "error", "{event}");
                if event["event"] == "sentence" {
                    sentences.push(event["text"].as_str().expect("text").to_owned());
                }
            }
        }
    }
    assert_eq!(sentences, ["Hello there!", "How are you?"]);
    assert!(loud > 20 && position(&done) > position(&speaking) + 16_000, "{loud}, {done}");
    assert!(drawn > 10, "{drawn} pictures");
}

#[test]
fn an_interruption_is_silent_at_once_and_the_next_text_is_said() {
    let server = Server::start(&[]);
    let (mut socket, _) = server.connect("");
    send(
        &mut socket,
        &json!({"text": "One two three four five six seven eight nine ten eleven twelve. And more. And more."}),
    );
    until(&mut socket, "speaking");
    for _ in 0..20 {
        receive(&mut socket);
    }
    let begin = Instant::now();
    send(&mut socket, &json!({"interrupt": true}));
    let (cut, _) = until(&mut socket, "cut");
    // What was on its way, and the look ahead of the transport: far less than the three seconds of others.
    assert!(begin.elapsed() < Duration::from_millis(1500), "{:?}", begin.elapsed());
    let cut = cut["position"].as_u64().expect("a sample") as u32;
    for _ in 0..20 {
        if let Received::Sound(at, samples) = receive(&mut socket) {
            let silent = if at == cut { &samples[80..] } else { &samples };
            assert!(at < cut || silent.iter().all(|sample| *sample == 0), "sound after the cut");
        }
    }
    send(&mut socket, &json!({"text": "Well.", "interrupt": true}));
    let (sentence, _) = until(&mut socket, "sentence");
    assert_eq!(sentence["text"], "Well.");
}

#[test]
fn a_live_voice_comes_back_with_its_lips() {
    let server = Server::start(&[]);
    let wav = voice(&server);
    let (mut socket, _) = server.connect("");
    let begin = Instant::now();
    for (k, piece) in wav[100..].chunks(640).enumerate() {
        std::thread::sleep(
            (begin + Duration::from_millis(20 * k as u64)).saturating_duration_since(Instant::now()),
        );
        socket.send(Message::Binary(piece.to_vec().into())).expect("sent");
    }
    let (_, _) = until(&mut socket, "speaking");
    let (_, heard) = until(&mut socket, "silent");
    let loud = |received: &&Received| matches!(received, Received::Sound(_, samples) if samples.iter().any(|sample| sample.unsigned_abs() > 1000));
    assert!(heard.iter().filter(loud).count() > 5);
}

#[test]
fn the_socket_answers_what_it_does_not_understand() {
    let server = Server::start(&[]);
    let (mut socket, _) = server.connect("?background=white");
    for wrong in [
        "{",
        "{}",
        "{\"dance\": true}",
        "[1]",
        "{\"text\": \"\"}",
        "{\"text\": \"hi\", \"voice\": \"parrot\"}",
    ] {
        socket.send(Message::Text(wrong.into())).expect("sent");
        until(&mut socket, "error");
    }
    send(&mut socket, &json!({"text": "Well."}));
    until(&mut socket, "done");
    assert!(tungstenite::connect(format!("{}/ws?head=nobody", server.url.replace("http", "ws"))).is_err());
    assert!(tungstenite::connect(format!("{}/ws?background=gt", server.url.replace("http", "ws"))).is_err());
}

#[cfg(unix)]
#[test]
fn a_signal_ends_conversations_and_then_the_server() {
    let mut server = Server::start(&[]);
    let (mut socket, _) = server.connect("");
    receive(&mut socket);
    let id = nix::unistd::Pid::from_raw(server.child.id() as i32);
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).expect("a signal");
    let begin = Instant::now();
    let closed = loop {
        match socket.read() {
            Ok(Message::Close(frame)) => break frame.expect("a reason"),
            Ok(_) => {}
            Err(error) => panic!("not closed but broken: {error}"),
        }
    };
    assert_eq!(u16::from(closed.code), 1001);
    while server.child.try_wait().expect("a state").is_none() {
        assert!(begin.elapsed() < Duration::from_secs(8), "the server goes on");
        let _ = socket.read();
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(server.child.wait().expect("a state").success());
}
