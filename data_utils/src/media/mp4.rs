//! MP4 by ffmpeg, H.264 and AAC: how frames and sound are coded, and whether a file is whole.
//!
//! The colours are BT.709 and say so, because players guess differently. At 512×512 the preset `veryfast` codes
//! about 200 frames a second on each core, three times as many as `medium`; with crf 17 in place of 18 its files are 8 %
//! larger and 1.5 dB further from the frames (48.1 against 49.6 dB on a filmed head).

use super::ffmpeg::{ENCODER_VARIABLE, Ffmpeg, file_url};
use super::frames::window_filters;
use super::mp4_check::contents;
use super::pixels::PixelFormat;
use super::probe::{not_started, refuse};
use super::process::{Pipe, Process};
use crate::error::{Error, Result};
use image::RgbImage;
use std::path::Path;
use std::process::Command;

/// How frames are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// For people who look at it: as fast as the machine can.
    Viewing,
    /// The same bytes on every machine, with MPEG-4 part 2 where ffmpeg lacks libx264; `fine` for what is decoded
    /// and used again.
    Reproducible {
        /// High quality, for what is decoded and used again.
        fine: bool,
    },
}

impl Ffmpeg {
    /// Writes a window of a video (see [`Ffmpeg::window`]) with its sound as an mp4 that any player shows, the same
    /// bytes each time.
    ///
    /// # Errors
    /// [`Error::Input`] when ffmpeg cannot read the video or write the file, or what it wrote is not whole.
    pub fn write_window(&self, path: &Path, rate: f64, window: [u32; 4], side: u32, to: &Path) -> Result<()> {
        let mut command = self.command();
        command.arg("-i").arg(file_url(path));
        command.args(["-map", "0:v:0", "-map", "0:a:0?", "-map_metadata", "-1", "-map_chapters", "-1"]);
        let mut filters = self.picture_filters(&self.probe(path)?);
        filters.extend(window_filters(rate, window, side));
        command.arg("-vf").arg(filters.join(","));
        let coding = Coding::Reproducible { fine: true };
        code_video(&mut command, self, coding);
        code_sound(&mut command, coding);
        command.args(["-f", "mp4", "-y"]).arg(file_url(to));
        // A file that an ffmpeg without its parent may still write to gets another name.
        let _ = std::fs::remove_file(to);
        let mut process =
            Process::start(&mut command, Pipe::None, None).map_err(|e| not_started(&self.program, &e))?;
        let said = process.finish(Some(to)).map_err(|said| match is_of_writing(&said) {
            true => failure(to, said),
            false => refuse(path, "a video that ffmpeg reads", said),
        })?;
        verify(to, to, &said, None)
    }

    /// Writes pictures of one size, width and height, as an mp4 that any player shows, with the sound of a file, the
    /// same bytes each time.
    ///
    /// # Errors
    /// Those of the pictures; [`Error::Input`] when ffmpeg cannot read the sound or write the file.
    pub fn write_frames(
        &self,
        frames: &mut dyn Iterator<Item = Result<RgbImage>>,
        fps: u32,
        size: [u32; 2],
        sound: &Path,
        to: &Path,
    ) -> Result<()> {
        let mut command = self.command();
        raw_frames(&mut command, PixelFormat::Rgb24, size, fps).arg("-i").arg(file_url(sound));
        command.args(["-map", "0:v:0", "-map", "1:a:0"]);
        let coding = Coding::Reproducible { fine: false };
        code_video(&mut command, self, coding);
        code_sound(&mut command, coding);
        command.args(["-f", "mp4", "-y"]).arg(file_url(to));
        let mut process =
            Process::start(&mut command, Pipe::Input, None).map_err(|e| not_started(&self.program, &e))?;
        let mut count = 0;
        for frame in frames {
            let frame = frame?;
            count += 1;
            if <[u32; 2]>::from(frame.dimensions()) != size {
                return Err(Error::Internal(format!("a picture of {:?}", frame.dimensions())));
            }
            // A child that takes no more says why when it ends.
            if process.write(frame.as_raw()).is_err() {
                break;
            }
        }
        let said = process.finish(Some(to)).map_err(|said| failure(to, said))?;
        verify(to, to, &said, Some(count))
    }
}

/// Holds a file that ffmpeg wrote against what it should hold; `path` is its place. `said` is what ffmpeg said although
/// it ended well, `frames` the number of frames, where it is known.
pub(super) fn verify(written: &Path, path: &Path, said: &str, frames: Option<u64>) -> Result<()> {
    let found = match contents(written) {
        _ if is_of_writing(said) => said.to_owned(),
        Err(found) => found,
        Ok(found) if found.frames == 0 => "a video without frames".into(),
        Ok(found) => match frames {
            Some(frames) if frames != found.frames => format!("{} of {frames} frames", found.frames),
            _ => return Ok(()),
        },
    };
    Err(failure(
        path,
        if said.is_empty() || found == said { found } else { format!("{found}; it said: {said}") },
    ))
}

/// Whether ffmpeg's words are about the file it writes, and not about the one it reads.
pub(super) fn is_of_writing(said: &str) -> bool {
    const WORDS: [&str; 10] = [
        "No space left",
        "Disk quota",
        "File too large",
        "Read-only file system",
        "Permission denied",
        "Input/output error",
        "Error writing",
        "av_interleaved_write_frame",
        "Error muxing",
        "Error submitting a packet to the muxer",
    ];
    WORDS.iter().any(|word| said.contains(word))
}

pub(super) fn raw_frames(c: &mut Command, format: PixelFormat, size: [u32; 2], fps: u32) -> &mut Command {
    c.args(["-f", "rawvideo", "-pix_fmt", format.name(), "-s", &format!("{}x{}", size[0], size[1])]);
    c.args(["-framerate", &fps.to_string(), "-i", "pipe:0"])
}

/// What codes raw frames for people who look at them.
pub(super) fn code_frames(command: &mut Command, ffmpeg: &Ffmpeg, format: PixelFormat) {
    if format != PixelFormat::Yuv420p {
        command.args(["-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"]);
    }
    code_video(command, ffmpeg, Coding::Viewing);
}

fn code_video(command: &mut Command, ffmpeg: &Ffmpeg, coding: Coding) {
    match coding {
        Coding::Viewing => {
            command.args(["-c:v", "libx264", "-preset", "veryfast", "-crf", "17"]);
            command.args(["-color_range", "tv", "-colorspace", "bt709"]);
            command.args(["-color_primaries", "bt709", "-color_trc", "bt709"]);
        }
        Coding::Reproducible { fine } => {
            match ffmpeg.has_h264 {
                true => {
                    let quality = if fine { "14" } else { "20" };
                    command.args(["-c:v", "libx264", "-preset", "veryfast", "-crf", quality])
                }
                false => command.args(["-c:v", "mpeg4", "-q:v", if fine { "2" } else { "4" }]),
            };
            // A fixed number of threads: the encoder's output depends on it.
            command.args(["-pix_fmt", "yuv420p", "-threads", "2"]);
            command.args(["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"]);
        }
    }
}

pub(super) fn code_sound(command: &mut Command, coding: Coding) {
    match coding {
        // 48 kHz: every player takes it, and an AAC frame is then shorter than a video frame.
        Coding::Viewing => command.args(["-c:a", "aac", "-b:a", "128k", "-ar", "48000"]),
        Coding::Reproducible { .. } => command.args(["-c:a", "aac", "-b:a", "160k"]),
    };
}

pub(super) fn failure(path: &Path, found: String) -> Error {
    let remedy = match found.contains("No space left") || found.contains("Disk quota") {
        true => "free some space".to_owned(),
        false => format!("check the disk, or set {ENCODER_VARIABLE}=embedded to do without ffmpeg"),
    };
    Error::input(path.display(), "ffmpeg to write a whole video", found, remedy)
}
