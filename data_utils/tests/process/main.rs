//! The `process` program as a user runs it.
//!
//! The networks and the footage are not part of this repository: `SURFELTALK_DATA_DIR` names a folder with
//! `models/face_landmarker.task`, `clips/` and datasets made from them; without it `../shared/data` beside the workspace is tried. What is not
//! there is skipped, with a line that says so; so is all that needs ffmpeg where it is not installed.

mod bad_input;
mod odd_input;
mod reference;
mod whole;

use std::path::{Path, PathBuf};
use std::process::Command;

/// A path under the data folder; none, and a line about it, when it is not there.
fn present(what: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let path = std::env::var_os("SURFELTALK_DATA_DIR").map_or(beside, PathBuf::from).join(what);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is not there; set SURFELTALK_DATA_DIR", path.display());
    None
}

/// MediaPipe's bundle, where it and ffmpeg are there.
fn landmarker() -> Option<PathBuf> {
    if data_utils::video::find().is_none() {
        println!("skipped: ffmpeg and ffprobe are not both installed");
        return None;
    }
    present("models/face_landmarker.task")
}

/// Runs ffmpeg to make a video; `arguments` are split at spaces.
fn ffmpeg(arguments: &str, to: &Path) {
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments.split(' '))
        .arg(to)
        .status()
        .expect("ffmpeg runs");
    assert!(status.success(), "ffmpeg {arguments}");
}

/// What a run printed on stderr, and its exit code.
struct Outcome {
    code: Option<i32>,
    said: String,
    shown: String,
}

/// Runs `process` with `arguments` before the video and the bundle.
fn process(video: &Path, landmarker: &Path, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("process"));
    command.args(arguments).arg("--quiet").arg("--face_landmarker").arg(landmarker).arg(video);
    let output = command.output().expect("process runs");
    Outcome {
        code: output.status.code(),
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
        shown: String::from_utf8_lossy(&output.stdout).into_owned(),
    }
}

/// Names of everything in a folder.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
