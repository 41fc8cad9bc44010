//! Frames as PNG files in a folder, numbered from 0, for programs that compose pictures: with an alpha where they have one.

use super::files::write_bytes_fast;
use super::pixels::PixelFormat;
use crate::error::{Error, Result};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use std::path::{Path, PathBuf};

/// Writes the files. Dropped before its end it removes those it has written.
#[derive(Debug)]
pub(super) struct FrameFiles {
    folder: PathBuf,
    /// Whether the folder was made here.
    is_new: bool,
    frames: usize,
    is_finished: bool,
}

/// A picture as PNG: straight colours and alpha for [`PixelFormat::Rgba8`], else RGB.
pub(super) fn encode(pixels: Vec<u8>, size: [usize; 2], format: PixelFormat) -> Result<Vec<u8>> {
    let (pixels, color) = match format {
        PixelFormat::Rgba8 => (pixels, ExtendedColorType::Rgba8),
        other => (other.into_rgb(pixels, size), ExtendedColorType::Rgb8),
    };
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Adaptive)
        .write_image(&pixels, size[0] as u32, size[1] as u32, color)
        .map_err(|e| Error::Internal(format!("a {size:?} picture as PNG: {e}")))?;
    Ok(png)
}

impl FrameFiles {
    pub(super) fn create(folder: &Path) -> Result<Self> {
        let is_new = !folder.exists();
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "a place to write to", &e))?;
        Ok(FrameFiles { folder: folder.into(), is_new, frames: 0, is_finished: false })
    }

    pub(super) fn push(&mut self, png: &[u8]) -> Result<()> {
        write_bytes_fast(&self.path(self.frames), png)?;
        self.frames += 1;
        Ok(())
    }

    /// Keeps the files, and removes those that follow them: the rest of a longer video that this one takes the place of.
    pub(super) fn finish(mut self) -> Result<()> {
        self.is_finished = true;
        for path in (self.frames..).map(|frame| self.path(frame)).take_while(|path| path.is_file()) {
            std::fs::remove_file(&path).map_err(|e| Error::io(&path, "a file that may be removed", &e))?;
        }
        Ok(())
    }

    fn path(&self, frame: usize) -> PathBuf {
        self.folder.join(frame_file(frame))
    }
}

/// The name of a frame's file.
pub fn frame_file(frame: usize) -> String {
    format!("{frame:05}.png")
}

impl Drop for FrameFiles {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        // What cannot be removed stays; there is nobody to tell.
        (0..self.frames).for_each(|frame| drop(std::fs::remove_file(self.path(frame))));
        if self.is_new {
            drop(std::fs::remove_dir(&self.folder));
        }
    }
}
