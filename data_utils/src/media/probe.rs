//! What a video is, by ffprobe.

use super::ffmpeg::{Ffmpeg, file_url};
use super::files::open_plain;
use super::picture_kind::PictureKind;
use super::pictures::MAX_SIDE;
use super::process::{ANSWER, Pipe, Process};
use crate::error::{Error, Problem, Result};
use std::path::Path;
use std::process::Command;

/// Bytes of ffprobe's answer that are read.
const MAX_ANSWER: u64 = 1 << 20;

/// What a video is.
#[derive(Debug, Clone, PartialEq, Default)]
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
    /// Its tracks of sound.
    pub sound: Vec<SoundTrack>,
    /// When the file begins by its own clock, seconds; streams may begin later.
    pub start: f64,
    /// What its pixels mean.
    pub picture: PictureKind,
}

/// A track of sound, as the container describes it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SoundTrack {
    /// Samples per second.
    pub rate: u32,
    /// Channels.
    pub channels: usize,
    /// When it begins by the file's clock, seconds.
    pub start: Option<f64>,
}

impl Ffmpeg {
    /// Size, rate and length of the first video stream.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that is no video, or of a size beyond 8192 pixels a side.
    pub fn probe(&self, path: &Path) -> Result<VideoInfo> {
        open_plain(path).map_err(|e| Error::io(path, "a video", &e))?;
        let mut command = Command::new(&self.probe);
        command.args(["-v", "error", "-protocol_whitelist", "file,pipe", "-of", "json", "-show_entries"]);
        command.arg(
            "stream=codec_type,width,height,avg_frame_rate,r_frame_rate,nb_frames,duration,start_time,sample_rate,\
             channels,pix_fmt,color_transfer,color_primaries,color_space,sample_aspect_ratio,field_order\
             :stream_side_data=rotation:format=duration,start_time",
        );
        command.arg("-i").arg(file_url(path));
        let mut process =
            Process::start(&mut command, Pipe::Output, ANSWER).map_err(|e| not_started(&self.probe, &e))?;
        let answer = process.read_to_end(MAX_ANSWER);
        let ended = process.finish(None);
        let answer = answer.map_err(|e| refuse(path, "a short answer of ffprobe", e.to_string()))?;
        ended.map_err(|said| refuse(path, "a video that ffmpeg reads", said))?;
        info(&answer).map_err(|found| refuse(path, "a video", found))
    }
}

pub(super) fn refuse(path: &Path, expected: &str, found: String) -> Error {
    Error::input(path.display(), expected, found, "check that this is the right file and plays to its end")
}

pub(super) fn not_started(program: &Path, error: &std::io::Error) -> Error {
    let remedy = "install ffmpeg and try again";
    Problem::new(program.display(), "a program that can be run", error.to_string(), remedy).into()
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
    let picture = PictureKind::of(video);
    if let Some([shape_x, shape_y]) = picture.pixel_shape {
        // As players do, the picture is stretched in width.
        width = (f64::from(width) * f64::from(shape_x) / f64::from(shape_y)).round() as u32;
        if width == 0 || width > MAX_SIDE {
            return Err(format!("{width}×{height} pixels as shown"));
        }
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
        sound: streams.iter().filter(|s| s["codec_type"] == "audio").map(sound_track).collect(),
        start: number(&json["format"]["start_time"]).unwrap_or(0.0),
        picture,
    })
}

fn sound_track(stream: &serde_json::Value) -> SoundTrack {
    SoundTrack {
        rate: stream["sample_rate"].as_str().and_then(|t| t.parse().ok()).unwrap_or(0),
        channels: stream["channels"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
        start: stream["start_time"].as_str().and_then(|t| t.parse().ok()),
    }
}

/// `25/1` as a number above 0.
fn fraction(text: &str) -> Option<f64> {
    let (above, below) = text.split_once('/')?;
    let value = above.parse::<f64>().ok()? / below.parse::<f64>().ok()?;
    (value.is_finite() && value > 0.0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart_and_a_turned_phone_is_turned_back() {
        let answer = |rotation: &str| {
            format!(
                r#"{{"streams":[{{"codec_type":"audio"}},{{"codec_type":"video","width":1920,"height":1080,
                "avg_frame_rate":"0/0","r_frame_rate":"30000/1001","nb_frames":"90",
                "side_data_list":[{{"rotation":{rotation}}}]}}],"format":{{"duration":"3.003"}}}}"#
            )
        };
        let turned = info(answer("-90").as_bytes()).expect("a video");
        assert_eq!(
            (turned.width, turned.height, turned.frames, turned.sound.len()),
            (1080, 1920, Some(90), 1)
        );
        assert!((turned.rate - 29.97).abs() < 1e-2 && turned.seconds == Some(3.003));
        assert_eq!(info(answer("180").as_bytes()).expect("a video").width, 1920);
        for bad in ["", "{}", r#"{"streams":[{"codec_type":"video","width":99999,"height":2}]}"#] {
            assert!(info(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
