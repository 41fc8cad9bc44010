//! Where the pictures around a head come from: the clip in the head file, or the dataset's own frames.

use super::kept_hair::kept_hair;
use super::portrait_frame::PortraitFrame;
use crate::head::{Clip, Head, Plate};
use crate::{Error, Result};
use data_utils::dataset::{Dataset, Part};
use image::imageops::FilterType;
use image::{DynamicImage, RgbImage};
use std::sync::{Arc, OnceLock};

/// What is wanted of a frame's plate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlateRequest {
    /// Torso, and the clothes that hide the head.
    pub torso: bool,
    /// The frame as it was filmed and the mask of the head's part.
    pub filmed: bool,
    /// With the latter, the frame without its face (`--background_type hair`), and the mask of the face.
    pub keep_hair: bool,
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
    /// Whether the head always shows inside the mask alone.
    pub cuts: bool,
    /// The frame that the finished picture is laid into, where the frame is a part of a larger one.
    pub portrait: Option<PortraitFrame>,
}

/// Gives the plates of a clip's frames, in any order and on any thread.
pub trait PlateSource: Send + Sync {
    /// Width and height of the pictures, pixels.
    fn size(&self) -> [u32; 2];

    /// Width and height of the finished pictures, pixels: larger where they are laid into a larger frame.
    fn picture_size(&self) -> [u32; 2] {
        self.size()
    }

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

/// Plates of another source, before a still picture in place of its background.
pub struct BeforePicture {
    plates: Arc<dyn PlateSource>,
    picture: RgbImage,
}

impl BeforePicture {
    /// `picture` is scaled to fill the frame, keeping its proportions, and what then sticks out is cut off evenly on both
    /// sides.
    pub fn new(plates: Arc<dyn PlateSource>, picture: &RgbImage) -> Self {
        let [width, height] = plates.size();
        BeforePicture { plates, picture: fill(picture, width, height) }
    }
}

impl PlateSource for BeforePicture {
    fn size(&self) -> [u32; 2] {
        self.plates.size()
    }

    fn picture_size(&self) -> [u32; 2] {
        self.plates.picture_size()
    }

    fn background(&self) -> Result<RgbImage> {
        Ok(self.picture.clone())
    }

    fn has_filmed_frames(&self) -> bool {
        self.plates.has_filmed_frames()
    }

    fn load(&self, index: usize, request: PlateRequest) -> Result<FramePlate> {
        self.plates.load(index, request)
    }
}

/// A picture that fills `width` × `height`, cut in the middle.
fn fill(picture: &RgbImage, width: u32, height: u32) -> RgbImage {
    if picture.dimensions() == (width, height) {
        return picture.clone();
    }
    let picture = DynamicImage::ImageRgb8(picture.clone());
    picture.resize_to_fill(width, height, FilterType::Lanczos3).into_rgb8()
}

/// The frames of a dataset, decoded when they are asked for.
pub struct DatasetPlates {
    dataset: Arc<Dataset>,
    part: Part,
    /// The empty room, once it was asked for.
    room: OnceLock<RgbImage>,
}

impl DatasetPlates {
    /// The frames of `dataset` for a head of `part`.
    pub fn new(dataset: Arc<Dataset>, part: Part) -> Self {
        DatasetPlates { dataset, part, room: OnceLock::new() }
    }

    fn room(&self) -> Result<&RgbImage> {
        if self.room.get().is_none() {
            let room = self.dataset.background()?;
            return Ok(self.room.get_or_init(|| room));
        }
        self.room.get().ok_or_else(|| Error::Internal("a room that was not kept".into()))
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
        let part = if request.keep_hair { Part::Face } else { self.part };
        let mask = pixels.part_mask(part).into_iter().map(|inside| 255 * u8::from(inside));
        let rgb = match request.keep_hair {
            true => kept_hair(&pixels, &self.dataset.torso(index)?, self.room()?),
            false => pixels.rgb.clone(),
        };
        // A head with hair shows its face alone; one that is a face has nothing else, and may open its mouth wider than filmed.
        let cuts = request.keep_hair && self.part != Part::Face;
        let filmed = FilmedFrame { mask: mask.collect(), rgb, cuts, portrait: None };
        Ok(FramePlate { torso, filmed: Some(filmed) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_fills_the_frame_and_is_cut_in_the_middle() {
        // Three stripes; a square takes the middle one of a wide picture.
        let wide = RgbImage::from_fn(90, 30, |x, _| image::Rgb([(x / 30) as u8 * 100; 3]));
        let square = fill(&wide, 60, 60);
        assert_eq!(square.dimensions(), (60, 60));
        assert!(square.get_pixel(30, 30).0 == [100; 3] && square.get_pixel(10, 5).0 == [100; 3]);
        let tall = fill(&wide, 10, 30);
        assert_eq!((tall.dimensions(), tall.get_pixel(0, 0).0), ((10, 30), [100; 3]));
        assert_eq!(fill(&wide, 90, 30), wide, "one that fits stays as it is");
    }
}
