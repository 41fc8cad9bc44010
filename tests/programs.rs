//! The programs as a user runs them: what they write, what they refuse, and how they say it.

use assert_cmd::Command;
use std::path::Path;

fn program(name: &str) -> Command {
    Command::cargo_bin(name).expect("a built program")
}

/// Runs and expects exit code 2 with one message that holds every one of `said` and no panic.
fn refused(command: &mut Command, said: &[&str]) {
    let output = command.output().expect("started");
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(!message.contains("panicked"), "{message}");
    for said in said {
        assert!(message.contains(said), "{said:?} is missing in: {message}");
    }
}

#[test]
fn surfeltalk_runs_each_program_as_a_subcommand() {
    let shown = |command: &mut Command| {
        let output = command.output().expect("started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let all = shown(program("surfeltalk").arg("--help"));
    for name in ["process", "train", "render", "serve", "demo"] {
        let alone = shown(program(name).arg("--help"));
        let first = alone.lines().next().expect("what it does");
        assert!(all.contains(name) && all.contains(first.trim_end_matches('.')), "{name}: {all}");
        // The usage line names the program; all the rest is the same.
        let rest = |text: &str| {
            let kept = text.lines().filter(|l| !l.starts_with("Usage:") && !l.contains("--version"));
            kept.map(|l| l.trim().to_owned()).filter(|l| l != "Print version").collect::<Vec<_>>()
        };
        let inside = shown(program("surfeltalk").args([name, "--help"]));
        assert_eq!(rest(&inside), rest(&alone), "{name}");
        assert!(shown(program(name).arg("--version")).contains(env!("CARGO_PKG_VERSION")));
    }
    // Flags and exit codes are those of the program.
    refused(program("surfeltalk").args(["demo", "--size", "8"]), &["--size"]);
    refused(
        program("surfeltalk").args(["train", "--source-path", "no/such/data", "-m", "x"]),
        &["no/such/data"],
    );
    refused(program("surfeltalk").args(["dance"]), &["dance"]);
}

fn small_demo(out: &Path) -> Command {
    let mut demo = program("demo");
    demo.args(["--size", "48", "--sentences", "1", "--coarse_iterations", "30", "--fine_iterations", "20"]);
    demo.arg("--out").arg(out);
    demo
}

#[test]
fn the_demo_makes_a_talking_head_that_render_can_use_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("demo");
    let output = small_demo(&out).output().expect("started");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for said in ["PSNR head", "mouth opening r", "contact_sheet.png", "model"] {
        assert!(text.contains(said), "{text}");
    }
    for file in [
        "contact_sheet.png",
        "metrics.json",
        "data/transforms_train.json",
        "model/cfg_args",
        "model/cameras.json",
        "model/input.ply",
        "model/config.toml",
        "model/metrics.jsonl",
        "model/point_cloud/iteration_20/point_cloud.ply",
    ] {
        assert!(out.join(file).is_file(), "{file}");
    }
    assert!(out.join("renders.mp4").is_file() || out.join("renders.avi").is_file());

    // A second run has nothing left to train and says the sentence again.
    small_demo(&out).assert().success();

    // The same head says something else, with the attention videos.
    let voice = out.join("data/aud.wav");
    let mut render = program("render");
    render.arg("-s").arg(out.join("data")).arg("--model-path").arg(out.join("model"));
    render.arg("--custom-aud").arg(&voice).args([
        "--visualize_attention",
        "--ss",
        "00:00:01",
        "--batch",
        "4",
    ]);
    let output = render.output().expect("started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let videos = out.join("model/custom/ours_20/renders/aud");
    for name in ["renders", "audio", "expression", "camera", "frame"] {
        let found = ["mp4", "avi"].iter().any(|end| videos.join(name).with_extension(end).is_file());
        assert!(found, "{name} in {}", videos.display());
    }

    // The same voice from another start, and another voice of that name, leave the first video where it is.
    let bytes = |folder: &Path| {
        let video = ["mp4", "avi"].map(|end| folder.join("renders").with_extension(end));
        std::fs::read(video.iter().find(|path| path.is_file()).expect("a video")).expect("read")
    };
    let first = bytes(&videos);
    let again = |voice: &Path, more: &[&str]| {
        let mut render = program("render");
        render.arg("-m").arg(out.join("model")).arg("--custom_aud").arg(voice).args(more);
        render.output().expect("started")
    };
    let other = dir.path().join("aud.wav");
    let whole = std::fs::read(&voice).expect("a voice");
    // Half of it, with the lengths in its header of 44 bytes set.
    let mut half = whole[..whole.len() / 4 * 2].to_vec();
    let length = half.len() as u32;
    half[4..8].copy_from_slice(&(length - 8).to_le_bytes());
    half[40..44].copy_from_slice(&(length - 44).to_le_bytes());
    std::fs::write(&other, half).expect("written");
    for (voice, number) in [(&voice, 2), (&other, 3)] {
        let output = again(voice, &["--ss", "00:00:00"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains(&format!("aud_{number}")), "{said}");
        assert!(bytes(&videos) == first);
        bytes(&out.join(format!("model/custom/ours_20/renders/aud_{number}")));
    }
    let named = videos.to_str().expect("a name");
    let refusal = again(&other, &["--out", named]);
    let said = String::from_utf8_lossy(&refusal.stderr);
    assert!(refusal.status.code() == Some(2) && said.contains("--overwrite"), "{said}");
    assert!(bytes(&videos) == first);

    // And redraws what it was trained on.
    let mut render = program("render");
    render.arg("-s").arg(out.join("data")).arg("-m").arg(out.join("model")).arg("--skip_train");
    let output = render.output().expect("started");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("PSNR in mask"), "{text}");
    assert!(text.contains("give --face_landmarker"), "columns without weights say so: {text}");

    a_face_is_laid_into_the_original_video(&out);
    a_model_speaks_without_its_dataset(&out);

    refused(
        program("train").arg("-s").arg(out.join("data")).arg("-m").arg(out.join("model")),
        &["--resume", "--overwrite"],
    );
    refused(
        program("render")
            .arg("-s")
            .arg(out.join("data"))
            .arg("-m")
            .arg(out.join("model"))
            .args(["--iteration", "7"]),
        &["20"],
    );
    refused(
        program("render")
            .arg("-s")
            .arg(out.join("data"))
            .arg("-m")
            .arg(out.join("model"))
            .args(["--custom_aud", "no-such.wav"]),
        &["no-such.wav"],
    );
    refused(
        program("train").arg("-s").arg(out.join("data")).args(["-m", "/proc/no-model", "--set", "seed=1"]),
        &["/proc/no-model"],
    );
}

/// The dataset of a finished demo as the crop of a wider video: its head is laid into that one, and all around it is copied.
fn a_face_is_laid_into_the_original_video(out: &Path) {
    use data_utils::dataset::SourceVideo;
    use data_utils::media::Ffmpeg;
    let (data, portrait) = (out.join("data"), out.join("portrait"));
    let render = || {
        let mut render = program("render");
        render.arg("-s").arg(&data).arg("-m").arg(out.join("model")).args(["--skip_train", "--portrait"]);
        render
    };
    refused(&mut render(), &["source.json", "--task 0"]);
    let mut alone = program("render");
    alone.arg("-m").arg(out.join("no-model")).args(["--video", "x.mp4"]);
    refused(&mut alone, &["--portrait"]);
    refused(render().args(["--smooth_win", "2"]), &["--smooth_win"]);
    let Ok(tools) = Ffmpeg::find_with_probe() else { return };
    let frame = image::open(data.join("ori_imgs/0.jpg")).expect("a frame").into_rgb8();
    let (width, height) = frame.dimensions();
    let size = [width + 48, height + 32];
    let film = |name: &str, pad: &str| {
        let path = out.join(name);
        let made = std::process::Command::new(&tools.program)
            .args(["-v", "error", "-y", "-framerate", "25", "-i"])
            .arg(data.join("ori_imgs/%d.jpg"))
            .args(["-vf", pad, "-c:v", "ffv1", "-pix_fmt", "bgr0"])
            .arg(&path)
            .status();
        assert!(made.is_ok_and(|status| status.success()), "a film by ffmpeg");
        path
    };
    let video = film("wide.mkv", &format!("format=rgb24,pad={}:{}:24:16:color=0x406080", size[0], size[1]));
    let record = SourceVideo::of(&data, &video, size, 25, [24, 16, width, height]).expect("read");
    std::fs::write(data.join("source.json"), record.to_json().expect("text")).expect("written");
    let other = film("other.mkv", "format=rgb24,hflip");
    refused(render().arg("--video").arg(&other), &["other.mkv", "in place of", "--video"]);
    refused(render().arg("--video").arg(out.join("none.mkv")), &["none.mkv", "no such file"]);
    let output = render().args(["--format", "png", "--out"]).arg(&portrait).output().expect("started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("test portrait") && text.contains("pixels copied"), "{text}");
    // The first held-out frame, to the bit as filmed wherever nothing is drawn.
    let json = std::fs::read_to_string(data.join("transforms_val.json")).expect("held-out frames");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let first = json["frames"][0]["img_id"].as_u64().expect("a number") as usize;
    let film = tools.frames_from(&video, 25, first).expect("frames").next().expect("one").expect("decoded");
    let laid = image::open(portrait.join("test/frames/00000.png")).expect("a frame").into_rgb8();
    assert_eq!(laid.dimensions(), film.dimensions());
    let same = laid.pixels().zip(film.pixels()).filter(|(a, b)| a == b).count();
    let all = (size[0] * size[1]) as usize;
    assert!(same > all / 2 && same < all, "{same} of {all} pixels are the film's");
    for (x, y) in [(0, 0), (23, 40), (size[0] - 1, size[1] - 1), (26, 18)] {
        assert_eq!(laid.get_pixel(x, y), film.get_pixel(x, y), "{x} {y}");
    }
    std::fs::remove_file(data.join("source.json")).expect("removed");
}

/// With the dataset of a finished demo gone its head says a voice, and so does one of an earlier version after `convert`.
fn a_model_speaks_without_its_dataset(out: &Path) {
    let (data, moved, voice) = (out.join("data"), out.join("moved"), out.join("voice.wav"));
    std::fs::copy(data.join("aud.wav"), &voice).expect("a voice");
    let render = || {
        let mut render = program("render");
        render.arg("-m").arg(out.join("model")).arg("--custom_aud").arg(&voice);
        render
    };
    let convert = || {
        let mut convert = program("surfeltalk");
        convert.arg("convert").arg("-m").arg(out.join("model"));
        convert
    };
    let hide = || std::fs::rename(&data, &moved).expect("moved");
    let show = || std::fs::rename(&moved, &data).expect("moved");
    hide();
    let output = render().output().expect("started");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("frames a second") && text.contains("waiting for the encoder"), "{text}");
    refused(render().args(["--background_type", "gt"]), &["--source_path", "filmed frames"]);
    refused(program("render").arg("-m").arg(out.join("model")), &["--source_path", "redrawn"]);
    show();

    // As versions before the clip was stored wrote it.
    let dir = out.join("model/point_cloud/iteration_20");
    let head = surfeltalk::head::Head::load(&dir).expect("a head");
    surfeltalk::head::folder::save(&dir, &[head.first().expect("a branch")], None).expect("saved");
    let output = render().output().expect("started");
    let notes = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && notes.contains("surfeltalk convert"), "{notes}");
    hide();
    refused(&mut render(), &["--source_path", "no clip"]);
    refused(&mut convert(), &["--source_path"]);
    show();
    let output = convert().output().expect("started");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("without its dataset"), "{text}");
    hide();
    render().assert().success();
    show();
}

#[test]
fn mistakes_on_the_command_line_end_with_two_and_name_the_flag() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("none");
    let train = |more: &[&str]| {
        let mut command = program("train");
        command.arg("-s").arg(&data).arg("-m").arg(dir.path().join("model")).args(more);
        command
    };
    refused(&mut train(&[]), &["none", "dataset folder"]);
    refused(&mut train(&["--max_points", "0"]), &["max_points", "expected 1 to 10000000 surfels"]);
    refused(&mut train(&["--batch_size", "0"]), &["batch_size"]);
    refused(&mut train(&["--set", "no_such_key=1"]), &["no_such_key", "arguments/head.toml"]);
    refused(&mut train(&["--set", "seed"]), &["--set", "KEY=VALUE"]);
    refused(&mut train(&["--part", "foot"]), &["--part"]);
    refused(&mut train(&["--device", "abacus"]), &["--device"]);
    refused(&mut train(&["--configs", "no-such-preset.toml"]), &["no-such-preset.toml"]);
    refused(&mut train(&["--resume", "--overwrite"]), &["--resume"]);
    let preset = dir.path().join("typo.toml");
    std::fs::write(&preset, "max_pionts = 5\n").expect("written");
    refused(&mut train(&["--configs", &preset.to_string_lossy()]), &["typo.toml", "max_pionts"]);
    assert!(!dir.path().join("model").exists(), "nothing is written when the input is refused");
    refused(program("render").arg("-s").arg(&data).arg("-m").arg(dir.path()), &["train first"]);
}

#[test]
fn flags_are_taken_with_dashes_and_with_underscores() {
    for flag in ["--max-points", "--max_points"] {
        refused(program("train").args(["-s", "x", "-m", "y", flag, "0"]), &["max_points"]);
    }
}

#[test]
fn help_names_every_flag_of_the_field() {
    let help = |name: &str| {
        let output = program(name).arg("--help").output().expect("started");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let (train, render) = (help("train"), help("render"));
    for flag in
        ["--source_path", "--model_path", "--configs", "--part", "--batch_size", "--max_points", "--asr"]
    {
        assert!(train.contains(flag), "{flag}");
    }
    for flag in [
        "--custom_aud",
        "--ss",
        "--batch",
        "--skip_train",
        "--skip_test",
        "--visualize_attention",
        "--iteration",
        "--background_type",
        "--smooth_win",
        "--smooth_coef",
        "--erode_size",
        "--use_gt_mask",
    ] {
        assert!(render.contains(flag), "{flag}");
    }
}
