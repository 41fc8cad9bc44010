//! A running server, and clients that know nothing of it.

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tungstenite::Message;
use tungstenite::stream::MaybeTlsStream;

/// A running server; ended when it is dropped.
pub struct Server {
    pub child: Child,
    pub url: String,
}

impl Server {
    /// Starts a server with the sample head and the built-in voice, and waits until it is ready.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[])
    }

    /// The same with variables of the environment.
    pub fn start_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_serve"));
        command.args(["--device", "cpu", "--log", "warn"]);
        if !arguments.contains(&"--tts") {
            command.args(["--tts", "builtin"]);
        }
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let mut child = command
            .args(arguments)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server");
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

    pub fn agent() -> ureq::Agent {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        config.timeout_global(Some(Duration::from_secs(120))).build().into()
    }

    /// Status, headers of interest and body of a GET.
    pub fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let mut answer = Self::agent().get(format!("{}{path}", self.url)).call().expect("an answer");
        (
            answer.status().as_u16(),
            answer.body_mut().with_config().limit(1 << 30).read_to_vec().expect("a body"),
        )
    }

    pub fn get_json(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.get(path);
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Vec<u8>) {
        let mut answer =
            Self::agent().post(format!("{}{path}", self.url)).send_json(body).expect("an answer");
        (
            answer.status().as_u16(),
            answer.body_mut().with_config().limit(1 << 30).read_to_vec().expect("a body"),
        )
    }

    pub fn post_json(&self, path: &str, body: &Value) -> (u16, Value) {
        let (status, body) = self.post(path, body);
        (status, serde_json::from_slice(&body).unwrap_or_else(|e| panic!("{path}: {status}, no JSON: {e}")))
    }

    /// Sends a form of texts and a file.
    pub fn form(&self, path: &str, texts: &[(&str, &str)], file: Option<(&str, &[u8])>) -> (u16, Vec<u8>) {
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
    pub fn connect(&self, query: &str) -> (Socket, Value) {
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

pub type Socket = tungstenite::WebSocket<MaybeTlsStream<TcpStream>>;

/// What a socket sent, in its order.
pub enum Received {
    Sound(u32, Vec<i16>),
    Picture(u32, Vec<u8>),
    Event(Value),
}

pub fn receive(socket: &mut Socket) -> Received {
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

pub fn send(socket: &mut Socket, message: &Value) {
    socket.send(Message::Text(message.to_string().into())).expect("sent");
}

/// Reads until an event comes, and what came before it.
pub fn until(socket: &mut Socket, event: &str) -> (Value, Vec<Received>) {
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
pub fn voice(server: &Server) -> Vec<u8> {
    let (status, wav) = server.get("/get-tts-audio?text=Hello");
    assert_eq!(status, 200);
    wav
}

/// The JPEGs of an MJPEG stream.
pub fn pictures(stream: &[u8]) -> Vec<Vec<u8>> {
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

pub fn size(jpeg: &[u8]) -> [u32; 2] {
    let picture = image::load_from_memory(jpeg).expect("a JPEG");
    [picture.width(), picture.height()]
}
