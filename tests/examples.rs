//! The programs in `tests/examples` run.

#[path = "common/speaking_head.rs"]
mod speaking_head;

use speaking_head::{speaking_head, spoken};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A head file and a voice of about a second, in a folder.
fn head_and_voice(dir: &Path) -> [PathBuf; 2] {
    let [head, voice] = ["head.safetensors", "voice.wav"].map(|name| dir.join(name));
    std::fs::write(&head, speaking_head(300, 48).to_bytes().expect("a head file")).expect("written");
    data_utils::audio::write_wav(&voice, &spoken("Hello there!", 3).sound).expect("written");
    [head, voice]
}

/// Runs an example, which cargo builds beside the tests.
fn example(name: &str, arguments: &[&Path]) -> Output {
    let test = std::env::current_exe().expect("a path");
    let folder = test.parent().and_then(Path::parent).expect("the folder of the profile").join("examples");
    let output = Command::new(folder.join(name)).args(arguments).output().expect("a built example");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn a_voice_becomes_pictures() {
    let dir = tempfile::tempdir().expect("a folder");
    let [head, voice] = head_and_voice(dir.path());
    let folder = dir.path().join("frames");
    example("voice_to_png", &[&head, &voice, &folder]);
    let frames = spoken("Hello there!", 3).sound.video_frames();
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), frames);
    let picture = |k: usize| image::open(folder.join(format!("{k:05}.png"))).expect("a picture").to_rgb8();
    assert_eq!(picture(0).dimensions(), (48, 48));
    assert_ne!(picture(0), picture(frames - 1));
}

#[test]
fn a_live_source_gets_every_frame() {
    let dir = tempfile::tempdir().expect("a folder");
    let [head, voice] = head_and_voice(dir.path());
    let output = example("live_source", &[&head, &voice]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let frames = spoken("Hello there!", 3).sound.video_frames();
    assert!(text.starts_with(&format!("{frames} frames, ")), "{text}");
}

#[test]
fn a_head_is_drawn_on_a_device_of_the_caller_s() {
    let dir = tempfile::tempdir().expect("a folder");
    let [head, _] = head_and_voice(dir.path());
    let picture = dir.path().join("head.png");
    example("own_device", &[&head, &picture]);
    let picture = image::open(&picture).expect("a picture").to_rgba8();
    assert_eq!(picture.dimensions(), (48, 48));
    // The corner shows the background (0.1, 0.3, 0.5), and the middle the head. 0.3 lies between two bytes; adapters round it
    // either way.
    let background = [26_u8, 77, 128, 255];
    let apart = |x, y| {
        let pixel = picture.get_pixel(x, y).0;
        pixel.iter().zip(background).map(|(a, b)| a.abs_diff(b)).max()
    };
    assert!(apart(0, 0) <= Some(1), "{:?}", picture.get_pixel(0, 0));
    assert!(apart(24, 24) > Some(20), "{:?}", picture.get_pixel(24, 24));
}
