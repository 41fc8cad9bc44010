//! `score motion`: how the motion that is generated for a head compares with the clip's own.

use super::output;
use crate::head::field::EXPRESSION;
use crate::head::motion::{HEARD_AT, INPUTS, LIDS, Motion, MotionGenerator, frames_of, row_means};
use crate::metrics::motion::{MotionScore, MotionTrack, POSE};
use crate::metrics::report::{Column, Figure, Report};
use crate::{Camera, Error, Result};
use data_utils::audio::FRAME_RATE;
use data_utils::dataset::{AudioChoice, Dataset, FrameMeta, OpenOptions, Split};
use std::path::PathBuf;

/// How generated motion compares with the clip's own: it is learned from the training frames and made for the speech of the
/// training frames and of the held-out ones, again and again. Ratios are generated over filmed.
#[derive(Debug, clap::Args)]
#[command(rename_all = "snake_case")]
pub struct MotionFlags {
    /// Dataset to learn from (data/xxx)
    #[arg(short = 's', long = "source_path")]
    source_path: PathBuf,
    /// Audio feature: auto, ave, speech, mel, deepspeech or hubert
    #[arg(long, default_value = "auto")]
    asr: AudioChoice,
    /// Minutes of motion that are made
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=120))]
    minutes: u32,
    /// Seed of the motion
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Prints the figures.
///
/// # Errors
/// [`Error::Input`] when the dataset cannot be read or is too short.
pub fn run(flags: &MotionFlags) -> Result<()> {
    let options = OpenOptions { audio: flags.asr, ..OpenOptions::default() };
    let dataset = Dataset::open(&flags.source_path, &options)?;
    let too_short = || {
        let remedy = "motion is learned from four seconds of film or more, with sound";
        Error::input(flags.source_path.display(), "enough consecutive frames that move", "too few", remedy)
    };
    let motion = Motion::of(&dataset, Some(Split::Train))?.ok_or_else(too_short)?;
    let filmed = track_of(&motion, &dataset, &frames_of(&dataset, Some(Split::Train)));
    let mut report = Report::new(columns());
    let frames = (flags.minutes * 60 * FRAME_RATE) as usize;
    for (name, split) in [("training speech", Split::Train), ("held-out speech", Split::Val)] {
        let spoken = frames_of(&dataset, Some(split));
        let Some(lens) = spoken.first().map(|frame| frame.camera) else { continue };
        let heard: Vec<f64> = track_of(&motion, &dataset, &spoken).loudness;
        let generated = generate(&motion, &heard, frames, &lens, flags.seed);
        let score = MotionScore::of(&filmed, &generated).ok_or_else(too_short)?;
        report.push(name, frames, figures(&score))?;
    }
    output::result(report.to_string().trim_end());
    Ok(())
}

/// What the frames of a dataset do.
fn track_of(motion: &Motion, dataset: &Dataset, frames: &[&FrameMeta]) -> MotionTrack {
    let mut track = MotionTrack::default();
    for frame in frames {
        let row = row_means(&dataset.audio, frame.aud_id as usize);
        add(&mut track, motion, &frame.camera, &frame.expression, motion.loudness_of(&row));
    }
    track
}

/// Motion for a sound that is heard again and again.
fn generate(motion: &Motion, heard: &[f64], frames: usize, lens: &Camera, seed: u64) -> MotionTrack {
    let mut generator = MotionGenerator::new(motion, seed);
    let at = |t: usize, offset: isize| heard[t.saturating_add_signed(offset) % heard.len()];
    let mut track = MotionTrack::default();
    for t in 0..frames {
        let inputs: [f64; INPUTS] = std::array::from_fn(|k| at(t, HEARD_AT[k + 1]) - at(t, HEARD_AT[k]));
        let (camera, expression) = generator.next_frame(motion, inputs, at(t, 0), lens);
        add(&mut track, motion, &camera, &expression, at(t, 0));
    }
    track
}

fn add(
    track: &mut MotionTrack,
    motion: &Motion,
    camera: &Camera,
    expression: &[f32; EXPRESSION],
    loudness: f64,
) {
    let numbers = motion.basis.numbers(camera, &[0.0; EXPRESSION]);
    track.poses.push(std::array::from_fn::<f64, POSE, _>(|k| numbers[k]));
    track.closed.push(LIDS.iter().map(|lid| expression[*lid]).sum::<f32>() / LIDS.len() as f32);
    track.loudness.push(loudness);
}

fn columns() -> Vec<Column> {
    let axes = [("pitch", "pitch"), ("yaw", "yaw"), ("roll", "roll"), ("x", "x"), ("y", "y"), ("z", "z")];
    let others = [
        ("speed_spectrum", "speed, worst band"),
        ("acceleration_spectrum", "acceleration, worst band"),
        ("follows_filmed", "follows loudness, filmed"),
        ("follows", "generated"),
        ("blinks_filmed", "blinks/min, filmed"),
        ("blinks", "generated"),
        ("blink_frames_filmed", "frames/blink, filmed"),
        ("blink_frames", "generated"),
        ("outside", "outside 1–99 %"),
        ("jump", "fastest frame"),
        ("repeat", "repeat r"),
    ];
    let column = |(key, title): &(&str, &str)| Column::new(key, title, 2);
    axes.iter()
        .map(|(key, title)| Column::new(key, &format!("speed {title}"), 2))
        .chain(others.iter().map(column))
        .collect()
}

fn figures(score: &MotionScore) -> Vec<Figure> {
    let mut values = score.speed.to_vec();
    values.extend([score.speed_spectrum, score.acceleration_spectrum]);
    values.extend(score.follows.iter().chain(&score.blinks).chain(&score.blink_frames));
    values.extend([score.outside, score.jump, score.repeat]);
    values.into_iter().map(Figure::new).collect()
}
