//! Videos, sound and files in and out: the only place that starts ffmpeg, and the only one that writes files.

mod avi;
pub mod ffmpeg;
pub mod files;
mod frames;
mod mp4;
mod pixels;
mod probe;
pub mod sound;
mod track;
pub mod writer;

pub use ffmpeg::Ffmpeg;
pub use frames::Frames;
pub use pixels::PixelFormat;
pub use probe::VideoInfo;
pub use track::Samples;
pub use writer::{Encoder, VideoFormat, VideoWriter};
