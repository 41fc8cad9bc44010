//! One call as a state machine: datagrams, sound and pictures go in, datagrams and what the other end says come out. It knows no
//! clock and no network; who calls it says what time it is.

use super::description::{has_media, one_stream};
use crate::{Error, Result};
use data_utils::audio::SAMPLE_RATE;
use opus_rs::{Application, OpusEncoder};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use str0m::change::SdpOffer;
use str0m::channel::ChannelId;
use str0m::crypto::CryptoProvider;
use str0m::format::Codec;
use str0m::media::{Frequency, MediaKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, IceConnectionState, Input, Output, Rtc, RtcConfig};

/// Samples and time of a packet of sound.
const PACKET: usize = 320;
const PACKET_TIME: Duration = Duration::from_millis(20);
/// Bits of sound a second, and the most bytes of a packet (RFC 6716).
const BITS: i32 = 32_000;
const LARGEST_PACKET: usize = 1275;
/// How often the other end is told which time sound and pictures have: only by that it can keep them together.
const REPORTS: Duration = Duration::from_millis(500);
/// Packets that wait to be written; more are not kept, since nobody reads them.
const WAITING: usize = 64;

static CRYPTO: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(str0m::crypto::from_feature_flags()));

/// The other end of a call.
pub struct Peer {
    rtc: Rtc,
    /// Where it was told to send.
    address: SocketAddr,
    sound: Option<Mid>,
    picture: Option<Mid>,
    channel: Option<ChannelId>,
    is_connected: bool,
    has_ended: bool,
    /// When sample 0 of the session is heard.
    start: Option<Instant>,
    opus: OpusEncoder,
    sounds: VecDeque<Packet>,
    pictures: VecDeque<Packet>,
}

/// Sound or a picture that is to be written.
struct Packet {
    due: Instant,
    position: u64,
    data: Vec<u8>,
}

/// What comes out of a call.
#[derive(Debug, PartialEq, Eq)]
pub enum PeerOutput {
    /// A datagram.
    Send {
        /// For whom.
        to: SocketAddr,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Sound and pictures are taken from now on.
    Connected,
    /// Messages are taken from now on.
    Opened,
    /// A message.
    Text(String),
    /// A message of samples.
    Samples(Vec<u8>),
    /// It is over.
    Ended,
    /// Nothing more until this time, or until something goes in.
    Wait(Instant),
}

impl Peer {
    /// A call that answers `offer` (SDP), whose datagrams come to `address`, and the answer (SDP).
    ///
    /// # Errors
    /// [`Error::Input`] for an offer that is none, or takes neither Opus nor VP8.
    pub fn answer(offer: &str, address: SocketAddr, now: Instant) -> Result<(Peer, String)> {
        let wrong = |found: String| {
            let expected = "an SDP offer that takes Opus and VP8, as of a browser's RTCPeerConnection";
            Error::input("the offer", expected, found, "send the offer's text as it is")
        };
        let parsed = SdpOffer::from_sdp_string(offer).map_err(|e| wrong(e.to_string()))?;
        let config = RtcConfig::new().set_crypto_provider(Arc::clone(&CRYPTO)).set_ice_lite(true);
        let config = config.set_rtcp_report_interval_audio(REPORTS).set_rtcp_report_interval_video(REPORTS);
        let mut rtc = config.clear_codecs().enable_opus(true, false).enable_vp8(true).build(now);
        let candidate = Candidate::host(address, "udp");
        rtc.add_local_candidate(candidate.map_err(|e| Error::Internal(format!("{address}: {e}")))?);
        let answer = rtc.sdp_api().accept_offer(parsed).map_err(|e| wrong(e.to_string()))?.to_sdp_string();
        if !has_media(&answer) {
            return Err(wrong("one that takes neither".into()));
        }
        let fail = |e: &str| Error::Internal(format!("Opus: {e}"));
        let mut opus = OpusEncoder::new(SAMPLE_RATE as i32, 1, Application::Voip).map_err(fail)?;
        opus.bitrate_bps = BITS;
        let peer = Peer {
            rtc,
            address,
            sound: None,
            picture: None,
            channel: None,
            is_connected: false,
            has_ended: false,
            start: None,
            opus,
            sounds: VecDeque::new(),
            pictures: VecDeque::new(),
        };
        Ok((peer, one_stream(&answer)))
    }

    /// By which name its first datagrams ask for it (the user fragment of ICE).
    pub fn name(&mut self) -> String {
        self.rtc.direct_api().local_ice_credentials().ufrag
    }

    /// Whether sound and pictures are taken.
    pub fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// Takes a datagram. One that is none of this call is forgotten.
    ///
    /// # Errors
    /// [`Error::Internal`] when the call cannot go on.
    pub fn receive(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) -> Result<()> {
        let Ok(received) = Receive::new(Protocol::Udp, source, self.address, bytes) else { return Ok(()) };
        self.rtc.handle_input(Input::Receive(now, received)).map_err(|e| fail(&e))
    }

    /// Says that the time has come that [`PeerOutput::Wait`] named.
    ///
    /// # Errors
    /// [`Error::Internal`] when the call cannot go on.
    pub fn wake(&mut self, now: Instant) -> Result<()> {
        self.rtc.handle_input(Input::Timeout(now)).map_err(|e| fail(&e))
    }

    /// Sends the sound of a frame: 16 kHz, full scale ±1, from sample `position` on, which is heard now. A second half waits
    /// until it is due.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be coded.
    pub fn push_sound(&mut self, now: Instant, position: u64, samples: &[f32]) -> Result<()> {
        if !self.is_connected || self.sounds.len() > WAITING {
            return Ok(());
        }
        for (k, part) in (0..).zip(samples.chunks(PACKET)) {
            let mut part = part.to_vec();
            part.resize(PACKET, 0.0);
            let mut data = vec![0; LARGEST_PACKET];
            let coded = self.opus.encode(&part, PACKET, &mut data);
            data.truncate(coded.map_err(|e| Error::Internal(format!("Opus: {e}")))?);
            let position = position + u64::from(k) * PACKET as u64;
            self.sounds.push_back(Packet { due: now + PACKET_TIME * k, position, data });
        }
        Ok(())
    }

    /// Sends a picture, VP8, that is seen at sample `position`.
    pub fn push_picture(&mut self, now: Instant, position: u64, data: Vec<u8>) {
        if self.is_connected && self.pictures.len() < WAITING {
            self.pictures.push_back(Packet { due: now, position, data });
        }
    }

    /// Sends a message. False when there is no way for it, or too much waits.
    pub fn say(&mut self, text: &str) -> bool {
        let channel = self.channel.and_then(|id| self.rtc.channel(id));
        channel.is_some_and(|mut channel| channel.write(false, text.as_bytes()).unwrap_or(false))
    }

    /// Ends the call; the other end is told by what comes out then.
    pub fn end(&mut self) {
        // Fails only when it has ended already.
        let _ = self.rtc.close();
    }

    /// What comes out next. To be called until it gives [`PeerOutput::Wait`] or [`PeerOutput::Ended`], after all that goes in.
    ///
    /// # Errors
    /// [`Error::Internal`] when the call cannot go on.
    pub fn poll(&mut self, now: Instant) -> Result<PeerOutput> {
        loop {
            if self.has_ended || !self.rtc.is_alive() {
                self.has_ended = true;
                return Ok(PeerOutput::Ended);
            }
            match self.rtc.poll_output().map_err(|e| fail(&e))? {
                Output::Transmit(packet) => {
                    return Ok(PeerOutput::Send { to: packet.destination, bytes: packet.contents.to_vec() });
                }
                Output::Event(event) => {
                    if let Some(output) = self.hear(event) {
                        return Ok(output);
                    }
                }
                // One is written when all of the one before is out.
                Output::Timeout(time) => {
                    if !self.write_due(now)? {
                        let next = self.sounds.front().map_or(time, |packet| packet.due.min(time));
                        return Ok(PeerOutput::Wait(next));
                    }
                }
            }
        }
    }

    fn hear(&mut self, event: str0m::Event) -> Option<PeerOutput> {
        use str0m::Event;
        match event {
            Event::Connected => {
                self.is_connected = true;
                Some(PeerOutput::Connected)
            }
            // Comes before or after the one above.
            Event::MediaAdded(media) => {
                let place = if media.kind == MediaKind::Audio { &mut self.sound } else { &mut self.picture };
                place.get_or_insert(media.mid);
                None
            }
            Event::ChannelOpen(id, _) => {
                self.channel = Some(id);
                Some(PeerOutput::Opened)
            }
            Event::ChannelData(message) => Some(match message.binary {
                true => PeerOutput::Samples(message.data),
                false => PeerOutput::Text(String::from_utf8_lossy(&message.data).into_owned()),
            }),
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                self.has_ended = true;
                None
            }
            _ => None,
        }
    }

    /// Writes one packet that is due; false when none is.
    fn write_due(&mut self, now: Instant) -> Result<bool> {
        let is_due = |packets: &VecDeque<Packet>| packets.front().is_some_and(|packet| packet.due <= now);
        let (packet, mid, codec, clock) = if is_due(&self.sounds) {
            (self.sounds.pop_front(), self.sound, Codec::Opus, Frequency::FORTY_EIGHT_KHZ)
        } else if is_due(&self.pictures) {
            (self.pictures.pop_front(), self.picture, Codec::Vp8, Frequency::NINETY_KHZ)
        } else {
            return Ok(false);
        };
        let Some(Packet { position, data, .. }) = packet else { return Ok(false) };
        let rate = u64::from(SAMPLE_RATE);
        let offset = Duration::from_nanos(position * (1_000_000_000 / rate));
        // What is written first is heard now, and all else by the same clock.
        let start = *self.start.get_or_insert_with(|| now.checked_sub(offset).unwrap_or(now));
        let writer = mid.and_then(|mid| self.rtc.writer(mid));
        let Some(writer) = writer else { return Ok(true) };
        let Some(kind) =
            writer.payload_params().find(|kind| kind.spec().codec == codec).map(|kind| kind.pt())
        else {
            return Ok(true);
        };
        let ticks = MediaTime::new(position * u64::from(clock.get()) / rate, clock);
        writer.write(kind, start + offset, ticks, data).map_err(|e| fail(&e))?;
        Ok(true)
    }
}

fn fail(error: &str0m::RtcError) -> Error {
    Error::Internal(format!("a call: {error}"))
}
