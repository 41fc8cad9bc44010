//! Statements about [`super::driver`] and the poses it takes.

use super::driver::{Driver, FrameInputs, Turn};
use super::pose_source::{ClipPoses, GeneratedPoses, IdlePoses, Pose, PoseSource, ping_pong};
use super::start_time::start_at;
use crate::Camera;
use crate::head::ClipFrame;
use data_utils::audio::window::{AudioRows, WINDOW_ROWS, WindowShape};

fn frame(number: usize, x: f64) -> ClipFrame {
    let camera_from_world = [[1.0, 0.0, 0.0, x], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.6]];
    let camera =
        Camera { camera_from_world, fx: 500.0, fy: 500.0, cx: 31.5, cy: 31.5, width: 64, height: 64 };
    let id = number as u32;
    ClipFrame { img_id: id, audio_row: id, held_out: false, camera, expression: [number as f32; 22] }
}

fn clip(count: usize) -> Vec<ClipFrame> {
    (0..count).map(|i| frame(i, 0.001 * i as f64)).collect()
}

fn poses(count: usize, start: usize) -> Box<dyn PoseSource> {
    Box::new(ClipPoses::new(&clip(count), start, 0).unwrap())
}

/// Row k holds k + 1 twice, so that a row is told from the zeros outside.
fn rows(count: usize) -> Vec<f32> {
    (0..count).flat_map(|k| [k as f32 + 1.0; 2]).collect()
}

/// All frames of a voice of `count` rows over the poses.
fn all(
    poses: Box<dyn PoseSource>,
    count: usize,
    coefficient: f64,
    frames: Option<usize>,
) -> Vec<FrameInputs> {
    let mut driver = Driver::new(poses, 2, WindowShape::CENTRED, coefficient, frames).unwrap();
    driver.push_rows(&rows(count)).unwrap();
    driver.close();
    std::iter::from_fn(|| driver.next_frame()).collect()
}

fn first_of_rows(frame: &FrameInputs) -> Vec<f32> {
    frame.conditions.audio.iter().step_by(2).copied().collect()
}

#[test]
fn a_head_is_turned_and_the_field_does_not_hear_of_it() {
    let mut driver = Driver::new(poses(4, 0), 2, WindowShape::CENTRED, 1.0, None).unwrap();
    driver.push_rows(&rows(6)).unwrap();
    driver.close();
    let straight = driver.next_frame().unwrap();
    driver.turn(Turn { pivot: [0.0, 0.0, 0.1], yaw: 0.2, pitch: 0.0 });
    let turned = driver.next_frame().unwrap();
    let filmed = frame(1, 0.001).camera;
    assert_eq!(straight.camera, frame(0, 0.0).camera);
    assert_eq!(turned.conditions.camera, filmed.token());
    assert_eq!(turned.camera, filmed.turned([0.0, 0.0, 0.1], 0.2, 0.0));
    assert_ne!(turned.camera, filmed);
}

#[test]
fn the_poses_turn_without_repeating_the_ends() {
    let path: Vec<usize> = (0..10).map(|k| ping_pong(k, 4)).collect();
    assert_eq!(path, [0, 1, 2, 3, 2, 1, 0, 1, 2, 3]);
    assert_eq!([ping_pong(7, 1), ping_pong(1, 2), ping_pong(2, 2)], [0, 1, 0]);
}

#[test]
fn poses_run_forwards_and_backwards_while_the_audio_runs_forwards() {
    let frames = all(poses(4, 2), 9, 1.0, Some(9));
    let plates: Vec<usize> = frames.iter().map(|f| f.plate).collect();
    assert_eq!(plates, [2, 3, 2, 1, 0, 1, 2, 3, 2]);
    for (k, frame) in frames.iter().enumerate() {
        assert_eq!(first_of_rows(frame)[4], k as f32 + 1.0, "row 4 of the window is the frame's own");
        assert_eq!(frame.conditions.expression, vec![frame.plate as f32; 22]);
        assert_eq!(frame.conditions.camera, frame.camera.token());
        assert_eq!(frame.conditions.frame, 0.0);
    }
}

#[test]
fn any_start_lies_on_the_path() {
    for (start, plate) in [(5, 1), (6, 0), (usize::MAX, ping_pong(usize::MAX % 6, 4))] {
        assert_eq!(all(poses(4, start), 9, 1.0, None)[0].plate, plate);
    }
    assert_eq!(all(poses(1, 7), 3, 1.0, None).len(), 3);
}

#[test]
fn the_window_is_zero_outside_the_sound() {
    let frames = all(poses(3, 0), 5, 1.0, None);
    assert_eq!(frames.len(), 5);
    assert_eq!(first_of_rows(&frames[0]), [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(first_of_rows(&frames[4]), [1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 0.0, 0.0]);
}

#[test]
fn the_number_of_frames_may_be_given() {
    for (rows_given, frames) in [(5, 7), (7, 5)] {
        assert_eq!(all(poses(3, 0), rows_given, 1.0, Some(frames)).len(), frames);
    }
}

#[test]
fn rows_one_by_one_give_the_same_frames_as_all_at_once() {
    let offline = all(poses(5, 1), 23, 0.5, None);
    let mut driver = Driver::new(poses(5, 1), 2, WindowShape::CENTRED, 0.5, None).unwrap();
    let mut live = Vec::new();
    for k in 0..23 {
        driver.push_rows(&[k as f32 + 1.0; 2]).unwrap();
        live.extend(std::iter::from_fn(|| driver.next_frame()));
        assert_eq!(live.len(), (k + 1usize).saturating_sub(3), "a frame waits for the three rows after it");
        assert!(!driver.is_finished());
    }
    driver.close();
    live.extend(std::iter::from_fn(|| driver.next_frame()));
    assert!(driver.is_finished());
    assert_eq!(live, offline);
}

#[test]
fn poses_that_end_end_the_voice() {
    let pose = Pose { camera: frame(0, 0.0).camera, expression: vec![0.0; 22], plate: 0 };
    let mut driver = Driver::new(
        Box::new(GeneratedPoses([pose.clone(), pose].into_iter())),
        2,
        WindowShape::CENTRED,
        1.0,
        None,
    )
    .unwrap();
    driver.push_rows(&rows(9)).unwrap();
    assert_eq!(std::iter::from_fn(|| driver.next_frame()).count(), 2);
    assert!(driver.is_finished());
}

#[test]
fn an_idle_head_keeps_to_the_calmest_stretch() {
    let still = |i: usize| if (20..26).contains(&i) { 0.02 } else { 0.001 * i as f64 };
    let frames: Vec<ClipFrame> = (0..40).map(|i| frame(i, still(i))).collect();
    let mut idle = IdlePoses::new(&frames, 5, 0).unwrap();
    let plates: Vec<usize> = (0..9).filter_map(|_| idle.next_pose(&[]).map(|pose| pose.plate)).collect();
    assert_eq!(plates, [20, 21, 22, 23, 24, 23, 22, 21, 20]);
}

#[test]
fn the_lag_runs_along_the_path_and_reaches_the_camera_token() {
    let frames = all(poses(3, 0), 4, 0.5, None);
    let x: Vec<f64> = frames.iter().map(|f| f.camera.camera_from_world[0][3] * 1000.0).collect();
    for (found, expected) in x.iter().zip([0.0, 0.5, 1.25, 1.125]) {
        assert!((found - expected).abs() < 1e-9, "{x:?}");
    }
    assert!((frames[2].conditions.camera[9] - 0.00125).abs() < 1e-9);
}

#[test]
fn a_clip_without_frames_is_refused() {
    assert_eq!(ClipPoses::new(&[], 0, 0).unwrap_err().exit_code(), 2);
    assert_eq!(IdlePoses::new(&[], 5, 0).unwrap_err().exit_code(), 2);
}

#[test]
fn a_lag_outside_its_range_is_refused() {
    for coefficient in [-0.1, 1.5, f64::NAN] {
        assert_eq!(
            Driver::new(poses(2, 0), 2, WindowShape::CENTRED, coefficient, None).err().unwrap().exit_code(),
            2
        );
    }
}

#[test]
fn a_live_voice_keeps_only_the_rows_it_still_needs() {
    let mut audio = AudioRows::new(2, WindowShape::CENTRED);
    for frame in 0..1000 {
        audio.push(&[1.0, 2.0]).unwrap();
        if audio.window(frame).is_some() {
            audio.drop_before(frame);
        }
        audio.drop_before((frame + 1).saturating_sub(4));
    }
    assert_eq!(audio.len(), 1000);
    assert!(format!("{audio:?}").matches("[1.0, 2.0]").count() <= WINDOW_ROWS);
}

#[test]
fn a_start_is_a_time_of_the_source_video() {
    let ids: Vec<u32> = (0..2000).collect();
    for (text, start) in
        [("00:00:00", 0), ("00:00:02", 50), ("00:01:00", 1500), ("1:01.4", 1535), ("0.04", 1), ("12", 300)]
    {
        assert_eq!(start_at(text, &ids).unwrap(), start, "{text}");
    }
    assert_eq!(start_at("00:00:01", &[3, 4, 40, 41]).unwrap(), 2, "a gap is skipped");
}

#[test]
fn a_start_that_is_no_time_or_past_the_end_is_refused() {
    let ids: Vec<u32> = (0..100).collect();
    for text in
        ["", "abc", "1:2:3:4", "-1", "00:61:00", "00:00:61", "1e3", "inf", "NaN", "00:00:04", "1.5:00", ":"]
    {
        assert_eq!(start_at(text, &ids).unwrap_err().exit_code(), 2, "{text}");
    }
}
