//! Short training runs on a made-up talker.

use data_utils::dataset::{AudioChoice, Dataset, OpenOptions};
use std::path::Path;
use surfeltalk::raster::cpu::CpuRasterizer;
use surfeltalk::sample::{SampleClip, Sentence, Talker, write_dataset};
use surfeltalk::train::{SessionOptions, TrainConfig, Watcher};

/// Pixels a side.
const SIZE: u32 = 48;

/// Says stop after a number of steps.
pub struct StopAfter(pub u64);

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

/// A few frames of a made-up talker.
pub fn talker_data(dir: &Path) -> Dataset {
    let data = dir.join("data");
    let sentences = [Sentence::new("Hello there!").expect("known words")];
    let performance = SampleClip::speak(&sentences, 3).expect("spoken");
    write_dataset(&data, &Talker::new(0), &performance, SIZE, &CpuRasterizer::<f32>::new()).expect("written");
    let options = OpenOptions { audio: AudioChoice::Auto, ..OpenOptions::default() };
    Dataset::open(&data, &options).expect("a whole dataset")
}

/// A short run, with `text` on top.
pub fn config(text: &str) -> TrainConfig {
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

/// A run in `dir`.
pub fn options(dir: &Path, resume: bool) -> SessionOptions {
    SessionOptions {
        source_path: dir.join("data"),
        model_path: dir.join("model"),
        resume,
        overwrite: false,
        snapshot_every: 3,
    }
}

/// Its bytes.
pub fn newest_checkpoint(dir: &Path) -> Vec<u8> {
    let mut all: Vec<_> = std::fs::read_dir(dir.join("model/chkpnt"))
        .expect("checkpoints")
        .map(|e| e.expect("entry").path())
        .collect();
    all.sort();
    std::fs::read(all.last().expect("a checkpoint")).expect("read")
}
