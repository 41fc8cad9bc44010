//! A head that moves by the sound: pose, brows, gaze and blinks generated from what the clip taught ([`Motion`]).

use super::pose_source::{Pose, PoseSource};
use crate::Camera;
use crate::head::motion::{HEARD_AT, INPUTS, Motion, MotionGenerator};
use crate::head::{Clip, ClipFrame};
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
    /// The motion of a clip's person for sound of these features; the same seed gives the same motion. `None` where the clip has
    /// no motion: it was stored by an earlier version, or is too short.
    pub fn new(clip: &Clip, kind: AudioKind, seed: u64) -> Option<Self> {
        let (motion, first) = (clip.motion.clone()?, clip.frames.first()?);
        let mut filmed: Vec<(u32, Camera, usize)> = clip
            .frames
            .iter()
            .enumerate()
            .map(|(at, f): (usize, &ClipFrame)| (f.img_id, f.camera, at))
            .collect();
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
        let far = |at: &usize| distance(&self.filmed[*at].0, camera);
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

/// How differently two cameras see the head: the squared differences of their rotations, and of their translations in parts of
/// the distance.
fn distance(a: &Camera, b: &Camera) -> f64 {
    let (a, b) = (&a.camera_from_world, &b.camera_from_world);
    let depth = a[2][3].abs().max(1e-9);
    let entry = |row: usize, column: usize| {
        let difference = a[row][column] - b[row][column];
        if column < 3 { 0.5 * difference * difference } else { (difference / depth).powi(2) }
    };
    (0..12).map(|i| entry(i / 4, i % 4)).sum()
}
