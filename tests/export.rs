//! `surfeltalk export` writes heads that viewers open: at rest, and frame by frame while a voice is said.

#[path = "common/speaking_head.rs"]
mod speaking_head;

use speaking_head::{speaking_head, spoken};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use surfeltalk::head::cloud::{Cloud, ply};

const SURFELS: usize = 200;

/// A model folder that holds the head file alone, and a voice of about a second.
fn model_and_voice(dir: &Path) -> [PathBuf; 2] {
    let [model, voice] = ["model", "voice.wav"].map(|name| dir.join(name));
    let iteration = model.join("point_cloud/iteration_7");
    std::fs::create_dir_all(&iteration).expect("a folder");
    let head = speaking_head(SURFELS, 48).to_bytes().expect("a head file");
    std::fs::write(iteration.join("head.safetensors"), head).expect("written");
    data_utils::audio::write_wav(&voice, &spoken("Hello there!", 3).sound).expect("written");
    [model, voice]
}

fn export(model: &Path, output: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_surfeltalk"));
    command.arg("export").arg("-m").arg(model).arg(output).args(more).arg("--quiet");
    command.output().expect("started")
}

fn written(model: &Path, output: &Path, more: &[&str]) {
    let output = export(model, output, more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn heights(cloud: &Cloud) -> impl Iterator<Item = f32> {
    cloud.positions.chunks_exact(3).map(|p| p[1])
}

#[test]
fn a_head_at_rest_is_upright_for_viewers_and_some_units_tall() {
    let dir = tempfile::tempdir().expect("a folder");
    let [model, _] = model_and_voice(dir.path());
    let file = dir.path().join("head.ply");
    written(&model, &file, &[]);
    let cloud = ply::read(&file).expect("read");
    let before = &speaking_head(SURFELS, 48).branches[0].cloud;
    assert_eq!(cloud.len(), before.len());
    let tall = heights(&cloud).fold(f32::MIN, f32::max) - heights(&cloud).fold(f32::MAX, f32::min);
    assert!((2.0..3.0).contains(&tall), "{tall}");
    assert!(heights(before).zip(heights(&cloud)).all(|(a, b)| a * b <= 0.0), "y points down");
    let text = String::from_utf8_lossy(&std::fs::read(&file).expect("bytes")).into_owned();
    assert!(text.contains("comment viewer_from_head: "));
}

#[test]
fn frames_of_a_voice_become_files_with_numbers() {
    let dir = tempfile::tempdir().expect("a folder");
    let [model, voice] = model_and_voice(dir.path());
    let voice = voice.to_str().expect("a name");
    let file = dir.path().join("says.ply");
    written(&model, &file, &["--custom_aud", voice, "--frames", "2-4"]);
    let frame = |k: usize| ply::read(&dir.path().join(format!("says_{k:05}.ply")));
    let moved = [2, 3, 4].map(|k| frame(k).expect("read"));
    assert!(frame(1).is_err() && frame(5).is_err());
    assert_ne!(moved[0].positions, moved[2].positions, "the head moves");

    let splat = dir.path().join("says.splat");
    written(&model, &splat, &["--custom_aud", voice, "--frames", "2"]);
    let bytes = std::fs::read(dir.path().join("says_00002.splat")).expect("bytes");
    assert_eq!(bytes.len(), 32 * SURFELS);
}

#[test]
fn a_page_holds_the_head_and_all_it_needs() {
    let dir = tempfile::tempdir().expect("a folder");
    let [model, _] = model_and_voice(dir.path());
    let page = dir.path().join("page");
    written(&model, &page, &["--web"]);
    let head = model.join("point_cloud/iteration_7/head.safetensors");
    let read = |path: &Path| std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(read(&page.join("head.safetensors")), read(&head));
    let text = String::from_utf8(read(&page.join("index.html"))).expect("text");
    for name in ["page.js", "page.css", "still.png"] {
        assert!(text.contains(name) && page.join(name).is_file(), "{name}");
    }
    assert!(!text.contains("http:") && !text.contains("https:"), "the page asks for nothing from elsewhere");
    for name in ["surfeltalk.js", "surfeltalk.wasm.gz", "player.js", "head.d.ts", "package.json"] {
        assert!(page.join(name).is_file(), "{name}");
    }
    std::fs::write(page.join("page.css"), "mine").expect("changed");
    assert_eq!(export(&model, &page, &["--web"]).status.code(), Some(2));
}

#[test]
fn what_cannot_be_exported_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let [model, voice] = model_and_voice(dir.path());
    let voice = voice.to_str().expect("a name");
    let refused = |model: &Path, name: &str, more: &[&str], said: &str| {
        let output = export(model, &dir.path().join(name), more);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(said), "{text}");
    };
    refused(&model, "head.stl", &[], ".ply, .splat, .glb or .obj");
    refused(&model, "head.splat", &["--mesh"], "--mesh");
    refused(&model, "page", &["--web", "--mesh"], "--mesh");
    refused(&dir.path().join("nobody"), "head.ply", &[], "train first");
    refused(&model, "head.ply", &["--frames", "3"], "--custom_aud");
    refused(&model, "head.ply", &["--custom_aud", voice, "--frames", "9000"], "--frames");
    std::fs::write(dir.path().join("mine.ply"), "mine").expect("written");
    refused(&model, "mine.ply", &[], "--overwrite");
    assert_eq!(std::fs::read(dir.path().join("mine.ply")).expect("read"), b"mine");
    written(&model, &dir.path().join("mine.ply"), &["--overwrite"]);
    assert!(!dir.path().join("head.ply").exists());
    std::fs::write(dir.path().join("says_00003.ply"), "mine").expect("written");
    refused(&model, "says.ply", &["--custom_aud", voice, "--frames", "2-4"], "says_00003.ply");
    assert!(!dir.path().join("says_00002.ply").exists());
}
