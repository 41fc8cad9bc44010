//! The doctor, `process --check video`: says in minutes whether a video will make a good head, and names everything that is
//! wrong with it at once.

use super::lip_offset::lip_offset;
use super::options::{Options, RATE, SCALE, SIDE};
use super::probe::{self, Probe};
use super::sound::offset_words;
use crate::audio::listen::Loudness;
use crate::audio::{self, Sound};
use crate::error::{Problem, Result};
use crate::face::{FaceModels, Landmarks, blendshapes};
use crate::media::Ffmpeg;
use image::{RgbImage, imageops};
use rayon::prelude::*;

/// Shorter clips show too few mouth shapes, seconds.
const GOOD_SECONDS: f64 = 60.0;
/// Width of a face below which the crop is blurred, pixels of the video.
const GOOD_FACE: f32 = 180.0;
/// Seconds between two frames in which expression is measured.
const EVERY: f64 = 0.4;
/// Frames in which lips are held against the sound, and frames that are in memory at once.
const LIP_FRAMES: usize = 300;
const AT_ONCE: usize = 16;
/// Offsets between lips and sound that nobody sees, seconds.
const UNSEEN: f64 = 0.1;
/// Hair reaches this far above the forehead, in heights of the face.
const HAIR: f32 = 0.3;
/// Share of a video that may be unreadable at its end by rounding.
const UNREADABLE: f64 = 0.05;
/// Frames that are turned upside down when no face is found.
const TURNED_LOOKS: usize = 6;

/// What the doctor found.
#[derive(Debug)]
pub struct Examination {
    /// One line for each criterion.
    pub text: String,
    /// Why no head can be made of the video, if so.
    pub refusals: Vec<Problem>,
}

/// Looks at everything that can be judged, whatever is wrong with the rest.
///
/// # Errors
/// [`crate::Error::Input`] for a file that is no video.
pub fn examine(options: &Options, tools: &Ffmpeg, models: &FaceModels) -> Result<Examination> {
    let probe = probe::probe(tools, models, &options.video)?;
    let refusals = probe::refusals(options, &probe);
    let mut report = Report::default();
    refusals
        .iter()
        .for_each(|p| report.bad(format!("expected {}, found {}; {}", p.expected, p.found, p.remedy)));
    describe_video(&mut report, &probe, options.scale.unwrap_or(SCALE));
    let has_zscale = probe.info.picture.needs_conversion() && tools.has_zscale();
    for note in probe.info.picture.notes(has_zscale) {
        report.line(has_zscale || !probe.info.picture.needs_conversion(), note);
    }
    let has_face = probe.boxes.iter().any(Option::is_some);
    let window = probe::square(&probe, options.scale);
    if has_face {
        look(tools, models, options, window)?.describe(&mut report, &probe, window);
    } else if is_upside_down(tools, models, options)? {
        report.bad("the picture is upside down; turn it by 180 degrees".into());
    }
    let sound = match (&options.audio, probe.info.sound.is_empty()) {
        (Some(path), _) => Some(audio::load_with_notes(path)),
        (None, false) => Some(audio::load_film(&options.video, &probe.info)),
        (None, true) => None,
    };
    match sound {
        None => report.line(false, "sound missing".into()),
        Some(Err(error)) => report.line(false, format!("sound: {error}")),
        Some(Ok((sound, notes))) => {
            describe_sound(&mut report, &sound, &notes);
            if has_face && options.audio.is_none() {
                let openings = openings(tools, models, options, window)?;
                match lip_offset(&openings, &sound) {
                    Some(late) if late.abs() > UNSEEN => report.line(false, offset_words(late)),
                    Some(late) => report.line(true, format!("sound and lips together ({late:+.2} s)")),
                    None => report.line(true, "sound and lips: too little speech to compare them".into()),
                }
            }
        }
    }
    Ok(Examination { text: report.text, refusals })
}

/// Lines of what was found.
#[derive(Default)]
struct Report {
    text: String,
}

impl Report {
    fn line(&mut self, good: bool, what: String) {
        self.text.push_str(&format!("{} {what}\n", if good { "good" } else { "poor" }));
    }

    fn bad(&mut self, what: String) {
        self.text.push_str(&format!("bad  {what}\n"));
    }
}

/// What was seen in the crop.
#[derive(Default)]
struct Seen {
    jaw: f32,
    blink: f32,
    turns: Vec<f32>,
    /// Room above the forehead in heights of the face, in each frame.
    room: Vec<f32>,
    upside_down: usize,
    lost: usize,
    count: usize,
}

fn look(tools: &Ffmpeg, models: &FaceModels, options: &Options, window: [u32; 4]) -> Result<Seen> {
    let mut seen = Seen::default();
    for frame in tools.window(&options.video, 1.0 / EVERY, window, SIDE)? {
        // Of a damaged video is judged what can be read.
        let Ok(frame) = frame else { break };
        seen.count += 1;
        match models.landmarks(&frame)? {
            Some(face) => seen.add(&face, &models.blendshapes(&face)?),
            None => seen.lost += 1,
        }
    }
    Ok(seen)
}

impl Seen {
    fn add(&mut self, face: &Landmarks, scores: &[f32]) {
        let score = |name: &str| {
            let index = blendshapes::NAMES.iter().position(|n| *n == name);
            index.and_then(|i| scores.get(i)).copied().unwrap_or(0.0)
        };
        self.jaw = self.jaw.max(score("jawOpen"));
        self.blink = self.blink.max((score("eyeBlinkLeft") + score("eyeBlinkRight")) / 2.0);
        let point = |index: usize| face.points.get(index).copied().unwrap_or_default();
        // Position of the nose tip between the ears: 0 from the front, ±0.5 in profile.
        let (nose, a, b) = (point(4), point(234), point(454));
        let width = b[0] - a[0];
        if width.abs() > 1.0 {
            self.turns.push((nose[0] - a[0]) / width - 0.5);
        }
        let (forehead, chin) = (point(10)[1], point(152)[1]);
        if chin > forehead {
            self.room.push(forehead / (chin - forehead));
        } else {
            self.upside_down += 1;
        }
    }

    fn describe(&self, report: &mut Report, probe: &Probe, [_, top, ..]: [u32; 4]) {
        report
            .line(self.lost == 0, format!("face lost in {} of {} looks at the crop", self.lost, self.count));
        if 2 * self.upside_down > self.count {
            report.bad("the picture is upside down; turn it by 180 degrees".into());
        }
        report.line(
            self.jaw > 0.3,
            format!("mouth opens to {:.2} (wide vowels are needed, 0.3 and more)", self.jaw),
        );
        report.line(
            self.blink > 0.5,
            format!("eyes close to {:.2} (blinks are needed, 0.5 and more)", self.blink),
        );
        let (low, high) = self.turns.iter().fold((0.0f32, 0.0f32), |(l, h), t| (l.min(*t), h.max(*t)));
        let turns =
            format!("head turns over {:.2} of its width (a little of left and right helps)", high - low);
        report.line(high - low > 0.1, turns);
        let mut room = self.room.clone();
        room.sort_by(f32::total_cmp);
        if room.get(room.len() / 2).is_some_and(|room| *room < HAIR) {
            let what = match top {
                0 => "hair: the top of the picture cuts it off",
                _ => "hair: the crop may cut it off; a larger --scale leaves more room",
            };
            report.line(false, what.into());
        }
        if let Some(seconds) = probe.info.seconds {
            let read = self.count as f64 * EVERY;
            if read < seconds * (1.0 - UNREADABLE) - 2.0 * EVERY {
                report.line(false, format!("damaged: {read:.1} s of {seconds:.1} s can be read"));
            }
        }
    }
}

fn describe_video(report: &mut Report, probe: &Probe, scale: f64) {
    let [left, top, side, _] = probe::square(probe, Some(scale).filter(|s| *s != SCALE));
    let seconds = probe.info.seconds.unwrap_or(0.0);
    report.line(seconds >= GOOD_SECONDS, format!("length {seconds:.1} s (one to five minutes are best)"));
    let rate = probe.info.rate;
    report.line((24.0..=60.5).contains(&rate), format!("{rate:.2} frames a second (25 are made of it)"));
    let found = probe.boxes.iter().flatten().count();
    report.line(found == probe.boxes.len(), format!("face found in {found} of {} looks", probe.boxes.len()));
    report.line(probe.second == 0, format!("second face in {} looks", probe.second));
    if found == 0 {
        return;
    }
    let mut widths: Vec<f32> = probe.boxes.iter().flatten().map(|b| b[2] - b[0]).collect();
    widths.sort_by(f32::total_cmp);
    let width = widths[widths.len() / 2];
    report
        .line(width >= GOOD_FACE, format!("face {width:.0} pixels wide ({GOOD_FACE:.0} and more are sharp)"));
    let crop = format!("crop {side}×{side} at {left}, {top} with scale {scale} (512 and more are sharp)");
    report.line(side >= SIDE, crop);
}

fn describe_sound(report: &mut Report, sound: &Sound, notes: &[String]) {
    notes.iter().for_each(|note| report.line(false, format!("sound: {note}")));
    let loudness = Loudness::of(sound);
    let faults = loudness.faults();
    faults.iter().for_each(|fault| report.line(false, format!("sound: {fault}")));
    if faults.is_empty() {
        report.line(true, format!("sound there ({:.0} dB at its loudest)", loudness.loud));
    }
}

/// How far the mouth is open in the first frames, 25 a second; as before where no face is seen.
fn openings(tools: &Ffmpeg, models: &FaceModels, options: &Options, window: [u32; 4]) -> Result<Vec<f32>> {
    let mut frames = tools.window(&options.video, RATE, window, SIDE)?.take(LIP_FRAMES);
    let mut openings: Vec<f32> = Vec::new();
    loop {
        let part: Vec<RgbImage> = frames.by_ref().take(AT_ONCE).map_while(Result::ok).collect();
        let faces: Vec<Option<Landmarks>> =
            part.par_iter().map(|frame| models.landmarks(frame)).collect::<Result<_>>()?;
        for face in faces {
            let before = openings.last().copied().unwrap_or(0.0);
            openings.push(face.map_or(before, |face| face.mouth_opening()));
        }
        if part.len() < AT_ONCE {
            return Ok(openings);
        }
    }
}

/// Whether faces are found once the picture is turned.
fn is_upside_down(tools: &Ffmpeg, models: &FaceModels, options: &Options) -> Result<bool> {
    let mut found = 0;
    for frame in tools.frames(&options.video, Some(1.0), None)?.take(TURNED_LOOKS) {
        let Ok(frame) = frame else { break };
        found += usize::from(models.landmarks(&imageops::rotate180(&frame))?.is_some());
    }
    Ok(found > TURNED_LOOKS / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{SoundTrack, VideoInfo};

    fn said(probe: &Probe, seen: &Seen, sound: &Sound) -> String {
        let mut report = Report::default();
        describe_video(&mut report, probe, SCALE);
        seen.describe(&mut report, probe, probe::square(probe, None));
        describe_sound(&mut report, sound, &[]);
        report.text
    }

    #[test]
    fn each_weakness_is_called_poor() {
        let info =
            VideoInfo { width: 640, height: 480, rate: 15.0, seconds: Some(9.0), ..VideoInfo::default() };
        let probe = Probe { info, boxes: vec![Some([0.0, 0.0, 90.0, 90.0]), None], second: 1 };
        let seen =
            Seen { jaw: 0.1, turns: vec![0.01], room: vec![0.1], lost: 1, count: 2, ..Seen::default() };
        let silence = Sound { samples: vec![0.0; 16_000], rate: 16_000 };
        let text = said(&probe, &seen, &silence);
        assert!(text.lines().all(|l| l.starts_with("poor")), "{text}");
        for word in ["length", "second face", "hair", "damaged: 0.8 s of 9.0 s", "sound: silent"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        let info = VideoInfo {
            width: 1920,
            height: 1080,
            rate: 25.0,
            seconds: Some(90.0),
            sound: vec![SoundTrack::default()],
            ..VideoInfo::default()
        };
        let probe = Probe { info, boxes: vec![Some([700.0, 300.0, 1100.0, 700.0]); 3], second: 0 };
        let seen = Seen {
            jaw: 0.5,
            blink: 0.8,
            turns: vec![-0.1, 0.1],
            room: vec![0.6],
            count: 225,
            ..Seen::default()
        };
        let words = |i: usize| if i % 8000 < 5000 { 0.3 * (i as f32 * 0.1).sin() } else { 0.0 };
        let voice = Sound { samples: (0..64_000).map(words).collect(), rate: 16_000 };
        let text = said(&probe, &seen, &voice);
        assert!(text.lines().all(|l| l.starts_with("good")), "{text}");
    }
}
