//! What each frame is drawn from: audio rows as they come and a source of poses make the inputs of one frame after the other.
//!
//! 25 frames a second; row k of the audio belongs to frame k. A frame sees the rows of its window, so it waits for those after
//! its own.

use super::pose_source::PoseSource;
use super::smooth::Lag;
use crate::head::field::Conditions;
use crate::{Camera, Error, Result};
use data_utils::audio::window::{AudioRows, WindowShape};

/// The frame code of a new voice. The code stands for what no other token explains about a training frame; a new voice has no
/// such frame, and a code that moves along the poses only adds flicker.
pub const NEW_VOICE_CODE: f32 = 0.0;

/// What one frame is drawn from.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameInputs {
    /// What the field is given; its camera token is that of [`FrameInputs::camera`] before that was turned.
    pub conditions: Conditions,
    /// The camera, smoothed and turned.
    pub camera: Camera,
    /// The frame of the clip whose torso and background are shown.
    pub plate: usize,
}

/// Makes the inputs of a voice's frames.
pub struct Driver {
    poses: Box<dyn PoseSource>,
    audio: AudioRows,
    lag: Lag,
    /// Frames in all, where that is not the number of audio rows.
    frames: Option<usize>,
    next: usize,
    ended: bool,
    turn: Turn,
}

/// How far the head is turned beside its own motion.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Turn {
    /// The point that stays where it is, in the world.
    pub pivot: [f64; 3],
    /// Radians, as [`Camera::turned`] has them.
    pub yaw: f64,
    /// Likewise.
    pub pitch: f64,
}

impl Driver {
    /// A voice of which no row is there yet; each will have `row_len` values and windows will be of this shape. `smooth_coef` is the part of the way that the
    /// camera goes to its pose in each frame ([`Lag`]). `frames` ends the voice after so many frames; with `None` there is one
    /// for each audio row.
    ///
    /// # Errors
    /// [`Error::Input`] for a coefficient outside 0 to 1.
    pub fn new(
        poses: Box<dyn PoseSource>,
        row_len: usize,
        window: WindowShape,
        smooth_coef: f64,
        frames: Option<usize>,
    ) -> Result<Self> {
        if !(0.0..=1.0).contains(&smooth_coef) {
            return Err(Error::input(
                "smooth_coef",
                "a number from 0 (the first view stays) to 1 (no lag)",
                smooth_coef.to_string(),
                "try 0.5",
            ));
        }
        let (audio, lag) = (AudioRows::new(row_len, window), Lag::new(smooth_coef));
        Ok(Driver { poses, audio, lag, frames, next: 0, ended: false, turn: Turn::default() })
    }

    /// Adds the next audio rows, `[rows, row_len]`.
    ///
    /// # Errors
    /// [`Error::Internal`] for values that are no whole rows, or after [`Driver::close`].
    pub fn push_rows(&mut self, rows: &[f32]) -> Result<()> {
        self.audio.push(rows)
    }

    /// Forgets the rows that no frame was made for yet and gives the number of the frame that the next row belongs to.
    pub fn restart_voice(&mut self) -> usize {
        self.audio.truncate(self.next);
        self.next
    }

    /// Turns the head in the frames that follow. The field hears the pose without it, so that the face stays as it was trained.
    pub fn turn(&mut self, turn: Turn) {
        self.turn = turn;
    }

    /// Says that no more rows will come; the last frames no longer wait for those after them.
    pub fn close(&mut self) {
        self.audio.close();
    }

    /// Frames in all, once that is known.
    pub fn total(&self) -> Option<usize> {
        self.frames.or_else(|| self.audio.is_closed().then(|| self.audio.len()))
    }

    /// Whether every frame has been made.
    pub fn is_finished(&self) -> bool {
        self.ended || self.total().is_some_and(|total| self.next >= total)
    }

    /// The inputs of the next frame; `None` while its audio is still to come, and at the end.
    pub fn next_frame(&mut self) -> Option<FrameInputs> {
        if self.is_finished() {
            return None;
        }
        let audio = self.audio.window(self.next)?;
        let Some(pose) = self.poses.next_pose(&audio) else {
            self.ended = true;
            return None;
        };
        self.next += 1;
        self.audio.drop_before(self.next);
        let camera = self.lag.follow(&pose.camera);
        let conditions =
            Conditions { audio, expression: pose.expression, camera: camera.token(), frame: NEW_VOICE_CODE };
        let Turn { pivot, yaw, pitch } = self.turn;
        Some(FrameInputs { conditions, camera: camera.turned(pivot, yaw, pitch), plate: pose.plate })
    }
}
