//! From a voice to frames to a video, and the made-up sample talker.

pub mod talker;
