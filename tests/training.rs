//! Training as a whole: exact resume, determinism, safe stops, and a head that learns.

mod common;

use common::talker::{StopAfter, config, newest_checkpoint, options, talker_data};
use surfeltalk::train::{Session, SessionOptions, Stage};
use surfeltalk::{Error, Result};

use data_utils::dataset::Dataset;

fn run(dataset: &Dataset, options: SessionOptions, stop_after: u64) -> Result<(Stage, u64)> {
    let mut session = Session::open(config(""), dataset, None, options)?;
    Ok(session.run(&mut StopAfter(stop_after))?.at)
}

#[test]
fn a_run_in_two_halves_ends_bit_for_bit_where_a_whole_run_ends() {
    let whole = tempfile::tempdir().expect("a folder");
    let dataset = talker_data(whole.path());
    assert_eq!(run(&dataset, options(whole.path(), false), u64::MAX).expect("trained"), (Stage::Fine, 12));
    // Once in the middle of the static stage, between two rounds of density control, once in the fine stage.
    for first in [7, 17] {
        let halves = tempfile::tempdir().expect("a folder");
        let at = run(&dataset, options(halves.path(), false), first).expect("stopped");
        assert_eq!(at, if first < 12 { (Stage::Coarse, first) } else { (Stage::Fine, first - 12) });
        run(&dataset, options(halves.path(), true), u64::MAX).expect("went on");
        let (ours, theirs) = (newest_checkpoint(halves.path()), newest_checkpoint(whole.path()));
        let differ = ours.iter().zip(&theirs).position(|(a, b)| a != b);
        assert!(
            ours == theirs,
            "stopped after {first}: byte {differ:?} of {} and {}",
            ours.len(),
            theirs.len()
        );
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let dir = tempfile::tempdir().expect("a folder");
    let dataset = talker_data(dir.path());
    let trained = |threads: usize| {
        let model = tempfile::tempdir().expect("a folder");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| run(&dataset, options(model.path(), false), 16)).expect("trained");
        newest_checkpoint(model.path())
    };
    assert!(trained(1) == trained(3));
}

#[test]
fn a_head_learns_its_frames() {
    let dir = tempfile::tempdir().expect("a folder");
    let dataset = talker_data(dir.path());
    let config = config("coarse_iterations = 60\nfine_iterations = 40\nmax_points = 1500\nbatch_size = 1");
    let mut trainer = surfeltalk::train::Trainer::new(config, &dataset, None).expect("a trainer");
    let before = surfeltalk::train::evaluate(&mut trainer, 3).expect("scored").psnr;
    while !trainer.finished() {
        trainer.step().expect("a step");
    }
    let after = surfeltalk::train::evaluate(&mut trainer, 3).expect("scored").psnr;
    assert!(after > before + 3.0, "{before:.2} dB before, {after:.2} dB after");
}

#[test]
fn a_model_is_not_overwritten_unasked_and_another_part_is_not_resumed() {
    let dir = tempfile::tempdir().expect("a folder");
    let dataset = talker_data(dir.path());
    run(&dataset, options(dir.path(), false), 2).expect("trained");
    let unasked = run(&dataset, options(dir.path(), false), 2).expect_err("refused");
    assert!(matches!(&unasked, Error::Input(p) if p.remedy.contains("--resume")), "{unasked}");
    let other = config("part = \"face\"");
    let opened = Session::open(other, &dataset, None, options(dir.path(), true));
    let error = opened.err().expect("refused");
    assert!(error.to_string().contains("part head") && error.exit_code() == 2, "{error}");
}

#[test]
fn a_damaged_checkpoint_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let dataset = talker_data(dir.path());
    run(&dataset, options(dir.path(), false), 3).expect("trained");
    let path = dir.path().join("model/chkpnt/00000003.safetensors");
    let whole = std::fs::read(&path).expect("read");
    std::fs::write(&path, &whole[..whole.len() - 5]).expect("cut");
    let error = run(&dataset, options(dir.path(), true), 1).expect_err("refused");
    assert!(error.exit_code() == 2 && error.to_string().contains("00000003.safetensors"), "{error}");
}

/// What refuses to open a run.
fn refusal(dataset: &Dataset, text: &str, options: SessionOptions) -> String {
    let error = Session::open(config(text), dataset, None, options).err().expect("refused");
    assert_eq!(error.exit_code(), 2, "{error}");
    error.to_string()
}

#[test]
fn a_finished_model_without_checkpoints_stays() {
    let dir = tempfile::tempdir().expect("a folder");
    let dataset = talker_data(dir.path());
    run(&dataset, options(dir.path(), false), u64::MAX).expect("trained");
    let head = dir.path().join("model/point_cloud/iteration_12/head.safetensors");
    let before = std::fs::read(&head).expect("a head");
    std::fs::remove_dir_all(dir.path().join("model/chkpnt")).expect("removed");
    assert!(refusal(&dataset, "", options(dir.path(), false)).contains("iteration_12"));
    assert!(std::fs::read(&head).expect("still there") == before);
    // Started over when asked to; files of others stay.
    let notes = dir.path().join("model/point_cloud/iteration_12/notes.txt");
    std::fs::write(&notes, "the good one").expect("written");
    run(&dataset, SessionOptions { overwrite: true, ..options(dir.path(), false) }, 2).expect("trained");
    assert!(!head.exists() && notes.exists());
}

#[test]
fn files_of_another_program_in_the_model_folder_are_named_and_stay() {
    let dir = tempfile::tempdir().expect("a folder");
    let dataset = talker_data(dir.path());
    let model = dir.path().join("model");
    std::fs::create_dir(&model).expect("made");
    for name in ["cfg_args", "cameras.json", "input.ply", "config.toml", "metrics.jsonl"] {
        std::fs::write(model.join(name), "somebody's").expect("written");
        assert!(refusal(&dataset, "", options(dir.path(), false)).contains(name), "{name}");
        assert_eq!(std::fs::read(model.join(name)).expect("still there"), b"somebody's");
        assert_eq!(std::fs::read_dir(&model).expect("a folder").count(), 1, "{name}");
        std::fs::remove_file(model.join(name)).expect("removed");
    }
}

#[test]
fn a_run_that_was_killed_before_it_saved_anything_may_be_started_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let dataset = talker_data(dir.path());
    drop(Session::open(config(""), &dataset, None, options(dir.path(), false)).expect("opened"));
    run(&dataset, options(dir.path(), false), 2).expect("trained");
    let model = dir.path().join("model");
    std::fs::remove_dir_all(model.join("chkpnt")).expect("removed");
    std::fs::remove_dir_all(model.join("point_cloud")).expect("removed");
    std::fs::write(model.join("input.ply"), "better points").expect("written");
    assert!(
        refusal(&dataset, "", options(dir.path(), false)).contains("input.ply, which was changed by hand")
    );
}

#[test]
fn two_runs_do_not_train_in_one_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    let dataset = talker_data(dir.path());
    let mut first = Session::open(config(""), &dataset, None, options(dir.path(), false)).expect("opened");
    let process = format!("train (process {}", std::process::id());
    for (resume, overwrite) in [(false, false), (false, true), (true, false)] {
        let options = SessionOptions { overwrite, ..options(dir.path(), resume) };
        assert!(refusal(&dataset, "", options).contains(&process));
    }
    assert_eq!(first.run(&mut StopAfter(u64::MAX)).expect("trained").at, (Stage::Fine, 12));
    drop(first);
    assert!(refusal(&dataset, "", options(dir.path(), false)).contains("--resume"));
}

#[test]
fn a_run_that_goes_on_refuses_other_settings_by_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let dataset = talker_data(dir.path());
    run(&dataset, options(dir.path(), false), 3).expect("trained");
    let before = std::fs::read(dir.path().join("model/config.toml")).expect("read");
    let text = "max_side = 20\nbatch_size = 1\nlambda_dssim = 0.9\n[field]\nplane_channels = 8";
    let said = refusal(&dataset, text, options(dir.path(), true));
    for part in [
        "max_side 0",
        "max_side 20",
        "batch_size 2",
        "batch_size 1",
        "lambda_dssim",
        "field.plane_channels 4",
    ] {
        assert!(said.contains(part), "{part:?} is missing in: {said}");
    }
    assert!(std::fs::read(dir.path().join("model/config.toml")).expect("read") == before);
    let longer = config("fine_iterations = 20\nlog_every = 3");
    let mut session = Session::open(longer, &dataset, None, options(dir.path(), true)).expect("may change");
    assert_eq!(session.run(&mut StopAfter(5)).expect("trained").at.1, 5);
}

#[test]
fn a_run_does_not_go_on_with_another_dataset() {
    let dir = tempfile::tempdir().expect("a folder");
    let dataset = talker_data(dir.path());
    run(&dataset, options(dir.path(), false), 3).expect("trained");
    let mut other = talker_data(dir.path());
    other.frames[0].camera.fx *= 1.5;
    assert!(refusal(&other, "", options(dir.path(), true)).contains("other frames or cameras"));
}
