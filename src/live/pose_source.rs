//! Where the head of each frame comes from: the clip's own motion, an idle stretch of it, or poses made elsewhere.

use super::smooth::window_mean;
use crate::head::ClipFrame;
use crate::{Camera, Error, Result};

/// The head in one frame, apart from what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Pose {
    /// Its camera: the head stands still in the world, so the camera carries its motion.
    pub camera: Camera,
    /// 22 upper-face blendshapes, 0..1.
    pub expression: Vec<f32>,
    /// The frame of the clip whose torso and background are shown with it.
    pub plate: usize,
}

/// Gives the pose of one frame after the other.
pub trait PoseSource: Send {
    /// The pose of the next frame, which hears `audio` (`[8, channels, width]`; sources that do not listen ignore it). `None`
    /// ends the performance.
    fn next_pose(&mut self, audio: &[f32]) -> Option<Pose>;
}

/// The poses of a clip, forwards and backwards again and again (SyncGaussianTalker's pose path).
#[derive(Debug, Clone)]
pub struct ClipPoses {
    poses: Vec<Pose>,
    step: usize,
}

impl ClipPoses {
    /// Starts at frame `start` of the clip. Each pose is averaged with its `smooth_win` neighbours on both sides, 0 for none;
    /// the whole clip is known, so that costs no delay.
    ///
    /// # Errors
    /// [`Error::Input`] when the clip has no frame.
    pub fn new(frames: &[ClipFrame], start: usize, smooth_win: usize) -> Result<Self> {
        if frames.is_empty() {
            return Err(Error::input(
                "the clip",
                "at least one frame to take a pose from",
                "none",
                "check transforms_train.json and transforms_val.json of the dataset",
            ));
        }
        Ok(ClipPoses { poses: smoothed(frames, smooth_win), step: start % period(frames.len()) })
    }
}

impl PoseSource for ClipPoses {
    fn next_pose(&mut self, _audio: &[f32]) -> Option<Pose> {
        let pose = self.poses[ping_pong(self.step, self.poses.len())].clone();
        self.step = (self.step + 1) % period(self.poses.len());
        Some(pose)
    }
}

/// A head that waits or listens: the calmest stretch of a clip, forwards and backwards.
#[derive(Debug, Clone)]
pub struct IdlePoses(ClipPoses);

impl IdlePoses {
    /// The `length` consecutive frames of the clip along which the head moves least.
    ///
    /// # Errors
    /// As [`ClipPoses::new`].
    pub fn new(frames: &[ClipFrame], length: usize, smooth_win: usize) -> Result<Self> {
        let length = length.clamp(1, frames.len().max(1));
        let motion: Vec<f64> = frames.windows(2).map(|pair| distance(&pair[0], &pair[1])).collect();
        let stretch = |first: usize| motion[first..first + length - 1].iter().sum::<f64>();
        let starts = 0..=frames.len().saturating_sub(length);
        let first = starts.min_by(|a, b| stretch(*a).total_cmp(&stretch(*b))).unwrap_or(0);
        let chosen = frames.get(first..first + length).unwrap_or_default();
        let mut poses = ClipPoses::new(chosen, 0, smooth_win)?;
        poses.poses.iter_mut().for_each(|pose| pose.plate += first);
        Ok(IdlePoses(poses))
    }
}

impl PoseSource for IdlePoses {
    fn next_pose(&mut self, audio: &[f32]) -> Option<Pose> {
        self.0.next_pose(audio)
    }
}

/// Poses that were made elsewhere, in their order: generated, recorded, or those of another clip.
#[derive(Debug, Clone)]
pub struct GeneratedPoses<I>(pub I);

impl<I: Iterator<Item = Pose> + Send> PoseSource for GeneratedPoses<I> {
    fn next_pose(&mut self, _audio: &[f32]) -> Option<Pose> {
        self.0.next()
    }
}

/// The poses of a clip's frames, their cameras smoothed.
fn smoothed(frames: &[ClipFrame], smooth_win: usize) -> Vec<Pose> {
    let path: Vec<(u32, Camera)> = frames.iter().map(|f| (f.img_id, f.camera)).collect();
    let cameras = window_mean(&path, smooth_win).into_iter();
    let poses = frames.iter().zip(cameras).enumerate();
    poses
        .map(|(plate, (frame, camera))| Pose { camera, expression: frame.expression.to_vec(), plate })
        .collect()
}

/// How far the head moves between two frames: rotation in radians (small angles) and translation in units of the distance to
/// the camera. Frames with a gap between them are infinitely far apart.
fn distance(a: &ClipFrame, b: &ClipFrame) -> f64 {
    if a.img_id.checked_add(1) != Some(b.img_id) {
        return f64::INFINITY;
    }
    camera_distance(&a.camera, &b.camera)
}

/// How far the head moves between two cameras, as [`distance`].
pub(super) fn camera_distance(a: &Camera, b: &Camera) -> f64 {
    let (a, b) = (&a.camera_from_world, &b.camera_from_world);
    let depth = a[2][3].abs().max(1e-9);
    let entry = |row: usize, column: usize| {
        let difference = a[row][column] - b[row][column];
        if column < 3 { 0.5 * difference * difference } else { (difference / depth).powi(2) }
    };
    (0..12).map(|i| entry(i / 4, i % 4)).sum::<f64>().sqrt()
}

/// The place in a list of `len` (≥ 1) at step `k` of a walk forwards and backwards; the ends are not repeated.
pub fn ping_pong(k: usize, len: usize) -> usize {
    let at = k % period(len);
    if at < len { at } else { period(len) - at }
}

/// Steps after which that walk repeats itself.
fn period(len: usize) -> usize {
    (2 * len.saturating_sub(1)).max(1)
}
