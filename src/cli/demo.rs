//! The `demo` program: a made-up talker, a head trained on it, a new sentence, and how close it came to the truth
//! that only a made-up talker has. Needs no dataset, no network, no GPU and no ffmpeg.

use super::device::{Device, FieldPlace};
use super::interrupt::Interrupt;
use super::progress::{Progress, duration};
use super::watcher::TrainingWatcher;
use crate::head::Head;
use crate::head::cloud::model_dir::ModelDir;
use crate::live::background::BackgroundType;
use crate::live::drive::{AudioRows, Drive, DriveOptions, FrameCode, PoseSource};
use crate::live::feather::Seam;
use crate::live::perform::{Finished, PerformOptions, Performer};
use crate::live::sheet::{Sheet, difference};
use crate::metrics::landmarks::correlation;
use crate::metrics::planes::{mask_numbers, masked_planes};
use crate::metrics::psnr::psnr_masked;
use crate::metrics::report::{Column, Figure, Mean, Report};
use crate::metrics::ssim::ssim;
use crate::raster::Rasterizer;
use crate::sample::{
    HELD_OUT, MouthRegion, Performance, Region, Sentence, Talker, TalkerFrame, measure_mouth_opening,
    training, truth, write_dataset,
};
use crate::train::{COPY_EVERY, Session, SessionOptions, TrainConfig};
use crate::{Error, Result};
use clap::Parser;
use data_utils::audio::features::{AudioFeatures, AudioKind};
use data_utils::dataset::{AudioChoice, Dataset, OpenOptions};
use image::RgbImage;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The preset the demo trains with.
const PRESET: &str = include_str!("../../arguments/quick.toml");
// Seeds of the person, of the training clip and of the new sentence.
const PERSON: u64 = 0;
const CLIP: u64 = 1;
const NEW: u64 = 2;
/// Frames on the contact sheet.
const SHOWN: usize = 8;
/// How much differences are brightened on the sheet.
const GAIN: f32 = 4.0;

/// Makes a small sample talker, trains a head on it and lets it say a new sentence.
#[derive(Debug, Parser)]
#[command(name = "demo", version, about, rename_all = "snake_case")]
pub struct DemoFlags {
    /// Folder everything is written to
    #[arg(long, default_value = "demo")]
    out: PathBuf,
    /// Starts over instead of going on where an earlier demo stopped
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
    let rasterizer = flags.device.rasterizer()?;
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
    if !train(flags, &dataset, &data, &model, rasterizer.as_ref())? {
        println!("stopped; run the same command again to go on");
        return Ok(());
    }
    say(flags, &talker, &dataset, &model, rasterizer.as_ref())?;
    println!("{:<14} {}", "time", duration(start.elapsed().as_secs_f64()));
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
    let performance = Performance::speak(&sentences, CLIP)?;
    let progress = Progress::start("sample talker", 0, performance.frames() as u64, flags.quiet);
    progress.say(&format!("makes {} frames of a sample talker", performance.frames()));
    write_dataset(data, talker, &performance, flags.size, rasterizer)?;
    progress.finish();
    Ok(())
}

/// Trains, or goes on training; false when it was stopped.
fn train(
    flags: &DemoFlags,
    dataset: &Dataset,
    data: &Path,
    model: &Path,
    rasterizer: &dyn Rasterizer,
) -> Result<bool> {
    let preset = PRESET.parse().map_err(|e| Error::Internal(format!("the preset quick: {e}")))?;
    let mut overrides = toml::Table::new();
    for (key, value) in
        [("coarse_iterations", flags.coarse_iterations), ("fine_iterations", flags.fine_iterations)]
    {
        if let Some(value) = value {
            overrides.insert(key.into(), toml::Value::Integer(i64::try_from(value).unwrap_or(i64::MAX)));
        }
    }
    let config = TrainConfig::from_tables("the preset quick", preset, overrides)?;
    let options = SessionOptions {
        source_path: data.to_path_buf(),
        model_path: model.to_path_buf(),
        resume: crate::train::has_checkpoint(model)?,
        overwrite: false,
        field_device: FieldPlace::Auto.device(rasterizer)?,
        copy_every: COPY_EVERY,
    };
    let mut session = Session::open(config, dataset, rasterizer, options)?;
    let (_, done, total) = session.position();
    if done >= total {
        return Ok(true);
    }
    let mut watcher = TrainingWatcher::start(done, total, flags.quiet)?;
    let summary = session.run(&mut watcher)?;
    watcher.finish();
    Ok(!summary.interrupted)
}

/// Lets the head say the new sentences, and compares.
fn say(
    flags: &DemoFlags,
    talker: &Talker,
    dataset: &Dataset,
    model: &Path,
    rasterizer: &dyn Rasterizer,
) -> Result<()> {
    let folder = ModelDir::new(model);
    let head = Head::load(&folder.iteration_dir(folder.iteration(None)?))?;
    let head = head.first()?;
    let sentences: Vec<Sentence> = HELD_OUT.iter().map(|text| Sentence::new(text)).collect::<Result<_>>()?;
    let performance = Performance::speak(&sentences, NEW)?;
    let mut filmed = Vec::with_capacity(performance.frames());
    truth(talker, &performance, flags.size, rasterizer, |_, frame| {
        filmed.push(frame);
        Ok(())
    })?;
    let cameras = performance.cameras(flags.size);
    let blendshapes = performance.blendshapes();
    let poses = blendshapes.iter().zip(&cameras).enumerate();
    let poses = poses.map(|(i, (blendshapes, camera))| PoseSource {
        frame: 0,
        img_id: i as u32,
        audio_row: i,
        code: 0.0,
        camera: *camera,
        expression: blendshapes[..22].iter().map(|v| v.clamp(0.0, 2.0) / 2.0).collect(),
    });
    let rows = AudioRows::of(&AudioFeatures::mel(&performance.sound)?);
    let options = DriveOptions { frame_code: FrameCode::NEW_VOICE, smooth_win: 0, smooth_coef: 1.0 };
    let drive = Drive::replay(poses.collect(), rows, &options)?;
    let mut comparison = Comparison::new(flags.size, &filmed, performance.mouth_openings(flags.size));
    let options = PerformOptions {
        batch: 8,
        background: BackgroundType::BgWithTorso,
        seam: Seam::default(),
        use_gt_mask: false,
        attention: false,
        seed: 0,
    };
    let interrupt = Interrupt::get()?;
    let mut progress = Progress::start("new sentence", 0, performance.frames() as u64, flags.quiet);
    let sound = Some(&performance.sound);
    let performer = Performer { head, dataset, rasterizer, options };
    let performed = performer.perform(drive, sound, &flags.out, &mut |finished| {
        progress.update(finished.number as u64 + 1, String::new);
        comparison.see(finished)?;
        Ok(!interrupt.raised())
    })?;
    progress.finish();
    let Some(performed) = performed else { return Ok(()) };
    let sheet = flags.out.join("contact_sheet.png");
    comparison.sheet.save(&sheet)?;
    let report = comparison.report()?;
    report.write_json(&flags.out.join("metrics.json"))?;
    println!("\nthe head says: {}\n\n{report}", performance.text.join(" "));
    let fps = performed.frames as f64 / performed.inference.as_secs_f64().max(1e-9);
    println!("{:<14} {}", "video", performed.video.display());
    println!("{:<14} {} (truth, talking head, difference ×{GAIN})", "contact sheet", sheet.display());
    println!("{:<14} {} (opens in SIBR and web viewers)", "model", model.display());
    println!("{:<14} {fps:.0} frames a second in field and rasterizer", "speed");
    Ok(())
}

/// The talking head beside the truth.
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
            sheet: Sheet::new(columns, "truth, talking head, difference"),
            row: Default::default(),
        }
    }

    fn see(&mut self, finished: &Finished<'_>) -> Result<()> {
        let truth = &self.filmed[finished.number];
        let inside = |region: &Region| matches!(region, Region::Head | Region::Neck);
        let mask = mask_numbers(&truth.regions.iter().map(inside).collect::<Vec<bool>>());
        let [drawn, filmed] =
            [finished.picture, truth.rgb.as_raw().as_slice()].map(|rgb| masked_planes(rgb, &mask, [0.0; 3]));
        psnr_masked(&drawn, &filmed, &mask)?.into_iter().for_each(|v| self.psnr.add(v));
        let side = self.size as usize;
        ssim(&drawn, &filmed, [side, side], None)?.into_iter().for_each(|v| self.ssim.add(v));
        let picture = RgbImage::from_raw(self.size, self.size, finished.picture.to_vec())
            .ok_or_else(|| Error::Internal("a picture of another size".into()))?;
        self.regions.push(MouthRegion::of(&finished.frame.camera));
        let region = &self.regions[finished.number];
        self.openings.push(f64::from(measure_mouth_opening(&picture, region)));
        let every = (self.filmed.len() / SHOWN).max(1);
        if finished.number % every == every / 2 && self.row[0].len() < SHOWN {
            let seconds = finished.number as f64 / 25.0;
            let apart = difference(&truth.rgb, &picture, GAIN)?;
            for (row, cell) in self.row.iter_mut().zip([truth.rgb.clone(), picture, apart]) {
                row.push((format!("{seconds:.2} s"), cell));
            }
        }
        if finished.number + 1 == self.filmed.len() {
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
