//! A video in a folder of its own.

use super::reply::{Answer, blocking};
use crate::{Error, Result};
use axum::response::{IntoResponse, Response};
use data_utils::audio::{FRAME_RATE, Sound};
use data_utils::media::files::read_bounded;
use data_utils::media::{Encoder, PixelFormat, VideoFormat, VideoWriter};
use std::path::PathBuf;
use tempfile::TempDir;

/// The largest video that is sent, bytes.
const LARGEST: u64 = 4 << 30;

/// A finished file in a folder of its own, which goes with it.
#[derive(Debug)]
pub(super) struct VideoFile {
    pub(super) path: PathBuf,
    _folder: TempDir,
}

impl VideoFile {
    /// Its media type.
    pub(super) fn content_type(&self) -> &'static str {
        match self.path.extension().is_some_and(|extension| extension == "mp4") {
            true => "video/mp4",
            false => "video/x-msvideo",
        }
    }

    /// The file as an answer.
    pub(super) async fn answer(&self) -> Answer<Response> {
        let path = self.path.clone();
        let bytes = blocking(move || read_bounded(&path, LARGEST)).await?;
        let name =
            format!("attachment; filename=synthetic.{}", self.path.extension().unwrap_or_default().display());
        let headers = [
            ("content-type", self.content_type().to_owned()),
            ("content-disposition", name),
            ("x-synthetic", "true".to_owned()),
        ];
        Ok((headers, bytes).into_response())
    }
}

/// Opens a video of pictures with this sound in a folder of its own.
pub(super) fn create(size: [u32; 2], sound: &Sound) -> Result<(VideoWriter, TempDir)> {
    let folder = TempDir::new().map_err(|e| Error::Internal(format!("a temporary folder: {e}")))?;
    let encoder = Encoder::from_environment()?;
    let format = VideoFormat { size, fps: FRAME_RATE, pixels: PixelFormat::Rgb24 };
    let writer =
        VideoWriter::create(&encoder, &folder.path().join("video.mp4"), format, Some(sound.samples()))?;
    Ok((writer, folder))
}

/// Ends a video.
pub(super) fn finish(writer: VideoWriter, folder: TempDir) -> Result<VideoFile> {
    Ok(VideoFile { path: writer.finish()?, _folder: folder })
}
