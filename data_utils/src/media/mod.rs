//! Videos, sound and files in and out: the only place that starts ffmpeg, and the only one that writes files.

pub mod avi;
pub mod ffmpeg;
pub mod files;
pub mod frames;
pub mod mp4;
pub mod pixels;
pub mod probe;
pub mod sound;
mod track;
pub mod writer;

pub use ffmpeg::Ffmpeg;
pub use frames::Frames;
pub use pixels::PixelFormat;
pub use probe::VideoInfo;
pub use writer::{Encoder, VideoWriter};
