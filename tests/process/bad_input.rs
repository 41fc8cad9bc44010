//! What no head can be made of: exit code 2, one message, nothing written.

use super::{Outcome, data, ffmpeg, landmarker, names, process};
use std::path::Path;

/// The drawn face of the fixtures as a still video; ffmpeg's options for the picture.
fn face_input(seconds: f32) -> String {
    let face = concat!(env!("CARGO_MANIFEST_DIR"), "/data_utils/tests/data/face.png");
    format!("-loop 1 -framerate 25 -t {seconds} -i {face}")
}

const SOUND: &str =
    "-f lavfi -i sine=frequency=200:duration=4 -shortest -c:v libx264 -pix_fmt yuv420p -c:a aac";

/// Runs on a video that `make` leaves at the path it is given and holds the refusal against `word`.
fn refused(make: impl FnOnce(&Path), arguments: &[&str], word: &str) -> Outcome {
    let landmarker = landmarker()?;
    let dir = tempfile::tempdir().expect("a folder");
    let video = dir.path().join("clip.mp4");
    make(&video);
    let before = names(dir.path());
    let outcome = process(&video, &landmarker, arguments);
    assert_eq!(outcome.code, Some(2), "{}", outcome.said);
    assert!(outcome.said.contains(word), "expected {word:?} in {}", outcome.said);
    assert_eq!(outcome.said.matches("error:").count(), 1, "{}", outcome.said);
    assert_eq!(outcome.said.trim().lines().count(), 1, "{}", outcome.said);
    assert_eq!(names(dir.path()), before, "something was written");
    Ok(())
}

pub fn no_such_file() -> Outcome {
    refused(|_| (), &[], "clip.mp4")
}

pub fn not_a_video() -> Outcome {
    refused(|path| std::fs::write(path, "not a video at all").expect("written"), &[], "video")
}

pub fn a_file_that_ends_before_its_index() -> Outcome {
    refused(
        |path| {
            ffmpeg(&format!("{} {SOUND}", face_input(4.0)), path);
            let bytes = std::fs::read(path).expect("read");
            std::fs::write(path, &bytes[..bytes.len() / 2]).expect("written");
        },
        &[],
        "video",
    )
}

pub fn sound_alone() -> Outcome {
    refused(|path| ffmpeg("-f lavfi -i sine=duration=4 -c:a aac", path), &[], "no video stream")
}

pub fn no_sound_unless_silence_is_accepted() -> Outcome {
    let make = |path: &Path| {
        ffmpeg(&format!("{} -vf scale=512:512 -c:v libx264 -pix_fmt yuv420p", face_input(4.0)), path)
    };
    refused(make, &[], "--silent")
}

pub fn half_a_second() -> Outcome {
    refused(|path| ffmpeg(&format!("{} {SOUND} -t 0.5", face_input(0.5)), path), &["--silent"], "seconds")
}

pub fn a_picture_too_small() -> Outcome {
    let make = |path: &Path| ffmpeg(&format!("{} {SOUND} -vf scale=426:240", face_input(4.0)), path);
    refused(make, &[], "426×240")
}

pub fn no_face_at_all() -> Outcome {
    let make =
        |path: &Path| ffmpeg(&format!("-f lavfi -i testsrc2=size=640x480:rate=25:duration=4 {SOUND}"), path);
    refused(make, &[], "a face")
}

pub fn black_frames_alone() -> Outcome {
    let make = |path: &Path| {
        ffmpeg(&format!("-f lavfi -i color=black:size=640x480:rate=25:duration=4 {SOUND}"), path)
    };
    refused(make, &[], "a face")
}

pub fn a_face_in_half_of_the_frames() -> Outcome {
    let filter = "-vf drawbox=color=gray:t=fill:enable='gt(t\\,2)'";
    refused(|path| ffmpeg(&format!("{} {SOUND} {filter}", face_input(4.0)), path), &[], "nearly all the time")
}

pub fn two_faces() -> Outcome {
    let make = |path: &Path| {
        let filter = "-filter_complex [0:v]scale=480:480,split[a][b];[a][b]hstack";
        ffmpeg(&format!("{} {SOUND} {filter}", face_input(4.0)), path);
    };
    refused(make, &[], "one person")
}

pub fn flags_without_meaning() -> Outcome {
    let make = |path: &Path| ffmpeg(&format!("{} {SOUND} -vf scale=512:512", face_input(4.0)), path);
    refused(make, &["--task", "12"], "a task from 0 to 10")?;
    refused(make, &["--task", "4", "--end-task", "2"], "not before")?;
    refused(make, &["--scale", "-3"], "--scale")?;
    refused(make, &["--asr", "telepathy"], "--asr")?;
    refused(make, &["--asr", "hubert"], "hubert features")?;
    refused(make, &["--ave_weights", "nowhere.pth"], "nowhere.pth")?;
    Ok(())
}

pub fn a_bundle_of_networks_that_is_none() -> Outcome {
    let landmarker = landmarker()?;
    let dir = tempfile::tempdir().expect("a folder");
    let video = dir.path().join("clip.mp4");
    ffmpeg(&format!("{} {SOUND} -vf scale=512:512", face_input(4.0)), &video);
    let whole = std::fs::read(&landmarker).expect("read");
    let bundle = dir.path().join("face_landmarker.task");
    for bytes in [&whole[..whole.len() / 2], b"PK nothing".as_slice(), b"".as_slice()] {
        std::fs::write(&bundle, bytes).expect("written");
        let before = names(dir.path());
        let outcome = process(&video, &bundle, &[]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.said);
        assert!(outcome.said.contains("face_landmarker.task"), "{}", outcome.said);
        assert_eq!(names(dir.path()), before);
    }
    Ok(())
}

pub fn models_that_are_none() -> Outcome {
    let landmarker = landmarker()?;
    let dir = tempfile::tempdir().expect("a folder");
    let video = dir.path().join("clip.mp4");
    ffmpeg(&format!("{} {SOUND} -vf scale=512:512", face_input(4.0)), &video);
    let put = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, bytes).expect("written");
        path.display().to_string()
    };
    // A pickle that would run a program where it was loaded without care.
    let call = b"\x80\x02cposix\nsystem\nX\x0a\x00\x00\x00touch ownedq\x01\x85R.";
    let network = put("79999_iter.pth", call);
    let cut_off = put("cut.pth", b"PK\x03\x04 cut off");
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).expect("made");
    put("damaged/mp468_to_ict.npz", b"PK\x03\x04");
    put("damaged/ict_compact.npz", b"PK\x03\x04");
    let damaged = dir.path().join("damaged").display().to_string();
    put("basel/01_MorphableModel.mat", b"MATLAB 5.0 MAT-file, cut off");
    let basel = dir.path().join("basel").display().to_string();
    put("aud_hu.npy", b"\x93NUMPY\x01\x00");
    let cases = [
        (vec!["--parsing", &network], "79999_iter.pth"),
        (vec!["--parsing", &cut_off], "cut.pth"),
        (vec!["--ave_weights", &network, "--asr", "ave"], "79999_iter.pth"),
        (vec!["--face_model", empty.to_str().expect("a name")], "empty"),
        (vec!["--face_model", &damaged], "ict_compact.npz"),
        (vec!["--face_model", &basel], "01_MorphableModel.mat"),
        (vec!["--flow", &network], "posix.system"),
        (vec!["--flow", &cut_off], "cut.pth"),
        (vec!["--asr", "hubert"], "aud_hu.npy"),
    ];
    for (arguments, word) in cases {
        let before = names(dir.path());
        let outcome = process(&video, &landmarker, &arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {}", outcome.said);
        assert!(outcome.said.contains(word), "{arguments:?}: {}", outcome.said);
        assert_eq!(names(dir.path()), before, "{arguments:?}");
        assert!(!Path::new("owned").exists());
    }
    Ok(())
}

pub fn a_folder_with_frames_of_another_program() -> Outcome {
    let landmarker = landmarker()?;
    let clip = data("clips/may13s.mp4")?;
    let dir = tempfile::tempdir().expect("a folder");
    let video = dir.path().join("clip.mp4");
    std::fs::copy(clip, &video).expect("copied");
    let theirs = dir.path().join("ori_imgs/0.jpg");
    std::fs::create_dir(dir.path().join("ori_imgs")).expect("made");
    std::fs::write(&theirs, "somebody's frame").expect("written");
    let outcome = process(&video, &landmarker, &["--task", "2"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.said);
    assert!(outcome.said.contains("another program"), "{}", outcome.said);
    assert_eq!(std::fs::read(&theirs).expect("still there"), b"somebody's frame");
    Ok(())
}
