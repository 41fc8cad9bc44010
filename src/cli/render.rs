//! The `render` program: flags, the sets to draw, and the report.

use super::device::Device;
use super::interrupt::Interrupt;
use super::progress::Progress;
use crate::head::cloud::model_dir::ModelDir;
use crate::head::{Branch, Head};
use crate::live::background::BackgroundType;
use crate::live::drive::{self, AudioRows, Drive, DriveOptions, FPS, FrameCode, PoseSource};
use crate::live::feather::Seam;
use crate::live::perform::{PerformOptions, Performed, Performer};
use crate::live::score::{Judge, Scorer};
use crate::live::voice_match::match_voice;
use crate::raster::Rasterizer;
use crate::{Error, Result};
use clap::Parser;
use data_utils::audio::ave::AveEncoder;
use data_utils::audio::features::{AudioFeatures, AudioKind};
use data_utils::audio::{self, Sound};
use data_utils::dataset::{AudioChoice, Dataset, OpenOptions, Split, find_ave_weights};
use std::path::{Path, PathBuf};

/// Makes a trained head talk: its own frames, the held-out ones, or any voice.
#[derive(Debug, Parser)]
#[command(name = "render", version, about, rename_all = "snake_case")]
pub struct RenderFlags {
    /// Dataset folder (data/xxx): poses, torso and background come from it
    #[arg(short = 's', long = "source_path")]
    source_path: PathBuf,
    /// Folder of the trained model (model/xxx)
    #[arg(short = 'm', long = "model_path")]
    model_path: PathBuf,
    /// Which saved iteration; the newest by default
    #[arg(long, allow_hyphen_values = true)]
    iteration: Option<i64>,
    /// A voice (.wav, .mp3, .m4a, .flac) or features (.npy) to say instead; train and test are then skipped
    #[arg(long)]
    custom_aud: Option<PathBuf>,
    /// Where in the source video the pose path of a custom voice starts, HH:MM:SS
    #[arg(long, default_value = "00:00:00")]
    ss: String,
    /// Frames the field works on at once
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    batch: u16,
    /// Leaves the training frames out
    #[arg(long)]
    skip_train: bool,
    /// Leaves the held-out frames out
    #[arg(long)]
    skip_test: bool,
    /// Also writes the four attention channels as videos
    #[arg(long)]
    visualize_attention: bool,
    /// What stands behind the head: torso, bg_w_torso, scene, gt, black, white or random
    #[arg(long, default_value_t = BackgroundType::default())]
    background_type: BackgroundType,
    /// Poses averaged on each side
    #[arg(long, default_value_t = 1)]
    smooth_win: usize,
    /// Part of the way the view follows each frame, 0 to 1; smaller lags more
    #[arg(long, default_value_t = 1.0)]
    smooth_coef: f64,
    /// Width of a soft seam along the head's edge, an odd number of pixels; 0 for none
    #[arg(long, default_value_t = 0)]
    erode_size: usize,
    /// Cuts the head by the dataset's mask instead of the drawn alpha alone
    #[arg(long)]
    use_gt_mask: bool,
    /// Audio feature, when it cannot be told from the model
    #[arg(long, default_value = "auto")]
    asr: AudioChoice,
    /// Weights of the audio-visual encoder (audio_visual_encoder.pth)
    #[arg(long)]
    ave_weights: Option<PathBuf>,
    /// MediaPipe's face_landmarker.task, for landmark distance and mouth opening
    #[arg(long)]
    face_landmarker: Option<PathBuf>,
    /// LPIPS weights (SqueezeNet, AlexNet or VGG16)
    #[arg(long)]
    lpips_weights: Option<PathBuf>,
    /// Where the work is done: auto, gpu or cpu
    #[arg(long, default_value = "auto")]
    device: Device,
    /// Memory for decoded frames, MiB
    #[arg(long, default_value_t = 512)]
    image_budget: u64,
    /// No progress, only problems
    #[arg(long)]
    quiet: bool,
}

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Train,
    Test,
    Custom,
}

impl Set {
    fn name(self) -> &'static str {
        match self {
            Set::Train => "train",
            Set::Test => "test",
            Set::Custom => "custom",
        }
    }
}

/// Everything a set needs.
struct Stage<'a> {
    flags: &'a RenderFlags,
    head: Branch,
    dataset: Dataset,
    rasterizer: Box<dyn Rasterizer>,
    judge: Judge,
    iteration: u64,
    options: PerformOptions,
    interrupt: Interrupt,
}

/// Runs `render` with the flags given.
///
/// # Errors
/// [`Error::Input`] for the user's mistakes, before anything is written.
pub fn run(flags: &RenderFlags) -> Result<()> {
    let folder = ModelDir::new(&flags.model_path);
    let wanted = flags.iteration.and_then(|i| u64::try_from(i).ok());
    let iteration = folder.iteration(wanted)?;
    let head = Head::load(&folder.iteration_dir(iteration))?.branches.remove(0);
    let trained_with = AudioChoice::Kind(head.settings.audio);
    let dataset = Dataset::open(
        &flags.source_path,
        &OpenOptions {
            audio: if flags.asr == AudioChoice::Auto { trained_with } else { flags.asr },
            ave_weights: flags.ave_weights.clone(),
            image_budget: flags.image_budget << 20,
            max_side: Some(head.settings.max_side),
        },
    )?;
    let judge = Judge::open(flags.face_landmarker.as_deref(), flags.lpips_weights.as_deref())?;
    let rasterizer = flags.device.rasterizer()?;
    if !flags.quiet {
        dataset.notes().iter().for_each(|note| eprintln!("note: {note}"));
        eprintln!("draws iteration {iteration} on {}", rasterizer.name());
    }
    if flags.background_type.needs_torso() && !dataset.has_torsos() {
        eprintln!("note: no torso_imgs; the torso is cut out of each frame by its parsing");
    }
    let options = PerformOptions {
        batch: flags.batch.into(),
        background: flags.background_type,
        seam: Seam::new(flags.erode_size)?,
        use_gt_mask: flags.use_gt_mask,
        attention: flags.visualize_attention,
        seed: head.settings.seed,
    };
    let interrupt = Interrupt::get()?;
    let stage = Stage { flags, head, dataset, rasterizer, judge, iteration, options, interrupt };
    if let Some(voice) = &flags.custom_aud {
        return stage.custom(voice);
    }
    if !flags.skip_train {
        stage.own(Set::Train)?;
    }
    if !flags.skip_test {
        stage.own(Set::Test)?;
    }
    Ok(())
}

impl Stage<'_> {
    /// The dataset's own frames of one set, with their own sound, scored against what was filmed.
    fn own(&self, set: Set) -> Result<()> {
        let split = if set == Set::Train { Split::Train } else { Split::Val };
        let poses = self.poses(|s| s == split);
        let Some(first) = poses.first() else {
            eprintln!("note: no {} frames", set.name());
            return Ok(());
        };
        let whole = self.dataset.sound_path().map(|path| audio::load(&path)).transpose()?;
        let sound = whole.map(|whole| whole.cut(first.audio_row, poses.len()));
        let code = if set == Set::Train { FrameCode::Source } else { FrameCode::NEW_VOICE };
        let options = DriveOptions { frame_code: code, smooth_win: 0, smooth_coef: 1.0 };
        let drive = Drive::replay(poses, self.rows()?, &options)?;
        let scorer = self.judge.against_truth(&self.dataset, self.head.settings.part);
        self.perform(set, set.name(), drive, sound.as_ref(), scorer)
    }

    /// A voice the head has never said.
    fn custom(&self, voice: &Path) -> Result<()> {
        let is_features = voice.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy"));
        let (mut features, sound) = if is_features {
            let features = AudioFeatures::read(voice, self.head.settings.audio)?;
            (features, sound_beside(voice)?)
        } else {
            let sound = audio::load(voice)?;
            let features = self.features(&sound)?;
            (features, Some(sound))
        };
        match_voice(&mut features, &self.dataset.audio);
        let rows = AudioRows::whole(features.channels * features.width, &features.values)?;
        let frames = sound.as_ref().map_or(features.rows, Sound::video_frames);
        let poses = self.poses(|_| true);
        let ids: Vec<u32> = poses.iter().map(|p| p.img_id).collect();
        let start = drive::start_at(&self.flags.ss, &ids)?;
        let lag = if self.options.background.allows_lag() { self.flags.smooth_coef } else { 1.0 };
        let options = DriveOptions {
            frame_code: FrameCode::NEW_VOICE,
            smooth_win: self.flags.smooth_win,
            smooth_coef: lag,
        };
        let drive = Drive::voice(poses, rows, start, Some(frames), &options)?;
        let name = voice.file_stem().map_or_else(|| "voice".into(), |s| s.to_string_lossy().into_owned());
        let scorer = self.judge.of_voice(sound.as_ref());
        self.perform(Set::Custom, &name, drive, sound.as_ref(), scorer)
    }

    /// What the head hears of a new sound.
    fn features(&self, sound: &Sound) -> Result<AudioFeatures> {
        let kind = self.head.settings.audio;
        match kind {
            AudioKind::Mel => AudioFeatures::mel(sound),
            AudioKind::Ave => {
                let found =
                    self.flags.ave_weights.clone().or_else(|| find_ave_weights(&self.flags.source_path));
                let weights = found.ok_or_else(|| {
                    let remedy = "name the weights, or give the voice's features as .npy";
                    Error::input("--ave_weights", "audio_visual_encoder.pth", "no such file", remedy)
                })?;
                AudioFeatures::ave(sound, &AveEncoder::open(&weights, &candle_core::Device::Cpu)?)
            }
            AudioKind::DeepSpeech | AudioKind::Hubert => Err(Error::input(
                "--custom_aud",
                format!("{} features (.npy), which the head was trained with", kind.name()),
                "a sound file",
                "extract the features of the voice and give the .npy file",
            )),
        }
    }

    fn perform(
        &self,
        set: Set,
        name: &str,
        drive: Drive,
        sound: Option<&Sound>,
        mut scorer: Scorer<'_>,
    ) -> Result<()> {
        let mut dir = self.flags.model_path.join(set.name()).join(format!("ours_{}", self.iteration));
        dir.push("renders");
        if set == Set::Custom {
            dir.push(name);
        }
        let total = drive.total().unwrap_or(0) as u64;
        let mut progress = Progress::start(&format!("render {name}"), 0, total, self.flags.quiet);
        let performer = Performer {
            head: &self.head,
            dataset: &self.dataset,
            rasterizer: self.rasterizer.as_ref(),
            options: self.options.clone(),
        };
        let performed = performer.perform(drive, sound, &dir, &mut |finished| {
            scorer.see(finished)?;
            progress.update(finished.number as u64 + 1, String::new);
            Ok(!self.interrupt.raised())
        })?;
        progress.finish();
        let Some(performed) = performed else {
            eprintln!("stopped; no video was written");
            return Ok(());
        };
        let report = scorer.report(name)?;
        report.write_json(&dir.join("metrics.json"))?;
        println!("{}\n{report}", describe(&performed));
        Ok(())
    }

    fn rows(&self) -> Result<AudioRows> {
        let audio = &self.dataset.audio;
        AudioRows::whole(audio.channels * audio.width, &audio.values)
    }

    fn poses(&self, wanted: impl Fn(Split) -> bool) -> Vec<PoseSource> {
        let last_train = self.dataset.train_indices().last().unwrap_or(0);
        self.dataset
            .frames
            .iter()
            .enumerate()
            .filter(|(_, frame)| wanted(frame.split))
            .map(|(index, frame)| PoseSource {
                frame: index,
                img_id: frame.img_id,
                audio_row: frame.aud_id as usize,
                code: index.min(last_train) as f32,
                camera: frame.camera,
                expression: frame.expression.to_vec(),
            })
            .collect()
    }
}

/// The sound that lies beside a feature file under the same name, if there is one.
fn sound_beside(features: &Path) -> Result<Option<Sound>> {
    let stem = features.with_extension("");
    let stem = stem.to_string_lossy();
    let stems =
        [stem.as_ref(), stem.trim_end_matches("_ave").trim_end_matches("_ds").trim_end_matches("_hu")];
    for stem in stems {
        let wav = PathBuf::from(format!("{stem}.wav"));
        if wav.is_file() {
            return audio::load(&wav).map(Some);
        }
    }
    eprintln!("note: no {stem}.wav beside the features; the video will be silent");
    Ok(None)
}

/// The result in words, for stdout.
fn describe(performed: &Performed) -> String {
    let seconds = performed.inference.as_secs_f64().max(1e-9);
    let fps = performed.frames as f64 / seconds;
    let mut lines = vec![
        format!("{:<12} {}", "video", performed.video.display()),
        format!("{:<12} {} ({:.2} s)", "frames", performed.frames, performed.frames as f64 / f64::from(FPS)),
        format!("{:<12} {fps:.1} frames a second in field and rasterizer", "speed"),
    ];
    lines.extend(performed.attention.iter().map(|path| format!("{:<12} {}", "attention", path.display())));
    lines.join("\n")
}
