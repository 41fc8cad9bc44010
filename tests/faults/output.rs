//! Readers and terminals that go away, and signals.

use super::*;

#[test]
fn a_reader_that_goes_away_ends_training_with_a_checkpoint() {
    let dir = talker_folder();
    let mut command = train(dir.path(), 1_000_000);
    // Something is said at every step, as with a terminal.
    command.args(["--set", "test_every=1"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = start_until(&mut command, &dir.path().join("model/metrics.jsonl"));
    drop(child.stderr.take());
    let status = child.wait().expect("ended");
    // As a program that SIGPIPE ends.
    assert_eq!(status.code(), Some(141));
    assert_eq!(saved(dir.path()).len(), 1);
}

#[test]
fn a_full_disk_behind_the_log_is_no_reason_to_stop() {
    let dir = talker_folder();
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let status = train(dir.path(), 4).stdout(full()).stderr(full()).status().expect("started");
    assert_eq!(status.code(), Some(0));
    assert_eq!(saved(dir.path()).len(), 1);
}

#[test]
fn signals_save_and_end_as_shells_expect() {
    let dir = talker_folder();
    for (k, (signal, code)) in [("INT", 130), ("TERM", 143), ("HUP", 129)].into_iter().enumerate() {
        let mut command = train(dir.path(), 1_000_000);
        if k > 0 {
            command.arg("--resume");
        }
        let log = dir.path().join("model/metrics.jsonl");
        let before = saved(dir.path());
        let _ = std::fs::remove_file(&log);
        let mut told = told_of_signals(&command);
        let child = start_until(quiet(&mut told), &log);
        std::thread::sleep(Duration::from_millis(300));
        send(&child, signal);
        let output = child.wait_with_output().expect("ended");
        expect(&output, code, &["stopped", "--resume"]);
        assert_ne!(saved(dir.path()), before, "{signal}");
    }
}

/// The same command, which is told when its terminal goes away even where the tests themselves run under nohup.
fn told_of_signals(command: &Command) -> Command {
    let mut told = Command::new("env");
    told.arg("--default-signal=HUP").arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        told.env(key, value.expect("a value"));
    }
    told
}

#[test]
fn a_run_under_nohup_outlives_its_terminal() {
    let dir = talker_folder();
    let command = train(dir.path(), 30);
    let mut nohup = Command::new("nohup");
    nohup.arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        nohup.env(key, value.expect("a value"));
    }
    let child = start_until(quiet(&mut nohup), &dir.path().join("model/metrics.jsonl"));
    send(&child, "HUP");
    let output = child.wait_with_output().expect("ended");
    expect(&output, 0, &["finished at"]);
}

#[test]
fn a_frame_that_breaks_while_training_goes_on_loses_nothing() {
    let dir = talker_folder();
    let mut command = train(dir.path(), 1_000_000);
    // Frames are read again for every step.
    command.args(["--image_budget", "0"]);
    let child = start_until(quiet(&mut command), &dir.path().join("model/metrics.jsonl"));
    let frames = std::fs::read_dir(dir.path().join("data/parsing")).expect("label maps");
    for frame in frames {
        std::fs::write(frame.expect("an entry").path(), "a network drive that went away").expect("written");
    }
    let output = child.wait_with_output().expect("ended");
    expect(&output, 2, &["parsing/", "is saved", "--resume"]);
    assert_eq!(saved(dir.path()).len(), 1);
}

#[test]
fn frames_that_are_broken_before_are_left_out_and_named() {
    let dir = talker_folder();
    let broken = dir.path().join("data/parsing/7.png");
    let mut bytes = std::fs::read(&broken).expect("a label map");
    // Damage inside: header and end are whole.
    let data = bytes.windows(4).position(|w| w == b"IDAT").expect("data") + 12;
    bytes[data..data + 8].fill(0xff);
    std::fs::write(&broken, bytes).expect("written");
    let size = image::open(dir.path().join("data/parsing/3.png")).expect("a label map");
    for nobody in [3, 4] {
        let white = image::RgbImage::from_pixel(size.width(), size.height(), image::Rgb([255; 3]));
        white.save(dir.path().join(format!("data/parsing/{nobody}.png"))).expect("written");
    }
    for _ in 0..2 {
        // The second time what was found is known.
        let mut command = train(dir.path(), 2);
        let output = quiet(command.arg("--overwrite")).output().expect("started");
        expect(&output, 0, &["frame 7 left out", "no head in parsing/{3-4}.png: 2 frames left out"]);
    }
}
