//! A playable video with its sound, written whole or not at all.
//!
//! Four encoders stand behind one [`VideoWriter`]:
//!
//! * `mp4`: H.264 (yuv420p) and AAC in an MP4 that starts playing before it is loaded; ffmpeg runs as a child process
//!   and gets the frames through a pipe.
//! * `avi`: Motion-JPEG and PCM in an AVI, without any other program, for machines that have no ffmpeg with these two
//!   encoders. Several times larger, just as playable.
//! * `webm`: VP9 and Opus by ffmpeg, with an alpha where the frames have one.
//! * PNG files in a folder, with an alpha where the frames have one; no sound.
//!
//! Encoding overlaps with the caller's drawing: a frame that was pushed waits in a short queue for a thread that
//! feeds ffmpeg, or is made a JPEG by rayon's threads. The sound is cut or filled with silence to exactly the length
//! of the frames.

use super::avi::{self, AviWriter};
use super::ffmpeg::{ENCODER_VARIABLE, Ffmpeg};
use super::ffmpeg_writer::{Container, FfmpegWriter};
use super::frame_files::{self, FrameFiles};
use super::pixels::PixelFormat;
use super::track::{Samples, Track};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Longest side of a video, pixels; what JPEG and H.264 players take.
const LONGEST_SIDE: u32 = 16384;
/// Frames that wait for ffmpeg at most.
const QUEUE: usize = 8;

/// What turns pictures into a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoder {
    /// This ffmpeg.
    Ffmpeg(Ffmpeg),
    /// The one inside, and why it was chosen.
    Embedded(String),
    /// This ffmpeg, as WebM.
    Webm(Ffmpeg),
    /// PNG files in a folder.
    Frames,
}

impl Encoder {
    /// The encoder the environment asks for: ffmpeg where it is found with the encoders needed, otherwise the
    /// embedded one.
    ///
    /// # Errors
    /// [`Error::Input`] when the variable holds an unknown word, or asks for an ffmpeg that is not there.
    pub fn from_environment() -> Result<Self> {
        let word = std::env::var_os(ENCODER_VARIABLE).unwrap_or_default();
        let word = word.to_string_lossy();
        let find = || Ffmpeg::find().and_then(|found| found.writes_mp4().map(|()| found));
        Encoder::chosen(&word, find)
    }

    fn chosen(word: &str, find: impl FnOnce() -> std::result::Result<Ffmpeg, String>) -> Result<Self> {
        match word {
            "embedded" => Ok(Encoder::Embedded(format!("{ENCODER_VARIABLE} asks for it"))),
            "" | "auto" => Ok(find().map_or_else(Encoder::Embedded, Encoder::Ffmpeg)),
            "ffmpeg" => find().map(Encoder::Ffmpeg).map_err(|why| {
                let expected = "an ffmpeg with libx264 and aac";
                Error::input(ENCODER_VARIABLE, expected, why, "install ffmpeg, or set it to embedded")
            }),
            other => {
                let found = format!("{other:?}");
                let remedy = "choose one of these, or unset it";
                Err(Error::input(ENCODER_VARIABLE, "auto, ffmpeg or embedded", found, remedy))
            }
        }
    }

    /// What a user should know about the file: which encoder made it and why.
    pub fn describe(&self) -> String {
        match self {
            Encoder::Ffmpeg(ffmpeg) => format!("H.264 and AAC in MP4 by {}", ffmpeg.program.display()),
            Encoder::Embedded(why) => {
                format!("Motion-JPEG and PCM in AVI by the embedded encoder ({why})")
            }
            Encoder::Webm(ffmpeg) => format!("VP9 and Opus in WebM by {}", ffmpeg.program.display()),
            Encoder::Frames => "PNG files".into(),
        }
    }

    /// The ending of the files it writes; none for a folder.
    pub fn extension(&self) -> &'static str {
        match self {
            Encoder::Ffmpeg(_) => "mp4",
            Encoder::Embedded(_) => "avi",
            Encoder::Webm(_) => "webm",
            Encoder::Frames => "",
        }
    }

    /// Whether what it writes can hold an alpha.
    pub fn keeps_alpha(&self) -> bool {
        matches!(self, Encoder::Webm(_) | Encoder::Frames)
    }
}

/// What the frames of a video are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoFormat {
    /// Width and height, pixels, 1 to 16384 each.
    pub size: [u32; 2],
    /// Frames a second.
    pub fps: u32,
    /// How the bytes of a frame lie.
    pub pixels: PixelFormat,
}

/// Takes frames and leaves a video. Dropped without [`VideoWriter::finish`] it leaves nothing.
#[derive(Debug)]
pub struct VideoWriter {
    /// To the thread that writes; gone once that has failed.
    queue: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<Result<()>>>,
    path: PathBuf,
    size: [usize; 2],
    format: PixelFormat,
    encoding: Encoding,
    frames: u64,
}

/// What the thread is told, in the order of the frames.
#[derive(Debug)]
enum Job {
    /// Pixels of a frame with even sides.
    Pixels(Vec<u8>),
    /// Where the JPEG or PNG of a frame will come from.
    Encoded(Receiver<Result<Vec<u8>>>),
    /// There are no more frames.
    Finish,
}

#[derive(Debug)]
enum Sink {
    Ffmpeg(FfmpegWriter),
    Avi(AviWriter),
    Frames(FrameFiles),
}

/// What is done to a frame before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// Nothing: ffmpeg takes pixels.
    None,
    Jpeg,
    Png,
}

impl VideoWriter {
    /// Starts a video. The ending of `path` becomes that of the encoder; [`VideoWriter::finish`] says what it is. PNG files go into
    /// the folder of that name without an ending. Without a sound the video is silent.
    ///
    /// # Errors
    /// [`Error::Input`] when the place cannot be written to, for a side of 0 or above 16384, for planes with an odd
    /// side.
    pub fn create(
        encoder: &Encoder,
        path: &Path,
        format: VideoFormat,
        sound: Option<Samples<'_>>,
    ) -> Result<Self> {
        let VideoFormat { size, fps, pixels } = format;
        let path = path.with_extension(encoder.extension());
        let is_odd = size.iter().any(|side| side % 2 == 1);
        if fps == 0
            || size.iter().any(|side| *side == 0 || *side > LONGEST_SIDE)
            || (pixels == PixelFormat::Yuv420p && is_odd)
        {
            let found = format!("{}×{} at {fps} as {pixels:?}", size[0], size[1]);
            let expected = format!("sides of 1 to {LONGEST_SIDE} pixels and some frames a second");
            return Err(Error::input(path.display(), expected, found, "choose another size"));
        }
        let track = sound.and_then(|sound| Track::of(sound, fps));
        let even = size.map(|side| side.next_multiple_of(2));
        let (sink, waiting) = match encoder {
            Encoder::Ffmpeg(ffmpeg) | Encoder::Webm(ffmpeg) => {
                let is_webm = matches!(encoder, Encoder::Webm(_));
                let by = (if is_webm { Container::Webm } else { Container::Mp4 }, ffmpeg);
                (Sink::Ffmpeg(FfmpegWriter::create(by, &path, even, fps, pixels, track)?), QUEUE)
            }
            // Every thread of rayon's has one at hand while it works on another.
            Encoder::Embedded(_) => (
                Sink::Avi(AviWriter::create(&path, even, fps, track)?),
                QUEUE.max(2 * rayon::current_num_threads()),
            ),
            Encoder::Frames => {
                (Sink::Frames(FrameFiles::create(&path)?), QUEUE.max(2 * rayon::current_num_threads()))
            }
        };
        let encoding = match sink {
            Sink::Avi(_) => Encoding::Jpeg,
            Sink::Frames(_) => Encoding::Png,
            Sink::Ffmpeg(_) => Encoding::None,
        };
        let (queue, jobs) = sync_channel(waiting);
        let thread = std::thread::Builder::new().name("video".into()).spawn(move || write(sink, &jobs));
        let thread = Some(thread.map_err(|e| Error::Internal(format!("a thread for a video: {e}")))?);
        let size = size.map(|side| side as usize);
        Ok(VideoWriter { queue: Some(queue), thread, path, size, format: pixels, encoding, frames: 0 })
    }

    /// Adds a frame in the format that was announced; waits while the queue is full.
    ///
    /// # Errors
    /// [`Error::Internal`] for a frame of another length; [`Error::Input`] when the file cannot be written, which may
    /// be known some frames later only.
    pub fn push(&mut self, pixels: impl Into<Vec<u8>>) -> Result<()> {
        let pixels = pixels.into();
        let [width, height] = self.size;
        if pixels.len() != self.format.frame_bytes(self.size) {
            return Err(Error::Internal(format!(
                "a frame of {} bytes for a {width}×{height} video of {:?}",
                pixels.len(),
                self.format
            )));
        }
        self.frames += 1;
        let (size, format) = (self.size, self.format);
        let even = size.map(|side| side.next_multiple_of(2));
        let job = match self.encoding {
            Encoding::None => Job::Pixels(format.pad_to_even(pixels, size)),
            Encoding::Jpeg => {
                let pixels = format.pad_to_even(pixels, size);
                Job::Encoded(encoded(move || {
                    avi::encode(&format.into_rgb(pixels, even), even.map(|side| side as u32))
                }))
            }
            Encoding::Png => Job::Encoded(encoded(move || frame_files::encode(pixels, size, format))),
        };
        self.send(job)
    }

    /// Frames taken so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Ends the video, puts it in its place and says where that is.
    ///
    /// # Errors
    /// [`Error::Input`] when the file cannot be written; [`Error::Internal`] when no frame came.
    pub fn finish(mut self) -> Result<PathBuf> {
        if self.frames == 0 {
            return Err(Error::Internal(format!("{}: a video without a picture", self.path.display())));
        }
        self.send(Job::Finish)?;
        self.join()?;
        Ok(std::mem::take(&mut self.path))
    }

    fn send(&mut self, job: Job) -> Result<()> {
        let sent = self.queue.as_ref().is_some_and(|queue| queue.send(job).is_ok());
        if sent {
            return Ok(());
        }
        // The thread has ended before us; why is its result.
        self.queue = None;
        self.join()?;
        Err(Error::Internal(format!("{}: a frame after the end of the video", self.path.display())))
    }

    fn join(&mut self) -> Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(Error::Internal(format!("{}: the encoder panicked", self.path.display()))),
            None => Ok(()),
        }
    }
}

impl Drop for VideoWriter {
    fn drop(&mut self) {
        // A queue that ends without `Finish` makes the thread remove what it has written.
        self.queue = None;
        drop(self.join());
    }
}

/// The work of the thread.
fn write(mut sink: Sink, jobs: &Receiver<Job>) -> Result<()> {
    for job in jobs {
        match (job, &mut sink) {
            (Job::Pixels(pixels), Sink::Ffmpeg(writer)) => writer.push(&pixels)?,
            (Job::Encoded(coming), sink) => {
                let lost = |_| Error::Internal("a picture that was never encoded".into());
                let bytes = coming.recv().map_err(lost)??;
                match sink {
                    Sink::Avi(writer) => writer.push(&bytes)?,
                    Sink::Frames(writer) => writer.push(&bytes)?,
                    Sink::Ffmpeg(_) => {
                        return Err(Error::Internal("an encoded frame for ffmpeg".into()));
                    }
                }
            }
            (Job::Finish, _) => {
                return match sink {
                    Sink::Ffmpeg(writer) => writer.finish(),
                    Sink::Avi(writer) => writer.finish(),
                    Sink::Frames(writer) => writer.finish(),
                };
            }
            _ => return Err(Error::Internal("a frame for another encoder".into())),
        }
    }
    Ok(())
}

/// Encodes a frame on one of rayon's threads.
fn encoded(encode: impl FnOnce() -> Result<Vec<u8>> + Send + 'static) -> Receiver<Result<Vec<u8>>> {
    let (done, coming) = sync_channel(1);
    // Nobody waits for it any more when the video was given up.
    let encode = move || drop(done.send(encode()));
    // A caller inside rayon's pool may be the only thread that could do it.
    if rayon::current_thread_index().is_some() {
        encode()
    } else {
        rayon::spawn_fifo(encode)
    }
    coming
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
