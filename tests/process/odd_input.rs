//! Videos that are unusual or damaged, and what is made of them all the same.

use super::{Missing, Outcome, Run, data, ffmpeg, landmarker, process};
use data_utils::process::frame_filter::{FrameFault, FrameFilter};
use image::RgbImage;
use std::path::Path;
use std::process::Command;

const FACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data_utils/tests/data/face.png");
const SOUND: &str =
    "-f lavfi -i sine=frequency=200:duration=4 -shortest -c:v libx264 -crf 12 -pix_fmt yuv420p -c:a aac";
/// How fast the mark wanders to the right, pixels a second.
const SPEED: f32 = 100.0;

/// ffmpeg's options for four seconds of the drawn face with a mark at the top that wanders in time.
fn marked(rate: u32) -> String {
    let mark = format!("color=magenta:s=12x16:r={rate}:d=4[b];[f][b]overlay=x=t*{SPEED}:y=0:shortest=1");
    format!("-loop 1 -framerate {rate} -t 4 -i {FACE} {SOUND} -filter_complex [0:v]scale=512:512[f];{mark}")
}

/// Runs the stages up to the frames.
fn frames(video: &Path, landmarker: &Path) -> (Run, Vec<RgbImage>) {
    let outcome = process(video, landmarker, &["--task", "2"]);
    let folder = video.parent().expect("a folder").join("ori_imgs");
    let read = |i: usize| image::open(folder.join(format!("{i}.jpg"))).ok().map(|p| p.to_rgb8());
    (outcome, (0..).map_while(read).collect())
}

/// The left edge of the mark.
fn mark(frame: &RgbImage) -> Option<f32> {
    let is = |x: &u32| matches!(frame.get_pixel(*x, 8).0, [r, g, b] if r > 180 && g < 110 && b > 180);
    (0..frame.width()).find(is).map(|x| x as f32)
}

/// Makes a video, runs, and holds the number of frames and the mark's place in each against the time.
fn in_time(arguments: &str, within: f32) -> Outcome {
    let landmarker = landmarker()?;
    let dir = tempfile::tempdir().expect("a folder");
    let video = dir.path().join("clip.mp4");
    ffmpeg(arguments, &video);
    let (outcome, frames) = frames(&video, &landmarker);
    assert_eq!(outcome.code, Some(0), "{}", outcome.said);
    assert!((99..=101).contains(&frames.len()), "{} frames", frames.len());
    for (i, frame) in frames.iter().enumerate() {
        let (found, expected) = (mark(frame).expect("a mark"), i as f32 / 25.0 * SPEED);
        assert!((found - expected).abs() <= within, "frame {i}: {found} for {expected}");
    }
    Ok(())
}

pub fn a_hundred_and_twenty_frames_a_second() -> Outcome {
    in_time(&marked(120), 5.0)
}

pub fn frames_that_come_as_they_like() -> Outcome {
    // Bursts of nine frames, then one in seven: gaps of up to 0.14 seconds.
    let choose = ",select=not(mod(n\\,7))+lt(mod(n\\,30)\\,9) -fps_mode vfr";
    in_time(&format!("{}{choose}", marked(50)), 16.0)
}

/// Sets the matrix of the first track of an mp4 to a quarter turn clockwise (ISO 14496-12, `tkhd`).
fn turn(path: &Path) {
    let mut bytes = std::fs::read(path).expect("read");
    let at = bytes.windows(4).position(|w| w == b"tkhd").expect("a track") + 4 + 40;
    let matrix: [i32; 9] = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30];
    let to = bytes[at..at + 36].chunks_exact_mut(4);
    to.zip(matrix).for_each(|(to, value)| to.copy_from_slice(&value.to_be_bytes()));
    std::fs::write(path, bytes).expect("written");
}

pub fn a_phone_held_upright() -> Outcome {
    let landmarker = landmarker()?;
    let made = |filter: &str, turned: bool| {
        let dir = tempfile::tempdir().expect("a folder");
        let video = dir.path().join("clip.mp4");
        let input = format!("-loop 1 -framerate 25 -t 4 -i {FACE} {SOUND}");
        ffmpeg(&format!("{input} -vf scale=640:640,pad=640:800:0:100{filter}"), &video);
        if turned {
            turn(&video);
        }
        let (outcome, frames) = frames(&video, &landmarker);
        assert_eq!(outcome.code, Some(0), "{}", outcome.said);
        frames
    };
    let (plain, turned) = (made("", false), made(",transpose=cclock", true));
    assert_eq!(plain.len(), turned.len());
    let pairs = plain[50].as_raw().iter().zip(turned[50].as_raw());
    let off = pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / plain[50].as_raw().len() as f64;
    assert!(off < 4.0, "{off} grey levels");
    Ok(())
}

pub fn the_good_part_of_a_file_that_was_cut_off_is_kept_and_counted() -> Outcome {
    let landmarker = landmarker()?;
    let dir = tempfile::tempdir().expect("a folder");
    let video = dir.path().join("clip.mp4");
    let sound = SOUND.replace("duration=4", "duration=6");
    let noise = "-vf scale=512:512,noise=alls=6:allf=t -movflags +faststart";
    ffmpeg(&format!("-loop 1 -framerate 25 -t 6 -i {FACE} {sound} {noise}"), &video);
    let bytes = std::fs::read(&video).expect("read");
    std::fs::write(&video, &bytes[..bytes.len() * 7 / 10]).expect("written");
    let (outcome, frames) = frames(&video, &landmarker);
    assert_eq!(outcome.code, Some(0), "{}", outcome.said);
    assert!((76..140).contains(&frames.len()), "{} frames", frames.len());
    let manifest = std::fs::read_to_string(dir.path().join("process.json")).expect("a manifest");
    let missing = 150 - frames.len();
    assert!(manifest.contains(&format!("{missing} fewer than the 150")), "{missing}: {manifest}");
    Ok(())
}

pub fn black_frames_and_another_shot_are_named_and_left_out() -> Outcome {
    let landmarker = landmarker()?;
    let (long, other) = (data("clips/anchor50s.mp4")?, data("clips/may13s.mp4")?);
    let dir = tempfile::tempdir().expect("a folder");
    let video = dir.path().join("clip.mp4");
    let black = "-f lavfi -t 0.4 -i color=black:s=512x512:r=25 -f lavfi -t 0.4 -i anullsrc=r=16000:cl=mono";
    let parts = "[0:v]setsar=1[a];[3:v]setsar=1[b];[a][0:a][1:v][2:a][b][3:a]concat=n=3:v=1:a=1";
    let (long, other) = (long.display(), other.display());
    ffmpeg(&format!("-t 4 -i {long} {black} -t 2 -i {other} -filter_complex {parts} -crf 12"), &video);
    let outcome = process(&video, &landmarker, &["--task", "6"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.said);
    let filter = FrameFilter::read(dir.path()).expect("a filter");
    let of = |fault: FrameFault| -> Vec<usize> {
        filter.excluded.iter().filter(|l| l.reason == fault).map(|l| l.frame).collect()
    };
    assert_eq!(of(FrameFault::Black), (100..110).collect::<Vec<_>>());
    assert_eq!(of(FrameFault::OtherShot), (110..filter.count).collect::<Vec<_>>());
    assert_eq!(filter.excluded.len(), filter.count - 100);
    Ok(())
}

pub fn a_full_disk_is_named_and_the_run_goes_on_when_there_is_room() -> Outcome {
    let landmarker = landmarker()?;
    let dir = tempfile::tempdir().expect("a folder");
    let (whole, small) = (dir.path().join("whole"), dir.path().join("small"));
    for folder in [&whole, &small] {
        std::fs::create_dir(folder).expect("made");
    }
    let video = whole.join("clip.mp4");
    ffmpeg(&marked(25), &video);
    let (outcome, frames) = frames(&video, &landmarker);
    assert_eq!(outcome.code, Some(0), "{}", outcome.said);
    // A disk of its own, in a namespace of its own.
    let script = r#"
        mount -t tmpfs -o size=2m tmpfs "$1" || exit 77
        cp "$2" "$1/clip.mp4"
        "$3" --quiet --task 2 --face_landmarker "$4" "$1/clip.mp4"
        echo "code $?"
        mount -o remount,size=64m "$1"
        "$3" --quiet --task 2 --face_landmarker "$4" "$1/clip.mp4"
        echo "code $?"
        cp -r "$1/ori_imgs" "$1/../copied""#;
    let run = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .args([&small, &video])
        .arg(assert_cmd::cargo::cargo_bin!("process"))
        .arg(&landmarker)
        .output();
    let run = match run {
        Ok(run) if run.status.success() => run,
        other => {
            return Err(Missing::optional(format!("needs the right to mount a small disk: {other:?}")));
        }
    };
    let (said, shown) = (String::from_utf8_lossy(&run.stderr), String::from_utf8_lossy(&run.stdout));
    let codes: Vec<&str> = shown.lines().filter(|l| l.starts_with("code")).collect();
    assert_eq!(codes, ["code 2", "code 0"], "{said}");
    assert!(said.to_lowercase().contains("space"), "{said}");
    for index in 0..frames.len() {
        let bytes = |folder: &Path| std::fs::read(folder.join(format!("{index}.jpg"))).expect("a frame");
        assert!(bytes(&whole.join("ori_imgs")) == bytes(&dir.path().join("copied")), "frame {index}");
    }
    Ok(())
}
