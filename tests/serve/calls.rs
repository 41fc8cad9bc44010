//! Calls by WebRTC, as a program makes them that knows nothing of the server.

use crate::server::Server;
use serde_json::{Value, json};
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::channel::ChannelId;
use str0m::format::Codec;
use str0m::media::{Direction, MediaData, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

/// The other end of a call.
pub struct Caller {
    rtc: Rtc,
    socket: UdpSocket,
    address: SocketAddr,
    channel: Option<ChannelId>,
    pub messages: Vec<Value>,
    pub media: Vec<MediaData>,
    pub is_over: bool,
}

/// Whether this machine can code pictures for calls; CI can.
pub fn has_coder() -> bool {
    let encoders = Command::new("ffmpeg").args(["-hide_banner", "-encoders"]).output();
    let found = encoders.is_ok_and(|list| String::from_utf8_lossy(&list.stdout).contains(" libvpx "));
    if !found {
        eprintln!("no ffmpeg with libvpx is installed");
    }
    found
}

impl Caller {
    /// The caller, and its offer.
    pub fn offer() -> (Self, String, SdpPendingOffer) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(5))).expect("a timeout");
        let address = socket.local_addr().expect("an address");
        let crypto = Arc::new(str0m::crypto::from_feature_flags());
        let mut rtc = RtcConfig::new().set_crypto_provider(crypto).build(Instant::now());
        rtc.add_local_candidate(Candidate::host(address, "udp").expect("a candidate"));
        let mut changes = rtc.sdp_api();
        for kind in [MediaKind::Video, MediaKind::Audio] {
            changes.add_media(kind, Direction::RecvOnly, None, None, None);
        }
        changes.add_channel("messages".into());
        let (offer, pending) = changes.apply().expect("an offer");
        let (messages, media) = (Vec::new(), Vec::new());
        let caller = Caller { rtc, socket, address, channel: None, messages, media, is_over: false };
        (caller, offer.to_sdp_string(), pending)
    }

    pub fn accept(&mut self, pending: SdpPendingOffer, answer: &str) {
        let answer = SdpAnswer::from_sdp_string(answer).expect("an answer");
        self.rtc.sdp_api().accept_answer(pending, answer).expect("accepted");
    }

    /// Goes on until something is so.
    pub fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !is_so(self) {
            assert!(begin.elapsed() < Duration::from_secs(30), "{what}; {:?}", self.messages);
            self.go_on();
        }
    }

    fn go_on(&mut self) {
        loop {
            match self.rtc.poll_output().expect("it goes on") {
                Output::Timeout(_) => break,
                Output::Transmit(packet) => {
                    self.socket.send_to(&packet.contents, packet.destination).expect("sent");
                }
                Output::Event(Event::ChannelOpen(id, _)) => self.channel = Some(id),
                Output::Event(Event::ChannelData(message)) => {
                    self.messages.push(serde_json::from_slice(&message.data).expect("JSON"));
                }
                Output::Event(Event::MediaData(data)) => self.media.push(data),
                Output::Event(Event::Closed) => self.is_over = true,
                Output::Event(_) => {}
            }
        }
        let mut buffer = [0; 2048];
        let received = self.socket.recv_from(&mut buffer);
        let input = match &received {
            Ok((length, source)) => {
                let contents = buffer[..*length].try_into().expect("a datagram");
                let (proto, source, destination) = (Protocol::Udp, *source, self.address);
                Input::Receive(Instant::now(), Receive { proto, source, destination, contents })
            }
            Err(_) => Input::Timeout(Instant::now()),
        };
        self.rtc.handle_input(input).expect("taken");
    }

    pub fn say(&mut self, message: &Value) {
        let channel = self.channel.and_then(|id| self.rtc.channel(id));
        let text = message.to_string();
        assert!(channel.expect("a channel").write(false, text.as_bytes()).expect("written"));
    }

    pub fn has(&self, event: &str) -> bool {
        self.messages.iter().any(|message| message["event"] == event)
    }

    pub fn media(&self, codec: Codec) -> Vec<&MediaData> {
        self.media.iter().filter(|data| data.params.spec().codec == codec).collect()
    }
}

/// Status, Location, type and body of an offer's answer.
fn whep(server: &Server, path: &str, kind: &str, offer: &str) -> (u16, String, String, String) {
    let request = Server::agent().post(format!("{}{path}", server.url)).header("Content-Type", kind);
    let mut answer = request.send(offer).expect("an answer");
    let header = |name: &str| {
        answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let (location, kind) = (header("location"), header("content-type"));
    (answer.status().as_u16(), location, kind, answer.body_mut().read_to_string().expect("text"))
}

const SDP: &str = "application/sdp";

#[test]
fn a_player_gets_sound_and_pictures_by_one_clock_and_hangs_up() {
    if !has_coder() {
        return;
    }
    let server = Server::start(&["--max_sessions", "1"]);
    let (mut caller, offer, pending) = Caller::offer();
    let (status, location, kind, answer) = whep(&server, "/whep?mark=sound", SDP, &offer);
    assert_eq!((status, kind.as_str()), (201, SDP), "{answer}");
    caller.accept(pending, &answer);
    caller.until("no hello", |caller| caller.has("hello"));
    let hello = caller.messages[0].clone();
    let session = hello["session"].as_str().expect("a session").to_owned();
    assert_eq!(location, format!("/whep/{session}"));
    assert_eq!((&hello["width"], &hello["synthetic"]), (&json!(256), &json!(true)));
    // There is one place, and it is taken.
    let (status, _, _, body) = whep(&server, "/whep", SDP, &Caller::offer().1);
    assert!(status == 503 && body.contains("taken"), "{body}");

    caller.say(&json!({"text": "One two three."}));
    caller.until("it does not speak", |caller| caller.has("speaking") && caller.has("done"));
    let (sounds, pictures) = (caller.media(Codec::Opus), caller.media(Codec::Vp8));
    // A machine that is too slow leaves pictures out.
    assert!(sounds.len() > 50 && pictures.len() > 3, "{} and {}", sounds.len(), pictures.len());
    // Their times are those of samples: 20 ms of sound, 40 ms of pictures or more of them.
    let first = sounds[0].time.numer();
    assert!((0..).zip(&sounds).all(|(k, data)| data.time.numer() == first + 960 * k));
    assert!(pictures.windows(2).all(|pair| {
        let step = pair[1].time.numer() - pair[0].time.numer();
        step > 0 && step % 3600 == 0
    }));
    // The lowest bit of a VP8 picture's first byte says that it needs others.
    assert_eq!(pictures[0].data[0] & 1, 0);
    let mut decoder = opus_rs::OpusDecoder::new(16_000, 1).expect("a decoder");
    let mut samples = vec![0.0; 320];
    let mut loud = 0;
    for data in sounds {
        decoder.decode(&data.data, 320, &mut samples).expect("decoded");
        loud += usize::from(samples.iter().any(|sample| sample.abs() > 0.05));
    }
    assert!(loud > 5, "{loud} packets");

    let hung = Server::agent().delete(format!("{}{location}", server.url)).call().expect("an answer");
    assert_eq!(hung.status().as_u16(), 200);
    caller.until("it goes on", |caller| caller.is_over);
    let begin = Instant::now();
    while server.post_json("/is_speaking", &json!({"sessionid": session})).0 != 404 {
        assert!(begin.elapsed() < Duration::from_secs(5), "the session goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Its place is free again.
    let (mut caller, offer, pending) = Caller::offer();
    let (status, _, _, answer) = whep(&server, "/whep", SDP, &offer);
    assert_eq!(status, 201, "{answer}");
    caller.accept(pending, &answer);
    caller.until("no pictures", |caller| !caller.media(Codec::Vp8).is_empty());
}

#[test]
fn livetalking_s_offer_opens_a_session_that_its_other_calls_drive() {
    if !has_coder() {
        return;
    }
    let mut server = Server::start(&["--overcommit"]);
    let (mut caller, offer, pending) = Caller::offer();
    let body = json!({"sdp": offer, "type": "offer", "avatar": "sample", "refaudio": "", "reftext": ""});
    let (status, answer) = server.post_json("/offer", &body);
    assert_eq!((status, &answer["type"]), (200, &json!("answer")), "{answer}");
    caller.accept(pending, answer["sdp"].as_str().expect("an answer"));
    caller.until("no sound", |caller| !caller.media(Codec::Opus).is_empty());
    let id = answer["sessionid"].as_str().expect("a session");
    let (status, said) =
        server.post_json("/human", &json!({"sessionid": id, "type": "echo", "text": "Hello."}));
    assert_eq!((status, &said["code"]), (200, &json!(0)), "{said}");
    caller.until("it does not speak", |caller| caller.has("speaking"));
    let (status, refused) = server.post_json("/offer", &json!({"sdp": "no offer", "type": "offer"}));
    assert!(status == 422 && refused["code"] == -1, "{refused}");
    assert_eq!(server.post_json("/offer", &json!({"sdp": offer, "type": "answer"})).0, 400);
    // A server that is stopped says goodbye.
    let stopped = Command::new("kill").arg(server.child.id().to_string()).status();
    assert!(stopped.is_ok_and(|status| status.success()));
    caller.until("nobody says goodbye", |caller| caller.is_over);
    let begin = Instant::now();
    while server.child.try_wait().expect("a state").is_none() {
        assert!(begin.elapsed() < Duration::from_secs(10), "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn offers_that_are_none_are_refused_and_so_are_all_where_calls_are_off() {
    let (_, offer, _) = Caller::offer();
    let server = Server::start(&["--webrtc_port", "0"]);
    let (status, _, _, body) = whep(&server, "/whep", SDP, &offer);
    assert!(status == 503 && body.contains("--webrtc_port"), "{body}");
    assert_eq!(server.get_json("/v1/models").1["webrtc"], false);
    let taken = UdpSocket::bind("127.0.0.1:0").and_then(|socket| Ok((socket.local_addr()?, socket)));
    let port = taken.as_ref().expect("a socket").0.port().to_string();
    let refused = Command::new(env!("CARGO_BIN_EXE_serve"))
        .args(["--listen", "127.0.0.1:0", "--device", "cpu", "--webrtc_port", &port])
        .output()
        .expect("started");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(2) && said.contains("--webrtc_port"), "{said}");
    if !has_coder() {
        return;
    }
    let server = Server::start(&["--token", "a long secret"]);
    let path = "/whep?token=a%20long%20secret";
    for (path, kind, offer, wanted) in [
        ("/whep", SDP, offer.as_str(), 401),
        (path, "application/json", offer.as_str(), 415),
        (path, SDP, "v=0", 422),
        (path, SDP, "", 422),
        (&format!("{path}&head=nobody"), SDP, offer.as_str(), 422),
        (&format!("{path}&background=transparent"), SDP, offer.as_str(), 400),
        (&format!("{path}&mark=picture"), SDP, offer.as_str(), 400),
    ] {
        let (status, _, _, body) = whep(&server, path, kind, offer);
        assert_eq!(status, wanted, "{path} {kind}: {body}");
        assert!(serde_json::from_str::<Value>(&body).is_ok_and(|body| body["error"].is_string()), "{body}");
    }
    let gone = format!("{}/whep/none?token=a%20long%20secret", server.url);
    assert_eq!(Server::agent().delete(gone).call().expect("an answer").status().as_u16(), 404);
}

#[test]
fn without_an_ffmpeg_calls_are_refused_and_the_websocket_goes_on() {
    let server = Server::start_with(&[], &[("SURFELTALK_FFMPEG", "/no/such/ffmpeg")]);
    let (status, _, _, body) = whep(&server, "/whep", SDP, &Caller::offer().1);
    assert!(status == 503 && body.contains("ffmpeg"), "{body}");
    let (_, hello) = server.connect("");
    assert_eq!(hello["event"], "hello");
}
