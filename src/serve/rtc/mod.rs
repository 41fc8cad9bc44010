//! Calls by WebRTC: the sound and the pictures of a session to a browser, or to any program that speaks it.
//!
//! ```text
//! offer ─▶ peer ─▶ answer          frames ─▶ peer, coder ─▶ packets ─▶ port ─▶ network
//! ```
//!
//! * [`peer`] one call: what is sent and what comes, without a clock and without a network
//! * [`port`] the one UDP port of all calls
//! * [`coder`] pictures as VP8, on threads that may wait
//! * `description` the text that both ends exchange at the beginning
//!
//! Sound is Opus, pictures are VP8. Both carry the sample of their session as their time, by the clocks of RTP (48 and 90 kHz).

pub mod coder;
mod description;
pub mod peer;
#[cfg(test)]
mod peer_tests;
pub mod port;
