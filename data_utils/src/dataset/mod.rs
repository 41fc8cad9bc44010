//! The dataset folder of SyncTalk, GaussianTalker, TalkingGaussian and their kin: one schema, one reader, one writer.
//!
//! [`Dataset::open`] checks everything once and names every problem it finds; pictures are decoded when they are
//! asked for and kept within a budget of bytes. What a dataset lacks is replaced where a replacement makes sense,
//! and each replacement is one line of [`Dataset::notes`].
//!
//! | file | needed | in its place |
//! |---|---|---|
//! | `transforms_train.json` | yes | |
//! | `transforms_val.json` | no | the last 1/11 of the training frames |
//! | `ori_imgs/{i}.jpg` or `.png` | yes | `gt_imgs/{i}.jpg`; with labels, the original holds all that `gt_imgs` has |
//! | `parsing/{i}.png` | yes | a frame without it is left out |
//! | `parsing/{i}_face.png` | no | outline of the landmarks, else the head without hair |
//! | `teeth_mask/{i}.npy` | no | |
//! | `ori_imgs/{i}.lms` | no | no rectangles for that frame |
//! | `torso_imgs/{i}.png` | no | no torso for that frame |
//! | `bc.jpg` | no | black |
//! | `bs.npy` | no | `au.csv`, else zeros |
//! | `fused.ply` | no | `points3d.ply`, else points inside the masks of all cameras |
//! | `aud_ave.npy`, `aud_ds.npy`, `aud_hu.npy`, `aud.wav` | one | as asked by [`AudioChoice`] |
//!
//! `face_mask` is written but not read: SyncTalk means the head by it and SyncGaussianTalker the face.
//! Metres and decimetres are both fine, so long as cameras and cloud agree.

mod audio;
mod cache;
mod check;
mod expression;
mod landmarks;
mod masks;
mod open;
mod pixels;
mod points;
mod rows;
mod scale;
mod torso;
mod transforms;
pub mod write;

pub use audio::{AudioChoice, find_ave_weights};
pub use expression::{
    COLUMNS as EXPRESSION_COLUMNS, ExpressionSource, is_derived as is_derived_units,
    units_of_blendshapes as expression_units,
};
pub use landmarks::{Points68, Rect};
pub use masks::{Label, Part, grow, part_mask};
pub use pixels::FramePixels;

use crate::audio::features::AudioFeatures;
use crate::camera::Camera;
use crate::error::{Error, Result};
use crate::formats::ply::PointCloud;
use cache::Cache;
use image::RgbImage;
use pixels::Store;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a dataset is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Which audio features are wanted.
    pub audio: AudioChoice,
    /// Weights of the audio-visual encoder, where they are not in one of the usual places.
    pub ave_weights: Option<PathBuf>,
    /// Bytes of decoded frames kept in memory.
    pub image_budget: u64,
    /// Longest side of the frames handed out, pixels; larger ones are averaged down and cameras with them.
    pub max_side: Option<u32>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions { audio: AudioChoice::Auto, ave_weights: None, image_budget: 1 << 30, max_side: None }
    }
}

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Training.
    Train,
    /// Held out.
    Val,
}

/// What is known of a frame without decoding it.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameMeta {
    /// Number in the file names; numbers may jump.
    pub img_id: u32,
    /// Row of the audio features.
    pub aud_id: u32,
    /// Training or held out.
    pub split: Split,
    /// Where it was filmed from, at the size handed out.
    pub camera: Camera,
    /// Upper face, 0..1: see [`ExpressionSource`] and the order of `bs.npy`.
    pub expression: [f32; EXPRESSION_COLUMNS],
    /// 68 iBUG landmarks, column and row in pixels of the size handed out.
    pub landmarks: Option<Points68>,
}

impl FrameMeta {
    /// The square around the lips.
    pub fn lips_rect(&self) -> Option<Rect> {
        landmarks::lips(self.landmarks.as_ref()?, self.size())
    }

    /// The rectangle around eyes and brows.
    pub fn eyes_rect(&self) -> Option<Rect> {
        landmarks::eyes(self.landmarks.as_ref()?, self.size())
    }

    /// Bounds of all landmarks.
    pub fn face_rect(&self) -> Option<Rect> {
        landmarks::bounds(self.landmarks.as_ref()?, 0..68, self.size())
    }

    fn size(&self) -> [u32; 2] {
        [self.camera.width, self.camera.height]
    }
}

/// An opened dataset. All methods may be called from many threads at once.
#[derive(Debug)]
pub struct Dataset {
    /// Frames for training by rising number, then those held out by rising number.
    pub frames: Vec<FrameMeta>,
    /// Width and height of the frames handed out, pixels.
    pub size: [u32; 2],
    /// What the face is driven by; row [`FrameMeta::aud_id`] belongs to a frame.
    pub audio: AudioFeatures,
    /// Where the expressions come from.
    pub expression_source: ExpressionSource,
    train: usize,
    store: Store,
    cache: Cache,
    cloud: Option<PointCloud>,
    background: Option<PathBuf>,
    notes: Vec<String>,
}

impl Dataset {
    /// Opens the dataset in `dir`.
    ///
    /// # Errors
    /// [`Error::Input`] or [`Error::Inputs`] with everything that is
    /// wrong: a file that is missing, cut short, of another size than its siblings or without meaning.
    pub fn open(dir: &Path, options: &OpenOptions) -> Result<Dataset> {
        open::open(dir, options)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.store.dir
    }

    /// Indices in `frames` for training.
    pub fn train_indices(&self) -> Range<usize> {
        0..self.train
    }

    /// Indices in `frames` that are held out.
    pub fn val_indices(&self) -> Range<usize> {
        self.train..self.frames.len()
    }

    /// What was replaced by what, one line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Picture and labels of `frames[index]`, from memory where they are kept.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that cannot be decoded, [`Error::Internal`] when there is no such frame.
    pub fn pixels(&self, index: usize) -> Result<Arc<FramePixels>> {
        if let Some(frame) = self.cache.get(index) {
            return Ok(frame);
        }
        let meta = self.frame(index)?;
        let frame = Arc::new(self.store.decode(meta.img_id, meta.landmarks.as_ref())?);
        self.cache.insert(index, &frame);
        Ok(frame)
    }

    /// Bytes of decoded frames kept at the moment.
    pub fn cached_bytes(&self) -> u64 {
        self.cache.bytes()
    }

    /// Whether there is a background plate.
    pub fn has_background(&self) -> bool {
        self.background.is_some()
    }

    /// The background plate, black where the dataset has none.
    pub fn background(&self) -> Result<RgbImage> {
        let Some(path) = &self.background else { return Ok(RgbImage::new(self.size[0], self.size[1])) };
        let picture = self.store.open(path)?.into_rgb8();
        RgbImage::from_raw(
            self.size[0],
            self.size[1],
            scale::area(picture.as_raw(), self.store.stored, 3, self.size),
        )
        .ok_or_else(|| Error::Internal("a scaled background of the wrong length".into()))
    }

    /// The cloud training begins with, in the unit of the cameras.
    pub fn initial_points(&self) -> Result<PointCloud> {
        match &self.cloud {
            Some(cloud) => Ok(cloud.clone()),
            None => points::from_masks(self),
        }
    }

    fn frame(&self, index: usize) -> Result<&FrameMeta> {
        let none = || Error::Internal(format!("frame index {index} of {}", self.frames.len()));
        self.frames.get(index).ok_or_else(none)
    }

    /// The sound the dataset was filmed with, where it is there.
    pub fn sound_path(&self) -> Option<PathBuf> {
        Some(self.store.dir.join("aud.wav")).filter(|p| p.exists())
    }
}
