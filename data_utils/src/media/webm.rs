//! Frames and sound into a WebM by ffmpeg: VP9, with an alpha where the frames have one, and Opus. The one video that browsers and
//! editors play with an alpha.
//!
//! VP9 keeps the alpha as a second picture beside the first, of straight colours. ffmpeg's own decoder leaves it out; `-c:v
//! libvpx-vp9` before the input reads it.

use super::ffmpeg::{Ffmpeg, file_url};
use super::files::{AtomicFile, Durability};
use super::mp4::{failure, feed, is_of_writing, raw_frames, raw_sound, sound_file, start};
use super::note::SYNTHETIC;
use super::pixels::PixelFormat;
use super::process::{ANSWER, Pipe, Process};
use super::track::Track;
use crate::error::Result;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::NamedTempFile;

/// Bytes of ffprobe's answer that are read.
const MAX_ANSWER: u64 = 1 << 12;

/// Writes a WebM. Dropped before its end it stops ffmpeg and leaves nothing.
#[derive(Debug)]
pub(super) struct WebmWriter {
    // Declared before the file, so that ffmpeg has ended when the file is removed.
    process: Process,
    file: AtomicFile,
    ffmpeg: Ffmpeg,
    path: PathBuf,
    sound: Option<(Track, NamedTempFile)>,
    frames: u64,
}

impl WebmWriter {
    pub(super) fn create(
        ffmpeg: &Ffmpeg,
        path: &Path,
        size: [u32; 2],
        fps: u32,
        format: PixelFormat,
        track: Option<Track>,
    ) -> Result<Self> {
        let file = AtomicFile::create(path, Durability::Durable)?;
        let sound = track.map(|track| sound_file(track, path)).transpose()?;
        let mut command = ffmpeg.command();
        raw_frames(&mut command, format, size, fps);
        if let Some((track, samples)) = &sound {
            raw_sound(&mut command, track).arg(file_url(samples.path()));
            command.args(["-map", "0:v:0", "-map", "1:a:0"]);
        }
        let pixels = if format == PixelFormat::Rgba8 { "yuva420p" } else { "yuv420p" };
        command.arg("-vf").arg(format!("scale=out_color_matrix=bt709:out_range=tv,format={pixels}"));
        // Alternate reference frames and an alpha exclude each other.
        command.args(["-c:v", "libvpx-vp9", "-auto-alt-ref", "0", "-b:v", "0", "-crf", "20", "-g", "125"]);
        command.args(["-deadline", "realtime", "-cpu-used", "5", "-row-mt", "1"]);
        command.args(["-color_range", "tv", "-colorspace", "bt709"]);
        command.args(["-color_primaries", "bt709", "-color_trc", "bt709"]);
        code_sound(&mut command);
        command.arg("-metadata").arg(format!("comment={SYNTHETIC}"));
        command.args(["-f", "webm", "-y"]).arg(file_url(file.temporary_path()));
        let process = start(&mut command, path)?;
        Ok(WebmWriter { process, file, ffmpeg: ffmpeg.clone(), path: path.into(), sound, frames: 0 })
    }

    pub(super) fn push(&mut self, pixels: &[u8]) -> Result<()> {
        self.frames += 1;
        feed(&mut self.process, pixels, &self.path)
    }

    /// Puts the video in its place when it is whole.
    pub(super) fn finish(mut self) -> Result<()> {
        let written = self.file.temporary_path().to_path_buf();
        let said = self.process.finish(Some(&written)).map_err(|said| failure(&self.path, said))?;
        self.verify(&written, &said)?;
        let Some((track, _)) = self.sound.as_ref().filter(|(track, _)| track.frames() != self.frames) else {
            return self.file.commit();
        };
        // More or fewer frames came than the sound lasts: it is cut or continued with silence.
        let joined = AtomicFile::create(&self.path, Durability::Durable)?;
        let mut command = self.ffmpeg.command();
        command.arg("-i").arg(file_url(&written));
        raw_sound(&mut command, track).arg("pipe:0");
        command.args(["-map", "0:v:0", "-map", "1:a:0", "-c:v", "copy"]);
        code_sound(&mut command);
        command.args(["-f", "webm", "-y"]).arg(file_url(joined.temporary_path()));
        let mut process = start(&mut command, &self.path)?;
        feed(&mut process, &track.bytes_of(0, self.frames), &self.path)?;
        let written = joined.temporary_path().to_path_buf();
        let said = process.finish(Some(&written)).map_err(|said| failure(&self.path, said))?;
        self.verify(&written, &said)?;
        joined.commit()
    }

    /// Holds the file against the frames it should hold, where ffprobe is there to count them.
    fn verify(&self, written: &Path, said: &str) -> Result<()> {
        let expected = self.frames;
        let found = match packets(&self.ffmpeg.probe, written) {
            _ if is_of_writing(said) => said.to_owned(),
            Some(found) if found != expected => format!("{found} of {expected} frames"),
            None if std::fs::metadata(written).map_or(0, |data| data.len()) == 0 => "an empty file".into(),
            _ => return Ok(()),
        };
        Err(failure(&self.path, if said.is_empty() { found } else { format!("{found}; it said: {said}") }))
    }
}

fn code_sound(command: &mut Command) {
    command.args(["-c:a", "libopus", "-b:a", "128k", "-ar", "48000"]);
}

/// Frames of a video's first picture stream; none where ffprobe does not say.
fn packets(probe: &Path, path: &Path) -> Option<u64> {
    let mut command = Command::new(probe);
    command.args(["-v", "error", "-protocol_whitelist", "file,pipe", "-select_streams", "v:0"]);
    command.args(["-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", "-i"]);
    command.arg(file_url(path));
    let mut process = Process::start(&mut command, Pipe::Output, ANSWER).ok()?;
    let said = process.read_to_end(MAX_ANSWER).ok()?;
    process.finish(None).ok()?;
    String::from_utf8_lossy(&said).trim().trim_end_matches(',').parse().ok()
}
