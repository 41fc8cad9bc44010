//! The `process` program: flags, and what it prints.

use super::output;
use super::progress::{Progress, duration};
use crate::{Error, Result};
use clap::Parser;
use data_utils::audio::features::AudioKind;
use data_utils::plain;
use data_utils::process::models::ModelPaths;
use data_utils::process::options::{LANDMARKER, LAST_TASK, Options, ShiftSound, find};
use data_utils::process::{self, Message};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Makes a talking-head dataset from a video: data/xxx/xxx.mp4 becomes the folder data/xxx.
///
/// Does only what is not done yet; killed at any moment, the same command goes on. Tasks: 0 crop, 1 sound, 2 frames,
/// 3 parsing, 4 background, 5 torso, 6 landmarks, 7 blendshapes, 8 and 9 head pose, 10 transforms and report. A task
/// that needs another one runs it first. Files that were changed by hand are kept and used.
#[derive(Debug, Clone, Parser)]
#[command(name = "process", version, rename_all = "snake_case")]
pub struct ProcessFlags {
    /// The video, data/xxx/xxx.mp4; what is made goes beside it
    pub video: Option<PathBuf>,
    /// Only this task, or from this one on
    #[arg(long, allow_hyphen_values = true)]
    pub task: Option<i32>,
    /// The last task
    #[arg(long, alias = "task_end")]
    pub end_task: Option<i32>,
    /// Poses from the fit of the face model alone, without following the picture
    #[arg(long)]
    pub use_3dmm: bool,
    /// How much wider than the face the crop is: half its side is the face's larger side / 2 · (1 + scale)
    #[arg(long, allow_hyphen_values = true)]
    pub scale: Option<f64>,
    /// Audio features: ave, speech, mel, deepspeech or hubert; ave where its weights are there, otherwise speech
    #[arg(long)]
    pub asr: Option<String>,
    /// Weights of the audio-visual encoder (audio_visual_encoder.pth)
    #[arg(long)]
    pub ave_weights: Option<PathBuf>,
    /// MediaPipe's face_landmarker.task; looked for beside the video and in models/
    #[arg(long)]
    pub face_landmarker: Option<PathBuf>,
    /// Weights of a face-parsing network (79999_iter.pth); without them masks are made from the picture alone
    #[arg(long)]
    pub parsing: Option<PathBuf>,
    /// Folder of a face model (ICT-FaceKit, or BFM-2009 with its npy files); without it MediaPipe's own face
    #[arg(long)]
    pub face_model: Option<PathBuf>,
    /// Weights of an optical flow network (raft-small.pth) to steady the poses by; without them Lucas–Kanade, which is
    /// faster
    #[arg(long)]
    pub flow: Option<PathBuf>,
    /// A recording of the voice of its own, used in place of the video's sound and aligned with it
    #[arg(long)]
    pub audio: Option<PathBuf>,
    /// Moves the sound later by so many seconds, earlier for a negative number, or (auto) to where the lips are
    #[arg(long, allow_hyphen_values = true, default_value = "0")]
    pub shift_sound: ShiftSound,
    /// Number of the shot that is used where the video has cuts, from 1; without it the longest
    #[arg(long)]
    pub shot: Option<usize>,
    /// Accepts a video without sound: the dataset gets silence
    #[arg(long)]
    pub silent: bool,
    /// Also writes the inside of the mouth, teeth_mask/*.npy
    #[arg(long)]
    pub teeth_mask: bool,
    /// Makes the outputs of the tasks anew, also those that were changed by hand or made by another program
    #[arg(long)]
    pub redo: bool,
    /// Says whether the video will make a good head; without a video, which models are there
    #[arg(long)]
    pub check: bool,
    /// No progress, only problems
    #[arg(long)]
    pub quiet: bool,
}

/// Runs `process` with the flags given.
///
/// # Errors
/// [`Error::Input`] for the user's mistakes, before anything is written.
pub fn run(flags: &ProcessFlags) -> Result<()> {
    if flags.check {
        let Some(_) = flags.video else {
            output::result(process::models::check(&model_paths(flags))?.trim_end());
            return Ok(());
        };
        let mut found = process::check(&options(flags)?)?;
        output::result(found.text.trim_end());
        return match found.refusals.len() {
            0 => Ok(()),
            1 => Err(Error::Input(found.refusals.remove(0))),
            _ => Err(Error::Inputs(found.refusals)),
        };
    }
    let options = options(flags)?;
    let display = Display { quiet: flags.quiet, progress: Mutex::new(None) };
    let took = process::run(&options, &|message| display.show(&message))?;
    for (name, seconds) in &took {
        output::result(format_args!("{name:<12} {}", duration(*seconds)));
    }
    output::result(format_args!("{:<12} {}", "dataset", options.dir.display()));
    Ok(())
}

/// Shows the messages of a run on stderr.
struct Display {
    quiet: bool,
    /// What is being done, with its progress.
    progress: Mutex<Option<(String, Progress)>>,
}

/// The longest line that is shown, characters.
const LONGEST: usize = 2000;
/// How many files of a list are named.
const NAMED: usize = 5;

impl Display {
    fn show(&self, message: &Message) {
        let mut shown = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let text = match message {
            Message::Progress { what, done, total, note } => {
                if shown.as_ref().is_none_or(|(name, _)| name != what) {
                    *shown = Some(((*what).to_owned(), Progress::start(what, 0, *total, self.quiet)));
                }
                if let Some((_, progress)) = shown.as_mut() {
                    progress.update(*done, || (*note).to_owned());
                }
                return;
            }
            Message::NoH264 => {
                "note: ffmpeg has no libx264; videos are written as MPEG-4 part 2, which are larger and less sharp"
                    .to_owned()
            }
            Message::Interrupted(run) => format!("note: {run} was interrupted while it worked in this folder"),
            Message::UpToDate { stage } => format!("{stage}: up to date"),
            Message::Kept { stage, files } => {
                format!("{stage}: keeps what was changed or put in by hand: {}", list(files))
            }
            Message::Removed { files } => {
                format!("removed, since the frames are made anew: {}", list(files))
            }
            Message::Finished { stage, result, .. } => format!("{stage}: {result}"),
        };
        if let Message::Finished { .. } = message
            && let Some((_, progress)) = shown.take()
        {
            progress.finish();
        }
        if !self.quiet {
            output::tell(plain(&text, LONGEST));
        }
    }
}

fn list(files: &[String]) -> String {
    let more = files.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", files[..files.len().min(NAMED)].join(", "))
}

/// The model files that the flags name.
fn model_paths(flags: &ProcessFlags) -> ModelPaths {
    ModelPaths {
        landmarker: flags.face_landmarker.clone(),
        parsing: flags.parsing.clone(),
        face_model: flags.face_model.clone(),
        flow: flags.flow.clone(),
        ave_weights: flags.ave_weights.clone(),
    }
}

/// Checks the flags; nothing is written.
fn options(flags: &ProcessFlags) -> Result<Options> {
    let Some(video) = flags.video.clone() else {
        return Err(Error::input(
            "the command line",
            "a video",
            "none",
            "name one: process data/xxx/xxx.mp4",
        ));
    };
    let dir = match video.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_path_buf(),
        _ => PathBuf::from("."),
    };
    // A folder that only has the crop left is worked on from the crop.
    let cropped = dir.join("anchor.mp4");
    let video = if !video.exists() && cropped.is_file() { cropped } else { video };
    data_utils::media::files::open_plain(&video).map_err(|e| Error::io(&video, "a video", &e))?;
    let scale = flags.scale.map(|s| {
        let fits = s.is_finite() && (0.2..=4.0).contains(&s);
        fits.then_some(s).ok_or_else(|| {
            Error::input("--scale", "0.2 to 4", s.to_string(), "1.2 is a little wider than usual")
        })
    });
    let landmarker = match &flags.face_landmarker {
        Some(path) => path.clone(),
        None => find(&dir, LANDMARKER).ok_or_else(|| {
            Error::input(
                LANDMARKER,
                "MediaPipe's face landmarker beside the video or in models/",
                "no such file",
                "get it as `process --check` says, or name it with --face_landmarker",
            )
        })?,
    };
    if let Some(path) = &flags.audio {
        data_utils::media::files::open_plain(path)
            .map_err(|e| Error::io(path, "a recording of a voice", &e))?;
    }
    for path in [&flags.parsing, &flags.face_model, &flags.flow, &flags.ave_weights].into_iter().flatten() {
        std::fs::metadata(path).map_err(|e| Error::io(path, "a file or folder of a model", &e))?;
    }
    Ok(Options {
        tasks: tasks(flags.task, flags.end_task)?,
        redo: flags.redo,
        use_3dmm: flags.use_3dmm,
        scale: scale.transpose()?,
        asr: flags.asr.as_deref().filter(|a| *a != "auto").map(AudioKind::parse).transpose()?,
        ave_weights: flags.ave_weights.clone().or_else(|| data_utils::dataset::find_ave_weights(&dir)),
        landmarker,
        parsing: flags.parsing.clone(),
        face_model: flags.face_model.clone(),
        flow: flags.flow.clone(),
        audio: flags.audio.clone(),
        shift_sound: flags.shift_sound,
        shot: flags.shot,
        silent: flags.silent,
        teeth_mask: flags.teeth_mask,
        video,
        dir,
    })
}

/// First and last task; −1 is all of them.
fn tasks(first: Option<i32>, last: Option<i32>) -> Result<[u8; 2]> {
    let task = |flag: &str, value: i32| {
        u8::try_from(value).ok().filter(|t| *t <= LAST_TASK).ok_or_else(|| {
            Error::input(flag, "a task from 0 to 10", value.to_string(), "leave it out to do everything")
        })
    };
    match (first.filter(|t| *t != -1), last) {
        (None, None) => Ok([0, LAST_TASK]),
        (None, Some(last)) => Ok([0, task("--end_task", last)?]),
        (Some(first), None) => task("--task", first).map(|t| [t, t]),
        (Some(first), Some(last)) => {
            let (from, to) = (task("--task", first)?, task("--end_task", last)?);
            if to < from {
                let found = format!("--task {from} --end_task {to}");
                return Err(Error::input("--end_task", "a task not before --task", found, "swap the two"));
            }
            Ok([from, to])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_one_a_range_or_all() {
        assert_eq!(tasks(None, None).expect("all"), [0, 10]);
        assert_eq!(tasks(Some(-1), None).expect("all"), [0, 10]);
        assert_eq!(tasks(Some(3), None).expect("one"), [3, 3]);
        assert_eq!(tasks(Some(2), Some(4)).expect("some"), [2, 4]);
        assert_eq!(tasks(None, Some(4)).expect("some"), [0, 4]);
        for (first, last) in [(Some(11), None), (Some(-2), None), (Some(4), Some(2)), (None, Some(99))] {
            assert_eq!(tasks(first, last).expect_err("refused").exit_code(), 2);
        }
    }

    #[test]
    fn both_spellings_of_the_last_task_are_read() {
        for name in ["--end_task", "--task_end"] {
            let flags =
                ProcessFlags::try_parse_from(["process", "a.mp4", "--task", "2", name, "4"]).expect("flags");
            assert_eq!((flags.task, flags.end_task), (Some(2), Some(4)));
        }
    }
}
