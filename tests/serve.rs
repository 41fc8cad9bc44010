//! The live service as its clients see it: the real server on a free port, asked by clients that know nothing of it.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tungstenite::Message;
use tungstenite::stream::MaybeTlsStream;

/// A running server; ended when it is dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// Starts a server with the sample head and the built-in voice, and waits until it is ready.
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_serve"));
        command.args(["--tts", "builtin", "--device", "cpu", "--log", "warn"]);
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().expect("a server");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut line).expect("its address");
        let url = line.trim().replace("0.0.0.0", "127.0.0.1");
        assert!(url.starts_with("http://"), "{url}");
        let server = Server { child, url };
        let begin = Instant::now();
        while server.get("/ready").0 != 200 {
            assert!(begin.elapsed() < Duration::from_secs(60), "the server is not ready");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn agent() -> ureq::Agent {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        config.timeout_global(Some(Duration::from_secs(120))).build().into()
    }

    /// Status, headers of interest and body of a GET.
    fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let mut answer = Self::agent().get(format!("{}{path}", self.url)).call().expect("an answer");
        (
            answer.status().as_u16(),
            answer.body_mut().with_config().limit(1 << 30).read_to_vec().expect("a body"),
        )
    }

    fn get_json(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.get(path);
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Vec<u8>) {
        let mut answer =
            Self::agent().post(format!("{}{path}", self.url)).send_json(body).expect("an answer");
        (
            answer.status().as_u16(),
            answer.body_mut().with_config().limit(1 << 30).read_to_vec().expect("a body"),
        )
    }

    fn post_json(&self, path: &str, body: &Value) -> (u16, Value) {
        let (status, body) = self.post(path, body);
        (status, serde_json::from_slice(&body).unwrap_or_else(|e| panic!("{path}: {status}, no JSON: {e}")))
    }

    /// Sends a form of texts and a file.
    fn form(&self, path: &str, texts: &[(&str, &str)], file: Option<(&str, &[u8])>) -> (u16, Vec<u8>) {
        let mut body = Vec::new();
        for (name, text) in texts {
            let part = format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
            body.extend(part.bytes());
        }
        if let Some((name, bytes)) = file {
            let head = format!(
                "--edge\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"../../../etc/x.wav\"\r\n\r\n"
            );
            body.extend(head.bytes());
            body.extend(bytes);
            body.extend(b"\r\n");
        }
        body.extend(b"--edge--\r\n");
        let mut answer = Self::agent()
            .post(format!("{}{path}", self.url))
            .header("Content-Type", "multipart/form-data; boundary=edge")
            .send(&body[..])
            .expect("an answer");
        (
            answer.status().as_u16(),
            answer.body_mut().with_config().limit(1 << 30).read_to_vec().expect("a body"),
        )
    }

    /// A session over a WebSocket, and its hello.
    fn connect(&self, query: &str) -> (Socket, Value) {
        let url = self.url.replace("http", "ws");
        let (mut socket, _) = tungstenite::connect(format!("{url}/ws{query}")).expect("a WebSocket");
        let hello = socket.read().expect("a hello").into_text().expect("text");
        (socket, serde_json::from_str(&hello).expect("JSON"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Socket = tungstenite::WebSocket<MaybeTlsStream<TcpStream>>;

/// What a socket sent, in its order.
enum Received {
    Sound(u32, Vec<i16>),
    Picture(u32, Vec<u8>),
    Event(Value),
}

fn receive(socket: &mut Socket) -> Received {
    loop {
        match socket.read().expect("a message") {
            Message::Binary(bytes) => {
                let position = u32::from_le_bytes(bytes[1..5].try_into().expect("four bytes"));
                let payload = bytes[5..].to_vec();
                return match bytes[0] {
                    0 => {
                        let samples =
                            payload.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
                        Received::Sound(position, samples.collect())
                    }
                    1 => Received::Picture(position, payload),
                    kind => panic!("a message of kind {kind}"),
                };
            }
            Message::Text(text) => return Received::Event(serde_json::from_str(&text).expect("JSON")),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn send(socket: &mut Socket, message: &Value) {
    socket.send(Message::Text(message.to_string().into())).expect("sent");
}

/// Reads until an event comes, and what came before it.
fn until(socket: &mut Socket, event: &str) -> (Value, Vec<Received>) {
    let mut before = Vec::new();
    let begin = Instant::now();
    loop {
        assert!(begin.elapsed() < Duration::from_secs(60), "no {event}");
        match receive(socket) {
            Received::Event(found) if found["event"] == event => return (found, before),
            other => before.push(other),
        }
    }
}

/// A short voice as a WAV file.
fn voice(server: &Server) -> Vec<u8> {
    let (status, wav) = server.get("/get-tts-audio?text=Hello");
    assert_eq!(status, 200);
    wav
}

/// The JPEGs of an MJPEG stream.
fn pictures(stream: &[u8]) -> Vec<Vec<u8>> {
    let text: &[u8] = b"--frame\r\nContent-Type: image/jpeg\r\n";
    assert!(stream.starts_with(text), "{:?}", String::from_utf8_lossy(&stream[..stream.len().min(200)]));
    let mut starts: Vec<usize> =
        (0..stream.len() - text.len()).filter(|at| stream[*at..].starts_with(text)).collect();
    starts.push(stream.len());
    let part = |pair: &[usize]| {
        let part = &stream[pair[0]..pair[1]];
        let end = part.windows(4).position(|w| w == b"\r\n\r\n").expect("headers") + 4;
        part[end..part.len() - 2].to_vec()
    };
    starts.windows(2).map(part).collect()
}

fn size(jpeg: &[u8]) -> [u32; 2] {
    let picture = image::load_from_memory(jpeg).expect("a JPEG");
    [picture.width(), picture.height()]
}

#[test]
fn the_nine_endpoints_answer_as_their_clients_expect() {
    let server = Server::start(&[]);
    let (status, page) = server.get("/");
    let page = String::from_utf8(page).expect("text");
    assert!(status == 200 && page.starts_with("<!doctype html>") && page.contains("synthetic"));
    // Nothing is loaded from elsewhere.
    for outside in ["src=\"http", "href=\"http", "import(", "@import", "url(http"] {
        assert!(!page.contains(outside), "{outside}");
    }

    let (status, stream) = server.get("/generate?text=Hello&duration=0.8");
    assert_eq!(status, 200);
    let spoken = pictures(&stream);
    let sound = voice(&server);
    let seconds = (sound.len() - 100) as f64 / 32_000.0;
    // A machine that is too slow leaves pictures out, and never makes more.
    let is_as_long = |count: usize| (2..=(25.0 * seconds) as usize + 4).contains(&count);
    assert!(is_as_long(spoken.len()), "{} pictures of {seconds} s", spoken.len());
    assert_eq!(
        spoken[spoken.len() - 1],
        spoken[spoken.len() - 2],
        "a browser shows a part when the next one comes"
    );
    assert!(spoken.iter().all(|jpeg| size(jpeg) == [256, 256]));

    let (status, stream) = server.post("/generate", &json!({"text": "Hello"}));
    assert_eq!((status, is_as_long(pictures(&stream).len())), (200, true));

    let (status, stream) = server.form("/generate-from-audio", &[], Some(("audio_file", &sound)));
    assert_eq!((status, is_as_long(pictures(&stream).len())), (200, true));

    for path in ["/generate-from-audio", "/avatar"] {
        let (status, stream) = server.get(path);
        let still = pictures(&stream);
        assert!(status == 200 && !still.is_empty() && still.iter().all(|jpeg| *jpeg == still[0]), "{path}");
    }

    let agent = Server::agent();
    let answer = agent.get(format!("{}/get-tts-audio?text=Hello", server.url)).call().expect("an answer");
    assert_eq!(answer.headers()["content-type"], "audio/wav");
    assert_eq!(answer.headers()["content-disposition"], "attachment; filename=tts_audio.wav");
    let told: f64 = answer.headers()["x-audio-duration"].to_str().expect("text").parse().expect("seconds");
    assert!((told - seconds).abs() < 0.05, "{told} and {seconds}");

    let (status, health) = server.get_json("/health");
    assert_eq!((status, &health["status"]), (200, &json!("ok")));
    assert_eq!(health["services"], json!({"tts": "ok", "model": "ok"}));

    let (status, debug) = server.get_json("/debug/status");
    assert_eq!((status, &debug["enabled"], &debug["frames_dir"]), (200, &json!(false), &Value::Null));
    let on = json!({"enabled": true, "save_frames": true, "save_audio": true});
    let (status, refused) = server.post_json("/debug/config", &on);
    assert!(
        status == 409 && refused["error"].as_str().is_some_and(|e| e.contains("--debug_dir")),
        "{refused}"
    );
    let off = json!({"enabled": true, "save_frames": false, "save_audio": false});
    assert_eq!(server.post_json("/debug/config", &off).1["enabled"], true);
    assert_eq!(server.post_json("/debug/config", &json!({"enabled": true})).0, 422);
}

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

#[test]
fn livetalking_s_calls_drive_a_session() {
    let server = Server::start(&[]);
    let (mut socket, hello) = server.connect("");
    let id = hello["session"].as_str().expect("a name").to_owned();
    let named = |more: Value| {
        let mut body = json!({"sessionid": id});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    let ok = |(status, body): (u16, Value)| {
        assert_eq!((status, &body["code"]), (200, &json!(0)), "{body}");
        body["data"].clone()
    };
    let events = std::thread::spawn({
        let url = format!("{}/sse?sessionid={id}", server.url);
        move || {
            let mut answer = Server::agent().get(url).call().expect("an answer");
            let lines = BufReader::new(answer.body_mut().as_reader()).lines();
            let data = lines
                .map_while(Result::ok)
                .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
            data.take(2).collect::<Vec<Value>>()
        }
    });
    assert_eq!(ok(server.post_json("/is_speaking", &named(json!({})))), false);
    ok(server.post_json("/record", &named(json!({"type": "start_record"}))));
    std::thread::sleep(Duration::from_millis(200));
    ok(server.post_json("/human", &named(json!({"text": "Hello there!", "type": "echo"}))));
    until(&mut socket, "speaking");
    assert_eq!(ok(server.post_json("/is_speaking", &named(json!({})))), true);
    until(&mut socket, "done");
    let events = events.join().expect("events");
    assert_eq!((&events[0]["status"], &events[0]["text"]), (&json!("start"), &json!("Hello there!")));
    assert_eq!(events[1]["status"], "end");

    let sound = voice(&server);
    let (status, body) = server.form("/humanaudio", &[("sessionid", &id)], Some(("file", &sound)));
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    until(&mut socket, "speaking");
    ok(server.post_json("/interrupt_talk", &named(json!({}))));
    until(&mut socket, "cut");

    ok(server.post_json("/record", &named(json!({"type": "end_record"}))));
    assert_eq!(server.post_json("/record", &named(json!({"type": "end_record"}))).0, 400);
    let (status, video) = server.get(&format!("/record/{id}"));
    assert!(status == 200 && video.len() > 10_000, "{status}, {} bytes", video.len());
    let (status, body) = server.post_json("/human", &named(json!({"text": "hi", "type": "chat"})));
    assert_eq!((status, &body["code"]), (501, &json!(-1)));
    // The session ends with its socket.
    drop(socket);
    let begin = Instant::now();
    while server.post_json("/is_speaking", &named(json!({}))).0 != 404 {
        assert!(begin.elapsed() < Duration::from_secs(5), "the session goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn speech_and_videos_come_in_openai_s_form_and_as_jobs() {
    let server = Server::start(&[]);
    let (status, wav) = server
        .post("/v1/audio/speech", &json!({"input": "Hello there!", "model": "tts-1", "voice": "alloy"}));
    assert!(status == 200 && wav.starts_with(b"RIFF") && wav.windows(9).any(|part| part == b"synthetic"));
    let (status, pcm) = server
        .post("/v1/audio/speech", &json!({"input": "Hello there!", "response_format": "pcm", "speed": 2.0}));
    assert_eq!(status, 200);
    let ratio = wav.len() as f64 / pcm.len() as f64;
    assert!((1.9..2.2).contains(&ratio), "{ratio}");
    assert_eq!(
        server.post_json("/v1/audio/speech", &json!({"input": "hi", "response_format": "opus"})).0,
        400
    );
    assert_eq!(server.post_json("/v1/audio/speech", &json!({"voice": "alloy"})).0, 422);

    let (status, video) = server.post("/v1/video/speech", &json!({"input": "Hello", "model": "sample"}));
    assert!(status == 200 && video.len() > 10_000, "{status}");
    assert!(&video[4..8] == b"ftyp" || video.starts_with(b"RIFF"));
    assert!(video.windows(18).any(|part| part == b"synthetic pictures"));
    assert_eq!(server.post_json("/v1/video/speech", &json!({"input": "Hello", "model": "nobody"})).0, 422);

    let (status, body) = server.form("/v1/jobs", &[("head", "sample")], Some(("file", &wav)));
    let job: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(status, 202, "{job}");
    let path = format!("/v1/jobs/{}", job["id"].as_str().expect("a name"));
    let begin = Instant::now();
    let finished = loop {
        let (status, job) = server.get_json(&path);
        assert!(status == 200 && job["status"] != "failed", "{job}");
        if job["status"] == "completed" {
            break job;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{job}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(finished["progress"], 100);
    let (status, video) = server.get(&format!("{path}/video"));
    assert!(status == 200 && video.len() > 10_000);
    assert_eq!(server.form("/v1/jobs", &[], None).0, 400);
    let agent = Server::agent();
    assert_eq!(
        agent.delete(format!("{}{path}", server.url)).call().expect("an answer").status().as_u16(),
        204
    );
    assert_eq!(server.get_json(&path).0, 404);
}

#[test]
fn more_sessions_than_allowed_are_refused_at_once_and_those_that_run_go_on() {
    let server = Server::start(&["--max_sessions", "1"]);
    let (mut socket, _) = server.connect("");
    receive(&mut socket);
    let begin = Instant::now();
    let answer = Server::agent().get(format!("{}/avatar", server.url)).call().expect("an answer");
    assert_eq!(answer.status().as_u16(), 503);
    assert!(answer.headers()["retry-after"].to_str().expect("text").parse::<u32>().is_ok());
    assert!(begin.elapsed() < Duration::from_millis(500), "{:?}", begin.elapsed());
    for _ in 0..10 {
        receive(&mut socket);
    }
    socket.close(None).expect("closed");
    drop(socket);
    let begin = Instant::now();
    while server.get("/avatar").0 != 200 {
        assert!(begin.elapsed() < Duration::from_secs(5), "the place is not free");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_client_that_never_reads_harms_nobody() {
    let server = Server::start(&[]);
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

#[test]
fn every_path_is_described() {
    let server = Server::start(&[]);
    let (status, description) = server.get_json("/openapi.json");
    assert_eq!((status, &description["openapi"]), (200, &json!("3.1.0")));
    let source = include_str!("../src/serve/http/mod.rs");
    let routes: Vec<&str> =
        source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(routes.len() > 20);
    let described = description["paths"].as_object().expect("paths");
    for route in &routes {
        assert!(described.contains_key(*route), "{route} is not described");
    }
    for path in described.keys() {
        assert!(routes.contains(&path.as_str()), "{path} is described, and not there");
    }
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
