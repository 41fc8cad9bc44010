//! What drives each frame: an iterator from audio rows and the dataset's poses to conditions, used the same
//! way for the dataset's own frames, for a voice out of a file, and for a voice that is still being spoken.
//!
//! Conventions: 25 frames a second; row k of the audio belongs to video frame k. A voice takes its head
//! motion, blinks, torso and background from the dataset's frames, forth and back
//! ([`mirror`]; SyncGaussianTalker's pose path), while its audio always runs forward.

use super::smooth::{Lag, window_mean};
use crate::head::field::Conditions;
use crate::{Camera, Error, Result};
use data_utils::audio::features::AudioFeatures;
use std::collections::VecDeque;

/// Video frames a second, everywhere in the product.
pub const FPS: u32 = 25;
/// Audio rows in a window: `[frame − 4, frame + 4)`.
pub const WINDOW_ROWS: usize = 8;
const HALF: usize = WINDOW_ROWS / 2;

/// A frame of the dataset that can lend its pose.
#[derive(Debug, Clone, PartialEq)]
pub struct PoseSource {
    /// Index of the frame in the dataset, for its background, torso and mask.
    pub frame: usize,
    /// Its number in the source video; consecutive numbers are 1/25 s apart.
    pub img_id: u32,
    /// The audio row spoken at this frame.
    pub audio_row: usize,
    /// Training index the frame code is made from; a held-out frame gives that of its nearest training frame.
    pub code: f32,
    /// Its camera.
    pub camera: Camera,
    /// Its 22 upper-face blendshapes.
    pub expression: Vec<f32>,
}

/// What the frame code of the field is made from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FrameCode {
    /// The training index of the source frame: reproduces what training saw of that very frame.
    Source,
    /// One training index for all frames.
    Frozen(f32),
}

impl FrameCode {
    /// For new voices and held-out frames. The code stands for what no other token explains about a training
    /// frame; a new voice has no such frame, and a code that walks along the pose path only adds flicker.
    /// Index 0 is the value [`Conditions::frame`] freezes at.
    pub const NEW_VOICE: FrameCode = FrameCode::Frozen(0.0);

    fn of(self, source: &PoseSource) -> f32 {
        match self {
            FrameCode::Source => source.code,
            FrameCode::Frozen(code) => code,
        }
    }
}

/// How a drive makes its frames.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DriveOptions {
    /// What the frame code is made from.
    pub frame_code: FrameCode,
    /// Poses averaged on each side (`--smooth_win`), 0 for none.
    pub smooth_win: usize,
    /// Part of the way the view goes each frame (`--smooth_coef`), 0..=1, 1 for no lag.
    pub smooth_coef: f64,
}

impl Default for DriveOptions {
    fn default() -> Self {
        DriveOptions { frame_code: FrameCode::NEW_VOICE, smooth_win: 1, smooth_coef: 1.0 }
    }
}

/// One frame to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct DriveFrame {
    /// What the field is given; the camera token is that of [`DriveFrame::camera`].
    pub conditions: Conditions,
    /// Index of the source frame in the dataset, for its background, torso and mask.
    pub source: usize,
    /// The camera, smoothed.
    pub camera: Camera,
}

/// Audio rows in the order they are spoken: all at once, or pushed as they come.
#[derive(Debug, Clone)]
pub struct AudioRows {
    row_len: usize,
    /// Rows before the first one kept; they are forgotten.
    forgotten: usize,
    rows: VecDeque<Box<[f32]>>,
    closed: bool,
}

impl AudioRows {
    /// No rows yet; each will have `row_len` values (channels · width).
    pub fn new(row_len: usize) -> Self {
        AudioRows { row_len, forgotten: 0, rows: VecDeque::new(), closed: false }
    }

    /// All rows of a sound, `[rows, row_len]`.
    ///
    /// # Errors
    /// [`Error::Internal`] when `values` does not divide into rows.
    pub fn whole(row_len: usize, values: &[f32]) -> Result<Self> {
        let mut all = AudioRows::new(row_len);
        if row_len == 0 || !values.len().is_multiple_of(row_len) {
            return Err(Error::Internal(format!("{} audio values are no rows of {row_len}", values.len())));
        }
        all.rows = values.chunks_exact(row_len).map(Box::from).collect();
        all.closed = true;
        Ok(all)
    }

    /// All rows of a voice.
    pub fn of(features: &AudioFeatures) -> Self {
        let row_len = features.channels * features.width;
        let rows = features.values.chunks_exact(row_len.max(1)).map(Box::from).collect();
        AudioRows { row_len, forgotten: 0, rows, closed: true }
    }

    /// Adds the next row.
    ///
    /// # Errors
    /// [`Error::Internal`] for a row of another length, or after [`AudioRows::close`].
    pub fn push(&mut self, row: &[f32]) -> Result<()> {
        if row.len() != self.row_len || self.closed {
            return Err(Error::Internal(format!(
                "an audio row of {} values for a {} sound of rows of {}",
                row.len(),
                if self.closed { "closed" } else { "live" },
                self.row_len
            )));
        }
        self.rows.push_back(row.into());
        Ok(())
    }

    /// Says that no more rows will come; the last frames need not wait for those after them any longer.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Rows that came so far.
    pub fn len(&self) -> usize {
        self.forgotten + self.rows.len()
    }

    /// Whether no row came so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows `[frame − 4, frame + 4)`, zeros before the start and after the end, `[8, row_len]`; `None` while
    /// rows of the window are still to come.
    pub fn window(&self, frame: usize) -> Option<Vec<f32>> {
        if !self.closed && frame.saturating_add(HALF) > self.len() {
            return None;
        }
        let mut window = vec![0.0; WINDOW_ROWS * self.row_len];
        for (slot, to) in window.chunks_exact_mut(self.row_len.max(1)).enumerate() {
            let row = (frame + slot).checked_sub(HALF + self.forgotten).and_then(|at| self.rows.get(at));
            if let Some(row) = row {
                to.copy_from_slice(row);
            }
        }
        Some(window)
    }

    fn forget_before(&mut self, row: usize) {
        while self.forgotten < row && self.rows.pop_front().is_some() {
            self.forgotten += 1;
        }
    }
}

/// Which source frame each output frame takes.
#[derive(Debug, Clone, Copy)]
enum Path {
    InOrder,
    PingPong { start: usize, frames: Option<usize> },
}

/// The iterator. With live audio `next` gives `None` while rows are missing and goes on when
/// [`Drive::audio`] got them; [`Drive::finished`] tells an end from a pause.
#[derive(Debug, Clone)]
pub struct Drive {
    poses: Vec<PoseSource>,
    audio: AudioRows,
    path: Path,
    frame_code: FrameCode,
    lag: Lag,
    next: usize,
}

impl Drive {
    /// The dataset's own frames in order, each with its own audio: the train and test sets. A frame whose
    /// audio row lies past the end gets the last row (SyncTalk).
    ///
    /// # Errors
    /// [`Error::Input`] for options out of range.
    pub fn replay(poses: Vec<PoseSource>, mut audio: AudioRows, options: &DriveOptions) -> Result<Self> {
        audio.close();
        Drive::new(poses, audio, Path::InOrder, options)
    }

    /// A voice over the dataset's poses, from source frame `start` on. `frames` is the number of video frames
    /// of the sound, `Sound::video_frames()`; `None` takes one per audio row, for features without a sound
    /// and for live audio.
    ///
    /// # Errors
    /// [`Error::Input`] when there is no pose to take, or for options out of range.
    pub fn voice(
        poses: Vec<PoseSource>,
        audio: AudioRows,
        start: usize,
        frames: Option<usize>,
        options: &DriveOptions,
    ) -> Result<Self> {
        if poses.is_empty() {
            return Err(Error::input(
                "the dataset",
                "at least one frame to take a pose from",
                "none",
                "check transforms_train.json and transforms_val.json",
            ));
        }
        let start = start % (2 * (poses.len() - 1)).max(1);
        Drive::new(poses, audio, Path::PingPong { start, frames }, options)
    }

    fn new(mut poses: Vec<PoseSource>, audio: AudioRows, path: Path, options: &DriveOptions) -> Result<Self> {
        if !(0.0..=1.0).contains(&options.smooth_coef) {
            return Err(Error::input(
                "--smooth_coef",
                "a number from 0 (the first view stays) to 1 (no lag)",
                options.smooth_coef.to_string(),
                "try 0.5",
            ));
        }
        let path_in: Vec<(u32, Camera)> = poses.iter().map(|p| (p.img_id, p.camera)).collect();
        for (pose, camera) in poses.iter_mut().zip(window_mean(&path_in, options.smooth_win)) {
            pose.camera = camera;
        }
        let lag = Lag::new(options.smooth_coef);
        Ok(Drive { poses, audio, path, frame_code: options.frame_code, lag, next: 0 })
    }

    /// The audio, to push live rows to and to close.
    pub fn audio(&mut self) -> &mut AudioRows {
        &mut self.audio
    }

    /// Frames in all, once that is known.
    pub fn total(&self) -> Option<usize> {
        match self.path {
            Path::InOrder => Some(self.poses.len()),
            Path::PingPong { frames: Some(frames), .. } => Some(frames),
            Path::PingPong { frames: None, .. } => self.audio.closed.then(|| self.audio.len()),
        }
    }

    /// Whether every frame has been given.
    pub fn finished(&self) -> bool {
        self.total().is_some_and(|total| self.next >= total)
    }
}

impl Iterator for Drive {
    type Item = DriveFrame;

    fn next(&mut self) -> Option<DriveFrame> {
        if self.finished() {
            return None;
        }
        let (at, row) = match self.path {
            Path::InOrder => {
                (self.next, self.poses[self.next].audio_row.min(self.audio.len().saturating_sub(1)))
            }
            Path::PingPong { start, .. } => (mirror(start + self.next, self.poses.len()), self.next),
        };
        let audio = self.audio.window(row)?;
        if matches!(self.path, Path::PingPong { .. }) {
            // A voice never looks back, and a live one has no end: rows behind the window go.
            self.audio.forget_before((row + 1).saturating_sub(HALF));
        }
        self.next += 1;
        let pose = &self.poses[at];
        let camera = self.lag.follow(&pose.camera);
        let conditions = Conditions {
            audio,
            expression: pose.expression.clone(),
            camera: camera.token(),
            frame: self.frame_code.of(pose),
        };
        Some(DriveFrame { conditions, source: pose.frame, camera })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.total().map(|total| total.saturating_sub(self.next)))
    }
}

/// The code of each frame of a dataset, from (number in the source video, whether it was trained on): training
/// frames are counted from 0 in their order; a held-out frame takes the code of the training frame nearest in
/// time, the earlier of two, since the field never saw a code of its own. Without any training frame all are 0.
pub fn frame_codes(frames: &[(u32, bool)]) -> Vec<f32> {
    let mut trained: Vec<(u32, f32)> = Vec::new();
    for (id, _) in frames.iter().filter(|(_, train)| *train) {
        trained.push((*id, trained.len() as f32));
    }
    trained.sort_by_key(|(id, _)| *id);
    let nearest = |id: u32| {
        let after = trained.partition_point(|(other, _)| *other < id);
        let around = trained[after.saturating_sub(1)..trained.len().min(after + 1)].iter();
        around.min_by_key(|(other, _)| other.abs_diff(id)).map_or(0.0, |(_, code)| *code)
    };
    frames.iter().map(|(id, _)| nearest(*id)).collect()
}

/// The place in a list of `len` (≥ 1) that step `k` of a walk forth and back stands at; the period is
/// 2·(len − 1), so the ends are not repeated.
pub fn mirror(k: usize, len: usize) -> usize {
    if len < 2 {
        return 0;
    }
    let at = k % (2 * (len - 1));
    if at < len { at } else { 2 * (len - 1) - at }
}

/// The start of a pose path, as `--ss` gives it (`HH:MM:SS`, `MM:SS` or seconds, fractions allowed): the index
/// of the first pose at or after that time of the source video. `img_ids` ascend and are not empty.
///
/// # Errors
/// [`Error::Input`] for what is no time, or one past the end of the clip.
pub fn start_at(text: &str, img_ids: &[u32]) -> Result<usize> {
    let refuse = |expected: String| {
        Error::input("--ss", expected, format!("{text:?}"), "give the time in the source video to start from")
    };
    let malformed = || refuse("a time as HH:MM:SS".into());
    let mut seconds = 0.0;
    let fields: Vec<&str> = text.trim().split(':').collect();
    if fields.len() > 3 {
        return Err(malformed());
    }
    for (place, field) in fields.iter().enumerate() {
        let digits = |c: char| c.is_ascii_digit() || (c == '.' && place + 1 == fields.len());
        let value: f64 = field.parse().map_err(|_| malformed())?;
        if !field.chars().all(digits) || (place > 0 && value >= 60.0) {
            return Err(malformed());
        }
        seconds = seconds * 60.0 + value;
    }
    let number = (seconds * f64::from(FPS) + 1e-6).floor();
    let start = img_ids.partition_point(|id| f64::from(*id) < number);
    if start >= img_ids.len() {
        let end = img_ids.last().map_or(0.0, |id| f64::from(*id) / f64::from(FPS));
        return Err(refuse(format!("a time inside the clip, which ends at {end:.2} s")));
    }
    Ok(start)
}
