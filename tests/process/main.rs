//! The `process` program as a user runs it.
//!
//! The networks and the footage are not part of this repository; nearly all tests need ffmpeg as well.

mod bad_input;
mod odd_input;
#[path = "../common/real_data.rs"]
mod real_data;
mod reference;
mod whole;

use real_data::{Missing, Outcome, data, program};
use std::path::{Path, PathBuf};
use std::process::Command;

/// MediaPipe's bundle; ffmpeg is there as well.
fn landmarker() -> Result<PathBuf, Missing> {
    program("ffmpeg")?;
    program("ffprobe")?;
    data("models/face_landmarker.task")
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
struct Run {
    code: Option<i32>,
    said: String,
    shown: String,
}

/// Runs `process` with `arguments` before the video and the bundle.
fn process(video: &Path, landmarker: &Path, arguments: &[&str]) -> Run {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("process"));
    command.args(arguments).arg("--quiet").arg("--face_landmarker").arg(landmarker).arg(video);
    let output = command.output().expect("process runs");
    Run {
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

real_data::test_main!(
    bad_input::no_such_file,
    bad_input::not_a_video,
    bad_input::a_file_that_ends_before_its_index,
    bad_input::sound_alone,
    bad_input::no_sound_unless_silence_is_accepted,
    bad_input::half_a_second,
    bad_input::a_picture_too_small,
    bad_input::no_face_at_all,
    bad_input::black_frames_alone,
    bad_input::a_face_in_half_of_the_frames,
    bad_input::two_faces,
    bad_input::flags_without_meaning,
    bad_input::a_bundle_of_networks_that_is_none,
    bad_input::models_that_are_none,
    bad_input::a_folder_with_frames_of_another_program,
    odd_input::a_hundred_and_twenty_frames_a_second,
    odd_input::frames_that_come_as_they_like,
    odd_input::a_phone_held_upright,
    odd_input::the_good_part_of_a_file_that_was_cut_off_is_kept_and_counted,
    odd_input::black_frames_and_another_shot_are_named_and_left_out,
    odd_input::a_full_disk_is_named_and_the_run_goes_on_when_there_is_room,
    reference::masks_made_without_a_network_are_those_of_one,
    reference::torsos_are_those_of_synctalks_rules,
    reference::smoothing_is_scipys,
    whole::a_clip_becomes_a_dataset_the_same_one_after_a_kill_and_nothing_is_done_twice,
);
