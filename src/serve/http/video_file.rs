//! A video in a folder of its own.

use super::reply::{Answer, blocking};
use crate::{Error, Result};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use data_utils::audio::{FRAME_RATE, Sound};
use data_utils::media::{Encoder, PixelFormat, VideoFormat, VideoWriter};
use futures_util::stream::unfold;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// How much of a file is read at once, bytes.
const PART: usize = 256 << 10;

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

    /// The file as an answer, read while it is sent; it stays until then.
    pub(super) async fn answer(self: Arc<Self>) -> Answer<Response> {
        let path = self.path.clone();
        let fail = |e: std::io::Error| Error::Internal(format!("a finished video: {e}"));
        let (file, length) = blocking(move || {
            let file = File::open(path).map_err(fail)?;
            let length = file.metadata().map_err(fail)?.len();
            Ok((file, length))
        })
        .await?;
        let name =
            format!("attachment; filename=synthetic.{}", self.path.extension().unwrap_or_default().display());
        let headers = [
            ("content-type", self.content_type().to_owned()),
            ("content-disposition", name),
            ("content-length", length.to_string()),
            ("x-synthetic", "true".to_owned()),
        ];
        let parts = unfold(Some((file, self)), |open| async move {
            let (mut file, kept) = open?;
            let read = move || {
                let mut part = vec![0; PART];
                let count = file.read(&mut part)?;
                part.truncate(count);
                Ok((file, part))
            };
            match tokio::task::spawn_blocking(read).await.unwrap_or_else(|e| Err(std::io::Error::other(e))) {
                Ok((_, part)) if part.is_empty() => None,
                Ok((file, part)) => Some((Ok(part), Some((file, kept)))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok((headers, Body::from_stream(parts)).into_response())
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
