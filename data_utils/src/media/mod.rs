//! Videos, sound and files in and out: the only place that starts ffmpeg, and the only one that writes files.

#[cfg(feature = "native")]
mod avi;
#[cfg(feature = "native")]
pub mod child;
#[cfg(feature = "native")]
pub mod ffmpeg;
mod ffmpeg_writer;
#[cfg(feature = "native")]
pub mod files;
#[cfg(feature = "native")]
mod frame_files;
#[cfg(feature = "native")]
mod frames;
#[cfg(feature = "native")]
mod live_matroska;
#[cfg(feature = "native")]
pub mod live_vp8;
#[cfg(feature = "native")]
mod mp4;
#[cfg(feature = "native")]
pub(crate) mod mp4_boxes;
#[cfg(feature = "native")]
mod mp4_check;
#[cfg(feature = "native")]
mod note;
#[cfg(feature = "native")]
mod picture_kind;
#[cfg(feature = "native")]
pub mod pictures;
#[cfg(feature = "native")]
mod pixels;
#[cfg(feature = "native")]
mod probe;
#[cfg(feature = "native")]
mod process;
#[cfg(feature = "native")]
pub mod push;
#[cfg(feature = "native")]
pub mod sound;
#[cfg(feature = "native")]
mod source_frames;
mod track;
#[cfg(feature = "native")]
mod webm;
#[cfg(feature = "native")]
pub mod writer;

#[cfg(feature = "native")]
pub use ffmpeg::Ffmpeg;
#[cfg(feature = "native")]
pub use frame_files::frame_file;
#[cfg(feature = "native")]
pub use frames::Frames;
#[cfg(feature = "native")]
pub use picture_kind::{Hdr, PictureKind};
#[cfg(feature = "native")]
pub use pixels::PixelFormat;
#[cfg(feature = "native")]
pub use probe::{SoundTrack, VideoInfo};
#[cfg(feature = "native")]
pub use source_frames::SourceFrames;
pub use track::Samples;
#[cfg(feature = "native")]
pub use writer::{Encoder, VideoFormat, VideoWriter};
