//! A playable video with its sound, written whole or not at all.
//!
//! Two encoders stand behind one [`VideoWriter`]:
//!
//! * [`ffmpeg`]: H.264 (yuv420p, crf 18) and AAC in an MP4 that starts playing before it is loaded; ffmpeg
//!   runs as a child process and gets the frames through a pipe.
//! * [`avi`]: Motion-JPEG and PCM in an AVI, without any other program, for machines that have no ffmpeg with
//!   these two encoders. Several times larger, just as playable.
//!
//! Pictures are RGB, `[rows, columns, 3]`, one byte a value. The sound is cut or filled with silence to
//! exactly the length of the frames. Odd sides are padded by one repeated row or column, because video codecs
//! halve the colour.

pub mod avi;
pub mod ffmpeg;

#[cfg(test)]
mod tests;

use crate::{Error, Result};
use data_utils::audio::Sound;
use std::path::{Path, PathBuf};

/// Environment variable that names the encoder: `auto` (or unset), `ffmpeg` or `embedded`.
pub const ENCODER_VARIABLE: &str = "SURFELTALK_ENCODER";

/// Longest side of a video, pixels; what JPEG and H.264 players take.
const LONGEST_SIDE: u32 = 16384;

/// What turns pictures into a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoder {
    /// The ffmpeg program of this path or name.
    Ffmpeg(PathBuf),
    /// The one inside.
    Embedded,
}

impl Encoder {
    /// The encoder the environment asks for: ffmpeg where it is found with the encoders needed, otherwise the
    /// embedded one.
    ///
    /// # Errors
    /// [`Error::Input`] when the variable holds an unknown word, or asks for an ffmpeg that is not there.
    pub fn from_environment() -> Result<Self> {
        let word = std::env::var_os(ENCODER_VARIABLE).unwrap_or_default();
        Encoder::chosen(&word.to_string_lossy(), ffmpeg::find())
    }

    fn chosen(word: &str, found: std::result::Result<PathBuf, String>) -> Result<Self> {
        match (word, found) {
            ("embedded", _) | ("" | "auto", Err(_)) => Ok(Encoder::Embedded),
            ("" | "auto" | "ffmpeg", Ok(program)) => Ok(Encoder::Ffmpeg(program)),
            ("ffmpeg", Err(why)) => Err(Error::input(
                ENCODER_VARIABLE,
                "an ffmpeg with libx264 and aac",
                why,
                "install ffmpeg, or set it to embedded",
            )),
            (other, _) => Err(Error::input(
                ENCODER_VARIABLE,
                "auto, ffmpeg or embedded",
                format!("{other:?}"),
                "choose one of these, or unset it",
            )),
        }
    }

    /// What a user should know about the file: which encoder made it and why.
    pub fn describe(&self) -> String {
        match self {
            Encoder::Ffmpeg(program) => format!("H.264 and AAC in MP4 by {}", program.display()),
            Encoder::Embedded => {
                let why = ffmpeg::find().err().unwrap_or_else(|| format!("{ENCODER_VARIABLE} asks for it"));
                format!("Motion-JPEG and PCM in AVI by the embedded encoder ({why})")
            }
        }
    }

    /// The ending of the files it writes.
    pub fn extension(&self) -> &'static str {
        match self {
            Encoder::Ffmpeg(_) => "mp4",
            Encoder::Embedded => "avi",
        }
    }
}

#[derive(Debug)]
enum Sink {
    Ffmpeg(ffmpeg::FfmpegWriter),
    Avi(avi::AviWriter),
}

/// Takes pictures and leaves a video. Dropped without [`VideoWriter::finish`] it leaves nothing.
#[derive(Debug)]
pub struct VideoWriter {
    sink: Sink,
    path: PathBuf,
    size: [usize; 2],
    frames: u64,
}

impl VideoWriter {
    /// Starts a video of `size` = [width, height] at `fps` frames a second with the encoder of the
    /// environment. The ending of `path` becomes that of the encoder; [`VideoWriter::finish`] says what it is.
    ///
    /// # Errors
    /// [`Error::Input`] when the place cannot be written to, for a side of 0 or above 16384, and as
    /// [`Encoder::from_environment`].
    pub fn create(path: &Path, size: [u32; 2], fps: u32, sound: Option<&Sound>) -> Result<Self> {
        VideoWriter::create_with(&Encoder::from_environment()?, path, size, fps, sound)
    }

    /// As [`VideoWriter::create`], with an encoder of choice.
    ///
    /// # Errors
    /// As [`VideoWriter::create`].
    pub fn create_with(
        encoder: &Encoder,
        path: &Path,
        size: [u32; 2],
        fps: u32,
        sound: Option<&Sound>,
    ) -> Result<Self> {
        let path = path.with_extension(encoder.extension());
        if fps == 0 || size.iter().any(|side| *side == 0 || *side > LONGEST_SIDE) {
            let found = format!("{}×{} at {fps}", size[0], size[1]);
            let expected = format!("sides of 1 to {LONGEST_SIDE} pixels and some frames a second");
            return Err(Error::input(path.display(), expected, found, "choose another size"));
        }
        let sound = sound.filter(|sound| sound.rate > 0).map(|sound| Track::of(sound, fps));
        let even = size.map(|side| side.next_multiple_of(2));
        let sink = match encoder {
            Encoder::Ffmpeg(program) => {
                Sink::Ffmpeg(ffmpeg::FfmpegWriter::create(program, &path, even, fps, sound)?)
            }
            Encoder::Embedded => Sink::Avi(avi::AviWriter::create(&path, even, fps, sound)?),
        };
        Ok(VideoWriter { sink, path, size: size.map(|side| side as usize), frames: 0 })
    }

    /// Adds a picture, `[rows, columns, 3]`.
    ///
    /// # Errors
    /// [`Error::Internal`] for a picture of another size; [`Error::Input`] when the file cannot be written.
    pub fn push(&mut self, rgb: &[u8]) -> Result<()> {
        let [width, height] = self.size;
        if rgb.len() != width * height * 3 {
            return Err(Error::Internal(format!(
                "a picture of {} bytes for a {width}×{height} video",
                rgb.len()
            )));
        }
        self.frames += 1;
        let padded = pad_to_even(rgb, width, height);
        let rgb = padded.as_deref().unwrap_or(rgb);
        match &mut self.sink {
            Sink::Ffmpeg(writer) => writer.push(rgb),
            Sink::Avi(writer) => writer.push(rgb),
        }
    }

    /// Pictures taken so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Ends the video, puts it in its place and says where that is.
    ///
    /// # Errors
    /// [`Error::Input`] when the file cannot be written; [`Error::Internal`] when no picture came.
    pub fn finish(self) -> Result<PathBuf> {
        if self.frames == 0 {
            return Err(Error::Internal(format!("{}: a video without a picture", self.path.display())));
        }
        match self.sink {
            Sink::Ffmpeg(writer) => writer.finish()?,
            Sink::Avi(writer) => writer.finish()?,
        }
        Ok(self.path)
    }
}

/// The sound of a video as 16-bit mono, cut by frames.
#[derive(Debug, Clone)]
struct Track {
    samples: Vec<i16>,
    rate: u32,
    fps: u32,
}

impl Track {
    fn of(sound: &Sound, fps: u32) -> Self {
        let quantise = |v: &f32| (v.clamp(-1.0, 1.0) * 32767.0).round() as i16;
        Track { samples: sound.samples.iter().map(quantise).collect(), rate: sound.rate, fps }
    }

    /// Samples before frame `frame`: the cut that is nearest to its time.
    fn samples_before(&self, frame: u64) -> u64 {
        (frame * u64::from(self.rate) + u64::from(self.fps) / 2) / u64::from(self.fps)
    }

    /// The sound of frames `from..to`, little-endian, silence past its end.
    fn bytes_of(&self, from: u64, to: u64) -> Vec<u8> {
        let samples = self.samples_before(from)..self.samples_before(to);
        let sample = |at| usize::try_from(at).ok().and_then(|at: usize| self.samples.get(at)).copied();
        samples.flat_map(|at| sample(at).unwrap_or(0).to_le_bytes()).collect()
    }
}

fn pad_to_even(rgb: &[u8], width: usize, height: usize) -> Option<Vec<u8>> {
    if width.is_multiple_of(2) && height.is_multiple_of(2) {
        return None;
    }
    let mut padded = Vec::with_capacity((width + 1) * (height + 1) * 3);
    for y in 0..height.next_multiple_of(2) {
        let row = &rgb[y.min(height - 1) * width * 3..][..width * 3];
        padded.extend_from_slice(row);
        if width % 2 == 1 {
            padded.extend_from_slice(&row[(width - 1) * 3..]);
        }
    }
    Some(padded)
}

/// The folder a file goes to, made when it is missing.
fn folder_for(path: &Path) -> Result<PathBuf> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_path_buf(),
        _ => PathBuf::from("."),
    };
    std::fs::create_dir_all(&dir).map_err(|e| Error::io(path, "a place to write a video to", &e))?;
    Ok(dir)
}

/// A temporary file beside `path`; it goes away unless it is put in its place.
fn temporary_for(path: &Path) -> Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix(".").suffix(".tmp");
    builder.tempfile_in(folder_for(path)?).map_err(|e| Error::io(path, "a place to write a video to", &e))
}

/// Puts a finished temporary file in its place so that it survives a power cut.
fn settle(file: tempfile::NamedTempFile, path: &Path) -> Result<()> {
    let fail = |e: std::io::Error| Error::io(path, "a place to write a video to", &e);
    file.as_file().sync_all().map_err(fail)?;
    file.persist(path).map_err(|e| fail(e.error))?;
    data_utils::files::sync_dir(&folder_for(path)?).map_err(fail)
}
