//! The `demo` program: renders a clip of a made-up talker, trains a head on it, lets the head say new sentences, and compares
//! them with the made-up talker saying the same. Needs no dataset, no network, no GPU and no ffmpeg.

use super::device::{Device, backend, rasterizer};
use super::interrupt::Interrupt;
use super::output;
use super::presets;
use super::progress::{Progress, duration};
use super::record::{Recording, RecordingOptions};
use super::watcher::TrainingWatcher;
use crate::gpu::Gpu;
use crate::head::cloud::model_dir::ModelDir;
use crate::head::field::EXPRESSION;
use crate::head::{Clip, Head, VoiceStatistics};
use crate::live::frame_renderer::{FrameOptions, RenderedFrame};
use crate::live::performance::{Performance, PerformanceOptions};
use crate::live::pose_source::{GeneratedPoses, Pose};
use crate::metrics::landmarks::correlation;
use crate::metrics::planes::{mask_numbers, masked_planes};
use crate::metrics::psnr::psnr_masked;
use crate::metrics::report::{Column, Figure, Mean, Report};
use crate::metrics::sheet::{Sheet, difference};
use crate::metrics::ssim::ssim;
use crate::raster::Rasterizer;
use crate::sample::{
    HELD_OUT, MouthRegion, Region, SampleClip, Sentence, Talker, TalkerFrame, measure_mouth_opening,
    training, truth, write_dataset,
};
use crate::train::{SNAPSHOT_EVERY, Session, SessionOptions, TrainConfig};
use crate::{Error, Result};
use clap::Parser;
use data_utils::audio::FRAME_RATE;
use data_utils::audio::features::{AudioFeatures, AudioKind};
use data_utils::dataset::{AudioChoice, Dataset, OpenOptions};
use data_utils::media::Encoder;
use image::RgbImage;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// The preset the demo trains with.
const PRESET: &str = "quick";
// Seeds of the person, of the training clip and of the new sentence.
const PERSON: u64 = 0;
const CLIP: u64 = 1;
const NEW: u64 = 2;
/// Frames on the contact sheet.
const SHOWN: usize = 8;
/// How much differences are brightened on the sheet.
const GAIN: f32 = 4.0;

/// Trains a small head on a made-up talker and lets it say new sentences.
#[derive(Debug, Parser)]
#[command(name = "demo", version, rename_all = "snake_case")]
pub struct DemoFlags {
    /// Folder everything is written to
    #[arg(long, default_value = "demo")]
    out: PathBuf,
    /// Starts over instead of continuing an earlier demo
    #[arg(long)]
    overwrite: bool,
    /// Side of the pictures, pixels
    #[arg(long, default_value_t = 160, value_parser = clap::value_parser!(u32).range(32..=512))]
    size: u32,
    /// Sentences of the training clip, at most all ten
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=10))]
    sentences: u8,
    /// Steps of the static stage, when not the preset's
    #[arg(long)]
    coarse_iterations: Option<u64>,
    /// Steps of the stage with the field, when not the preset's
    #[arg(long)]
    fine_iterations: Option<u64>,
    /// Where the work is done: auto, gpu or cpu
    #[arg(long, default_value = "auto")]
    device: Device,
    /// No progress, only the result
    #[arg(long)]
    quiet: bool,
}

/// Runs `demo` with the flags given.
///
/// # Errors
/// [`Error::Input`] when the folder cannot be written to; those of training and rendering.
pub fn run(flags: &DemoFlags) -> Result<()> {
    let start = Instant::now();
    let gpu = flags.device.gpu()?;
    let rasterizer = rasterizer(gpu.as_ref());
    let (data, model) = (flags.out.join("data"), flags.out.join("model"));
    let talker = Talker::new(PERSON);
    if flags.overwrite {
        remove(&data)?;
        remove(&model)?;
    }
    if !data.join("transforms_train.json").exists() {
        make_data(flags, &talker, &data, rasterizer.as_ref())?;
    }
    let options = OpenOptions { audio: AudioChoice::Kind(AudioKind::Mel), ..OpenOptions::default() };
    let dataset = Dataset::open(&data, &options)?;
    if dataset.size != [flags.size; 2] {
        return Err(Error::input(
            data.display(),
            format!("pictures of {0}×{0}", flags.size),
            format!("{}×{} from an earlier demo", dataset.size[0], dataset.size[1]),
            "add --overwrite to start over, or name another --out",
        ));
    }
    train(flags, &dataset, &data, &model, gpu.as_ref())?;
    say(flags, &talker, &dataset, &model, gpu.as_ref())?;
    output::result(format_args!("{:<12} {}", "time", duration(start.elapsed().as_secs_f64())));
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    std::fs::remove_dir_all(folder).map_err(|e| Error::io(folder, "a folder that may be removed", &e))
}

fn make_data(flags: &DemoFlags, talker: &Talker, data: &Path, rasterizer: &dyn Rasterizer) -> Result<()> {
    let mut sentences = training()?;
    sentences.truncate(flags.sentences.into());
    let clip = SampleClip::speak(&sentences, CLIP)?;
    let progress = Progress::start("training clip", 0, clip.frames() as u64, flags.quiet);
    progress.say(&format!("rendering {} frames of the made-up talker to train on", clip.frames()));
    write_dataset(data, talker, &clip, flags.size, rasterizer)?;
    progress.finish();
    Ok(())
}

/// Trains, or continues to train.
fn train(flags: &DemoFlags, dataset: &Dataset, data: &Path, model: &Path, gpu: Option<&Gpu>) -> Result<()> {
    let preset = presets::read(Path::new(PRESET))?;
    let mut overrides = toml::Table::new();
    for (key, value) in
        [("coarse_iterations", flags.coarse_iterations), ("fine_iterations", flags.fine_iterations)]
    {
        if let Some(value) = value {
            overrides.insert(key.into(), toml::Value::Integer(i64::try_from(value).unwrap_or(i64::MAX)));
        }
    }
    let config = TrainConfig::from_tables(PRESET, preset, overrides)?;
    let options = SessionOptions {
        source_path: data.to_path_buf(),
        model_path: model.to_path_buf(),
        resume: crate::train::has_checkpoint(model)?,
        overwrite: false,
        snapshot_every: SNAPSHOT_EVERY,
    };
    let mut session = Session::open(config, dataset, gpu, options)?;
    let (_, done, total) = session.position();
    if done >= total {
        return Ok(());
    }
    let mut watcher = TrainingWatcher::start(done, total, flags.quiet)?;
    let summary = session.run(&mut watcher)?;
    watcher.finish(summary.interrupted, || "run the same command again to continue".into())
}

/// Lets the head say the new sentences and compares them with the truth.
fn say(flags: &DemoFlags, talker: &Talker, dataset: &Dataset, model: &Path, gpu: Option<&Gpu>) -> Result<()> {
    let started = Instant::now();
    let folder = ModelDir::new(model);
    let mut head = Head::load(&folder.iteration_dir(folder.iteration(None)?))?;
    if head.clip.is_none() {
        // A demo of an earlier version goes on here.
        head.clip = Some(Clip::of(dataset, head.first()?.settings.part)?);
    }
    let head = Arc::new(head);
    let sentences: Vec<Sentence> = HELD_OUT.iter().map(|text| Sentence::new(text)).collect::<Result<_>>()?;
    let clip = SampleClip::speak(&sentences, NEW)?;
    let mut filmed = Vec::with_capacity(clip.frames());
    truth(talker, &clip, flags.size, rasterizer(gpu).as_ref(), |_, frame| {
        filmed.push(frame);
        Ok(())
    })?;
    let cameras = clip.cameras(flags.size);
    let blendshapes = clip.blendshapes();
    let poses = blendshapes.into_iter().zip(cameras).map(|(blendshapes, camera)| Pose {
        camera,
        expression: blendshapes[..EXPRESSION].iter().map(|v| v.clamp(0.0, 2.0) / 2.0).collect(),
        plate: 0,
    });
    let mut comparison = Comparison::new(flags.size, &filmed, clip.mouth_openings(flags.size));
    let sound = &clip.sound;
    let features = AudioFeatures::mel(sound)?;
    let options = PerformanceOptions {
        frames: FrameOptions { batch: 8, ..FrameOptions::default() },
        poses: Some(Box::new(GeneratedPoses(poses))),
        known_voice: VoiceStatistics::of(&features).map(|levels| (levels, features.rows)),
        ..PerformanceOptions::default()
    };
    let mut talking = Performance::new(&head, backend(gpu, head.first()?, options.frames.batch), options)?;
    talking.push_audio(&sound.samples, sound.rate)?;
    talking.finish()?;
    let interrupt = Interrupt::get();
    let mut progress = Progress::start("new sentence", 0, clip.frames() as u64, flags.quiet);
    let encoder = Encoder::from_environment()?;
    let how = RecordingOptions { encoder: &encoder, has_alpha: false, attention: false };
    let mut recording = Recording::create(&flags.out, dataset.size, Some(sound), &how, started)?;
    while let Some(frame) = talking.next_frame()? {
        recording.push(&frame, |frame| comparison.add(frame))?;
        progress.update(frame.number as u64 + 1, String::new);
        if interrupt.raised() {
            return Err(interrupt.error("the head is trained; run the same command again for the video"));
        }
    }
    progress.finish();
    let summary = recording.finish(talking.times())?;
    let sheet = flags.out.join("contact_sheet.png");
    comparison.sheet.save(&sheet)?;
    let report = comparison.report()?;
    report.write_json(&flags.out.join("metrics.json"))?;
    output::result(format_args!("\nthe head says: {}\n\n{report}", clip.text.join(" ")));
    output::result(summary);
    output::result(format_args!(
        "{:<12} {} (made-up talker, trained head, their difference ×{GAIN})",
        "pictures",
        sheet.display()
    ));
    output::result(format_args!("{:<12} {} (opens in SIBR and web viewers)", "model", model.display()));
    Ok(())
}

/// Compares the head with the made-up talker, frame by frame.
struct Comparison<'a> {
    size: u32,
    filmed: &'a [TalkerFrame],
    true_openings: Vec<f32>,
    regions: Vec<MouthRegion>,
    psnr: Mean,
    ssim: Mean,
    openings: Vec<f64>,
    sheet: Sheet,
    row: [Vec<(String, RgbImage)>; 3],
}

impl<'a> Comparison<'a> {
    fn new(size: u32, filmed: &'a [TalkerFrame], true_openings: Vec<f32>) -> Self {
        let columns = SHOWN.min(filmed.len());
        Comparison {
            size,
            filmed,
            true_openings,
            regions: Vec::new(),
            psnr: Mean::default(),
            ssim: Mean::default(),
            openings: Vec::new(),
            sheet: Sheet::new(columns, "made-up talker, trained head, difference"),
            row: Default::default(),
        }
    }

    fn add(&mut self, frame: &RenderedFrame) -> Result<()> {
        let truth = &self.filmed[frame.number];
        let inside = |region: &Region| matches!(region, Region::Head | Region::Neck);
        let mask = mask_numbers(&truth.regions.iter().map(inside).collect::<Vec<bool>>());
        let [drawn, filmed] = [frame.picture.as_slice(), truth.rgb.as_raw().as_slice()]
            .map(|rgb| masked_planes(rgb, &mask, [0.0; 3]));
        psnr_masked(&drawn, &filmed, &mask)?.into_iter().for_each(|v| self.psnr.add(v));
        let side = self.size as usize;
        ssim(&drawn, &filmed, [side, side], None)?.into_iter().for_each(|v| self.ssim.add(v));
        let picture = RgbImage::from_raw(self.size, self.size, frame.picture.clone())
            .ok_or_else(|| Error::Internal("a picture of another size".into()))?;
        self.regions.push(MouthRegion::of(&frame.camera));
        let region = &self.regions[frame.number];
        self.openings.push(f64::from(measure_mouth_opening(&picture, region)));
        let every = (self.filmed.len() / SHOWN).max(1);
        if frame.number % every == every / 2 && self.row[0].len() < SHOWN {
            let seconds = frame.number as f64 / f64::from(FRAME_RATE);
            let apart = difference(&truth.rgb, &picture, GAIN)?;
            for (row, cell) in self.row.iter_mut().zip([truth.rgb.clone(), picture, apart]) {
                row.push((format!("{seconds:.2} s"), cell));
            }
        }
        if frame.number + 1 == self.filmed.len() {
            for (label, cell) in std::mem::take(&mut self.row).into_iter().flatten() {
                self.sheet.push(&label, cell);
            }
        }
        Ok(())
    }

    fn report(&self) -> Result<Report> {
        let truth: Vec<f64> = self.true_openings.iter().map(|v| f64::from(*v)).collect();
        let r = correlation(&self.openings, &truth)?;
        let mut report = Report::new(vec![
            Column::new("psnr_head", "PSNR head dB", 2),
            Column::new("ssim_head", "SSIM", 4),
            Column::new("mouth_correlation", "mouth opening r", 3),
        ]);
        let figures = vec![
            self.psnr.figure("no frames"),
            self.ssim.figure("no frames"),
            r.map_or_else(|| Figure::missing("nothing moves"), Figure::new),
        ];
        report.push("new sentence", self.filmed.len(), figures)?;
        Ok(report)
    }
}
