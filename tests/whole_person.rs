//! The whole person as a user makes it: a torso that follows the head, and a head that moves by the sound.

use assert_cmd::Command;
use std::path::Path;
use surfeltalk::head::Head;
use surfeltalk::head::cloud::model_dir::ModelDir;
use surfeltalk::raster::cpu::CpuRasterizer;
use surfeltalk::sample::{SampleClip, Sentence, Talker, write_dataset};

/// Pixels a side.
const SIZE: u32 = 48;

fn program(name: &str) -> Command {
    let mut command = Command::cargo_bin(name).expect("a built program");
    command.env("XDG_CACHE_HOME", std::env::temp_dir().join("surfeltalk-tests"));
    command
}

/// A talker who says two sentences, some 150 frames.
fn talker(dir: &Path) {
    let said = [
        "We choose five shiny boys to sing with joy.",
        "Both of my uncles live near the harbour and watch the fishing ships.",
    ];
    let sentences: Vec<Sentence> = said.iter().filter_map(|text| Sentence::new(text).ok()).collect();
    assert!(!sentences.is_empty(), "words the sample voice knows");
    let clip = SampleClip::speak(&sentences, 3).expect("spoken");
    write_dataset(&dir.join("data"), &Talker::new(0), &clip, SIZE, &CpuRasterizer::<f32>::new())
        .expect("written");
}

fn train(dir: &Path, extra: &[&str]) -> Command {
    let mut command = program("train");
    command.arg("-s").arg(dir.join("data")).arg("-m").arg(dir.join("model"));
    command.args([
        "--device",
        "cpu",
        "--coarse_iterations",
        "6",
        "--fine_iterations",
        "6",
        "--max_points",
        "400",
    ]);
    command
        .args(["--set", "field.plane_resolutions=[8]", "--set", "field.plane_channels=4", "--quiet"])
        .args(extra);
    command
}

fn render(dir: &Path, out: &str, extra: &[&str]) -> Command {
    let mut command = program("render");
    command.arg("--model_path").arg(dir.join("model")).arg("--custom_aud").arg(dir.join("data/aud.wav"));
    command.args(["--device", "cpu", "--quiet", "--out"]).arg(dir.join(out)).args(extra);
    command
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().expect("started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refused(command: &mut Command, said: &[&str]) {
    let output = command.output().expect("started");
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    said.iter().for_each(|said| assert!(message.contains(said), "{said:?} is missing in: {message}"));
}

fn head(dir: &Path) -> Head {
    let model = ModelDir::new(dir.join("model"));
    Head::load(&model.iteration_dir(model.iteration(None).expect("an iteration"))).expect("a head")
}

/// The picture bytes of a video, without what the file says of itself.
fn frames(dir: &Path, out: &str) -> Vec<u8> {
    let video = ["renders.mp4", "renders.avi"].map(|name| dir.join(out).join(name));
    let video = video.iter().find(|path| path.is_file()).expect("a video");
    let output = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(video)
        .args(["-an", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
        .output()
        .expect("ffmpeg");
    assert!(output.status.success());
    output.stdout
}

#[test]
fn a_torso_that_is_trained_beside_a_head_is_drawn_behind_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    talker(dir);
    succeeds(&mut train(dir, &[]));
    assert!(head(dir).torso().is_none());
    refused(
        &mut render(dir, "none", &["--background_type", "drawn_torso"]),
        &["torso branch", "--part torso"],
    );

    let said = succeeds(&mut train(dir, &["--part", "torso"]));
    assert!(said.contains("joined to the head"), "{said}");
    let with_torso = head(dir);
    assert_eq!(with_torso.branches.len(), 2);
    assert!(with_torso.clip.is_some(), "the head keeps its clip");

    succeeds(&mut render(dir, "drawn", &[]));
    succeeds(&mut render(dir, "filmed", &["--background_type", "bg_w_torso"]));
    let (drawn, filmed) = (frames(dir, "drawn"), frames(dir, "filmed"));
    assert_eq!(drawn.len(), filmed.len());
    assert_ne!(drawn, filmed, "where the model has a torso, that is the default");
}

#[test]
fn a_head_that_moves_by_the_sound_moves_alike_for_the_same_seed_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    talker(dir);
    // Head and torso in one run.
    succeeds(&mut train(dir, &["--torso"]));
    assert_eq!(head(dir).branches.len(), 2);
    let motion = head(dir).clip.and_then(|clip| clip.motion);
    assert!(motion.is_some(), "the clip is long enough to learn from");
    succeeds(&mut render(dir, "a", &["--motion", "generated"]));
    succeeds(&mut render(dir, "b", &["--motion", "generated"]));
    succeeds(&mut render(dir, "c", &["--motion", "generated", "--motion_seed", "7"]));
    assert_eq!(frames(dir, "a"), frames(dir, "b"));
    assert_ne!(frames(dir, "a"), frames(dir, "c"));

    let scored = succeeds(
        program("surfeltalk").args(["score", "motion", "--minutes", "1", "-s"]).arg(dir.join("data")),
    );
    assert!(scored.contains("training speech") && scored.contains("repeat"), "{scored}");
}

#[test]
fn parts_that_contradict_each_other_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    refused(&mut train(dir, &["--part", "torso", "--torso"]), &["--torso"]);
    refused(&mut train(dir, &["--part", "all", "--torso"]), &["--torso"]);
    refused(&mut train(dir, &["--configs", "head", "--part", "torso"]), &["--part torso", "--configs torso"]);
    assert!(!dir.join("model").exists(), "nothing is written");
}
