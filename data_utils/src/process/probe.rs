//! The first look at a video: where the face is, whether a head can be made of the video, and the square that holds
//! the head.

use super::options::{Options, RATE, SCALE, SIDE};
use crate::error::{Error, Problem, Result};
use crate::face::FaceModels;
use crate::media::{Ffmpeg, VideoInfo};
use image::RgbImage;
use std::path::Path;

/// Frames between two in which a face is looked for, as in SyncGaussianTalker.
const EVERY: f64 = 20.0;
/// Least number of frames in which a face is looked for.
const LEAST_LOOKS: f64 = 40.0;
/// Share of the lowest and of the highest values of each edge that are dropped as outliers, as in SyncGaussianTalker.
const DROPPED: f64 = 0.3;
/// The least that is accepted: side of the video and width of the face in pixels, length in seconds.
const LEAST_SIDE: u32 = 256;
const LEAST_FACE: f32 = 64.0;
const LEAST_SECONDS: f64 = 3.0;
/// Larger frames are scaled down to this side before faces are looked for, pixels.
const LOOK_SIDE: u32 = 1280;
/// Least share of those frames that must show a face, and the most that may show a second one.
const LEAST_FACES: f64 = 0.6;
const MOST_SECOND: f64 = 0.2;

/// Result of the first look at a video.
#[derive(Debug, Clone)]
pub struct Probe {
    /// What the container says.
    pub info: VideoInfo,
    /// Left, top, right and bottom of the face in each frame looked at, pixels of the video; none without a face.
    pub boxes: Vec<Option<[f32; 4]>>,
    /// Number of those frames with a second face.
    pub second: usize,
}

/// Looks for faces in every 20th frame, more often in short videos.
///
/// # Errors
/// [`Error::Input`] for a file that is no video.
pub fn probe(tools: &Ffmpeg, models: &FaceModels, path: &Path) -> Result<Probe> {
    let info = tools.probe(path)?;
    let scale = f64::from(LOOK_SIDE) / f64::from(info.width.max(info.height));
    let size = (scale < 1.0)
        .then(|| [info.width, info.height].map(|s| (f64::from(s) * scale).round().max(1.0) as u32));
    let scale = if scale < 1.0 { scale as f32 } else { 1.0 };
    let (mut boxes, mut second) = (Vec::new(), 0);
    let rate = info.seconds.map_or(0.0, |s| LEAST_LOOKS / s.max(0.1)).clamp(RATE / EVERY, RATE);
    for frame in tools.frames(path, Some(rate), size)? {
        // Of a damaged video is used what can be read.
        let frame: RgbImage = match frame {
            Err(_) if !boxes.is_empty() => break,
            frame => frame?,
        };
        let (face, all) = models.landmarks_and_faces(&frame)?;
        boxes.push(face.map(|f| bounds(&f.ibug68()).map(|v| v / scale)));
        second += usize::from(all.len() > 1);
    }
    Ok(Probe { info, boxes, second })
}

/// Bounding box of points: left, top, right, bottom.
pub fn bounds(points: &[[f32; 2]]) -> [f32; 4] {
    let nothing = [f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY];
    points.iter().fold(nothing, |b, [x, y]| [b[0].min(*x), b[1].min(*y), b[2].max(*x), b[3].max(*y)])
}

/// Refuses what no head can be made of. Nothing is written before this has passed.
///
/// # Errors
/// [`Error::Input`], the most telling reason alone.
pub fn validate(options: &Options, probe: &Probe) -> Result<()> {
    match refusals(options, probe).into_iter().next() {
        Some(problem) => Err(Error::Input(problem)),
        None => Ok(()),
    }
}

/// Every reason why no head can be made of a video, the most telling one first.
pub fn refusals(options: &Options, probe: &Probe) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut refuse = |expected: String, what: String, remedy: &str| {
        found.push(Problem::new(options.video.display(), expected, what, remedy));
    };
    let VideoInfo { width, height, seconds, sound, .. } = &probe.info;
    if *width.min(height) < LEAST_SIDE {
        let expected = format!("at least {LEAST_SIDE} pixels a side");
        refuse(expected, format!("{width}×{height}"), "use a recording of higher resolution");
    }
    if let Some(seconds) = seconds.filter(|s| *s < LEAST_SECONDS) {
        let expected = format!("at least {LEAST_SECONDS} seconds");
        refuse(expected, format!("{seconds:.2}"), "record one to five minutes");
    }
    if sound.is_empty() && options.audio.is_none() && !options.silent {
        let remedy =
            "name a recording of its own with --audio, or use --silent for a dataset without a voice";
        refuse("a sound track".into(), "none".into(), remedy);
    }
    let looks = probe.boxes.len().max(1);
    let faces: Vec<[f32; 4]> = probe.boxes.iter().flatten().copied().collect();
    let share = faces.len() as f64 / looks as f64;
    if faces.is_empty() {
        refuse(
            "a face".into(),
            format!("none in {looks} looks"),
            "use a video of one person facing the camera, upright, the head at least a sixth of the picture",
        );
        return found;
    }
    if share < LEAST_FACES {
        refuse(
            "a face nearly all the time".into(),
            format!("one in {} of {looks} looks", faces.len()),
            "cut the parts without the person out",
        );
    }
    if probe.second as f64 / looks as f64 > MOST_SECOND {
        refuse(
            "one person".into(),
            format!("two faces in {} of {looks} looks", probe.second),
            "crop the video to one of them",
        );
    }
    let mut widths: Vec<f32> = faces.iter().map(|b| b[2] - b[0]).collect();
    widths.sort_by(f32::total_cmp);
    let width = widths[widths.len() / 2];
    if width < LEAST_FACE {
        let expected = format!("a face at least {LEAST_FACE} pixels wide");
        refuse(expected, format!("{width:.0}"), "use a recording closer up or of higher resolution");
    }
    found
}

/// The square of the crop: left, top, width and height in pixels of the video. Of each edge of the face's box the middle
/// 40 % over time are used; the square is centred on the hull of these boxes and moved into the picture.
pub fn square(probe: &Probe, scale: Option<f64>) -> [u32; 4] {
    let (width, height) = (probe.info.width, probe.info.height);
    // A video of exactly this size was cropped before; cropping it again would only blur it.
    if [width, height] == [SIDE, SIDE] && scale.is_none() {
        return [0, 0, SIDE, SIDE];
    }
    let boxes: Vec<[f32; 4]> = probe.boxes.iter().flatten().copied().collect();
    let edge = |k: usize| {
        let mut values: Vec<f32> = boxes.iter().map(|b| b[k]).collect();
        values.sort_by(f32::total_cmp);
        let drop = (values.len() as f64 * DROPPED) as usize;
        let kept = &values[drop..values.len() - drop];
        let at = if k < 2 { kept.first() } else { kept.last() };
        f64::from(at.copied().unwrap_or_default())
    };
    let [left, top, right, bottom] = [0, 1, 2, 3].map(edge);
    let half = (right - left).max(bottom - top) / 2.0 * (1.0 + scale.unwrap_or(SCALE));
    let side = (2.0 * half).min(f64::from(width.min(height))).max(2.0);
    // Even numbers, since most videos store colour at half the resolution.
    let even = |v: f64| (v / 2.0).floor().max(0.0) as u32 * 2;
    let side = even(side);
    let place = |low: f64, high: f64, most: u32| {
        even(((low + high - f64::from(side)) / 2.0).clamp(0.0, f64::from(most.saturating_sub(side))))
    };
    [place(left, right, width), place(top, bottom, height), side, side]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(width: u32, height: u32, boxes: Vec<Option<[f32; 4]>>) -> Probe {
        let info = VideoInfo { width, height, rate: 30.0, seconds: Some(60.0), ..VideoInfo::default() };
        Probe { info, boxes, second: 0 }
    }

    #[test]
    fn the_square_lies_around_the_face_and_ignores_outliers() {
        let mut boxes = vec![Some([900.0, 300.0, 1100.0, 520.0]); 8];
        boxes.push(Some([0.0, 0.0, 1900.0, 1000.0]));
        boxes.push(None);
        let [left, top, side, also] = square(&seen(1920, 1080, boxes), None);
        assert_eq!((side, also), (440, 440));
        assert_eq!((left, top), (780, 190));
    }

    #[test]
    fn a_square_that_would_leave_the_picture_is_moved_and_cut() {
        let face = vec![Some([0.0, 0.0, 300.0, 400.0]); 5];
        assert_eq!(square(&seen(1280, 720, face.clone()), Some(1.2)), [0, 0, 720, 720]);
        assert_eq!(square(&seen(640, 960, face), Some(0.2)), [0, 0, 480, 480]);
    }

    #[test]
    fn a_video_that_was_cropped_before_stays_as_it_is() {
        let face = vec![Some([200.0, 200.0, 300.0, 320.0]); 5];
        assert_eq!(square(&seen(512, 512, face.clone()), None), [0, 0, 512, 512]);
        assert_ne!(square(&seen(512, 512, face), Some(1.0)), [0, 0, 512, 512]);
    }
}
