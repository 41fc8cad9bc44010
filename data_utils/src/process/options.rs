//! What a run is asked to do.

use crate::audio::features::AudioKind;
use std::path::{Path, PathBuf};

/// What a run is asked to do. Every path is one that exists.
#[derive(Debug, Clone)]
pub struct Options {
    /// The video.
    pub video: PathBuf,
    /// The dataset's folder, where the video lies.
    pub dir: PathBuf,
    /// First and last task.
    pub tasks: [u8; 2],
    /// Makes the outputs of these tasks anew, also those that were changed by hand or that another program made.
    pub redo: bool,
    /// Takes poses from the fit of the face model alone, without following the picture.
    pub use_3dmm: bool,
    /// How much wider than the face the crop is, where it was given: half its side is the face's larger side / 2 ·
    /// (1 + scale).
    pub scale: Option<f64>,
    /// Audio features, where they were chosen.
    pub asr: Option<AudioKind>,
    /// Weights of the audio-visual encoder.
    pub ave_weights: Option<PathBuf>,
    /// MediaPipe's networks.
    pub landmarker: PathBuf,
    /// Weights of the face-parsing network.
    pub parsing: Option<PathBuf>,
    /// Folder of the face model.
    pub face_model: Option<PathBuf>,
    /// Weights of the optical flow network.
    pub flow: Option<PathBuf>,
    /// A recording of the voice of its own, used in place of the video's sound.
    pub audio: Option<PathBuf>,
    /// How the sound is moved against the picture.
    pub shift_sound: ShiftSound,
    /// Number of the shot that is used, from 1; without it the longest.
    pub shot: Option<usize>,
    /// Accepts a video without sound; the dataset then gets silence.
    pub silent: bool,
    /// Writes the inside of the mouth as well.
    pub teeth_mask: bool,
}

/// How the sound is moved against the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ShiftSound {
    /// Later by so many seconds, earlier for a negative number.
    Seconds(f64),
    /// To where the lips are.
    Auto,
}

impl std::str::FromStr for ShiftSound {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if text == "auto" {
            return Ok(ShiftSound::Auto);
        }
        match text.parse() {
            Ok(seconds) if (-10.0..=10.0).contains(&seconds) => Ok(ShiftSound::Seconds(seconds)),
            _ => Err("expected auto, or seconds from -10 to 10".into()),
        }
    }
}

/// Side of a dataset's frames, pixels.
pub const SIDE: u32 = 512;
/// Frames a second of a dataset.
pub const RATE: f64 = 25.0;
/// The highest task.
pub const LAST_TASK: u8 = 10;
/// Scale of the crop where none is given.
pub const SCALE: f64 = 1.0;
/// File name of MediaPipe's networks.
pub const LANDMARKER: &str = "face_landmarker.task";

/// A model file beside the dataset, in its `models` folder, in the folders above, or where the program was started.
pub fn find(dir: &Path, name: &str) -> Option<PathBuf> {
    let mut places = vec![dir.to_path_buf(), dir.join("models")];
    for above in [dir.parent(), dir.parent().and_then(Path::parent)].into_iter().flatten() {
        places.extend([above.to_path_buf(), above.join("models")]);
    }
    places.extend([PathBuf::from("."), PathBuf::from("models")]);
    places.into_iter().map(|place| place.join(name)).find(|path| path.is_file())
}
