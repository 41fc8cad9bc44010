//! `transforms_train.json` and `transforms_val.json`: which frames there are and where the camera stood.
//!
//! `{focal_len, cx, cy, frames: [{img_id, aud_id, transform_matrix}]}`; `transform_matrix` is camera-to-world,
//! 4×4, row-major, OpenGL axes (x right, y up, looking along −z), in the dataset's own unit.

use super::check::Findings;
use crate::error::{Problem, Result};
use crate::media::files;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Largest json read, bytes: more than an hour of frames.
const MAX_JSON: u64 = 64 << 20;
/// How far rotationᵀ · rotation may be from the identity, each entry.
const ORTHONORMAL: f64 = 1e-3;

/// The file as it stands.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Transforms {
    pub(super) focal_len: f64,
    pub(super) cx: f64,
    pub(super) cy: f64,
    pub(super) frames: Vec<Entry>,
}

/// One frame of the file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) img_id: u32,
    /// Row of the audio features; the frame's own number where it is left out.
    pub(super) aud_id: Option<u32>,
    pub(super) transform_matrix: Vec<Vec<f64>>,
}

/// One frame, validated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pose {
    pub(super) img_id: u32,
    pub(super) aud_id: u32,
    pub(super) focal: f64,
    pub(super) center: [f64; 2],
    pub(super) world_from_camera: [[f64; 4]; 4],
}

/// Reads and checks one of the two files. Frames that fail a check are left out and noted in `findings`.
pub(super) fn read(path: &Path, findings: &mut Findings) -> Vec<Pose> {
    let Some(file) = findings.take(parse(path)) else { return Vec::new() };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let remedy = "run the pose tracking of this dataset again";
    let mut at_file = |field: &str, expected: &str, found: String| {
        findings.push(Problem::new(format!("{}: {field}", path.display()), expected, found, remedy));
    };
    if !(file.focal_len.is_finite() && file.focal_len > 0.0) {
        at_file("focal_len", "a focal length in pixels, above 0", file.focal_len.to_string());
    }
    for (field, value) in [("cx", file.cx), ("cy", file.cy)] {
        if !(value.is_finite() && value > 0.0) {
            at_file(field, "the principal point in pixels from the edge", value.to_string());
        }
    }
    let mut poses = Vec::with_capacity(file.frames.len());
    for frame in file.frames {
        match matrix(&frame.transform_matrix) {
            Ok(world_from_camera) => poses.push(Pose {
                img_id: frame.img_id,
                aud_id: frame.aud_id.unwrap_or(frame.img_id),
                focal: file.focal_len,
                center: [file.cx, file.cy],
                world_from_camera,
            }),
            Err((expected, found)) => {
                let at = format!("{name}: frame {{}}: transform_matrix");
                findings.frame(&at, frame.img_id, expected, &found, remedy);
            }
        }
    }
    poses
}

fn parse(path: &Path) -> Result<Transforms> {
    if !path.exists() {
        let remedy = "run `process` on the video, whose task 10 writes it, or name the folder of a dataset";
        return Err(Problem::new(path.display(), "the cameras of a dataset", "no such file", remedy).into());
    }
    let bytes = files::read_bounded(path, MAX_JSON)?;
    if let Some(program) = other_program(&bytes) {
        return Err(Problem::new(
            path.display(),
            "focal_len, cx, cy and frames with img_id, as datasets of talking heads have them",
            format!(
                "the transforms of {program}, which follow a moving camera and know no frames of a video"
            ),
            "run `process` on the video",
        )
        .into());
    }
    serde_json::from_slice(&bytes).map_err(|e| {
        let line = bytes.split(|&b| b == b'\n').nth(e.line().saturating_sub(1)).unwrap_or_default();
        // A file of one line is shown around the column only.
        let from = e.column().saturating_sub(30).min(line.len());
        let part = String::from_utf8_lossy(&line[from..line.len().min(from + 60)]).trim().to_string();
        Problem::new(
            format!("{} line {} column {}", path.display(), e.line(), e.column()),
            "json with focal_len, cx, cy and frames of finite numbers",
            format!("{e} in \"{part}\""),
            "run the pose tracking of this dataset again",
        )
        .into()
    })
}

/// Which other program's transforms these are.
fn other_program(bytes: &[u8]) -> Option<&'static str> {
    let json: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let frame = json.get("frames").and_then(|frames| frames.get(0));
    let has = |key: &str| json.get(key).is_some() || frame.is_some_and(|frame| frame.get(key).is_some());
    if has("focal_len") || has("img_id") {
        return None;
    }
    match (has("fl_x") || has("camera_model") || has("ply_file_path"), has("camera_angle_x")) {
        (true, _) => Some("nerfstudio"),
        (_, true) => Some("Blender (NeRF's synthetic scenes)"),
        _ => None,
    }
}

/// The 4×4 matrix, when it is one of a rotation and a place.
fn matrix(rows: &[Vec<f64>]) -> std::result::Result<[[f64; 4]; 4], (&'static str, String)> {
    let shape = "4 rows of 4 numbers";
    if rows.len() != 4 || rows.iter().any(|r| r.len() != 4) {
        let numbers: usize = rows.iter().map(Vec::len).sum();
        return Err((shape, format!("{} rows with {numbers} numbers in all", rows.len())));
    }
    let m: [[f64; 4]; 4] = std::array::from_fn(|r| std::array::from_fn(|c| rows[r][c]));
    if let Some(bad) = m.iter().flatten().find(|v| !v.is_finite()) {
        return Err(("finite numbers", bad.to_string()));
    }
    if (0..4).any(|c| (m[3][c] - [0.0, 0.0, 0.0, 1.0][c]).abs() > 1e-6) {
        return Err(("a last row of 0 0 0 1", "another last row".into()));
    }
    let dot = |a: usize, b: usize| (0..3).map(|r| m[r][a] * m[r][b]).sum::<f64>();
    let off = (0..9).map(|k| (dot(k / 3, k % 3) - f64::from(k / 3 == k % 3)).abs()).fold(0.0, f64::max);
    if off > ORTHONORMAL {
        return Err(("a rotation (orthonormal columns)", "columns that are not orthonormal".into()));
    }
    let minor = |a: usize, b: usize| m[1][a] * m[2][b] - m[1][b] * m[2][a];
    if m[0][0] * minor(1, 2) - m[0][1] * minor(0, 2) + m[0][2] * minor(0, 1) < 0.0 {
        return Err(("a rotation", "a reflection".into()));
    }
    Ok(m)
}

/// Writes one of the two files, as a whole or not at all.
pub(super) fn write(path: &Path, transforms: &Transforms) -> Result<()> {
    let json = serde_json::to_vec_pretty(transforms)
        .map_err(|e| crate::Error::Internal(format!("{}: {e}", path.display())))?;
    files::write_bytes(path, &json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    const GOOD: &str = r#"{"focal_len": 100.0, "cx": 16.0, "cy": 16.0, "frames": [
        {"img_id": 4, "aud_id": 5, "transform_matrix": [[1,0,0,0],[0,1,0,0],[0,0,1,7],[0,0,0,1]]},
        {"img_id": 9, "transform_matrix": [[0,-1,0,0],[1,0,0,0],[0,0,1,7],[0,0,0,1]]}]}"#;

    fn outcome(text: &str) -> (Vec<Pose>, Result<()>) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("transforms_train.json");
        std::fs::write(&path, text).expect("written");
        let mut findings = Findings::default();
        (read(&path, &mut findings), findings.into_result())
    }

    fn refusal(text: &str) -> String {
        outcome(text).1.expect_err("refused").to_string()
    }

    #[test]
    fn ids_may_jump_and_the_audio_row_defaults_to_the_frame() {
        let (poses, result) = outcome(GOOD);
        result.expect("no problem");
        assert_eq!(poses.iter().map(|p| [p.img_id, p.aud_id]).collect::<Vec<_>>(), [[4, 5], [9, 9]]);
    }

    #[test]
    fn numbers_that_are_none_are_refused_by_name() {
        assert!(refusal(&GOOD.replace("100.0", "NaN")).contains("NaN"));
        assert!(refusal(&GOOD.replace("100.0", "-3")).contains("focal_len"));
        assert!(refusal(&GOOD.replace("\"cx\": 16.0", "\"cx\": 0")).contains("cx"));
        assert!(refusal(&GOOD.replace("[0,0,1,7]", "[0,0,1,1e999]")).contains("transforms_train.json"));
    }

    #[test]
    fn transforms_of_other_programs_and_missing_ones_are_named_as_such() {
        let nerfstudio = r#"{"camera_model": "OPENCV", "fl_x": 1.0, "frames": [{"file_path": "a.png"}]}"#;
        assert!(refusal(nerfstudio).contains("nerfstudio"));
        let blender = r#"{"camera_angle_x": 0.7, "frames": [{"file_path": "./train/r_0"}]}"#;
        assert!(refusal(blender).contains("Blender"));
        let mut findings = Findings::default();
        read(Path::new("no/such/transforms_train.json"), &mut findings);
        let text = findings.into_result().expect_err("refused").to_string();
        assert!(text.contains("run `process` on the video") && text.contains("task 10"), "{text}");
    }

    #[test]
    fn a_matrix_of_fifteen_numbers_is_refused_with_its_frame() {
        let message = refusal(&GOOD.replacen("[0,0,1,7]", "[0,0,7]", 1));
        assert!(message.contains("frame 4") && message.contains("15 numbers"), "{message}");
        let flat =
            GOOD.replacen("[[1,0,0,0],[0,1,0,0],[0,0,1,7],[0,0,0,1]]", "[1,0,0,0,0,1,0,0,0,0,1,7,0,0,0]", 1);
        assert!(refusal(&flat).contains("transforms_train.json line 2"));
    }

    #[test]
    fn a_stretched_or_mirrored_rotation_is_refused() {
        assert!(refusal(&GOOD.replacen("[1,0,0,0]", "[2,0,0,0]", 1)).contains("orthonormal"));
        assert!(refusal(&GOOD.replacen("[1,0,0,0]", "[-1,0,0,0]", 1)).contains("reflection"));
        assert!(refusal(&GOOD.replacen("[0,0,0,1]", "[0,0,0,2]", 1)).contains("last row"));
    }

    #[test]
    fn every_cut_of_the_file_is_an_answer_and_no_panic() {
        for cut in 0..GOOD.len() {
            let (_, result) = outcome(&GOOD[..cut]);
            assert!(matches!(result, Err(Error::Input(_))), "cut at {cut}");
        }
    }
}
