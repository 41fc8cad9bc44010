//! ffmpeg as a child process: what a video is, and its frames as raw RGB through a pipe.
//!
//! Every argument is passed as it is, never through a shell; only local files and pipes may be opened; stdin is
//! closed. What ffmpeg says on stderr is kept to its last few kilobytes and becomes part of the error.

use crate::error::{Error, Problem, Result};
use image::RgbImage;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

/// Largest side of a video, pixels.
const MAX_SIDE: u32 = 8192;
/// Bytes of stderr that are kept.
const TAIL: usize = 4 << 10;
/// Bytes of ffprobe's answer that are read.
const MAX_ANSWER: u64 = 1 << 20;

/// The two programs.
#[derive(Debug, Clone)]
pub struct Ffmpeg {
    /// Path or name of ffmpeg.
    pub ffmpeg: PathBuf,
    /// Path or name of ffprobe.
    pub ffprobe: PathBuf,
    /// What it writes pictures with.
    pub encoder: Encoder,
}

/// How videos are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoder {
    /// H.264 by libx264.
    H264,
    /// MPEG-4 part 2, which every ffmpeg has; larger files.
    Mpeg4,
}

/// What a video is.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoInfo {
    /// Pixels in a row, as shown (a turned phone video is turned back).
    pub width: u32,
    /// Rows, as shown.
    pub height: u32,
    /// Frames a second.
    pub rate: f64,
    /// Frames by the container's count; not every container has one.
    pub frames: Option<u64>,
    /// Seconds by the container's count.
    pub seconds: Option<f64>,
    /// Whether there is sound.
    pub has_sound: bool,
}

/// ffmpeg and ffprobe where both can be run, otherwise nothing.
pub fn find() -> Option<Ffmpeg> {
    let (ffmpeg, ffprobe) = (PathBuf::from("ffmpeg"), PathBuf::from("ffprobe"));
    let answer = |program: &Path, question: &str| {
        let mut command = Command::new(program);
        command.args(["-hide_banner", question]).stdin(Stdio::null()).stderr(Stdio::null());
        command.output().ok().filter(|o| o.status.success())
    };
    let list = answer(&ffmpeg, "-encoders")?.stdout;
    answer(&ffprobe, "-version")?;
    let encoder = Encoder::best(&String::from_utf8_lossy(&list));
    Some(Ffmpeg { ffmpeg, ffprobe, encoder })
}

impl Encoder {
    /// The best of those that ffmpeg lists.
    fn best(list: &str) -> Self {
        let has = |name: &str| list.lines().any(|line| line.split_whitespace().nth(1) == Some(name));
        if has("libx264") { Encoder::H264 } else { Encoder::Mpeg4 }
    }
}

impl Ffmpeg {
    /// Size, rate and length of the first video stream.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that is no video, or of a size beyond 8192 pixels a side.
    pub fn probe(&self, path: &Path) -> Result<VideoInfo> {
        readable(path)?;
        let mut command = Command::new(&self.ffprobe);
        command.args(["-v", "error", "-protocol_whitelist", "file,pipe", "-of", "json", "-show_entries"]);
        command.arg("stream=codec_type,width,height,avg_frame_rate,r_frame_rate,nb_frames,duration:stream_side_data=rotation:format=duration");
        let mut running = Running::start(command.arg("-i").arg(file_url(path)), path, Stdio::null())?;
        let mut answer = Vec::new();
        let read = running.output.by_ref().take(MAX_ANSWER).read_to_end(&mut answer);
        running.finish()?;
        read.map_err(|e| Error::Internal(format!("ffprobe's answer: {e}")))?;
        info(&answer).map_err(|found| refuse(path, "a video", found))
    }

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
        let mut filters = Vec::new();
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
        self.stream(path, [side, side], &window_filters(rate, window, side), false)
    }

    /// Writes the same window of a video with its sound as an mp4 that any player shows, the same bytes each time.
    ///
    /// # Errors
    /// [`Error::Input`] when ffmpeg cannot read the video or write the file.
    pub fn write_window(&self, path: &Path, rate: f64, window: [u32; 4], side: u32, to: &Path) -> Result<()> {
        let mut command = Command::new(&self.ffmpeg);
        command
            .args(["-nostdin", "-v", "error", "-y", "-protocol_whitelist", "file,pipe", "-i"])
            .arg(file_url(path));
        command.args(["-map", "0:v:0", "-map", "0:a:0?", "-map_metadata", "-1", "-map_chapters", "-1"]);
        command.arg("-vf").arg(window_filters(rate, window, side).join(","));
        encoding(&mut command, self.encoder, true);
        Running::start(command.arg(file_url(to)), path, Stdio::null())?.finish()
    }

    /// Writes pictures of one size, width and height, as an mp4 that any player shows, with the sound of a file, the
    /// same bytes each time.
    ///
    /// # Errors
    /// Those of the pictures; [`Error::Input`] when ffmpeg cannot read the sound or write the file.
    pub fn write_frames(
        &self,
        frames: &mut dyn Iterator<Item = Result<RgbImage>>,
        rate: f64,
        [width, height]: [u32; 2],
        sound: &Path,
        to: &Path,
    ) -> Result<()> {
        let mut command = Command::new(&self.ffmpeg);
        command.args(["-v", "error", "-y", "-protocol_whitelist", "file,pipe"]);
        command.args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", &format!("{width}x{height}")]);
        command.args(["-r", &rate.to_string(), "-i", "pipe:0", "-i"]).arg(file_url(sound));
        command.args(["-map", "0:v:0", "-map", "1:a:0"]);
        encoding(&mut command, self.encoder, false);
        let mut running = Running::start(command.arg(file_url(to)), to, Stdio::piped())?;
        let Some(mut input) = running.child.stdin.take() else {
            return Err(Error::Internal("ffmpeg without a pipe".into()));
        };
        for frame in frames {
            let frame = frame?;
            if frame.dimensions() != (width, height) {
                return Err(Error::Internal(format!("a picture of {:?}", frame.dimensions())));
            }
            // A child that takes no more says why when it ends.
            if input.write_all(frame.as_raw()).is_err() {
                break;
            }
        }
        drop(input);
        running.finish()
    }

    fn stream(&self, path: &Path, size: [u32; 2], filters: &[String], every_one: bool) -> Result<Frames> {
        let mut command = Command::new(&self.ffmpeg);
        command
            .args(["-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe", "-i"])
            .arg(file_url(path));
        command.args(["-map", "0:v:0", "-an"]);
        if every_one {
            // Every decoded frame once; without this a variable rate is filled up with copies.
            command.args(["-fps_mode", "passthrough"]);
        }
        if !filters.is_empty() {
            command.arg("-vf").arg(filters.join(","));
        }
        command.args(["-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]);
        Ok(Frames {
            running: Some(Running::start(&mut command, path, Stdio::null())?),
            path: path.into(),
            width: size[0],
            height: size[1],
            read: 0,
        })
    }
}

/// Pictures and AAC in an mp4 without anything that differs from run to run; `fine` for what is read again.
fn encoding(command: &mut Command, encoder: Encoder, fine: bool) {
    match encoder {
        Encoder::H264 => {
            let quality = if fine { "14" } else { "20" };
            command.args(["-c:v", "libx264", "-preset", "veryfast", "-crf", quality])
        }
        Encoder::Mpeg4 => command.args(["-c:v", "mpeg4", "-q:v", if fine { "2" } else { "4" }]),
    };
    // A fixed number of threads: the encoder's output depends on it.
    command.args(["-pix_fmt", "yuv420p", "-threads", "2", "-c:a", "aac", "-b:a", "160k"]);
    command.args(["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", "-f", "mp4"]);
}

fn window_filters(rate: f64, [left, top, width, height]: [u32; 4], side: u32) -> Vec<String> {
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
    running: Option<Running>,
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
        let running = self.running.as_mut()?;
        let length = self.width as usize * self.height as usize * 3;
        let mut pixels = Vec::with_capacity(length);
        let got = running.output.by_ref().take(length as u64).read_to_end(&mut pixels);
        if matches!(got, Ok(n) if n == length) {
            self.read += 1;
            let whole = RgbImage::from_raw(self.width, self.height, pixels);
            return Some(whole.ok_or_else(|| Error::Internal("a frame of another length".into())));
        }
        let ended = self.running.take()?.finish();
        match (ended, got) {
            (Err(error), _) => Some(Err(error)),
            (Ok(()), Err(e)) => Some(Err(Error::io(&self.path, "frames of a video", &e))),
            (Ok(()), Ok(0)) if self.read > 0 => None,
            (Ok(()), Ok(0)) => Some(Err(refuse(&self.path, "a video with frames", "none".into()))),
            (Ok(()), Ok(n)) => Some(Err(refuse(&self.path, "whole frames", format!("{n} bytes of one")))),
        }
    }
}

/// A child whose stderr is read on the side, so that neither pipe can fill up; killed when it is dropped.
#[derive(Debug)]
struct Running {
    child: Child,
    output: ChildStdout,
    messages: Option<JoinHandle<String>>,
    path: PathBuf,
}

impl Running {
    fn start(command: &mut Command, path: &Path, input: Stdio) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| {
            Problem::new(&program, "a program that can be run", e.to_string(), "install ffmpeg and try again")
        })?;
        let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Error::Internal(format!("{program} without pipes")));
        };
        let messages = Some(std::thread::spawn(move || tail(errors)));
        Ok(Running { child, output, messages, path: path.into() })
    }

    fn finish(mut self) -> Result<()> {
        // The pipe is at its end or of no more interest; a child that still writes must not wait for us.
        let drained = std::io::copy(&mut self.output, &mut std::io::sink());
        let status: std::io::Result<ExitStatus> = drained.and_then(|_| self.child.wait());
        let said = self.messages.take().and_then(|m| m.join().ok()).unwrap_or_default();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(refuse(&self.path, "a video that ffmpeg reads", format!("{said} ({status})"))),
            Err(e) => Err(Error::Internal(format!("waiting for ffmpeg: {e}"))),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when the child has ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last part of what was said, on one line.
fn tail(mut errors: ChildStderr) -> String {
    let mut kept = Vec::new();
    let mut part = [0; 1024];
    while let Ok(n @ 1..) = errors.read(&mut part) {
        kept.extend_from_slice(&part[..n]);
        let over = kept.len().saturating_sub(TAIL);
        kept.drain(..over);
    }
    String::from_utf8_lossy(&kept).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `file:` keeps a name with a colon or a leading minus from being taken for something else.
fn file_url(path: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(path);
    url
}

fn readable(path: &Path) -> Result<()> {
    std::fs::File::open(path).map(drop).map_err(|e| Error::io(path, "a video", &e))
}

fn refuse(path: &Path, expected: &str, found: String) -> Error {
    Error::input(path.display(), expected, found, "check that this is the right file and plays to its end")
}

/// ffprobe's answer; what is wrong is said in a few words.
fn info(answer: &[u8]) -> std::result::Result<VideoInfo, String> {
    let json: serde_json::Value =
        serde_json::from_slice(answer).map_err(|e| format!("no answer of ffprobe: {e}"))?;
    let streams = json["streams"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |kind: &str| streams.iter().find(|s| s["codec_type"] == kind);
    let video = of("video").ok_or("no video stream")?;
    let side = |name: &str| video[name].as_u64().and_then(|s| u32::try_from(s).ok()).unwrap_or(0);
    let number = |value: &serde_json::Value| value.as_str().and_then(|t| t.parse::<f64>().ok());
    let [mut width, mut height] = [side("width"), side("height")];
    if [width, height].iter().any(|&s| s == 0 || s > MAX_SIDE) {
        return Err(format!("{width}×{height} pixels"));
    }
    let data = video["side_data_list"].as_array().map(Vec::as_slice).unwrap_or_default();
    let turned = data.iter().find_map(|d| d["rotation"].as_f64()).unwrap_or(0.0);
    if (turned / 90.0).round().rem_euclid(2.0) == 1.0 {
        (width, height) = (height, width);
    }
    let rate =
        [&video["avg_frame_rate"], &video["r_frame_rate"]].into_iter().find_map(|r| fraction(r.as_str()?));
    Ok(VideoInfo {
        width,
        height,
        rate: rate.ok_or("no frame rate")?,
        frames: video["nb_frames"].as_str().and_then(|t| t.parse().ok()),
        seconds: number(&video["duration"]).or(number(&json["format"]["duration"])),
        has_sound: of("audio").is_some(),
    })
}

/// `25/1` as a number above 0.
fn fraction(text: &str) -> Option<f64> {
    let (above, below) = text.split_once('/')?;
    let value = above.parse::<f64>().ok()? / below.parse::<f64>().ok()?;
    (value.is_finite() && value > 0.0).then_some(value)
}

#[cfg(test)]
#[path = "video_tests.rs"]
mod tests;
