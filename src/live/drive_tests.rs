//! Statements about [`super::drive`], apart because they are as long as it.

use super::drive::*;
use crate::Camera;
use data_utils::audio::features::{AudioFeatures, AudioKind};

fn pose(frame: usize, x: f64) -> PoseSource {
    let camera_from_world = [[1.0, 0.0, 0.0, x], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.6]];
    let camera =
        Camera { camera_from_world, fx: 500.0, fy: 500.0, cx: 31.5, cy: 31.5, width: 64, height: 64 };
    let id = frame as u32;
    PoseSource {
        frame,
        img_id: id,
        audio_row: frame,
        code: frame as f32,
        camera,
        expression: vec![frame as f32; 22],
    }
}

fn poses(count: usize) -> Vec<PoseSource> {
    (0..count).map(|i| pose(i, 0.001 * i as f64)).collect()
}

/// Row k holds k + 1 twice, so that a row is told from the zeros outside.
fn rows(count: usize) -> AudioRows {
    let values: Vec<f32> = (0..count).flat_map(|k| [k as f32 + 1.0; 2]).collect();
    AudioRows::whole(2, &values).unwrap()
}

fn unsmoothed() -> DriveOptions {
    DriveOptions { smooth_win: 0, ..DriveOptions::default() }
}

fn first_of_rows(frame: &DriveFrame) -> Vec<f32> {
    frame.conditions.audio.iter().step_by(2).copied().collect()
}

#[test]
fn the_pose_path_turns_without_repeating_its_ends() {
    let path: Vec<usize> = (0..10).map(|k| mirror(k, 4)).collect();
    assert_eq!(path, [0, 1, 2, 3, 2, 1, 0, 1, 2, 3]);
    assert_eq!([mirror(7, 1), mirror(1, 2), mirror(2, 2)], [0, 1, 0]);
}

#[test]
fn a_voice_walks_forth_and_back_while_its_audio_runs_forward() {
    let drive = Drive::voice(poses(4), rows(9), 2, Some(9), &unsmoothed()).unwrap();
    let frames: Vec<DriveFrame> = drive.collect();
    let sources: Vec<usize> = frames.iter().map(|f| f.source).collect();
    assert_eq!(sources, [2, 3, 2, 1, 0, 1, 2, 3, 2]);
    for (k, frame) in frames.iter().enumerate() {
        assert_eq!(first_of_rows(frame)[4], k as f32 + 1.0, "row 4 of the window is the frame's own");
        assert_eq!(frame.conditions.expression, vec![frame.source as f32; 22]);
        assert_eq!(frame.conditions.camera, frame.camera.token());
    }
}

#[test]
fn any_start_lies_on_the_path() {
    for (start, source) in [(5, 1), (6, 0), (usize::MAX, mirror(usize::MAX % 6, 4))] {
        let mut drive = Drive::voice(poses(4), rows(9), start, None, &unsmoothed()).unwrap();
        assert_eq!(drive.next().unwrap().source, source);
    }
    assert_eq!(Drive::voice(poses(1), rows(3), 7, None, &unsmoothed()).unwrap().count(), 3);
}

#[test]
fn the_window_is_zero_outside_the_sound() {
    let frames: Vec<DriveFrame> = Drive::voice(poses(3), rows(5), 0, None, &unsmoothed()).unwrap().collect();
    assert_eq!(frames.len(), 5);
    assert_eq!(first_of_rows(&frames[0]), [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(first_of_rows(&frames[4]), [1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 0.0, 0.0]);
}

#[test]
fn the_sound_says_how_many_frames_there_are() {
    for (rows_given, frames) in [(5, 7), (7, 5)] {
        let drive = Drive::voice(poses(3), rows(rows_given), 0, Some(frames), &unsmoothed()).unwrap();
        assert_eq!(drive.total(), Some(frames));
        assert_eq!(drive.count(), frames);
    }
}

#[test]
fn live_rows_give_the_same_frames_as_the_whole_sound() {
    let offline: Vec<DriveFrame> =
        Drive::voice(poses(5), rows(23), 1, None, &DriveOptions::default()).unwrap().collect();
    let mut drive = Drive::voice(poses(5), AudioRows::new(2), 1, None, &DriveOptions::default()).unwrap();
    let mut live = Vec::new();
    for k in 0..23 {
        drive.audio().push(&[k as f32 + 1.0; 2]).unwrap();
        live.extend(drive.by_ref());
        assert_eq!(live.len(), (k + 1usize).saturating_sub(3), "a frame waits for the three rows after it");
        assert!(!drive.finished());
    }
    drive.audio().close();
    live.extend(drive.by_ref());
    assert!(drive.finished());
    assert_eq!(live, offline);
}

#[test]
fn a_live_voice_keeps_only_the_rows_it_still_needs() {
    let mut drive = Drive::voice(poses(5), AudioRows::new(2), 0, None, &unsmoothed()).unwrap();
    for _ in 0..1000 {
        drive.audio().push(&[1.0, 2.0]).unwrap();
        let _ = drive.by_ref().count();
    }
    assert_eq!(drive.audio().len(), 1000);
    assert!(format!("{drive:?}").matches("[1.0, 2.0]").count() <= WINDOW_ROWS);
}

#[test]
fn the_dataset_s_own_frames_keep_their_audio_and_their_order() {
    let mut own = poses(4);
    own[1].audio_row = 3;
    own[3].audio_row = 99;
    let frames: Vec<DriveFrame> = Drive::replay(own, rows(5), &unsmoothed()).unwrap().collect();
    assert_eq!(frames.iter().map(|f| f.source).collect::<Vec<_>>(), [0, 1, 2, 3]);
    let own_rows: Vec<f32> = frames.iter().map(|f| first_of_rows(f)[4]).collect();
    assert_eq!(own_rows, [1.0, 4.0, 3.0, 5.0], "a row past the end is the last row");
}

#[test]
fn the_frame_code_follows_the_source_or_stands_still() {
    let codes = |frame_code| -> Vec<f32> {
        let options = DriveOptions { frame_code, ..unsmoothed() };
        let drive = Drive::voice(poses(3), rows(4), 0, None, &options).unwrap();
        drive.map(|f| f.conditions.frame).collect()
    };
    assert_eq!(codes(FrameCode::Source), [0.0, 1.0, 2.0, 1.0]);
    assert_eq!(codes(FrameCode::Frozen(7.0)), [7.0; 4]);
    assert_eq!(codes(FrameCode::NEW_VOICE), [0.0; 4]);
}

#[test]
fn the_lag_runs_along_the_path_and_reaches_the_camera_token() {
    let options = DriveOptions { smooth_win: 0, smooth_coef: 0.5, ..DriveOptions::default() };
    let frames: Vec<DriveFrame> = Drive::voice(poses(3), rows(4), 0, None, &options).unwrap().collect();
    let x: Vec<f64> = frames.iter().map(|f| f.camera.camera_from_world[0][3] * 1000.0).collect();
    for (found, expected) in x.iter().zip([0.0, 0.5, 1.25, 1.125]) {
        assert!((found - expected).abs() < 1e-9, "{x:?}");
    }
    assert!((frames[2].conditions.camera[9] - 0.00125).abs() < 1e-9);
}

#[test]
fn nothing_to_take_a_pose_from_is_refused() {
    let error = Drive::voice(Vec::new(), rows(3), 0, None, &unsmoothed()).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert_eq!(Drive::replay(Vec::new(), rows(3), &unsmoothed()).unwrap().count(), 0);
}

#[test]
fn a_lag_outside_its_range_is_refused() {
    for smooth_coef in [-0.1, 1.5, f64::NAN] {
        let options = DriveOptions { smooth_coef, ..DriveOptions::default() };
        assert_eq!(Drive::replay(poses(2), rows(3), &options).unwrap_err().exit_code(), 2);
    }
}

#[test]
fn rows_of_another_length_are_refused() {
    assert!(AudioRows::whole(3, &[0.0; 7]).is_err());
    assert!(AudioRows::whole(0, &[]).is_err());
    let mut audio = AudioRows::new(3);
    assert!(audio.push(&[0.0; 2]).is_err());
    audio.close();
    assert!(audio.push(&[0.0; 3]).is_err());
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

#[test]
fn rows_of_a_voice_give_the_windows_training_saw() {
    let (rows, channels, width) = (6, 3, 2);
    let values = (0..rows * channels * width).map(|i| i as f32).collect();
    let features = AudioFeatures { kind: AudioKind::Mel, rows, channels, width, values };
    let audio = AudioRows::of(&features);
    for frame in 0..rows {
        assert_eq!(audio.window(frame).unwrap(), features.window(frame as i64));
    }
}

#[test]
fn a_held_out_frame_takes_the_code_of_its_nearest_training_frame() {
    let frames =
        [(0, false), (3, true), (4, true), (5, false), (6, false), (7, false), (9, true), (20, false)];
    assert_eq!(frame_codes(&frames), [0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    assert_eq!(frame_codes(&[(5, false), (6, false)]), [0.0, 0.0]);
    assert!(frame_codes(&[]).is_empty());
}
