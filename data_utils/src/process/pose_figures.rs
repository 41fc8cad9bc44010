//! Figures of a dataset's poses, from its files: how far its landmarks lie from the face through them, and how far they turn.

use super::landmarks;
use super::track_params::TrackParams;
use crate::camera::Camera;
use crate::error::{Error, Result};
use crate::face::Landmarks;
use crate::track::reprojection::{Reprojection, poses_of_landmarks, reprojection};
use crate::track::stabilise::{Amplitude, amplitude};
use crate::track::{FrameLandmarks, Lens, Pose, model::POINTS};
use std::path::Path;

/// The figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoseFigures {
    /// Distances of the landmarks.
    pub reprojection: Reprojection,
    /// Turns around the camera's x, y and z (pitch, yaw, roll) compared with those of poses that are fitted to the landmarks of each
    /// frame alone; none for an axis around which the head hardly turns.
    pub turns: [Option<Amplitude>; 3],
}

impl PoseFigures {
    /// The figures of poses and landmarks; `faces` is none where no face was found or the frame is not used.
    ///
    /// # Errors
    /// [`Error::Input`] when no frame has a face, or the numbers of frames disagree.
    pub fn of(params: &TrackParams, faces: &[Option<Landmarks>]) -> Result<PoseFigures> {
        let poses: Vec<Pose> = params.cameras().iter().map(Pose::from_camera).collect();
        let refuse = |found: String| {
            Error::input(
                "the poses",
                "a face in their frames",
                found,
                "run process again with --task 8 --redo",
            )
        };
        if poses.len() != faces.len() || params.mean_face.len() != POINTS {
            return Err(refuse(format!("{} poses for {} frames", poses.len(), faces.len())));
        }
        let lens = Lens { focal: params.focal, center: params.center };
        let marks: Vec<FrameLandmarks> = faces.iter().map(|f| f.as_ref().map(places)).collect();
        let seen: Vec<bool> = marks.iter().map(Option::is_some).collect();
        let reprojection = reprojection(&params.mean_face, &marks, &poses, &lens);
        let reprojection = reprojection.ok_or_else(|| refuse("none".into()))?;
        let alone = poses_of_landmarks(&params.mean_face, &marks, &poses, &lens);
        Ok(PoseFigures { reprojection, turns: amplitude(&alone, &poses, &seen) })
    }

    /// The figures of a folder that `process` made.
    ///
    /// # Errors
    /// As [`PoseFigures::of`], and those of reading its files.
    pub fn read(dir: &Path) -> Result<PoseFigures> {
        PoseFigures::of(&TrackParams::read(dir)?, &landmarks::read(dir)?)
    }

    /// The figures in a few words.
    pub fn words(&self) -> String {
        let turns = self.turns.map(|turn| turn.map_or("–".into(), |turn| format!("{:.2}", turn.slope())));
        format!(
            "landmarks {:.2} px off through the poses (rms; {:.2} by PnP), turning {} of what they do (pitch, yaw, roll)",
            self.reprojection.rms,
            self.reprojection.pnp,
            turns.join(" / "),
        )
    }
}

/// Turns of a clip's poses compared with other cameras of the same frames, given with their numbers: those of another program, or of
/// another run. How many frames both have comes first.
pub fn turns_against(params: &TrackParams, others: &[(usize, Camera)]) -> (usize, [Option<Amplitude>; 3]) {
    let own = params.cameras();
    let mut pairs: Vec<(usize, Pose, Pose)> = others
        .iter()
        .filter(|(frame, _)| params.seen.get(*frame) == Some(&true))
        .filter_map(|(frame, other)| {
            Some((*frame, Pose::from_camera(other), Pose::from_camera(own.get(*frame)?)))
        })
        .collect();
    pairs.sort_by_key(|(frame, ..)| *frame);
    let (theirs, ours): (Vec<Pose>, Vec<Pose>) = pairs.iter().map(|(_, a, b)| (*a, *b)).unzip();
    (pairs.len(), amplitude(&theirs, &ours, &vec![true; pairs.len()]))
}

/// Columns and rows of the landmarks that the mesh has.
pub fn places(face: &Landmarks) -> Vec<[f64; 2]> {
    face.points.iter().take(POINTS).map(|p| [f64::from(p[0]), f64::from(p[1])]).collect()
}
