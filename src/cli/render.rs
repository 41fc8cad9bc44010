//! The `render` program: a trained head says a voice, or redraws the frames of its dataset.

use super::background::{NamedBackground, encoder};
use super::device::{backend, rasterizer};
use super::interrupt::Interrupt;
use super::output;
use super::output_folder::{Destination, OutputFolder, voice_name};
use super::progress::Progress;
use super::record::{Recording, RecordingOptions};
pub use super::render_flags::{MotionChoice, RenderFlags};
use super::render_scores::{Scores, report};
use super::voice::{PIECE, Voice};
use crate::composite::Seam;
use crate::gpu::Gpu;
use crate::head::backend::Backend;
use crate::head::cloud::model_dir::ModelDir;
use crate::head::folder::head_file;
use crate::head::{Branch, Clip, ClipFrame, Head, VoiceStatistics};
use crate::live::background::{Backdrop, BackgroundType};
use crate::live::frame_renderer::{FrameOptions, FrameRenderer};
use crate::live::generated_motion::GeneratedMotion;
use crate::live::performance::{Performance, PerformanceOptions};
use crate::live::plate_source::{BeforePicture, ClipPlates, DatasetPlates, PlateSource};
use crate::live::portrait::PortraitPlates;
use crate::live::pose_source::ClipPoses;
use crate::live::split::split_frames;
use crate::live::start_time::start_at;
use crate::metrics::accumulator::MetricModels;
use crate::metrics::lip_track::LipTrack;
use crate::metrics::portrait::PortraitScore;
use crate::{Error, Result};
use data_utils::audio::ave::AveEncoder;
use data_utils::audio::features::AudioKind;
use data_utils::audio::{self, Sound};
use data_utils::dataset::{Dataset, Part, SourceVideo, Split, find_ave_weights};
use data_utils::media::{Encoder, Ffmpeg, SourceFrames};
use data_utils::workspace::{digest_bytes, digest_file, digest_text};
use image::RgbImage;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Most pixels of portraits that are drawn at once: those of 16 frames of 512 × 512.
const PIXELS_AT_ONCE: usize = 16 << 18;

/// Everything a video needs.
struct RenderJob<'a> {
    flags: &'a RenderFlags,
    head: Arc<Head>,
    dataset: Option<Arc<Dataset>>,
    gpu: Option<Gpu>,
    models: MetricModels,
    iteration: u64,
    options: FrameOptions,
    /// In place of the room.
    picture: Option<RgbImage>,
    encoder: Encoder,
    interrupt: Interrupt,
    started: Instant,
}

/// Runs `render` with the flags given.
///
/// # Errors
/// [`Error::Input`] for the user's mistakes, before anything is written.
pub fn run(flags: &RenderFlags) -> Result<()> {
    let started = Instant::now();
    let folder = ModelDir::new(&flags.model_path);
    let wanted = flags.iteration.and_then(|i| u64::try_from(i).ok());
    let iteration = folder.iteration(wanted)?;
    let head = Arc::new(Head::load(&folder.iteration_dir(iteration))?);
    let background = flags.kind_of_background(&head)?;
    let dataset = flags.dataset(&folder, &head, background)?;
    let settings = &head.first()?.settings;
    let NamedBackground { backdrop, picture } =
        NamedBackground::open(flags.background.as_deref(), background)?;
    let encoder = encoder(flags.format, backdrop)?;
    let options = FrameOptions {
        batch: flags.batch.into(),
        background,
        backdrop,
        seam: Seam::new(flags.erode_size)?,
        use_gt_mask: flags.use_gt_mask,
        attention: flags.visualize_attention,
        seed: settings.seed,
    };
    let gpu = flags.device.gpu()?;
    let (faces, lpips) = (flags.face_landmarker.as_deref(), flags.lpips_weights.as_deref());
    let models = MetricModels::open(faces, lpips, gpu.as_ref())?;
    if !flags.quiet {
        let device = rasterizer(gpu.as_ref()).name();
        output::tell(format_args!("rendering with the model of iteration {iteration} on {device}"));
    }
    let interrupt = Interrupt::get();
    let job = RenderJob {
        flags,
        head,
        dataset,
        gpu,
        models,
        iteration,
        options,
        picture,
        encoder,
        interrupt,
        started,
    };
    // Work that is stopped may fail for its very end, as when ffmpeg hung.
    job.render_all().map_err(|error| match error {
        Error::Input(_) if job.interrupt.raised() => job.interrupt.error("no video was written"),
        other => other,
    })
}

impl RenderJob<'_> {
    fn render_all(&self) -> Result<()> {
        if let Some(voice) = &self.flags.custom_aud {
            return self.render_voice(voice);
        }
        if !self.flags.skip_train {
            self.render_split(Split::Train)?;
        }
        if !self.flags.skip_test {
            self.render_split(Split::Val)?;
        }
        Ok(())
    }

    /// The dataset's own frames of one split with their own sound, scored against what was filmed.
    fn render_split(&self, split: Split) -> Result<()> {
        let name = if split == Split::Train { "train" } else { "test" };
        let dataset = self.dataset.as_ref().ok_or_else(|| Error::Internal("no dataset to redraw".into()))?;
        let branch = self.head.first()?;
        let frames = split_frames(dataset, split);
        let Some(first) = frames.first() else {
            output::note(format!("the dataset has no {name} frames"));
            return Ok(());
        };
        let whole = dataset.sound_path().map(|path| audio::load(&path)).transpose()?;
        let sound = whole.map(|whole| whole.cut(dataset.frames[first.plate].aud_id as usize, frames.len()));
        let plates = self.plates(dataset, branch.settings.part)?;
        let size = plates.picture_size();
        let options = self.options_for(&*plates);
        let backend = backend(self.gpu.as_ref(), branch, options.batch);
        let mut renderer = FrameRenderer::new(branch, backend, plates, options)?;
        if let (Some(torso), Some(backend)) = (self.head.torso(), self.torso_backend()) {
            renderer = renderer.with_torso(torso, backend)?;
        }
        let total = frames.len();
        let mut inputs = frames.into_iter();
        let mut metrics = self.models.against_truth(dataset, branch.settings.part);
        metrics.hear(sound.as_ref());
        match self.options.background {
            BackgroundType::Hair => metrics.look_at_seam(Part::Face),
            kind if kind.is_as_filmed() && self.options.backdrop == Backdrop::Own => {
                metrics.look_at_seam(branch.settings.part);
            }
            _ => {}
        }
        let mut scores = Scores { metrics, portrait: self.portrait_score(true) };
        let folder = self.output(&self.folder(name), name, None)?;
        let mut recording = self.recording(folder.path(), size, sound.as_ref())?;
        let mut progress = Progress::start(&format!("render {name}"), 0, total as u64, self.flags.quiet);
        loop {
            while renderer.wants_frames() && inputs.len() > 0 {
                renderer.submit(inputs.by_ref().take(renderer.batch()).collect())?;
            }
            let Some(frame) = renderer.next_frame()? else { break };
            recording.push(&frame, |frame| scores.add(frame))?;
            progress.update(frame.number as u64 + 1, String::new);
            if self.interrupt.raised() {
                return Err(self.interrupt.error("no video was written"));
            }
        }
        progress.finish();
        report(&recording.finish(renderer.times())?, &scores, name, &folder)
    }

    /// A voice that the head has never said.
    fn render_voice(&self, path: &Path) -> Result<()> {
        let voice = Voice::read(path, self.head.first()?.settings.audio)?;
        let mut options = self.performance_options(&voice)?;
        let size = options.plates.as_ref().map_or([0; 2], |plates| plates.picture_size());
        options.frame_count = voice.sound.as_ref().map(Sound::video_frames);
        let name = voice_name(path);
        let folder = self.output(&self.folder("custom").join(&name), "custom", Some(path))?;
        let mut metrics = self.models.of_voice(voice.sound.as_ref());
        if let Some(filmed) = &self.flags.lips_truth {
            metrics.against_lips(LipTrack::read(filmed)?);
        }
        let mut scores = Scores { metrics, portrait: self.portrait_score(false) };
        let backend = backend(self.gpu.as_ref(), self.head.first()?, options.frames.batch);
        let mut performance = Performance::new(&self.head, backend, options)?;
        // A voice is given in pieces, so that memory does not grow with its features.
        let mut pieces: std::slice::Chunks<f32> = [].chunks(PIECE);
        match (voice.features, &voice.sound) {
            (Some(features), _) => performance.push_features(features.values)?,
            (None, Some(sound)) => pieces = sound.samples.chunks(PIECE),
            (None, None) => {}
        }
        let mut recording = self.recording(folder.path(), size, voice.sound.as_ref())?;
        let total = voice.sound.as_ref().map_or(0, Sound::video_frames) as u64;
        let mut progress = Progress::start(&format!("render {name}"), 0, total, self.flags.quiet);
        let mut is_open = true;
        loop {
            let Some(frame) = performance.next_frame()? else {
                match (pieces.next(), &voice.sound) {
                    (Some(piece), Some(sound)) => performance.push_audio(piece, sound.rate)?,
                    _ if is_open => {
                        performance.finish()?;
                        is_open = false;
                    }
                    _ => break,
                }
                continue;
            };
            recording.push(&frame, |frame| scores.add(frame))?;
            progress.update(frame.number as u64 + 1, String::new);
            if self.interrupt.raised() {
                return Err(self.interrupt.error("no video was written"));
            }
        }
        progress.finish();
        report(&recording.finish(performance.times())?, &scores, &name, &folder)
    }

    /// Poses, plates and levels of the voice: those of the dataset where one is open, else those of the head's clip.
    fn performance_options(&self, voice: &Voice) -> Result<PerformanceOptions> {
        let branch = self.head.first()?;
        let (plates, frames): (Arc<dyn PlateSource>, Vec<ClipFrame>) = match (&self.dataset, &self.head.clip)
        {
            (Some(dataset), _) => (self.plates(dataset, branch.settings.part)?, Clip::frames_of(dataset)),
            (None, Some(clip)) => {
                (self.before(Arc::new(ClipPlates::new(Arc::clone(&self.head))?)), clip.frames.clone())
            }
            (None, None) => return Err(Error::Internal("neither a dataset nor a clip".into())),
        };
        let trained_voice = match (&self.dataset, &self.head.clip) {
            (Some(dataset), _) => VoiceStatistics::of(&dataset.audio),
            (None, clip) => clip.as_ref().and_then(|clip| clip.voice.clone()),
        };
        let generated = match self.flags.motion {
            MotionChoice::Clip => None,
            MotionChoice::Generated => Some(self.generated_motion(&frames)?),
        };
        let ids: Vec<u32> = frames.iter().map(|frame| frame.img_id).collect();
        let start = start_at(&self.flags.ss, &ids)?;
        let smooth_win = if self.flags.portrait { 0 } else { self.flags.smooth_win };
        Ok(PerformanceOptions {
            frames: self.options_for(&*plates),
            torso_backend: self.torso_backend(),
            poses: Some(match generated {
                Some(generated) => Box::new(generated),
                // A smoothed head would swim inside the frame it is laid into.
                None => Box::new(ClipPoses::new(&frames, start, smooth_win)?),
            }),
            plates: Some(plates),
            trained_voice,
            known_voice: voice.levels.clone(),
            encoder: self.encoder(branch, voice)?,
            smooth_coef: self.flags.smooth_coef,
            frame_count: None,
        })
    }

    /// Motion by the sound, from what the head file knows of its clip, before the torsos of `frames`.
    fn generated_motion(&self, frames: &[ClipFrame]) -> Result<GeneratedMotion> {
        let (kind, seed) = (self.head.first()?.settings.audio, self.flags.motion_seed);
        let motion = self.head.clip.as_ref().and_then(|clip| clip.motion.clone());
        let generated = motion.and_then(|motion| GeneratedMotion::new(motion, frames, kind, seed));
        generated.ok_or_else(|| {
            let model = self.flags.model_path.display();
            Error::input(
                "--motion generated",
                "a model that knows how its person moves",
                "a model of an earlier version, or of a clip of less than four seconds",
                format!("store it once with `surfeltalk convert -m {model}`, or use --motion clip"),
            )
        })
    }

    /// What draws the head's torso, where that is asked for.
    fn torso_backend(&self) -> Option<Box<dyn Backend>> {
        let torso = self.head.torso().filter(|_| self.options.background.draws_torso())?;
        Some(backend(self.gpu.as_ref(), torso, self.options.batch))
    }

    /// The audio-visual encoder, where the head listens to it and the voice is a sound.
    fn encoder(&self, branch: &Branch, voice: &Voice) -> Result<Option<AveEncoder>> {
        if branch.settings.audio != AudioKind::Ave || voice.features.is_some() {
            return Ok(None);
        }
        let named = self.flags.ave_weights.clone();
        let dataset = self.dataset.as_ref().map_or(&self.flags.model_path as &Path, |dataset| dataset.dir());
        let weights = named.or_else(|| find_ave_weights(dataset)).ok_or_else(|| {
            let remedy = "name the weights, or give the voice's features as .npy";
            Error::input("--ave_weights", "audio_visual_encoder.pth", "no such file", remedy)
        })?;
        AveEncoder::open(&weights, &candle_core::Device::Cpu).map(Some)
    }

    /// Where the pictures around the head come from: the original video's frames for a portrait.
    fn plates(&self, dataset: &Arc<Dataset>, part: Part) -> Result<Arc<dyn PlateSource>> {
        if !self.flags.portrait {
            return Ok(self.before(Arc::new(DatasetPlates::new(Arc::clone(dataset), part))));
        }
        let source = SourceVideo::read(dataset.dir())?;
        let tools = Ffmpeg::find_with_probe().map_err(|found| {
            Error::input("--portrait", "ffmpeg, which reads the original video", found, "install ffmpeg")
        })?;
        let video = source.locate(dataset.dir(), self.flags.video.as_deref(), &tools)?;
        let frames = SourceFrames::open(&tools, &video, source.rate)?;
        Ok(Arc::new(PortraitPlates::new(Arc::clone(dataset), source, frames)?))
    }

    /// How frames are drawn around these plates: of large pictures fewer at once.
    fn options_for(&self, plates: &dyn PlateSource) -> FrameOptions {
        let [width, height] = plates.size().map(|side| side as usize);
        let batch = match self.flags.portrait {
            true => self.options.batch.min((PIXELS_AT_ONCE / (width * height).max(1)).max(1)),
            false => self.options.batch,
        };
        FrameOptions { batch, ..self.options }
    }

    fn portrait_score(&self, is_own_voice: bool) -> Option<PortraitScore<'_>> {
        self.flags.portrait.then(|| PortraitScore::new(&self.models, is_own_voice))
    }

    /// Plates before the picture that was named.
    fn before(&self, plates: Arc<dyn PlateSource>) -> Arc<dyn PlateSource> {
        match &self.picture {
            Some(picture) => Arc::new(BeforePicture::new(plates, picture)),
            None => plates,
        }
    }

    fn folder(&self, set: &str) -> PathBuf {
        self.flags.model_path.join(set).join(format!("ours_{}", self.iteration)).join("renders")
    }

    /// Takes the folder for a video of `set`, of a voice or of the dataset's own frames.
    fn output(&self, folder: &Path, set: &str, voice: Option<&Path>) -> Result<OutputFolder> {
        let destination = match &self.flags.out {
            // Training and held-out frames are two videos.
            Some(out) if voice.is_none() => &out.join(set),
            Some(out) => out,
            None => folder,
        };
        let destination = Destination {
            folder: destination,
            exact: self.flags.out.is_some(),
            overwrite: self.flags.overwrite,
        };
        let claimed = OutputFolder::claim(destination, self.request(set, voice)?)?;
        if claimed.path() != destination.folder {
            output::note(format!(
                "{} holds another video; this one is written to {}",
                destination.folder.display(),
                claimed.path().display()
            ));
        }
        Ok(claimed)
    }

    /// A hash over everything that decides what a video shows.
    fn request(&self, set: &str, voice: Option<&Path>) -> Result<String> {
        let flags = self.flags;
        let model = ModelDir::new(&flags.model_path).iteration_dir(self.iteration);
        let mut parts = vec![set.to_owned(), digest_file(&head_file(&model))?.1];
        if let Some(voice) = voice {
            parts.push(digest_file(voice)?.1);
        }
        if let Some(dataset) = &self.dataset {
            let dir = dataset.dir();
            parts.push(std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()).display().to_string());
        }
        // How many frames are drawn at once does not change them.
        let options = FrameOptions { batch: 1, ..self.options };
        parts.push(format!("{options:?} {:?} {:?} {:?}", flags.format, flags.asr, flags.ave_weights));
        parts.extend(self.picture.as_ref().map(|picture| digest_bytes(picture.as_raw())));
        parts.push(format!("{} {:?}", flags.portrait, flags.video));
        parts.push(format!("{} {} {}", flags.ss, flags.smooth_win, flags.smooth_coef));
        parts.push(format!("{:?} {}", flags.motion, flags.motion_seed));
        Ok(digest_text(&parts.join("\n")))
    }

    fn recording(&self, dir: &Path, size: [u32; 2], sound: Option<&Sound>) -> Result<Recording> {
        let options = RecordingOptions {
            encoder: &self.encoder,
            has_alpha: self.options.backdrop == Backdrop::Transparent,
            attention: self.options.attention,
        };
        Recording::create(dir, size, sound, &options, self.started)
    }
}
