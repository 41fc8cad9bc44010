//! Frames into a video with its sound, and where the time went.

use super::output_folder::FRAMES;
use crate::Result;
use crate::live::attention::AttentionVideos;
use crate::live::frame_renderer::RenderedFrame;
use crate::live::stopwatch::FrameTimes;
use data_utils::audio::{self, FRAME_RATE, Sound};
use data_utils::media::{Encoder, PixelFormat, VideoFormat, VideoWriter, frame_file};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What was rendered, and where.
#[derive(Debug, Clone)]
pub struct RenderSummary {
    /// Frames of the video.
    pub frames: usize,
    /// The video with its sound, or the folder of PNG files.
    pub video: PathBuf,
    /// All files of it.
    pub files: Vec<PathBuf>,
    /// The attention videos, when they were asked for.
    pub attention: Vec<PathBuf>,
    /// From the program's start to the finished file.
    pub total: Duration,
    /// Before the first frame: reading the model and the voice, opening the device.
    pub start: Duration,
    /// Waiting for drawn pictures and for decoded torsos.
    pub frame_times: FrameTimes,
    /// Waiting for the encoder.
    pub encoding: Duration,
    /// Measuring how good the frames are.
    pub scoring: Duration,
}

/// How a video is written.
#[derive(Debug, Clone, Copy)]
pub struct RecordingOptions<'a> {
    /// What turns frames into a file.
    pub encoder: &'a Encoder,
    /// Whether the frames are RGBA.
    pub has_alpha: bool,
    /// Whether attention videos are written beside it.
    pub attention: bool,
}

/// A video that is being written.
pub struct Recording {
    writer: VideoWriter,
    /// Written beside PNG files, which have none.
    sound: Option<(PathBuf, Sound)>,
    attention: Option<AttentionVideos>,
    started: Instant,
    start: Duration,
    encoding: Duration,
    scoring: Duration,
    frames: usize,
}

impl Recording {
    /// Starts `renders` with the encoder's ending in `dir` (PNG files: the folder `frames`, and `renders.wav`), and with
    /// `attention` the attention videos beside it. `started` is when the program was.
    ///
    /// # Errors
    /// [`Error::Input`] when the folder cannot be written to.
    pub fn create(
        dir: &Path,
        size: [u32; 2],
        sound: Option<&Sound>,
        options: &RecordingOptions<'_>,
        started: Instant,
    ) -> Result<Self> {
        let RecordingOptions { encoder, has_alpha, attention } = *options;
        let opaque = VideoFormat { size, fps: FRAME_RATE, pixels: PixelFormat::Rgb24 };
        let pixels = if has_alpha { PixelFormat::Rgba8 } else { PixelFormat::Rgb24 };
        let is_folder = *encoder == Encoder::Frames;
        let name = if is_folder { FRAMES } else { "renders.mp4" };
        let format = VideoFormat { pixels, ..opaque };
        let writer = VideoWriter::create(encoder, &dir.join(name), format, sound.map(Sound::samples))?;
        // Attention is looked at, not composed.
        let viewing = if encoder.keeps_alpha() { &Encoder::from_environment()? } else { encoder };
        let attention =
            attention.then(|| AttentionVideos::create(viewing, dir, opaque, sound)).transpose()?;
        let sound = sound.filter(|_| is_folder).map(|sound| (dir.join("renders.wav"), sound.clone()));
        Ok(Recording {
            writer,
            sound,
            attention,
            started,
            start: started.elapsed(),
            encoding: Duration::ZERO,
            scoring: Duration::ZERO,
            frames: 0,
        })
    }

    /// Adds a frame; `score` looks at it first.
    ///
    /// # Errors
    /// Those of the encoder and of `score`.
    pub fn push(
        &mut self,
        frame: &RenderedFrame,
        score: impl FnOnce(&RenderedFrame) -> Result<()>,
    ) -> Result<()> {
        let begin = Instant::now();
        score(frame)?;
        let scored = Instant::now();
        self.writer.push(frame.picture.as_slice())?;
        if let Some(videos) = &mut self.attention {
            videos.push(&frame.attention)?;
        }
        self.scoring += scored - begin;
        self.encoding += scored.elapsed();
        self.frames += 1;
        Ok(())
    }

    /// Puts the videos in their place. Dropped before that, a recording leaves nothing behind.
    ///
    /// # Errors
    /// As [`Recording::push`]; [`Error::Internal`] when there was no frame.
    pub fn finish(mut self, frame_times: FrameTimes) -> Result<RenderSummary> {
        let begin = Instant::now();
        let attention = self.attention.take().map_or(Ok(Vec::new()), AttentionVideos::finish)?;
        let video = self.writer.finish()?;
        let mut files = vec![video.clone()];
        if video.is_dir() {
            files = (0..self.frames).map(|frame| video.join(frame_file(frame))).collect();
        }
        if let Some((path, sound)) = &self.sound {
            audio::write_wav(path, sound)?;
            files.push(path.clone());
        }
        Ok(RenderSummary {
            frames: self.frames,
            video,
            files,
            attention,
            total: self.started.elapsed(),
            start: self.start,
            frame_times,
            encoding: self.encoding + begin.elapsed(),
            scoring: self.scoring,
        })
    }
}

impl std::fmt::Display for RenderSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rate = |time: Duration| self.frames as f64 / time.as_secs_f64().max(1e-9);
        let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
        let times = &self.frame_times;
        writeln!(f, "{:<12} {}", "video", self.video.display())?;
        for path in &self.attention {
            writeln!(f, "{:<12} {}", "attention", path.display())?;
        }
        let length = self.frames as f64 / f64::from(FRAME_RATE);
        writeln!(f, "{:<12} {} ({length:.2} s of video)", "frames", self.frames)?;
        let (total, all) = (seconds(self.total), rate(self.total));
        let after = rate(self.total.saturating_sub(self.start));
        writeln!(f, "{:<12} {total} in all: {all:.1} frames a second, {after:.1} after the start", "time")?;
        let parts = [
            ("start", self.start),
            ("drawing", times.drawing),
            ("waiting for plates", times.plates),
            ("waiting for the encoder", self.encoding),
            ("scoring", self.scoring),
        ];
        let parts: Vec<String> =
            parts.iter().map(|(name, time)| format!("{name} {}", seconds(*time))).collect();
        writeln!(f, "{:<12} {}", "", parts.join(", "))?;
        let drawing = rate(times.drawing);
        write!(f, "{:<12} {drawing:.1} frames a second in field, rasterizer and composition alone", "drawing")
    }
}
