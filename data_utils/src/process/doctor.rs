//! The doctor, `process --check video`: says in minutes whether a video will make a good head, and why not.

use super::options::{Options, SCALE, SIDE};
use super::probe::{self, Probe};
use crate::error::Result;
use crate::face::{FaceModels, blendshapes};
use crate::media::Ffmpeg;

/// Shorter clips show too few mouth shapes, seconds.
const GOOD_SECONDS: f64 = 60.0;
/// Width of a face below which the crop is blurred, pixels of the video.
const GOOD_FACE: f32 = 180.0;
/// Seconds between two frames in which expression is measured.
const EVERY: f64 = 0.4;

/// What the doctor says, one line for each criterion.
///
/// # Errors
/// As [`probe::validate`] for a video that no head can be made of.
pub fn examine(options: &Options, tools: &Ffmpeg, models: &FaceModels) -> Result<String> {
    let probe = probe::probe(tools, models, &options.video)?;
    probe::validate(options, &probe)?;
    let window = probe::square(&probe, options.scale);
    let (mut jaw, mut blink, mut turns, mut lost, mut count) = (0.0f32, 0.0f32, Vec::new(), 0usize, 0usize);
    for frame in tools.window(&options.video, 1.0 / EVERY, window, SIDE)? {
        let frame = frame?;
        count += 1;
        let Some(face) = models.landmarks(&frame)? else {
            lost += 1;
            continue;
        };
        let scores = models.blendshapes(&face)?;
        let score = |name: &str| {
            blendshapes::NAMES
                .iter()
                .position(|n| *n == name)
                .and_then(|i| scores.get(i))
                .copied()
                .unwrap_or(0.0)
        };
        jaw = jaw.max(score("jawOpen"));
        blink = blink.max((score("eyeBlinkLeft") + score("eyeBlinkRight")) / 2.0);
        // Position of the nose tip between the ears: 0 from the front, ±0.5 in profile.
        if let (Some(nose), Some(a), Some(b)) =
            (face.points.get(4), face.points.get(234), face.points.get(454))
        {
            let width = b[0] - a[0];
            if width.abs() > 1.0 {
                turns.push((nose[0] - a[0]) / width - 0.5);
            }
        }
    }
    Ok(words(&probe, window, options.scale.unwrap_or(SCALE), &Measured { jaw, blink, turns, lost, count }))
}

struct Measured {
    jaw: f32,
    blink: f32,
    turns: Vec<f32>,
    lost: usize,
    count: usize,
}

fn words(probe: &Probe, [left, top, side, _]: [u32; 4], scale: f64, seen: &Measured) -> String {
    let mut text = String::new();
    let mut line =
        |good: bool, what: String| text.push_str(&format!("{} {what}\n", if good { "good" } else { "poor" }));
    let seconds = probe.info.seconds.unwrap_or(0.0);
    line(seconds >= GOOD_SECONDS, format!("length {seconds:.1} s (one to five minutes are best)"));
    let rate = probe.info.rate;
    line((24.0..=60.5).contains(&rate), format!("{rate:.2} frames a second (25 are made of it)"));
    let mut widths: Vec<f32> = probe.boxes.iter().flatten().map(|b| b[2] - b[0]).collect();
    widths.sort_by(f32::total_cmp);
    let width = widths.get(widths.len() / 2).copied().unwrap_or(0.0);
    line(width >= GOOD_FACE, format!("face {width:.0} pixels wide ({GOOD_FACE:.0} and more are sharp)"));
    line(
        side >= SIDE,
        format!("crop {side}×{side} at {left}, {top} with scale {scale} (512 and more are sharp)"),
    );
    let found = probe.boxes.iter().flatten().count();
    line(found == probe.boxes.len(), format!("face found in {found} of {} looks", probe.boxes.len()));
    line(probe.second == 0, format!("second face in {} looks", probe.second));
    line(seen.lost == 0, format!("face lost in {} of {} looks at the crop", seen.lost, seen.count));
    line(seen.jaw > 0.3, format!("mouth opens to {:.2} (wide vowels are needed, 0.3 and more)", seen.jaw));
    line(seen.blink > 0.5, format!("eyes close to {:.2} (blinks are needed, 0.5 and more)", seen.blink));
    let (low, high) = seen.turns.iter().fold((0.0f32, 0.0f32), |(l, h), t| (l.min(*t), h.max(*t)));
    line(
        high - low > 0.1,
        format!("head turns over {:.2} of its width (a little of left and right helps)", high - low),
    );
    line(probe.info.has_sound, format!("sound {}", if probe.info.has_sound { "there" } else { "missing" }));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::VideoInfo;

    #[test]
    fn each_weakness_is_called_poor() {
        let info = VideoInfo {
            width: 640,
            height: 480,
            rate: 15.0,
            frames: None,
            seconds: Some(9.0),
            has_sound: false,
        };
        let probe = Probe { info, boxes: vec![Some([0.0, 0.0, 90.0, 90.0]), None], second: 1 };
        let seen = Measured { jaw: 0.1, blink: 0.0, turns: vec![0.01], lost: 1, count: 2 };
        let text = words(&probe, [0, 0, 200, 200], 1.0, &seen);
        assert!(text.lines().all(|l| l.starts_with("poor")), "{text}");
        let info = VideoInfo {
            width: 1920,
            height: 1080,
            rate: 25.0,
            frames: None,
            seconds: Some(90.0),
            has_sound: true,
        };
        let probe = Probe { info, boxes: vec![Some([0.0, 0.0, 400.0, 400.0]); 3], second: 0 };
        let seen = Measured { jaw: 0.5, blink: 0.8, turns: vec![-0.1, 0.1], lost: 0, count: 9 };
        assert!(words(&probe, [0, 0, 800, 800], 1.0, &seen).lines().all(|l| l.starts_with("good")));
    }
}
