//! The programs under faults: a reader or a terminal that goes away, signals, damaged files, an ffmpeg that lies, fails or
//! hangs. Each statement is about a whole program.

#![cfg(unix)]

#[path = "../common/talker.rs"]
#[allow(dead_code, reason = "the parts that other tests use")]
mod talker;

mod checkpoints;
mod ffmpeg;
mod heads;
mod output;
mod settings;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A program of ours.
fn program(name: &str) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin(name));
    command
        .env("RAYON_NUM_THREADS", "2")
        .env("XDG_CACHE_HOME", std::env::temp_dir().join("surfeltalk-tests"));
    command
}

/// A folder with the dataset of a made-up talker in `data`.
fn talker_folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    talker::talker_data(dir.path());
    dir
}

/// `train` on that dataset into `model`, a run of `steps` steps with checkpoints only where the run ends.
fn train(dir: &Path, steps: u64) -> Command {
    let mut command = program("train");
    command.arg("-s").arg(dir.join("data")).arg("-m").arg(dir.join("model"));
    command.args(["--device", "cpu", "--coarse_iterations", "4", "--max_points", "300"]);
    command.arg("--fine_iterations").arg(steps.to_string());
    for set in ["field.plane_resolutions=[8]", "field.plane_channels=4", "batch_size=1", "test_every=1000000"]
    {
        command.arg("--set").arg(set);
    }
    command
}

/// Starts `command` and waits until `path` is there.
fn start_until(command: &mut Command, path: &Path) -> Child {
    let child = command.spawn().expect("started");
    wait_for(path);
    child
}

fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < Duration::from_secs(120), "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn send(child: &Child, signal: &str) {
    let status = Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string()).status();
    assert!(status.expect("kill runs").success());
}

/// The checkpoints of a model.
fn saved(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir.join("model/chkpnt")) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    found.sort();
    found
}

fn text(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&all).into_owned()
}

/// Ends with `code`, without a panic, saying all of `said`.
fn expect(output: &Output, code: i32, said: &[&str]) {
    let text = text(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(!text.contains("panicked") && !text.contains("bug of surfeltalk"), "{text}");
    for said in said {
        assert!(text.contains(said), "{said:?} is missing in: {text}");
    }
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped())
}
