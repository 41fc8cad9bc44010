//! The frames of a video as raw RGB through a pipe from ffmpeg.

use super::ffmpeg::{ALL_STREAMS, Ffmpeg, file_url};
use super::pictures::MAX_SIDE;
use super::probe::{VideoInfo, not_started, refuse};
use super::process::{Pipe, Process};
use crate::error::{Error, Result};
use image::RgbImage;
use std::path::{Path, PathBuf};

impl Ffmpeg {
    /// The frames of a video, at `rate` frames a second where one is given, scaled to `size` where one is given.
    ///
    /// # Errors
    /// As [`Ffmpeg::probe`]; each frame may fail later on.
    pub fn frames(&self, path: &Path, rate: Option<f64>, size: Option<[u32; 2]>) -> Result<Frames> {
        let found = self.probe(path)?;
        let [width, height] = size.unwrap_or([found.width, found.height]);
        if [width, height].iter().any(|&s| s == 0 || s > MAX_SIDE) {
            return Err(refuse(path, "a size of 1 to 8192 pixels a side", format!("{width}×{height}")));
        }
        let mut filters = self.picture_filters(&found);
        if let Some(rate) = rate {
            filters.push(format!("fps={rate}"));
        }
        if size.is_some() {
            filters.push(format!("scale={width}:{height}:flags=area"));
        }
        self.stream(path, [width, height], &filters, rate.is_none())
    }

    /// A part of a video's frames at `rate` frames a second from its very start: `window` is left, top, width and
    /// height in pixels as shown, scaled to a square of `side` pixels unless it is one already.
    ///
    /// # Errors
    /// As [`Ffmpeg::frames`].
    pub fn window(&self, path: &Path, rate: f64, window: [u32; 4], side: u32) -> Result<Frames> {
        if side == 0 || side > MAX_SIDE {
            return Err(refuse(path, "a side of 1 to 8192 pixels", side.to_string()));
        }
        let mut filters = self.picture_filters(&self.probe(path)?);
        filters.extend(window_filters(rate, window, side));
        self.stream(path, [side, side], &filters, false)
    }

    /// The frames of a video, `rate` a second from its very start, from number `first` on: those that [`Ffmpeg::window`] cuts its
    /// windows from.
    ///
    /// # Errors
    /// As [`Ffmpeg::frames`].
    pub fn frames_from(&self, path: &Path, rate: u32, first: usize) -> Result<Frames> {
        let found = self.probe(path)?;
        // Whole seconds are whole in every clock that a file counts by, so that frames are rounded to the same places as in one
        // pass; with one to spare the frame shown at the beginning is decoded as well.
        let (second, rest) = (first / rate.max(1) as usize, first % rate.max(1) as usize);
        let skipped = second.saturating_sub(1);
        let mut filters = self.picture_filters(&found);
        filters.push(format!("fps={rate}:start_time={}", second - skipped));
        // Filled up to a constant rate, the output would begin with copies of its first frame, back to the beginning.
        let mut frames =
            self.stream_from(skipped as u64, path, [found.width, found.height], &filters, true)?;
        for frame in frames.by_ref().take(rest) {
            frame?;
        }
        Ok(frames)
    }

    /// The filters that make of a video progressive pictures of square Rec. 709 pixels.
    pub(super) fn picture_filters(&self, info: &VideoInfo) -> Vec<String> {
        let has_zscale = info.picture.needs_conversion() && self.has_zscale();
        info.picture.filters([info.width, info.height], has_zscale)
    }

    fn stream(&self, path: &Path, size: [u32; 2], filters: &[String], all_frames: bool) -> Result<Frames> {
        self.stream_from(0, path, size, filters, all_frames)
    }

    fn stream_from(
        &self,
        skipped: u64,
        path: &Path,
        size: [u32; 2],
        filters: &[String],
        all_frames: bool,
    ) -> Result<Frames> {
        let mut command = self.command();
        if skipped > 0 {
            command.args(["-ss", &skipped.to_string()]);
        }
        command.arg("-i").arg(file_url(path)).args(["-map", "0:v:0", "-an"]);
        if all_frames {
            // Every decoded frame once; without this a variable rate is filled up with copies.
            command.args(["-fps_mode", "passthrough"]);
        }
        if !filters.is_empty() {
            command.arg("-vf").arg(filters.join(","));
        }
        command.args(["-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]).args(ALL_STREAMS);
        let process =
            Process::start(&mut command, Pipe::Output, None).map_err(|e| not_started(&self.program, &e))?;
        Ok(Frames { process: Some(process), path: path.into(), width: size[0], height: size[1], read: 0 })
    }
}

/// The filters that cut a window out of a video and scale it to a square.
pub(super) fn window_filters(rate: f64, [left, top, width, height]: [u32; 4], side: u32) -> Vec<String> {
    let mut filters =
        vec![format!("fps={rate}:start_time=0"), format!("crop={width}:{height}:{left}:{top}:exact=1")];
    if [width, height] != [side, side] {
        filters.push(format!("scale={side}:{side}:flags=lanczos+accurate_rnd+full_chroma_int"));
    }
    filters
}

/// The frames of a video, one after the other; ffmpeg ends with it.
#[derive(Debug)]
pub struct Frames {
    process: Option<Process>,
    path: PathBuf,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    read: u64,
}

impl Iterator for Frames {
    type Item = Result<RgbImage>;

    fn next(&mut self) -> Option<Self::Item> {
        let process = self.process.as_mut()?;
        let length = self.width as usize * self.height as usize * 3;
        let got = process.read(length);
        let found = match got {
            Ok(pixels) if pixels.len() == length => {
                self.read += 1;
                let whole = RgbImage::from_raw(self.width, self.height, pixels);
                return Some(whole.ok_or_else(|| Error::Internal("a frame of another length".into())));
            }
            Ok(pixels) => Ok(pixels.len()),
            Err(error) => Err(error),
        };
        let ended = self.process.take()?.finish(None);
        match (ended, found) {
            (Err(said), _) => Some(Err(refuse(&self.path, "a video that ffmpeg reads", said))),
            (Ok(_), Err(e)) => Some(Err(Error::io(&self.path, "frames of a video", &e))),
            (Ok(_), Ok(0)) if self.read > 0 => None,
            (Ok(_), Ok(0)) => Some(Err(refuse(&self.path, "a video with frames", "none".into()))),
            (Ok(_), Ok(n)) => Some(Err(refuse(&self.path, "whole frames", format!("{n} bytes of one")))),
        }
    }
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
