//! A head that moves by the sound: pose, brows, gaze and blinks generated from what the clip taught ([`Motion`]).

use super::pose_source::{Pose, PoseSource, camera_distance};
use crate::Camera;
use crate::head::ClipFrame;
use crate::head::motion::{HEARD_AT, INPUTS, Motion, MotionGenerator};
use data_utils::audio::features::AudioKind;
use data_utils::audio::window::{WINDOW_ROWS, WindowShape};

/// Frames of the clip by which the torso behind the head may go on from frame to frame.
const STEP: usize = 1;

/// Generates the pose of each frame from the sound around it.
pub struct GeneratedMotion {
    motion: Motion,
    generator: MotionGenerator,
    rows_before: usize,
    lens: Camera,
    /// Cameras of the clip's frames in the order of the film, and where they are among its plates.
    filmed: Vec<(Camera, usize)>,
    /// The frame whose torso is shown.
    at: usize,
}

impl GeneratedMotion {
    /// The motion of a person for sound of these features; the same seed gives the same motion. `frames` are those whose torsos are
    /// shown, in the order of the plates. `None` without a frame.
    pub fn new(motion: Motion, frames: &[ClipFrame], kind: AudioKind, seed: u64) -> Option<Self> {
        let first = frames.first()?;
        let mut filmed: Vec<(u32, Camera, usize)> =
            frames.iter().enumerate().map(|(at, f)| (f.img_id, f.camera, at)).collect();
        filmed.sort_by_key(|(id, ..)| *id);
        Some(GeneratedMotion {
            generator: MotionGenerator::new(&motion, seed),
            motion,
            rows_before: WindowShape::of(kind).rows_before,
            lens: first.camera,
            filmed: filmed.into_iter().map(|(_, camera, at)| (camera, at)).collect(),
            at: 0,
        })
    }

    /// Goes along the film towards frames in which the head is posed alike, so that a filmed torso moves as filmed and fits.
    fn follow(&mut self, camera: &Camera) -> usize {
        let near = self.at.saturating_sub(STEP)..(self.at + STEP + 1).min(self.filmed.len());
        let far = |at: &usize| camera_distance(&self.filmed[*at].0, camera);
        self.at = near.min_by(|a, b| far(a).total_cmp(&far(b))).unwrap_or(self.at);
        self.filmed[self.at].1
    }
}

impl PoseSource for GeneratedMotion {
    fn next_pose(&mut self, audio: &[f32]) -> Option<Pose> {
        let length = (audio.len() / WINDOW_ROWS).max(1);
        let heard = |offset: isize| {
            let row = self.rows_before.saturating_add_signed(offset).min(WINDOW_ROWS - 1);
            audio.get(row * length..(row + 1) * length).map_or(0.0, |row| self.motion.loudness_of(row))
        };
        let inputs: [f64; INPUTS] = std::array::from_fn(|k| heard(HEARD_AT[k + 1]) - heard(HEARD_AT[k]));
        let loudness = heard(0);
        let (camera, expression) = self.generator.next_frame(&self.motion, inputs, loudness, &self.lens);
        let plate = self.follow(&camera);
        Some(Pose { camera, expression: expression.to_vec(), plate })
    }
}
