//! The `score` subcommands: how well lips follow a voice and poses the head, and how the head moves, from files alone.

use super::output;
use super::score_motion::{self, MotionFlags};
use super::score_poses::{self, PoseFlags};
use crate::metrics::lip_prediction::{LipPredictor, PredictionScore, Speaker, score_own};
use crate::metrics::lip_report;
use crate::metrics::lip_track::{COLUMNS, LipTrack, OPEN, WIDTH};
use crate::metrics::report::{Column, Figure, Mean, Report};
use crate::{Error, Result};
use clap::{Parser, Subcommand};
use data_utils::audio::features::{AudioFeatures, AudioKind};
use data_utils::audio::{self, SAMPLE_RATE, Sound};
use data_utils::dataset::{AudioChoice, Dataset, OpenOptions};
use data_utils::face::blendshapes::NAMES;
use data_utils::formats::npy;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Scores how lips follow a voice, how poses follow the head, and how a head moves.
#[derive(Debug, Parser)]
#[command(name = "score", version, rename_all = "snake_case")]
pub struct ScoreFlags {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Features(FeatureFlags),
    Lips(LipFlags),
    Motion(MotionFlags),
    Poses(PoseFlags),
}

/// How well lips of other people can be told from audio features, learned from one dataset.
#[derive(Debug, clap::Args)]
#[command(rename_all = "snake_case")]
struct FeatureFlags {
    /// Dataset to learn from (data/xxx)
    #[arg(short = 's', long = "source_path")]
    source_path: PathBuf,
    /// Folder of other people: NAME.npy with their filmed lips beside NAME.flac or NAME.wav, 25 frames a second; names that
    /// differ in their last letter alone are the same person
    #[arg(long)]
    people: Option<PathBuf>,
    /// Audio features, one after the other
    #[arg(long, value_delimiter = ',', default_value = "mel,speech")]
    asr: Vec<String>,
    /// Adds noise this many dB below the people's voices
    #[arg(long)]
    noise: Option<f64>,
    /// Makes the people's voices this many dB quieter
    #[arg(long, default_value_t = 0.0)]
    quieter: f64,
}

/// How drawn lips follow filmed ones: tracks as `render --face_landmarker` writes them.
#[derive(Debug, clap::Args)]
#[command(rename_all = "snake_case")]
struct LipFlags {
    /// Lips of a rendered head, lips.npy
    #[arg(long)]
    drawn: PathBuf,
    /// Filmed lips of the person whose voice it is
    #[arg(long)]
    filmed: PathBuf,
    /// The voice, for movement in silence
    #[arg(long)]
    voice: Option<PathBuf>,
    /// The filmed person is somebody else than the head
    #[arg(long)]
    foreign: bool,
}

/// Runs `score` with the flags given.
///
/// # Errors
/// [`Error::Input`] for the user's mistakes.
pub fn run(flags: &ScoreFlags) -> Result<()> {
    match &flags.what {
        What::Features(flags) => features(flags),
        What::Lips(flags) => lips(flags),
        What::Motion(flags) => score_motion::run(flags),
        What::Poses(flags) => score_poses::run(flags),
    }
}

fn lips(flags: &LipFlags) -> Result<()> {
    let (drawn, filmed) = (LipTrack::read(&flags.drawn)?, LipTrack::read(&flags.filmed)?);
    let loudness = flags.voice.as_ref().map(|path| audio::load(path)).transpose()?;
    let loudness = loudness.as_ref().map(Sound::loudness_per_frame);
    let report = match flags.foreign {
        true => lip_report::of_foreign_voice("drawn", &drawn, &filmed)?,
        false => lip_report::of_own_voice("drawn", &drawn, &filmed, loudness.as_deref())?,
    };
    output::result(report.to_string().trim_end());
    Ok(())
}

fn features(flags: &FeatureFlags) -> Result<()> {
    let people = flags.people.as_deref().map(people).transpose()?.unwrap_or_default();
    for name in &flags.asr {
        let kind = AudioKind::parse(name)?;
        let options = OpenOptions { audio: AudioChoice::Kind(kind), ..OpenOptions::default() };
        let teacher = teacher(&Dataset::open(&flags.source_path, &options)?)?;
        let predictor = LipPredictor::learn(&teacher)?;
        let mut report = Report::new(columns());
        report.push("itself, elevenths", teacher.lips.frames.len(), figures(&score_own(&teacher)?))?;
        let mut means: Vec<Mean> = vec![Mean::default(); columns().len()];
        let mut frames = 0;
        for (person, clips) in &people {
            let mut of_person: Vec<Mean> = vec![Mean::default(); columns().len()];
            let mut seen = 0;
            for (number, clip) in clips.iter().enumerate() {
                let speaker = speaker(clip, kind, flags, number)?;
                seen += speaker.lips.frames.len();
                add(&mut of_person, &figures(&predictor.score(&speaker)?));
            }
            let row: Vec<Figure> = of_person.iter().map(|mean| mean.figure("nothing moves")).collect();
            add(&mut means, &row);
            frames += seen;
            report.push(person, seen, row)?;
        }
        if !people.is_empty() {
            report.push("mean of people", frames, means.iter().map(|m| m.figure("nobody")).collect())?;
        }
        let from = flags.source_path.display();
        output::result(format_args!("{name} features, learned from {from}\n{report}"));
    }
    Ok(())
}

fn columns() -> Vec<Column> {
    [
        ("open", "open r"),
        ("speech", "in speech"),
        ("width", "width r"),
        ("pucker", "pucker r"),
        ("closed", "closed"),
        ("auc", "closed AUC"),
    ]
    .map(|(key, title)| Column::new(key, title, 3))
    .to_vec()
}

fn figures(score: &PredictionScore) -> Vec<Figure> {
    [score.open, score.speech, score.width, score.pucker, score.closed, score.auc]
        .map(|value| value.map_or_else(|| Figure::missing("not measured"), Figure::new))
        .to_vec()
}

fn add(means: &mut [Mean], figures: &[Figure]) {
    for (mean, figure) in means.iter_mut().zip(figures) {
        figure.value().into_iter().for_each(|v| mean.add(v));
    }
}

/// The clips of a folder by person: the track's path with its name less the last letter.
fn people(folder: &Path) -> Result<BTreeMap<String, Vec<PathBuf>>> {
    let entries =
        std::fs::read_dir(folder).map_err(|e| Error::io(folder, "a folder of filmed people", &e))?;
    let mut tracks: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    tracks.retain(|path| path.extension().is_some_and(|e| e == "npy") && sound_of(path).is_some());
    tracks.sort();
    let mut people: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for track in tracks {
        let stem = track.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let person = stem.trim_end_matches(|c: char| c.is_ascii_lowercase());
        let person = if person.is_empty() { &stem } else { person };
        people.entry(person.to_owned()).or_default().push(track);
    }
    if people.is_empty() {
        return Err(Error::input(
            folder.display(),
            "files NAME.npy of filmed lips, each beside NAME.flac or NAME.wav",
            "none",
            "name a folder that holds some",
        ));
    }
    Ok(people)
}

fn sound_of(track: &Path) -> Option<PathBuf> {
    ["flac", "wav"].map(|extension| track.with_extension(extension)).into_iter().find(|path| path.is_file())
}

fn speaker(track: &Path, kind: AudioKind, flags: &FeatureFlags, number: usize) -> Result<Speaker> {
    let lips = LipTrack::read(track)?;
    let path = sound_of(track).ok_or_else(|| Error::Internal(format!("no sound of {}", track.display())))?;
    let mut sound = audio::load(&path)?;
    let loudness = sound.loudness_per_frame();
    let gain = 10f32.powf(-flags.quieter as f32 / 20.0);
    sound.samples.iter_mut().for_each(|s| *s *= gain);
    if let Some(below) = flags.noise {
        add_noise(&mut sound, below, number);
    }
    Ok(Speaker { features: features_of(&sound, kind)?, loudness, lips })
}

fn features_of(sound: &Sound, kind: AudioKind) -> Result<AudioFeatures> {
    match kind {
        AudioKind::Speech => AudioFeatures::speech(sound),
        AudioKind::Mel => AudioFeatures::mel(sound),
        AudioKind::Ave | AudioKind::DeepSpeech | AudioKind::Hubert => Err(Error::input(
            "--asr",
            "mel or speech, which are computed from the sound alone",
            kind.name(),
            "choose one of them",
        )),
    }
}

/// Noise so many dB below the sound: white, falling, or brown, by the number of the clip.
fn add_noise(sound: &mut Sound, below: f64, number: usize) {
    debug_assert_eq!(sound.rate, SAMPLE_RATE);
    let keep = [0.0, 0.9, 0.99][number % 3];
    let (mut state, mut sum) = (number as u64 + 1, 0.0f64);
    let noise: Vec<f64> = (0..sound.samples.len())
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sum = keep * sum + (state >> 40) as f64 / (1u64 << 23) as f64 - 1.0;
            sum
        })
        .collect();
    let power = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let of_sound = power(&mut sound.samples.iter().map(|s| f64::from(*s)));
    let of_noise = power(&mut noise.iter().copied());
    let scale = (of_sound / of_noise.max(1e-12)).sqrt() * 10f64.powf(-below / 20.0);
    sound.samples.iter_mut().zip(noise).for_each(|(s, n)| *s += (scale * n) as f32);
}

/// A dataset as a speaker: lips by its 68 landmarks, and pucker and jaw by its blendshapes where it has all of them.
fn teacher(dataset: &Dataset) -> Result<Speaker> {
    let sound = dataset.sound_path().map(|path| audio::load(&path)).transpose()?;
    let loudness = sound.as_ref().map(Sound::loudness_per_frame).unwrap_or_default();
    let path = dataset.dir().join("bs.npy");
    let blendshapes = if path.is_file() { Some(npy::read(&path)?) } else { None };
    let mut lips = LipTrack { frames: vec![[f32::NAN; COLUMNS.len()]; dataset.audio.rows] };
    for frame in &dataset.frames {
        let (Some(points), Some(to)) = (&frame.landmarks, lips.frames.get_mut(frame.aud_id as usize)) else {
            continue;
        };
        let distance = |i: usize, j: usize| (points[i][0] - points[j][0]).hypot(points[i][1] - points[j][1]);
        let eyes = distance(36, 45);
        (to[OPEN], to[WIDTH]) = (distance(62, 66) / eyes, distance(48, 54) / eyes);
        // Columns of bs.npy are MediaPipe's names without the first.
        if let Some(array) = &blendshapes
            && let [_, width] = array.shape[..]
            && let Some(row) =
                array.data.get(frame.img_id as usize * width..(frame.img_id as usize + 1) * width)
        {
            for (k, name) in COLUMNS.iter().enumerate().skip(2) {
                let at = NAMES.iter().skip(1).position(|n| n == name);
                to[k] = at.and_then(|at| row.get(at)).copied().unwrap_or(f32::NAN);
            }
        }
    }
    Ok(Speaker { features: dataset.audio.clone(), loudness, lips })
}
