//! Training as a whole: exact resume, determinism, safe stops, and a head that learns.

mod common;

use common::talker::{StopAfter, config, newest_checkpoint, options, talker_data};
use surfeltalk::raster::cpu::CpuRasterizer;
use surfeltalk::train::{Session, SessionOptions, Stage};
use surfeltalk::{Error, Result};

use data_utils::dataset::Dataset;

fn run(dataset: &Dataset, options: SessionOptions, stop_after: u64) -> Result<(Stage, u64)> {
    let rasterizer = CpuRasterizer::<f32>::new();
    let mut session = Session::open(config(""), dataset, &rasterizer, options)?;
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
    let rasterizer = CpuRasterizer::<f32>::new();
    let config = config("coarse_iterations = 60\nfine_iterations = 40\nmax_points = 1500\nbatch_size = 1");
    let mut trainer = surfeltalk::train::Trainer::new(config, &dataset, &rasterizer).expect("a trainer");
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
    let rasterizer = CpuRasterizer::<f32>::new();
    let other = config("part = \"face\"");
    let opened = Session::open(other, &dataset, &rasterizer, options(dir.path(), true));
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
