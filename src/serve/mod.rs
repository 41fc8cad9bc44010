//! The live service: heads that speak to a web page, an API or any program that takes sound and pictures.
//!
//! ```text
//! text ─▶ speech (engines) ─┐                       ┌▶ outbox ─▶ http (WebSocket, WebRTC, MJPEG, files)
//! sound, microphone ────────┴▶ session ─▶ drawing ──┤
//!                                        (a thread) └▶ events, recorder
//! ```
//!
//! * [`speaker`] a head that speaks and waits without an end: what a session is, without a clock and without a network;
//!   [`queue`] what it is to say
//! * [`drawing`] the thread that makes each frame when it is due, and who may come in
//! * [`session`] a conversation, as everyone else sees it; [`outbox`] its frames on their way
//! * [`backdrop`] what is behind a head; [`picture`] one frame's
//! * [`heads`] which heads there are; [`refusal`] why something is not done
//! * [`speech`] text to speech
//! * [`read_aloud`] texts and sounds into sessions
//! * [`rtc`] calls by WebRTC
//! * [`http`] everything on the network
//!
//! One clock: every sound, picture and event of a session carries the number of its sample at 16 kHz.

pub mod backdrop;
mod command;
pub mod drawing;
pub mod heads;
pub mod http;
pub mod outbox;
pub mod picture;
pub mod queue;
pub mod read_aloud;
pub mod refusal;
pub mod rtc;
pub mod session;
pub mod speaker;
pub mod speech;
