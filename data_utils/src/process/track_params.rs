//! `track_params.json`: the fitted face and the poses in a form that a person and any program can read.

use crate::camera::Camera;
use crate::error::{Error, Result};
use crate::media::files;
use crate::track::{FaceModel, Fit, Jitter, ResidualMotion};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the file, and the largest that is read.
pub const FILE: &str = "track_params.json";
const MAX_BYTES: u64 = 512 << 20;

/// The whole file. Lengths in metres; the world's origin lies inside the head, x to the right of the image, y up, z
/// out of the face.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrackParams {
    /// Always `m`.
    pub unit: String,
    /// The face model that was fitted.
    pub model: String,
    /// Focal length, pixels.
    pub focal: f64,
    /// Its relative standard deviation; that of the prior, 0.25, where the clip does not determine it.
    pub focal_deviation: f64,
    /// Principal point from the image's edge, pixels.
    pub center: [f64; 2],
    /// Width and height of the frames, pixels.
    pub size: [u32; 2],
    /// Distances between landmarks and fit: median and mean over the stable landmarks, mean over all, pixels.
    pub landmark_error: [f64; 3],
    /// The motion of the face that the poses of the fit leave in the frames.
    #[serde(alias = "fit_leaves")]
    pub fit_residual: Motion,
    /// The motion that the stabilized poses leave; none where the poses are those of the fit.
    #[serde(alias = "steadied_leaves", default)]
    pub stabilized_residual: Option<Motion>,
    /// The motion that the poses of the fit and poses as the stabilized ones leave on skin that these were not fitted to, in a part of
    /// the clip.
    #[serde(default)]
    pub held_out_residual: Option<[Motion; 2]>,
    /// Identity coefficients, in standard deviations.
    pub identity: Vec<f64>,
    /// The person's face with the clip's mean expression, `[468, 3]`.
    pub mean_face: Vec<[f64; 3]>,
    /// Names of the expression's coefficients.
    pub expression_names: Vec<String>,
    /// Expression coefficients of each frame, in standard deviations.
    pub expression: Vec<Vec<f32>>,
    /// True for frames with a face; the poses of the others are interpolated.
    pub seen: Vec<bool>,
    /// Angles of each frame, radians: R = Rx(e0)·Ry(e1)·Rz(e2) as SyncTalk's trackers have them.
    pub euler: Vec<[f64; 3]>,
    /// The head's origin in each frame's OpenGL camera (x right, y up, looking along −z).
    pub translation: Vec<[f64; 3]>,
    /// OpenGL camera-to-world of each frame, row-major.
    pub camera_to_world: Vec<[[f64; 4]; 4]>,
}

/// The face's motion in the frames once the poses are removed; see [`Jitter`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Motion {
    /// Standard deviation over time along x and y, pixels; patches that move by themselves have less weight.
    pub common: [f64; 2],
    /// The same with equal weights for all patches.
    #[serde(default)]
    pub alike: [f64; 2],
    /// The same of its change from frame to frame.
    pub frame_to_frame: [f64; 2],
    /// Median deviation of a single patch.
    pub single: f64,
    /// Patches that were followed.
    pub patches: usize,
    /// The motion in each frame, pixels.
    pub path: Vec<Option<[f32; 2]>>,
}

impl Motion {
    /// The measured motion.
    pub fn of(residual: &ResidualMotion) -> Self {
        let Jitter { common, frame_to_frame, alike, single, patches } = residual.jitter;
        let path = residual.path.iter().map(|p| p.map(|p| p.map(|v| v as f32))).collect();
        Motion { common, alike, frame_to_frame, single, patches, path }
    }

    /// The motion in one line.
    pub fn words(&self) -> String {
        let [[x, y], [dx, dy]] = [self.common, self.frame_to_frame];
        let [ax, ay] = self.alike;
        format!(
            "{x:.2} / {y:.2} px ({ax:.2} / {ay:.2} with skin that moves by itself), {dx:.3} / {dy:.3} from frame to frame"
        )
    }
}

impl TrackParams {
    /// The file's content. `fit` holds the poses that are to be kept.
    pub fn of(model: &FaceModel, fit: &Fit, size: [u32; 2], residuals: [Option<&ResidualMotion>; 2]) -> Self {
        let cameras: Vec<Camera> = fit.poses.iter().map(|p| p.camera(&fit.lens, size)).collect();
        let [before, after] = residuals;
        let still = ResidualMotion::default();
        TrackParams {
            unit: "m".into(),
            model: model.name.clone(),
            focal: fit.lens.focal,
            focal_deviation: fit.focal_deviation,
            center: fit.lens.center,
            size,
            landmark_error: [fit.errors.stable_median, fit.errors.stable_mean, fit.errors.all_mean],
            fit_residual: Motion::of(before.unwrap_or(&still)),
            stabilized_residual: after.map(Motion::of),
            held_out_residual: None,
            identity: fit.identity.clone(),
            mean_face: fit.mean_face(model),
            expression_names: model.expression_names.clone(),
            expression: fit.expression.iter().map(|row| row.iter().map(|v| *v as f32).collect()).collect(),
            seen: fit.seen.clone(),
            euler: fit.poses.iter().map(crate::track::Pose::euler).collect(),
            translation: fit.poses.iter().map(|p| p.translation).map(|[x, y, z]| [x, -y, -z]).collect(),
            camera_to_world: cameras.iter().map(Camera::to_opengl).collect(),
        }
    }

    /// The camera of each frame.
    pub fn cameras(&self) -> Vec<Camera> {
        let [cx, cy] = self.center;
        let camera = |m: &[[f64; 4]; 4]| Camera::from_opengl(m, self.focal, cx, cy, self.size);
        self.camera_to_world.iter().map(camera).collect()
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// [`Error::Internal`] when they cannot be written as JSON.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| Error::Internal(format!("{FILE}: {e}")))
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`Error::Input`] when it is not whole, or not of one clip.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let bytes = files::read_bounded(&path, MAX_BYTES)?;
        let refuse = |found: String| {
            Error::input(path.display(), "poses of the clip", found, "run process again with --task 8 --redo")
        };
        let params: TrackParams = serde_json::from_slice(&bytes).map_err(|e| refuse(e.to_string()))?;
        let frames = params.camera_to_world.len();
        let counts =
            [params.expression.len(), params.seen.len(), params.euler.len(), params.translation.len()];
        if counts.iter().any(|c| *c != frames)
            || params.focal.is_nan()
            || params.focal <= 0.0
            || params.size.contains(&0)
        {
            return Err(refuse(format!("{frames} cameras, but {counts:?} of what belongs to them")));
        }
        Ok(params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_clip_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(TrackParams::read(dir.path()).expect_err("nothing there").exit_code(), 2);
        let residual = Motion {
            common: [0.1; 2],
            alike: [0.2; 2],
            frame_to_frame: [0.0; 2],
            single: 0.5,
            patches: 3,
            path: vec![None],
        };
        let mut params = TrackParams {
            unit: "m".into(),
            model: "made up".into(),
            focal: 1000.0,
            focal_deviation: 0.1,
            center: [256.0, 250.0],
            size: [512, 500],
            landmark_error: [0.3, 0.4, 0.5],
            fit_residual: residual,
            stabilized_residual: None,
            held_out_residual: None,
            identity: vec![0.5],
            mean_face: vec![[0.0, 0.01, 0.02]],
            expression_names: vec!["a".into()],
            expression: vec![vec![1.5]],
            seen: vec![true],
            euler: vec![[0.0; 3]],
            translation: vec![[0.0, 0.0, -0.6]],
            camera_to_world: vec![[
                [1.0, 0.0, 0.0, 0.0],
                [0.0, 1.0, 0.0, 0.0],
                [0.0, 0.0, 1.0, 0.6],
                [0.0, 0.0, 0.0, 1.0],
            ]],
        };
        std::fs::write(dir.path().join(FILE), params.to_json().expect("JSON")).expect("written");
        let back = TrackParams::read(dir.path()).expect("read");
        // The head's origin is straight ahead of the camera.
        let [x, y, z] = back.cameras()[0].project([0.0; 3]);
        assert!((x - 255.5).abs() < 1e-9 && (y - 249.5).abs() < 1e-9 && (z - 0.6).abs() < 1e-9);
        params.expression.clear();
        std::fs::write(dir.path().join(FILE), params.to_json().expect("JSON")).expect("written");
        assert_eq!(TrackParams::read(dir.path()).expect_err("a frame without").exit_code(), 2);
        std::fs::write(dir.path().join(FILE), "{\"unit\":").expect("written");
        assert_eq!(TrackParams::read(dir.path()).expect_err("cut short").exit_code(), 2);
    }
}
