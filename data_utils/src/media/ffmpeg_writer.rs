//! Frames and sound into a video by ffmpeg, in one run: what is the same for every container.

use super::ffmpeg::{Ffmpeg, file_url};
use super::files::{AtomicFile, Durability};
use super::mp4::{self, failure};
use super::note::SYNTHETIC;
use super::pixels::PixelFormat;
use super::process::{Pipe, Process};
use super::track::Track;
use super::webm;
use crate::error::{Error, Result};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::NamedTempFile;

/// The container, and what is coded into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    /// H.264 and AAC.
    Mp4,
    /// VP9 and Opus.
    Webm,
}

impl Container {
    fn code_video(self, command: &mut Command, ffmpeg: &Ffmpeg, format: PixelFormat) {
        match self {
            Container::Mp4 => mp4::code_frames(command, ffmpeg, format),
            Container::Webm => webm::code_frames(command, format),
        }
    }

    fn code_sound(self, command: &mut Command) {
        match self {
            Container::Mp4 => mp4::code_sound(command, mp4::Coding::Viewing),
            Container::Webm => webm::code_sound(command),
        }
    }

    fn write_to(self, command: &mut Command, file: &Path) {
        match self {
            Container::Mp4 => command.args(["-movflags", "+faststart", "-f", "mp4", "-y"]),
            Container::Webm => command.args(["-f", "webm", "-y"]),
        };
        command.arg(file_url(file));
    }
}

/// Writes a video. Dropped before its end it stops ffmpeg and leaves nothing.
#[derive(Debug)]
pub(super) struct FfmpegWriter {
    // Declared before the file, so that ffmpeg has ended when the file is removed.
    process: Process,
    file: AtomicFile,
    ffmpeg: Ffmpeg,
    container: Container,
    path: PathBuf,
    sound: Option<(Track, NamedTempFile)>,
    frames: u64,
}

impl FfmpegWriter {
    pub(super) fn create(
        (container, ffmpeg): (Container, &Ffmpeg),
        path: &Path,
        size: [u32; 2],
        fps: u32,
        format: PixelFormat,
        track: Option<Track>,
    ) -> Result<Self> {
        let file = AtomicFile::create(path, Durability::Durable)?;
        let sound = track.map(|track| sound_file(track, path)).transpose()?;
        let mut command = ffmpeg.command();
        mp4::raw_frames(&mut command, format, size, fps);
        if let Some((track, samples)) = &sound {
            raw_sound(&mut command, track).arg(file_url(samples.path()));
            command.args(["-map", "0:v:0", "-map", "1:a:0"]);
        }
        container.code_video(&mut command, ffmpeg, format);
        container.code_sound(&mut command);
        command.arg("-metadata").arg(format!("comment={SYNTHETIC}"));
        container.write_to(&mut command, file.temporary_path());
        let process = start(&mut command, path)?;
        let (ffmpeg, path) = (ffmpeg.clone(), path.to_path_buf());
        Ok(FfmpegWriter { process, file, ffmpeg, container, path, sound, frames: 0 })
    }

    pub(super) fn push(&mut self, pixels: &[u8]) -> Result<()> {
        self.frames += 1;
        feed(&mut self.process, pixels, &self.path)
    }

    /// Puts the video in its place when it is whole: ffmpeg may end as if all were well though the disk was full.
    pub(super) fn finish(mut self) -> Result<()> {
        let written = self.file.temporary_path().to_path_buf();
        let said = self.process.finish(Some(&written)).map_err(|said| failure(&self.path, said))?;
        self.verify(&written, &said)?;
        let Some((track, _)) = self.sound.as_ref().filter(|(track, _)| track.frames() != self.frames) else {
            return self.file.commit();
        };
        // More or fewer frames came than the sound lasts: it is cut or continued with silence, now that their
        // number is known. ffmpeg's own way to cut it (-shortest) is off by what lies in its buffers.
        let joined = AtomicFile::create(&self.path, Durability::Durable)?;
        let mut command = self.ffmpeg.command();
        command.arg("-i").arg(file_url(&written));
        raw_sound(&mut command, track).arg("pipe:0");
        command.args(["-map", "0:v:0", "-map", "1:a:0", "-c:v", "copy"]);
        self.container.code_sound(&mut command);
        self.container.write_to(&mut command, joined.temporary_path());
        let mut process = start(&mut command, &self.path)?;
        feed(&mut process, &track.bytes_of(0, self.frames), &self.path)?;
        let written = joined.temporary_path().to_path_buf();
        let said = process.finish(Some(&written)).map_err(|said| failure(&self.path, said))?;
        self.verify(&written, &said)?;
        joined.commit()
    }

    /// Holds the file against the frames it should hold.
    fn verify(&self, written: &Path, said: &str) -> Result<()> {
        match self.container {
            Container::Mp4 => mp4::verify(written, &self.path, said, Some(self.frames)),
            Container::Webm => webm::verify(&self.ffmpeg, written, &self.path, said, self.frames),
        }
    }
}

/// The sound as a file of samples: ffmpeg has one standard input, and frames take it.
fn sound_file(track: Track, path: &Path) -> Result<(Track, NamedTempFile)> {
    let fail = |e: std::io::Error| Error::io(path, "a temporary folder for the sound of a video", &e);
    let mut samples = NamedTempFile::new().map_err(fail)?;
    samples.write_all(&track.bytes_of(0, track.frames())).map_err(fail)?;
    Ok((track, samples))
}

fn raw_sound<'a>(command: &'a mut Command, track: &Track) -> &'a mut Command {
    command.args(["-f", "s16le", "-ar", &track.rate.to_string(), "-ac", "1", "-i"])
}

fn start(command: &mut Command, path: &Path) -> Result<Process> {
    Process::start(command, Pipe::Input, None).map_err(|e| failure(path, e.to_string()))
}

fn feed(process: &mut Process, bytes: &[u8], path: &Path) -> Result<()> {
    process.write(bytes).map_err(|e| {
        // The pipe breaks when ffmpeg has ended before us; why is in its own words.
        let said = process.finish(None).err().unwrap_or_else(|| e.to_string());
        failure(path, said)
    })
}
