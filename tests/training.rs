//! Training as a whole: exact resume, determinism, safe stops, and a head that learns.

use std::path::Path;
use surfeltalk::raster::cpu::CpuRasterizer;
use surfeltalk::synth::talker::{Performance, Sentence, Talker, write_dataset};
use surfeltalk::train::{Session, SessionOptions, Stage, TrainConfig, Watcher};
use surfeltalk::{Error, Result};

use data_utils::dataset::{AudioChoice, Dataset, OpenOptions};

const SIZE: u32 = 48;

/// Says stop after a number of steps.
struct StopAfter(u64);

impl Watcher for StopAfter {
    fn progress(&mut self, done: u64, message: &dyn Fn() -> String) {
        assert!(!message().is_empty());
        self.0 = self.0.min(if done >= self.0 { 0 } else { self.0 });
    }

    fn say(&mut self, _line: &str) {}

    fn stop(&self) -> bool {
        self.0 == 0
    }
}

fn talker_data(dir: &Path) -> Dataset {
    let data = dir.join("data");
    let sentences = [Sentence::new("Hello there!").expect("known words")];
    let performance = Performance::speak(&sentences, 3).expect("spoken");
    write_dataset(&data, &Talker::new(0), &performance, SIZE, &CpuRasterizer::<f32>::new()).expect("written");
    let options = OpenOptions { audio: AudioChoice::Auto, ..OpenOptions::default() };
    Dataset::open(&data, &options).expect("a whole dataset")
}

fn config(text: &str) -> TrainConfig {
    let small = "
        coarse_iterations = 12
        fine_iterations = 12
        max_points = 400
        sh_degree = 1
        sh_interval = 4
        densify_from = 4
        densify_until = 10
        densify_every = 2
        surface_from = 4
        attention_from = 4
        lambda_distortion = 0.01
        test_every = 100
        checkpoint_every = 100
        batch_size = 2
        [field]
        plane_resolutions = [8]
        plane_channels = 4
    ";
    let preset = small.parse().expect("TOML");
    TrainConfig::from_tables("the test", preset, text.parse().expect("TOML")).expect("a configuration")
}

fn options(dir: &Path, resume: bool) -> SessionOptions {
    SessionOptions {
        source_path: dir.join("data"),
        model_path: dir.join("model"),
        resume,
        overwrite: false,
        field_device: candle_core::Device::Cpu,
    }
}

fn run(dataset: &Dataset, options: SessionOptions, stop_after: u64) -> Result<(Stage, u64)> {
    let rasterizer = CpuRasterizer::<f32>::new();
    let mut session = Session::open(config(""), dataset, &rasterizer, options)?;
    Ok(session.run(&mut StopAfter(stop_after))?.at)
}

fn newest_checkpoint(dir: &Path) -> Vec<u8> {
    let mut all: Vec<_> = std::fs::read_dir(dir.join("model/chkpnt"))
        .expect("checkpoints")
        .map(|e| e.expect("entry").path())
        .collect();
    all.sort();
    std::fs::read(all.last().expect("a checkpoint")).expect("read")
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
        assert!(newest_checkpoint(halves.path()) == newest_checkpoint(whole.path()), "stopped after {first}");
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
    let mut trainer =
        surfeltalk::train::Trainer::new(config, &dataset, &rasterizer, &candle_core::Device::Cpu)
            .expect("a trainer");
    let before = surfeltalk::train::evaluate(&trainer, 3).expect("scored").psnr;
    while !trainer.finished() {
        trainer.step().expect("a step");
    }
    let after = surfeltalk::train::evaluate(&trainer, 3).expect("scored").psnr;
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
