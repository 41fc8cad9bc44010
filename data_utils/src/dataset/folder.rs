//! An opened dataset: what is known of every frame, and pixels when they are asked for.

use super::audio::AudioChoice;
use super::cache::Cache;
use super::expression::{self, ExpressionSource};
use super::landmarks::{self, Points68, Rect};
use super::pixels::{FramePixels, Store};
use super::scale;
use crate::audio::features::AudioFeatures;
use crate::camera::Camera;
use crate::error::{Error, Result};
use crate::formats::ply::PointCloud;
use image::RgbImage;
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
    /// Decodes every frame, and leaves those out that cannot be read or show nobody; otherwise the first, the middle and
    /// the last one are decoded.
    pub check_frames: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            audio: AudioChoice::Auto,
            ave_weights: None,
            image_budget: 1 << 30,
            max_side: None,
            check_frames: false,
        }
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
    pub expression: [f32; expression::COLUMNS],
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
    pub(super) train: usize,
    pub(super) store: Store,
    pub(super) cache: Cache,
    pub(super) cloud: Option<PointCloud>,
    pub(super) background: Option<PathBuf>,
    pub(super) notes: Vec<String>,
}

impl Dataset {
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

    pub(super) fn frame(&self, index: usize) -> Result<&FrameMeta> {
        let none = || Error::Internal(format!("frame index {index} of {}", self.frames.len()));
        self.frames.get(index).ok_or_else(none)
    }

    /// The sound the dataset was filmed with, where it is there.
    pub fn sound_path(&self) -> Option<PathBuf> {
        Some(self.store.dir.join("aud.wav")).filter(|p| p.exists())
    }
}
