//! The flags of `render`.

use super::background::VideoKind;
use super::device::Device;
use super::model_source::{ModelSource, dataset_of};
use super::output;
use crate::Result;
use crate::head::Head;
use crate::head::cloud::model_dir::ModelDir;
use crate::live::background::BackgroundType;
use clap::Parser;
use data_utils::dataset::{AudioChoice, Dataset, OpenOptions, Part};
use std::path::PathBuf;
use std::sync::Arc;

/// Where the head's motion comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum MotionChoice {
    /// As in the clip, forwards and backwards.
    Clip,
    /// Generated from the sound.
    Generated,
}

/// Makes a trained head talk: any voice, or the frames of its dataset again.
#[derive(Debug, Parser)]
#[command(name = "render", version, rename_all = "snake_case")]
pub struct RenderFlags {
    /// Dataset folder (data/xxx): needed to redraw and score its frames, or for another background; a voice does without
    #[arg(short = 's', long = "source_path")]
    pub(super) source_path: Option<PathBuf>,
    /// Folder of the trained model (model/xxx)
    #[arg(short = 'm', long = "model_path")]
    pub(super) model_path: PathBuf,
    /// Which saved iteration; the newest by default
    #[arg(long, allow_hyphen_values = true)]
    pub(super) iteration: Option<i64>,
    /// A voice (.wav, .mp3, .m4a, .flac) or features (.npy) to say; training and test frames are then not redrawn
    #[arg(long)]
    pub(super) custom_aud: Option<PathBuf>,
    /// Where in the source video the head motion of a voice starts, HH:MM:SS
    #[arg(long, default_value = "00:00:00")]
    pub(super) ss: String,
    /// Frames drawn at once
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) batch: u16,
    /// Does not redraw the training frames
    #[arg(long)]
    pub(super) skip_train: bool,
    /// Does not redraw the held-out frames
    #[arg(long)]
    pub(super) skip_test: bool,
    /// Also writes the attention channels as videos
    #[arg(long)]
    pub(super) visualize_attention: bool,
    /// What is behind the head: drawn_torso (that of the head's own branch, over the background), bg_w_torso (the filmed one),
    /// torso, scene, gt, hair (the frame with its face taken out), black, white or random [default: drawn_torso for a voice where the
    /// model has a torso branch, hair where a head of --part face redraws the frames of its dataset, else bg_w_torso]
    #[arg(long)]
    pub(super) background_type: Option<BackgroundType>,
    /// What stands behind head and torso in place of the room: a PNG or JPEG picture (scaled to fill the frame, cut evenly where
    /// it sticks out), a colour such as #00ff00, or none for an alpha; with --background_type scene behind the head alone
    #[arg(long)]
    pub(super) background: Option<String>,
    /// Lays the drawn face softly into the frames of the original video, at their full size; poses are not smoothed
    #[arg(long, conflicts_with_all = ["background", "background_type", "use_gt_mask", "erode_size", "smooth_win", "smooth_coef"])]
    pub(super) portrait: bool,
    /// The original video for --portrait, where it is no longer where `process` read it
    #[arg(long, requires = "portrait")]
    pub(super) video: Option<PathBuf>,
    /// The file that is written
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: VideoKind,
    /// How the head moves while it says a voice: clip (as in the clip, forwards and backwards) or generated (by the sound: pose,
    /// brows, gaze and blinks as this person has them)
    #[arg(long, default_value = "clip", requires = "custom_aud", conflicts_with = "portrait")]
    pub(super) motion: MotionChoice,
    /// Seed of generated motion
    #[arg(long, default_value_t = 0)]
    pub(super) motion_seed: u64,
    /// Neighbours on each side that every pose is averaged with
    #[arg(long, default_value_t = 1)]
    pub(super) smooth_win: usize,
    /// Part of the way the camera follows the head in each frame, 0 to 1; smaller lags more
    #[arg(long, default_value_t = 1.0)]
    pub(super) smooth_coef: f64,
    /// Width of a soft edge around the head, an odd number of pixels; 0 for none
    #[arg(long, default_value_t = 0)]
    pub(super) erode_size: usize,
    /// Cuts the head by the dataset's mask instead of the drawn alpha alone
    #[arg(long)]
    pub(super) use_gt_mask: bool,
    /// Audio feature, when it cannot be told from the model
    #[arg(long, default_value = "auto")]
    pub(super) asr: AudioChoice,
    /// Weights of the audio-visual encoder (audio_visual_encoder.pth)
    #[arg(long)]
    pub(super) ave_weights: Option<PathBuf>,
    /// MediaPipe's face_landmarker.task, for landmark distance and mouth opening
    #[arg(long)]
    pub(super) face_landmarker: Option<PathBuf>,
    /// Filmed lips of the person whose voice is said (an .npy file that this program wrote, or [frames, 2]: opening and width over
    /// the distance of the eyes), to score how the lips follow the voice
    #[arg(long, requires = "custom_aud", requires = "face_landmarker")]
    pub(super) lips_truth: Option<PathBuf>,
    /// LPIPS weights (SqueezeNet, AlexNet or VGG16)
    #[arg(long)]
    pub(super) lpips_weights: Option<PathBuf>,
    /// Where the work is done: auto, gpu or cpu
    #[arg(long, default_value = "auto")]
    pub(super) device: Device,
    /// Folder the video and its scores are written to; by default one in the model folder, with a number added where
    /// it already holds another video
    #[arg(long)]
    pub(super) out: Option<PathBuf>,
    /// Replaces another video in the folder it is written to
    #[arg(long)]
    pub(super) overwrite: bool,
    /// Memory for decoded frames of the dataset, MiB
    #[arg(long, default_value_t = 512)]
    pub(super) image_budget: u64,
    /// No progress, only problems
    #[arg(long)]
    pub(super) quiet: bool,
}

impl RenderFlags {
    /// What is behind the head.
    ///
    /// # Errors
    /// [`crate::Error::Input`] for a head without a branch, or without a torso where that is asked for.
    pub(super) fn kind_of_background(&self, head: &Head) -> Result<BackgroundType> {
        let is_face = head.first()?.settings.part == Part::Face;
        let is_redrawn = self.custom_aud.is_none();
        match self.background_type {
            _ if self.portrait => Ok(BackgroundType::Gt),
            Some(kind) if kind.draws_torso() => kind.torso_of(head).map(|_| kind),
            Some(kind) => Ok(kind),
            None if is_face && is_redrawn && self.background.is_none() => Ok(BackgroundType::Hair),
            // Frames of the dataset are compared with what was filmed, torso and all.
            None if !is_redrawn && head.torso().is_some() => Ok(BackgroundType::DrawnTorso),
            None => Ok(BackgroundType::default()),
        }
    }

    /// The dataset, where one is named or cannot be done without.
    pub(super) fn dataset(
        &self,
        folder: &ModelDir,
        head: &Head,
        background: BackgroundType,
    ) -> Result<Option<Arc<Dataset>>> {
        let settings = &head.first()?.settings;
        let needs_frames = self.use_gt_mask || self.portrait || background.needs_original();
        let why = match (&self.custom_aud, &head.clip) {
            _ if self.portrait => Some(
                "a portrait takes the face's masks and the place of the crop from it (--video names the film alone)",
            ),
            (Some(_), Some(_)) if !needs_frames => None,
            (Some(_), Some(_)) => Some("its filmed frames are shown"),
            (Some(_), None) => Some("the model holds no clip"),
            (None, _) => Some("its frames are redrawn"),
        };
        let Some(path) = dataset_of(&ModelSource { folder, source_path: self.source_path.as_deref(), why })?
        else {
            return Ok(None);
        };
        let trained_with = AudioChoice::Kind(settings.audio);
        let options = OpenOptions {
            audio: if self.asr == AudioChoice::Auto { trained_with } else { self.asr },
            ave_weights: self.ave_weights.clone(),
            image_budget: self.image_budget << 20,
            max_side: Some(settings.max_side),
            check_frames: false,
        };
        let dataset = Dataset::open(&path, &options)?;
        if !self.quiet {
            dataset.notes().iter().for_each(output::note);
            if self.custom_aud.is_some() && head.clip.is_none() {
                let (model, path) = (folder.root().display(), path.display());
                output::note(format!(
                    "this model needs its dataset {path}; `surfeltalk convert -m {model}` makes it do without"
                ));
            }
            if background.needs_torso() && !background.draws_torso() && !dataset.has_torsos() {
                output::note("no torso_imgs; the torso is cut out of each frame by its parsing");
            }
        }
        Ok(Some(Arc::new(dataset)))
    }
}
