//! Stages 8 and 9: where the head is in every frame. The seam to the tracker: [`estimate`] is all that the stages
//! know of it.
//!
//! The simplest of trackers, frame by frame: MediaPipe's canonical face, the landmarks that hold still when the face
//! moves, a fixed focal length, and Gauss–Newton on the reprojection error.

use super::landmarks;
use super::stage::Context;
use crate::camera::Camera;
use crate::error::{Error, Result};
use crate::face::{CanonicalFace, Landmarks};
use crate::files;
use crate::formats::ply::{self, PointCloud};
use crate::process::crop::SIDE;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Focal length over the side of the picture; a short, nearly frontal clip does not show it.
const FOCAL: f64 = 2.34;
/// Where the origin lies from the canonical face's nose tip (landmark 4): behind it, metres.
const ORIGIN: [f64; 3] = [0.0, 0.0019, -0.0547];
/// Steps of the fit of one frame.
const STEPS: usize = 30;
/// Name of the file of poses, and the largest that is read.
pub const FILE: &str = "track_params.json";
const MAX_BYTES: u64 = 256 << 20;

/// The head through the clip.
#[derive(Debug, Clone)]
pub struct Head {
    /// One camera a frame, bridged where a frame is left out.
    pub cameras: Vec<Camera>,
    /// The mean face, metres, in the same world.
    pub cloud: PointCloud,
    /// How well it fits, in a line.
    pub result: String,
}

/// `track_params.json`: poses in a readable form.
#[derive(Debug, Serialize, Deserialize)]
struct Poses {
    unit: String,
    focal: f64,
    /// Principal point from the image's edge, pixels.
    center: [f64; 2],
    size: [u32; 2],
    /// OpenGL camera-to-world of each frame, row-major.
    camera_to_world: Vec<[[f64; 4]; 4]>,
}

/// Finds the head. Worlds are metres, origin inside the head, x right, y up, z out of the face.
///
/// # Errors
/// [`Error::Input`] when no frame has a face.
pub fn estimate(faces: &[Option<Landmarks>], face: &CanonicalFace) -> Result<Head> {
    let nose = face.vertices.get(4).copied().unwrap_or_default();
    let points: Vec<[f64; 3]> = face
        .vertices
        .iter()
        .map(|v| std::array::from_fn(|k| f64::from(v[k] - nose[k]) / 100.0 - ORIGIN[k]))
        .collect();
    let stable: Vec<(usize, f64)> = face.basis.iter().map(|(i, w)| (*i, f64::from(*w))).collect();
    let focal = FOCAL * f64::from(SIDE);
    let mut pose = [0.0, 0.0, 0.0, 0.0, 0.0, 0.6];
    let (mut found, mut errors) = (Vec::with_capacity(faces.len()), Vec::new());
    for face in faces {
        found.push(face.as_ref().map(|face| {
            let (fitted, error) = fit(pose, &points, &stable, face, focal);
            pose = fitted;
            errors.push(error);
            fitted.map(|v| v as f32).to_vec()
        }));
    }
    let rows = super::smooth::bridged(&found)
        .ok_or_else(|| Error::input("the frames", "at least one with a face", "none", "use another video"))?;
    let cameras = rows.iter().map(|r| camera(&std::array::from_fn(|k| f64::from(r[k])), focal)).collect();
    errors.sort_by(f64::total_cmp);
    let median = errors.get(errors.len() / 2).copied().unwrap_or(0.0);
    let cloud = PointCloud {
        positions: points.iter().map(|p| p.map(|v| v as f32)).collect(),
        normals: None,
        colors: None,
        faces: face.triangles.clone(),
    };
    Ok(Head { cameras, cloud, result: format!("stable landmarks {median:.2} px off in the middle frame") })
}

/// Rotation of a vector (axis times angle, Rodrigues), after turning OpenGL's axes into the camera's.
fn rotation([x, y, z]: [f64; 3]) -> [[f64; 3]; 3] {
    let angle = (x * x + y * y + z * z).sqrt();
    let (s, c) =
        if angle > 1e-12 { (angle.sin() / angle, (1.0 - angle.cos()) / (angle * angle)) } else { (1.0, 0.5) };
    let cos = angle.cos();
    let r = [
        [cos + c * x * x, c * x * y - s * z, c * x * z + s * y],
        [c * x * y + s * z, cos + c * y * y, c * y * z - s * x],
        [c * x * z - s * y, c * y * z + s * x, cos + c * z * z],
    ];
    r.map(|row| [row[0], -row[1], -row[2]])
}

fn camera(pose: &[f64; 6], focal: f64) -> Camera {
    let r = rotation([pose[0], pose[1], pose[2]]);
    let center = f64::from(SIDE) / 2.0 - 0.5;
    Camera {
        camera_from_world: std::array::from_fn(|k| [r[k][0], r[k][1], r[k][2], pose[3 + k]]),
        fx: focal,
        fy: focal,
        cx: center,
        cy: center,
        width: SIDE,
        height: SIDE,
    }
}

/// Pose of one frame and the mean distance of its stable landmarks, pixels.
fn fit(
    start: [f64; 6],
    points: &[[f64; 3]],
    stable: &[(usize, f64)],
    face: &Landmarks,
    focal: f64,
) -> ([f64; 6], f64) {
    let residuals = |pose: &[f64; 6]| -> Vec<f64> {
        let camera = camera(pose, focal);
        let pairs =
            stable.iter().filter_map(|(i, w)| Some((points.get(*i)?, face.points.get(*i)?, w.sqrt())));
        pairs
            .flat_map(|(p, seen, w)| {
                let [u, v, _] = camera.project(*p);
                [w * (u + 0.5 - f64::from(seen[0])), w * (v + 0.5 - f64::from(seen[1]))]
            })
            .collect()
    };
    let cost = |r: &[f64]| r.iter().map(|v| v * v).sum::<f64>();
    let (mut pose, mut damping) = (start, 1e-3);
    let mut current = residuals(&pose);
    for _ in 0..STEPS {
        let slopes: Vec<Vec<f64>> = (0..6)
            .map(|k| {
                let mut moved = pose;
                moved[k] += 1e-6;
                residuals(&moved).iter().zip(&current).map(|(a, b)| (a - b) / 1e-6).collect()
            })
            .collect();
        let mut system = [[0.0; 7]; 6];
        for (row, a) in system.iter_mut().zip(&slopes) {
            for (value, b) in row.iter_mut().zip(&slopes) {
                *value = a.iter().zip(b).map(|(a, b)| a * b).sum();
            }
            row[6] = -a.iter().zip(&current).map(|(a, r)| a * r).sum::<f64>();
        }
        (0..6).for_each(|k| system[k][k] *= 1.0 + damping);
        let Some(step) = solved(system) else { break };
        let next: [f64; 6] = std::array::from_fn(|k| pose[k] + step[k]);
        let there = residuals(&next);
        if next[5] > 0.05 && cost(&there) < cost(&current) {
            (pose, current, damping) = (next, there, damping * 0.3);
        } else {
            damping *= 10.0;
        }
    }
    let weight: f64 = stable.iter().map(|(_, w)| w).sum();
    (pose, (cost(&current) / weight.max(1e-12)).sqrt())
}

/// Solves six equations by elimination with the largest pivot; none where they have no one solution.
fn solved(mut rows: [[f64; 7]; 6]) -> Option<[f64; 6]> {
    for k in 0..6 {
        let pivot = (k..6).max_by(|a, b| rows[*a][k].abs().total_cmp(&rows[*b][k].abs()))?;
        rows.swap(k, pivot);
        if !rows[k][k].is_finite() || rows[k][k].abs() < 1e-15 {
            return None;
        }
        for r in 0..6 {
            if r != k {
                let share = rows[r][k] / rows[k][k];
                for c in k..7 {
                    rows[r][c] -= share * rows[k][c];
                }
            }
        }
    }
    Some(std::array::from_fn(|k| rows[k][6] / rows[k][k]))
}

/// Writes `track_params.json` and `fused.ply`.
///
/// # Errors
/// What reading landmarks fails with.
pub fn run(context: &Context) -> Result<String> {
    let dir = context.dir();
    let faces = landmarks::read(dir)?;
    let head = estimate(&faces, context.models()?.canonical())?;
    let Some(first) = head.cameras.first() else { return Err(Error::Internal("no poses".into())) };
    let poses = Poses {
        unit: "m".into(),
        focal: first.fx,
        center: [first.cx + 0.5, first.cy + 0.5],
        size: [first.width, first.height],
        camera_to_world: head.cameras.iter().map(Camera::to_opengl).collect(),
    };
    let json = serde_json::to_vec(&poses).map_err(|e| Error::Internal(format!("{FILE}: {e}")))?;
    ply::write_points(&dir.join("fused.ply"), &head.cloud)?;
    files::write_bytes(&dir.join(FILE), &json)?;
    Ok(head.result)
}

/// The cameras of `track_params.json`, one a frame.
///
/// # Errors
/// [`Error::Input`] when the file is not whole.
pub fn read(dir: &Path) -> Result<Vec<Camera>> {
    let path = dir.join(FILE);
    let bytes = files::read_bounded(&path, MAX_BYTES)?;
    let poses: Poses = serde_json::from_slice(&bytes)
        .map_err(|e| Error::input(path.display(), "poses", e.to_string(), "run again with --task 8"))?;
    let [cx, cy] = poses.center;
    Ok(poses
        .camera_to_world
        .iter()
        .map(|m| Camera::from_opengl(m, poses.focal, cx, cy, poses.size))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pose_that_made_the_landmarks_is_found() {
        let points: Vec<[f64; 3]> = (0..30)
            .map(|i| {
                [
                    ((i * 7) % 11) as f64 * 0.01 - 0.05,
                    ((i * 5) % 13) as f64 * 0.01 - 0.06,
                    (i % 4) as f64 * 0.015,
                ]
            })
            .collect();
        let stable: Vec<(usize, f64)> = (0..30).map(|i| (i, 0.1)).collect();
        let truth = [0.2, -0.3, 0.15, 0.02, -0.01, 0.7];
        let seen = camera(&truth, 1200.0);
        let landmarks = points.iter().map(|p| {
            let [u, v, _] = seen.project(*p);
            [(u + 0.5) as f32, (v + 0.5) as f32, 0.0]
        });
        let face = Landmarks { points: landmarks.collect(), score: 1.0 };
        let (found, error) = fit([0.0, 0.0, 0.0, 0.0, 0.0, 0.6], &points, &stable, &face, 1200.0);
        assert!(error < 1e-3, "{error} px");
        for (a, b) in found.iter().zip(truth) {
            assert!((a - b).abs() < 1e-4, "{found:?}");
        }
    }
}
