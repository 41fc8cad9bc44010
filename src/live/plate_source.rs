//! Where the pictures around a head come from: the clip in the head file, or the dataset's own frames.

use crate::head::{Clip, Head, Plate};
use crate::{Error, Result};
use data_utils::dataset::{Dataset, Part};
use image::RgbImage;
use std::sync::Arc;

/// What is wanted of a frame's plate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlateRequest {
    /// Torso, and the clothes that hide the head.
    pub torso: bool,
    /// The frame as it was filmed and the mask of the head's part.
    pub filmed: bool,
}

/// The pictures that are put around the head in one frame.
#[derive(Debug, Clone, Default)]
pub struct FramePlate {
    /// Torso and clothes.
    pub torso: Plate,
    /// The frame as it was filmed, when it was asked for.
    pub filmed: Option<FilmedFrame>,
}

/// A frame of the dataset.
#[derive(Debug, Clone)]
pub struct FilmedFrame {
    /// RGB, `[rows, columns, 3]`.
    pub rgb: Vec<u8>,
    /// Where the head's part was filmed, 255 inside, `[rows, columns]`.
    pub mask: Vec<u8>,
}

/// Gives the plates of a clip's frames, in any order and on any thread.
pub trait PlateSource: Send + Sync {
    /// Width and height of the pictures, pixels.
    fn size(&self) -> [u32; 2];

    /// The static background.
    ///
    /// # Errors
    /// [`Error::Input`] when it cannot be decoded.
    fn background(&self) -> Result<RgbImage>;

    /// Whether [`PlateRequest::filmed`] can be asked for.
    fn has_filmed_frames(&self) -> bool;

    /// The plate of frame `index`.
    ///
    /// # Errors
    /// [`Error::Input`] when it cannot be decoded, [`Error::Internal`] when there is no such frame.
    fn load(&self, index: usize, request: PlateRequest) -> Result<FramePlate>;
}

/// The plates in a head file.
pub struct ClipPlates(Arc<Head>);

impl ClipPlates {
    /// The plates of a head.
    ///
    /// # Errors
    /// [`Error::Input`] when the head holds no clip.
    pub fn new(head: Arc<Head>) -> Result<Self> {
        match head.clip {
            Some(_) => Ok(ClipPlates(head)),
            None => Err(Error::input(
                "the head",
                "a clip to take poses and torsos from",
                "none: it was saved while training went on, or by an earlier version",
                "convert the model once with its dataset",
            )),
        }
    }

    fn clip(&self) -> Result<&Clip> {
        self.0.clip.as_ref().ok_or_else(|| Error::Internal("a head without a clip".into()))
    }
}

impl PlateSource for ClipPlates {
    fn size(&self) -> [u32; 2] {
        self.0.clip.as_ref().map_or([0; 2], |clip| clip.size)
    }

    fn background(&self) -> Result<RgbImage> {
        self.clip()?.background()
    }

    fn has_filmed_frames(&self) -> bool {
        false
    }

    fn load(&self, index: usize, request: PlateRequest) -> Result<FramePlate> {
        let torso = if request.torso { self.clip()?.plates.decode(index)? } else { Plate::default() };
        Ok(FramePlate { torso, filmed: None })
    }
}

/// The frames of a dataset, decoded when they are asked for.
pub struct DatasetPlates {
    dataset: Arc<Dataset>,
    part: Part,
}

impl DatasetPlates {
    /// The frames of `dataset` for a head of `part`.
    pub fn new(dataset: Arc<Dataset>, part: Part) -> Self {
        DatasetPlates { dataset, part }
    }
}

impl PlateSource for DatasetPlates {
    fn size(&self) -> [u32; 2] {
        self.dataset.size
    }

    fn background(&self) -> Result<RgbImage> {
        self.dataset.background()
    }

    fn has_filmed_frames(&self) -> bool {
        true
    }

    fn load(&self, index: usize, request: PlateRequest) -> Result<FramePlate> {
        let torso = match request.torso {
            true => Plate::of(&self.dataset, index, self.part)?,
            false => Plate::default(),
        };
        if !request.filmed {
            return Ok(FramePlate { torso, filmed: None });
        }
        let pixels = self.dataset.pixels(index)?;
        let mask = pixels.part_mask(self.part).into_iter().map(|inside| 255 * u8::from(inside));
        let filmed = FilmedFrame { mask: mask.collect(), rgb: pixels.rgb.clone() };
        Ok(FramePlate { torso, filmed: Some(filmed) })
    }
}
