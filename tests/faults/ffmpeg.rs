//! An ffmpeg that ends well and leaves half a file, that fails, or that hangs.

use super::*;
use std::os::unix::fs::PermissionsExt;

/// A program that answers as an ffmpeg with all encoders does, and does `work` for a video; `$to` is the file to write.
fn fake(dir: &Path, work: &str) -> PathBuf {
    let path = dir.join("ffmpeg");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *-encoders*) printf ' V..... libx264 x\\n A..... aac x\\n'; exit 0;; esac\n\
         for to; do :; done\nto=${{to#file:}}\n{work}\n"
    );
    std::fs::write(&path, script).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    path
}

/// `render` of a short voice by `ffmpeg` into `out`, waiting for it for 2 s.
fn render(dir: &Path, ffmpeg: &Path) -> Command {
    let mut command = program("render");
    command.arg("-m").arg(dir.join("model")).arg("--custom_aud").arg(dir.join("voice.wav"));
    command.arg("--out").arg(dir.join("out")).args(["--overwrite", "--device", "cpu"]);
    command.env("SURFELTALK_FFMPEG", ffmpeg).env("SURFELTALK_FFMPEG_PATIENCE", "2");
    command
}

/// A model, and a voice of ten frames.
fn model() -> tempfile::TempDir {
    let dir = talker_folder();
    expect(&quiet(&mut train(dir.path(), 2)).output().expect("started"), 0, &["finished"]);
    let samples = (0..6400).map(|i| (i as f32 * 0.1).sin() * 0.3).collect();
    let voice = data_utils::audio::Sound { samples, rate: 16_000 };
    data_utils::audio::write_wav(&dir.path().join("voice.wav"), &voice).expect("written");
    dir
}

fn files(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let names = entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.ends_with(".lock")).collect()
}

#[test]
fn a_video_that_is_not_whole_never_takes_the_place_of_one_that_is() {
    let dir = model();
    std::fs::create_dir_all(dir.path().join("out")).expect("made");
    let old = dir.path().join("out/renders.mp4");
    let cut = "ftypisom and half of what there should be";
    for (work, said) in [
        ("cat >/dev/null; : >\"$to\"", "an empty file"),
        (&*format!("cat >/dev/null; printf '\\000\\000\\000\\030{cut}' >\"$to\""), "cut short"),
        ("cat >/dev/null; echo 'av_interleaved_write_frame(): No space left on device' >&2", "No space left"),
        ("cat >/dev/null; echo 'No space left on device' >&2; exit 1", "free some space"),
        ("exit 0", "renders.mp4"),
        ("head -c 1000 >/dev/null; exit 0", "renders.mp4"),
    ] {
        std::fs::write(&old, "an earlier good video").expect("written");
        let output = quiet(&mut render(dir.path(), &fake(dir.path(), work))).output().expect("started");
        expect(&output, 2, &["whole video", said]);
        assert_eq!(std::fs::read(&old).expect("there"), b"an earlier good video", "{work}");
        assert_eq!(files(&dir.path().join("out")), ["renders.mp4"], "{work}");
    }
}

#[test]
fn an_ffmpeg_that_hangs_is_ended_and_leaves_nothing() {
    let dir = model();
    // It hangs while it is fed, at its end, and when it is asked what it can do.
    for work in ["sleep 1000", "cat >/dev/null; sleep 1000"] {
        let start = Instant::now();
        let output = quiet(&mut render(dir.path(), &fake(dir.path(), work))).output().expect("started");
        expect(&output, 2, &["no progress for 2 s"]);
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
        assert_eq!(files(&dir.path().join("out")), Vec::<String>::new());
    }
}

#[test]
fn a_signal_ends_a_render_that_waits_for_ffmpeg() {
    let dir = model();
    let started = dir.path().join("started");
    let work = format!(": >{}; sleep 1000", started.display());
    let mut command = render(dir.path(), &fake(dir.path(), &work));
    command.env("SURFELTALK_FFMPEG_PATIENCE", "1000");
    let child = start_until(quiet(&mut command), &started);
    std::thread::sleep(Duration::from_millis(500));
    send(&child, "TERM");
    let start = Instant::now();
    let output = child.wait_with_output().expect("ended");
    expect(&output, 143, &["stopped", "no video"]);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    assert_eq!(files(&dir.path().join("out")), Vec::<String>::new());
}

#[test]
#[ignore = "needs ffmpeg, and root to mount a small file system"]
fn a_full_disk_of_the_real_ffmpeg_is_named() {
    let dir = model();
    let disk = dir.path().join("out");
    std::fs::create_dir_all(&disk).expect("made");
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8k", "tmpfs"]).arg(&disk).status();
    assert!(mount.expect("mount runs").success());
    let output = quiet(render(dir.path(), Path::new("ffmpeg")).env_remove("SURFELTALK_FFMPEG")).output();
    let left = files(&disk);
    assert!(Command::new("umount").arg(&disk).status().expect("umount runs").success());
    expect(&output.expect("started"), 2, &["No space left"]);
    assert_eq!(left, Vec::<String>::new());
}
