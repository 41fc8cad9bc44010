//! The folder of a trained model, laid out as SIBR's Gaussian viewer and the readers of the 3DGS family expect:
//! `cfg_args`, `cameras.json`, `input.ply`, `point_cloud/iteration_N/point_cloud.ply`.

use crate::head::cloud::init::Points;
use crate::{Camera, Error, Result};
use data_utils::media::files;
use serde::Serialize;
use std::path::{Path, PathBuf};

mod cfg_args;

pub use cfg_args::{CfgArgs, CfgValue};

/// Longest `cfg_args` that is read, bytes.
const CFG_LIMIT: u64 = 1 << 20;

/// What a saved iteration holds: the head, and the cloud for viewers; a folder with either counts.
pub const ITERATION_FILES: [&str; 2] = ["head.safetensors", "point_cloud.ply"];

/// A model folder. Nothing is created before something is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelDir {
    root: PathBuf,
}

/// One record of `cameras.json` (3DGS `camera_to_JSON`): camera-to-world in OpenCV axes (x right, y down,
/// z forward), focal lengths in pixels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CameraRecord {
    id: usize,
    img_name: String,
    width: u32,
    height: u32,
    position: [f64; 3],
    rotation: [[f64; 3]; 3],
    fy: f64,
    fx: f64,
}

impl CameraRecord {
    fn new(id: usize, name: &str, camera: &Camera) -> Self {
        let m = &camera.camera_from_world;
        CameraRecord {
            id,
            img_name: name.to_string(),
            width: camera.width,
            height: camera.height,
            position: camera.center(),
            rotation: std::array::from_fn(|row| std::array::from_fn(|column| m[column][row])),
            fy: camera.fy,
            fx: camera.fx,
        }
    }
}

impl ModelDir {
    /// The model folder at `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        ModelDir { root: root.into() }
    }

    /// Where the folder is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `point_cloud/iteration_N`.
    pub fn iteration_dir(&self, iteration: u64) -> PathBuf {
        self.root.join("point_cloud").join(format!("iteration_{iteration}"))
    }

    /// Iterations that were saved, ascending. A folder counts when its name is `iteration_` and digits and nothing else, as SIBR
    /// has it, and it holds a head or a cloud.
    ///
    /// # Errors
    /// [`Error::Input`] when the folder exists and cannot be listed.
    pub fn iterations(&self) -> Result<Vec<u64>> {
        let dir = self.root.join("point_cloud");
        let fail = |e: std::io::Error| Error::io(&dir, "a readable folder", &e);
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(fail(e)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(fail)?.file_name();
            let digits = name.to_str().and_then(|n| n.strip_prefix("iteration_")).unwrap_or("");
            if !digits.is_empty()
                && digits.bytes().all(|b| b.is_ascii_digit())
                && let Ok(iteration) = digits.parse()
                && ITERATION_FILES.iter().any(|file| dir.join(&name).join(file).is_file())
            {
                found.push(iteration);
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// `wanted` when it was saved, the newest iteration when nothing is wanted.
    ///
    /// # Errors
    /// [`Error::Input`] naming the iterations there are.
    pub fn iteration(&self, wanted: Option<u64>) -> Result<u64> {
        let there = self.iterations()?;
        let found = match wanted {
            Some(n) => there.iter().copied().find(|&m| m == n),
            None => there.last().copied(),
        };
        found.ok_or_else(|| {
            let list: Vec<String> = there.iter().map(u64::to_string).collect();
            let expected = match wanted {
                Some(n) => format!("a model that was saved at iteration {n}"),
                None => "a trained model".to_string(),
            };
            let found = match list.is_empty() {
                true => "no saved iteration".to_string(),
                false => format!("iterations {}", list.join(", ")),
            };
            let remedy = "check --model_path and --iteration, or train first";
            Error::input(self.root.join("point_cloud").display(), expected, found, remedy)
        })
    }

    /// Writes `cfg_args`, one line.
    ///
    /// # Errors
    /// [`Error::Input`] when the folder cannot be written to.
    pub fn write_cfg_args(&self, args: &CfgArgs) -> Result<()> {
        files::write_bytes(&self.root.join("cfg_args"), args.to_string().as_bytes())
    }

    /// Reads `cfg_args` without evaluating anything.
    ///
    /// # Errors
    /// [`Error::Input`] when it is missing or not `Namespace(key=value, …)`.
    pub fn read_cfg_args(&self) -> Result<CfgArgs> {
        let path = self.root.join("cfg_args");
        let bytes = files::read_bounded(&path, CFG_LIMIT)?;
        let text = String::from_utf8_lossy(&bytes);
        CfgArgs::parse(&text).map_err(|found| {
            let remedy = "check that this is a model folder; training writes it anew";
            Error::input(path.display(), "one line `Namespace(key=value, …)`", found, remedy)
        })
    }

    /// Writes `cameras.json`: the test cameras, then the training cameras, each with the name of its picture.
    ///
    /// # Errors
    /// [`Error::Input`] when the folder cannot be written to.
    pub fn write_cameras(&self, test: &[(String, Camera)], train: &[(String, Camera)]) -> Result<()> {
        let records: Vec<CameraRecord> = test
            .iter()
            .chain(train)
            .enumerate()
            .map(|(id, (name, c))| CameraRecord::new(id, name, c))
            .collect();
        let text = serde_json::to_vec(&records).map_err(|e| Error::Internal(format!("cameras.json: {e}")))?;
        files::write_bytes(&self.root.join("cameras.json"), &text)
    }

    /// Writes `input.ply`, the points the cloud started from: x y z nx ny nz red green blue. Points without a
    /// normal have zeros, points without a colour are grey.
    ///
    /// # Errors
    /// [`Error::Input`] when the folder cannot be written to, [`Error::Internal`] when normals or colours do not
    /// belong to the points.
    pub fn write_input(&self, points: &Points<'_>) -> Result<()> {
        let n = points.positions.len();
        if points.normals.is_some_and(|v| v.len() != n) || points.colors.is_some_and(|v| v.len() != n) {
            return Err(Error::Internal("normals or colours that do not belong to the points".into()));
        }
        files::write_atomic(&self.root.join("input.ply"), |out| {
            write!(out, "ply\nformat binary_little_endian 1.0\nelement vertex {n}\n")?;
            for name in ["x", "y", "z", "nx", "ny", "nz"] {
                writeln!(out, "property float {name}")?;
            }
            out.write_all(b"property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n")?;
            for (i, position) in points.positions.iter().enumerate() {
                let normal = points.normals.map_or([0.0; 3], |v| v[i]);
                for value in position.iter().chain(&normal) {
                    out.write_all(&value.to_le_bytes())?;
                }
                out.write_all(&points.colors.map_or([128; 3], |v| v[i]))?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
#[path = "model_dir_tests.rs"]
mod tests;
