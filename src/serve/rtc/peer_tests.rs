//! A call between the server's end and another one, in a time and a network of the test's own.

use super::peer::{Peer, PeerOutput};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::format::Codec;
use str0m::media::{Direction, MediaData, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

const STEP: Duration = Duration::from_millis(5);

fn server_address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 8000))
}

fn client_address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 2], 40_000))
}

/// The other end's offer: it takes sound and pictures, and has a data channel.
fn offer(now: Instant) -> (Rtc, String, SdpPendingOffer) {
    let crypto = Arc::new(str0m::crypto::from_feature_flags());
    let mut rtc = RtcConfig::new().set_crypto_provider(crypto).build(now);
    rtc.add_local_candidate(Candidate::host(client_address(), "udp").expect("a candidate"));
    let mut changes = rtc.sdp_api();
    for kind in [MediaKind::Video, MediaKind::Audio] {
        changes.add_media(kind, Direction::RecvOnly, None, None, None);
    }
    changes.add_channel("messages".into());
    let (offer, pending) = changes.apply().expect("an offer");
    (rtc, offer.to_sdp_string(), pending)
}

/// Both ends, and what they said so far.
struct Line {
    now: Instant,
    peer: Peer,
    client: Rtc,
    /// What the server's end gave.
    said: Vec<PeerOutput>,
    /// What the other end was told.
    heard: Vec<Event>,
    /// Whether the server's end has said goodbye.
    is_over: bool,
}

impl Line {
    fn new() -> Self {
        let now = Instant::now();
        let (mut client, offer, pending) = offer(now);
        let (peer, answer) = Peer::answer(&offer, server_address(), now).expect("an answer");
        let answer = SdpAnswer::from_sdp_string(&answer).expect("an answer");
        client.sdp_api().accept_answer(pending, answer).expect("accepted");
        Line { now, peer, client, said: Vec::new(), heard: Vec::new(), is_over: false }
    }

    /// Lets both ends speak until this time has passed.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let mut up = VecDeque::new();
            loop {
                let mut is_still = true;
                loop {
                    match self.peer.poll(self.now).expect("it goes on") {
                        PeerOutput::Wait(_) | PeerOutput::Ended => break,
                        PeerOutput::Send { to, bytes } => {
                            is_still = false;
                            assert_eq!(to, client_address());
                            let contents = bytes.as_slice().try_into().expect("a datagram");
                            let (proto, source) = (Protocol::Udp, server_address());
                            let received = Receive { proto, source, destination: to, contents };
                            self.client.handle_input(Input::Receive(self.now, received)).expect("taken");
                            self.hear(&mut up);
                        }
                        other => self.said.push(other),
                    }
                }
                self.hear(&mut up);
                while let Some(bytes) = up.pop_front() {
                    is_still = false;
                    let bytes: Vec<u8> = bytes;
                    self.peer.receive(self.now, client_address(), &bytes).expect("taken");
                }
                if is_still {
                    break;
                }
            }
            self.now += STEP;
            let _ = self.client.handle_input(Input::Timeout(self.now));
            self.peer.wake(self.now).expect("awake");
        }
    }

    fn hear(&mut self, up: &mut VecDeque<Vec<u8>>) {
        loop {
            let next = match self.client.poll_output() {
                Ok(next) => next,
                // Of its DTLS end the client says so by an error.
                Err(error) => {
                    assert!(self.is_over, "{error}");
                    self.heard.push(Event::Closed);
                    return;
                }
            };
            match next {
                Output::Timeout(_) => return,
                Output::Transmit(packet) => up.push_back(packet.contents.to_vec()),
                Output::Event(event) => self.heard.push(event),
            }
        }
    }

    fn media(&self, codec: Codec) -> Vec<&MediaData> {
        let media = self.heard.iter().filter_map(|event| match event {
            Event::MediaData(data) if data.params.spec().codec == codec => Some(data),
            _ => None,
        });
        media.collect()
    }
}

/// A VP8 picture of no meaning that needs no other.
fn picture(length: usize) -> Vec<u8> {
    let mut data = vec![0x55; length];
    data[0] = 0x10;
    data
}

#[test]
fn the_answer_names_the_port_and_one_stream_for_sound_and_picture() {
    let now = Instant::now();
    let (_, offer, _) = offer(now);
    let (mut peer, answer) = Peer::answer(&offer, server_address(), now).expect("an answer");
    assert!(answer.contains("a=ice-lite") && answer.contains("10.0.0.1 8000 typ host"), "{answer}");
    assert!(answer.contains(&format!("a=ice-ufrag:{}", peer.name())), "{answer}");
    let streams: Vec<&str> =
        answer.lines().filter_map(|line| line.strip_prefix("a=msid:")?.split(' ').next()).collect();
    assert!(streams.len() == 2 && streams[0] == streams[1], "{answer}");
    assert_eq!(answer.matches("a=sendonly").count(), 2, "{answer}");
    assert!(!answer.contains("H264"), "{answer}");
}

#[test]
fn sound_and_pictures_arrive_with_the_time_of_their_samples() {
    let mut line = Line::new();
    line.peer.push_picture(line.now, 0, picture(100));
    line.run(Duration::from_secs(2));
    assert!(line.peer.is_connected() && line.said.contains(&PeerOutput::Connected), "{:?}", line.said);
    for frame in 100..110_u64 {
        let sound: Vec<f32> = (0..640).map(|k| (k as f32 * 0.2).sin() * 0.5).collect();
        line.peer.push_sound(line.now, 640 * frame, &sound).expect("coded");
        if frame % 2 == 0 {
            line.peer.push_picture(line.now, 640 * frame, picture(3000));
        }
        line.run(Duration::from_millis(40));
    }
    line.run(Duration::from_secs(1));
    let sounds = line.media(Codec::Opus);
    let times: Vec<u64> = sounds.iter().map(|data| data.time.numer()).collect();
    let wanted: Vec<u64> = (0..20).map(|k| 3 * (64_000 + 320 * k)).collect();
    assert_eq!(times, wanted, "48 kHz");
    // The second half of a frame comes when it is due.
    let apart = sounds[1].network_time - sounds[0].network_time;
    assert!((15..=25).contains(&apart.as_millis()), "{apart:?}");
    let mut decoder = opus_rs::OpusDecoder::new(16_000, 1).expect("a decoder");
    let mut samples = vec![0.0; 320];
    let loudest = sounds.iter().map(|data| {
        decoder.decode(&data.data, 320, &mut samples).expect("decoded");
        samples.iter().fold(0.0_f32, |most, sample| most.max(sample.abs()))
    });
    assert!(loudest.fold(0.0, f32::max) > 0.3);
    let pictures = line.media(Codec::Vp8);
    let times: Vec<u64> = pictures.iter().map(|data| data.time.numer()).collect();
    let wanted: Vec<u64> = (0..5).map(|k| 3600 * (100 + 2 * k)).collect();
    // The one that came before anyone was there is not sent.
    assert_eq!(times, wanted, "90 kHz");
    assert!(pictures.iter().all(|data| *data.data == *picture(3000)));
}

#[test]
fn messages_go_both_ways_and_the_other_end_is_told_when_it_is_over() {
    let mut line = Line::new();
    assert!(!line.peer.say("too early"));
    line.run(Duration::from_secs(2));
    assert!(line.said.contains(&PeerOutput::Opened), "{:?}", line.said);
    let id = line.heard.iter().find_map(|event| match event {
        Event::ChannelOpen(id, _) => Some(*id),
        _ => None,
    });
    let id = id.expect("a channel");
    assert!(line.peer.say("{\"event\":\"hello\"}"));
    let mut channel = line.client.channel(id).expect("a channel");
    assert!(channel.write(false, b"{\"text\":\"Hello\"}").expect("written"));
    assert!(channel.write(true, &[1, 2, 3, 4]).expect("written"));
    line.run(Duration::from_millis(200));
    let told = line.heard.iter().any(
        |event| matches!(event, Event::ChannelData(message) if message.data == b"{\"event\":\"hello\"}"),
    );
    assert!(told, "{:?}", line.heard);
    assert!(line.said.contains(&PeerOutput::Text("{\"text\":\"Hello\"}".into())));
    assert!(line.said.contains(&PeerOutput::Samples(vec![1, 2, 3, 4])));
    line.peer.end();
    line.is_over = true;
    line.run(Duration::from_millis(100));
    assert!(line.heard.iter().any(|event| matches!(event, Event::Closed)), "{:?}", line.heard.last());
    assert_eq!(line.peer.poll(line.now).expect("over"), PeerOutput::Ended);
}

#[test]
fn the_other_end_may_hang_up_and_what_is_none_of_the_call_is_forgotten() {
    let mut line = Line::new();
    line.run(Duration::from_secs(2));
    let stranger = SocketAddr::from(([10, 0, 0, 3], 9));
    for bytes in [&[][..], &[0; 1], &[0x80; 3], &[20, 254, 253, 0], &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]] {
        for length in [bytes.len(), 40, 2000] {
            let mut bytes = bytes.to_vec();
            bytes.resize(length, 0xff);
            line.peer.receive(line.now, stranger, &bytes).expect("forgotten");
        }
    }
    line.run(Duration::from_millis(100));
    assert!(line.peer.is_connected());
    line.client.close().expect("closed");
    line.run(Duration::from_millis(100));
    assert_eq!(line.peer.poll(line.now).expect("over"), PeerOutput::Ended);
}

#[test]
fn a_client_that_is_gone_is_noticed() {
    let mut line = Line::new();
    line.run(Duration::from_secs(2));
    let mut now = line.now;
    let gone = (0..12_000).any(|_| {
        now += STEP;
        line.peer.wake(now).expect("awake");
        loop {
            match line.peer.poll(now).expect("it goes on") {
                PeerOutput::Ended => return true,
                PeerOutput::Wait(_) => return false,
                _ => {}
            }
        }
    });
    assert!(gone, "after a minute of silence");
}

#[test]
fn an_offer_that_is_none_is_refused() {
    let now = Instant::now();
    let (_, whole, _) = offer(now);
    let without = whole.replace("opus/48000", "speex/16000").replace("VP8/90000", "H261/90000");
    let none = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n";
    for wrong in ["", "hello", none, without.as_str(), "m=audio", "{\"sdp\": 1}"] {
        let refused = Peer::answer(wrong, server_address(), now).err().expect("refused").to_string();
        assert!(refused.contains("the offer"), "{wrong}: {refused}");
    }
    // A browser that hides its address names it so.
    let hidden =
        whole.replacen("typ host", "typ host\r\na=candidate:2 1 udp 1 4f5a1c2e.local 50000 typ host", 1);
    assert!(Peer::answer(&hidden, server_address(), now).is_ok(), "{hidden}");
    // Whatever is cut off: an answer or a refusal.
    for (at, _) in whole.match_indices('\n') {
        drop(Peer::answer(&whole[..at], server_address(), now));
    }
}
