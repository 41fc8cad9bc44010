//! A whole run on a piece of real footage: a dataset that opens, the same bytes twice, and after a kill.

use super::{Outcome, data, ffmpeg, landmarker, names, process};
use data_utils::dataset::{Dataset, Label, OpenOptions};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Four seconds of a clip as `name.mp4` in `dir`.
fn piece(clip: &Path, dir: &Path) -> std::path::PathBuf {
    std::fs::create_dir_all(dir).expect("made");
    let video = dir.join("clip.mp4");
    ffmpeg(&format!("-i {} -t 4 -c:v libx264 -crf 12 -threads 1 -c:a aac", clip.display()), &video);
    video
}

/// Every file below a folder with its bytes, but for the manifest, which holds times.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.file_name().is_some_and(|n| n != "process.json") {
                let name = path.strip_prefix(dir).expect("inside").display().to_string();
                found.insert(name, std::fs::read(&path).expect("read"));
            }
        }
    }
    found
}

fn same(a: &BTreeMap<String, Vec<u8>>, b: &BTreeMap<String, Vec<u8>>) {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, bytes) in a {
        assert!(&b[name] == bytes, "{name} differs");
    }
}

pub fn a_clip_becomes_a_dataset_the_same_one_after_a_kill_and_nothing_is_done_twice() -> Outcome {
    let landmarker = landmarker()?;
    let clip = data("clips/may13s.mp4")?;
    let root = tempfile::tempdir().expect("a folder");
    let (first, second) = (root.path().join("a/may"), root.path().join("b/may"));
    let video = piece(&clip, &first);
    let outcome = process(&video, &landmarker, &[]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.said);
    let made = contents(&first);

    let dataset = Dataset::open(&first, &OpenOptions::default()).expect("a dataset");
    assert_eq!((dataset.train_indices().len(), dataset.val_indices().len()), (90, 10));
    let pixels = dataset.pixels(50).expect("a frame");
    let share = |bits: u8| {
        pixels.labels.iter().filter(|l| *l & bits != 0).count() as f64 / pixels.labels.len() as f64
    };
    assert!((0.3..0.55).contains(&share(Label::HEAD)), "head {}", share(Label::HEAD));
    assert!((0.1..0.3).contains(&share(Label::FACE)), "face {}", share(Label::FACE));
    assert_eq!(
        names(&first.join("report")),
        ["crop.png", "extremes.png", "masks.png", "mean.png", "mesh.png", "still.png", "torso.png"]
    );

    // Killed again and again, then left to finish.
    std::fs::create_dir_all(&second).expect("made");
    let copy = second.join("clip.mp4");
    std::fs::copy(&video, &copy).expect("copied");
    for wait in [400, 1500, 4000, 9000] {
        let mut child = Command::new(assert_cmd::cargo::cargo_bin!("process"))
            .args(["--quiet", "--face_landmarker"])
            .arg(&landmarker)
            .arg(&copy)
            .stdout(Stdio::null())
            .spawn()
            .expect("process runs");
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().expect("killed");
        child.wait().expect("ended");
        for (name, bytes) in contents(&second) {
            // Whatever has its final name is whole; temporary files begin with a dot.
            let last = name.rsplit('/').next().unwrap_or(&name).to_owned();
            let ours = !name.starts_with(".process") && !last.starts_with('.');
            assert!(!ours || made.get(&name) == Some(&bytes), "{name} after {wait} ms");
        }
    }
    let outcome = process(&copy, &landmarker, &[]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.said);
    same(&made, &contents(&second));

    // A third run does nothing; a changed option does what depends on it.
    let outcome = process(&video, &landmarker, &[]);
    assert_eq!((outcome.code, outcome.shown.lines().count()), (Some(0), 1), "{}", outcome.shown);
    same(&made, &contents(&first));
    let outcome = process(&video, &landmarker, &["--use-3dmm"]);
    let stages: Vec<&str> = outcome.shown.lines().filter_map(|l| l.split_whitespace().next()).collect();
    // Where the poses are the same after all, nothing depends on the change.
    let transforms = "transforms_train.json";
    let expected: &[&str] = match contents(&first).get(transforms) == made.get(transforms) {
        true => &["pose", "dataset"],
        false => &["pose", "transforms", "dataset"],
    };
    assert_eq!(stages, expected, "{}", outcome.said);
    Ok(())
}
