//! One frame's pixels: the picture and its labels, decoded when they are asked for.

use super::landmarks::{Points68, face_region};
use super::masks::{Label, Part, part_mask};
use super::scale;
use crate::error::{Error, Result};
use crate::formats::npy;
use crate::media::pictures::read_picture;
use image::DynamicImage;
use std::path::{Path, PathBuf};

/// Share of a parsing's pixels that may have a colour without meaning before the file is refused.
const STRAY: f64 = 0.005;

/// A frame as it was filmed, and what each pixel shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FramePixels {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The original picture, `[height, width, 3]`.
    pub rgb: Vec<u8>,
    /// Bits of [`Label`], `[height, width]`.
    pub labels: Vec<u8>,
}

impl FramePixels {
    /// The training mask of a part, `[height, width]`; see [`part_mask`].
    pub fn part_mask(&self, part: Part) -> Vec<bool> {
        part_mask(&self.labels, self.width as usize, self.height as usize, part)
    }

    /// Bytes it occupies.
    pub fn bytes(&self) -> u64 {
        (self.rgb.len() + self.labels.len()) as u64
    }
}

/// Where the frames of a dataset lie and what size they get.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) dir: PathBuf,
    /// Folder and extension of the pictures.
    pub(super) pictures: (&'static str, &'static str),
    /// Size of the files.
    pub(super) stored: [u32; 2],
    /// Size handed out.
    pub(super) size: [u32; 2],
}

impl Store {
    /// Path of a frame's picture.
    pub(super) fn picture(&self, id: u32) -> PathBuf {
        self.dir.join(self.pictures.0).join(format!("{id}.{}", self.pictures.1))
    }

    /// Decodes frame `id`. `landmarks` are at the size handed out.
    pub(super) fn decode(&self, id: u32, landmarks: Option<&Points68>) -> Result<FramePixels> {
        let rgb = self.open(&self.picture(id))?.into_rgb8();
        let mut labels = self.parsing(&self.dir.join("parsing").join(format!("{id}.png")))?;
        self.teeth(id, &mut labels)?;
        let face = self.dir.join("parsing").join(format!("{id}_face.png"));
        let has_face = face.exists();
        if has_face {
            // The picture is blurred for pasting; only what the blur left untouched is face.
            let face = self.open(&face)?.into_rgb8();
            for (label, pixel) in labels.iter_mut().zip(face.pixels()) {
                *label |= if pixel.0 == [0, 0, 255] { Label::FACE } else { 0 };
            }
        }
        let mut labels = scale::nearest(&labels, self.stored, self.size);
        if !has_face {
            let region = landmarks.map(|p| face_region(p, self.size));
            for (i, label) in labels.iter_mut().enumerate() {
                let skin = *label & (Label::HEAD | Label::HAIR) == Label::HEAD;
                *label |= if skin && region.as_ref().is_none_or(|r| r[i]) { Label::FACE } else { 0 };
            }
        }
        Ok(FramePixels {
            width: self.size[0],
            height: self.size[1],
            rgb: scale::area(rgb.as_raw(), self.stored, 3, self.size),
            labels,
        })
    }

    /// Decodes a picture of the dataset and holds it against the stored size.
    pub(super) fn open(&self, path: &Path) -> Result<DynamicImage> {
        let picture = read_picture(path)?;
        if [picture.width(), picture.height()] != self.stored {
            return Err(Error::input(
                path.display(),
                format!("{}×{} pixels, as the frames have", self.stored[0], self.stored[1]),
                format!("{}×{}", picture.width(), picture.height()),
                "make this file again from the same frames",
            ));
        }
        Ok(picture)
    }

    /// Label bits without FACE, at the stored size.
    fn parsing(&self, path: &Path) -> Result<Vec<u8>> {
        let picture = self.open(path)?.into_rgb8();
        let (mut stray, mut example) = (0usize, [0; 3]);
        let labels: Vec<u8> = picture
            .pixels()
            .map(|pixel| {
                Label::of_color(pixel.0).unwrap_or_else(|| {
                    (stray, example) = (stray + 1, pixel.0);
                    0
                })
            })
            .collect();
        if stray as f64 > STRAY * labels.len() as f64 {
            return Err(Error::input(
                path.display(),
                "only blue, green, red, white, grey (100) and black, exactly",
                format!("{stray} of {} pixels of other colours, such as {example:?}", labels.len()),
                "write label maps as PNG and resize them without interpolation",
            ));
        }
        Ok(labels)
    }

    /// Adds the teeth of `teeth_mask/{id}.npy`, a bool array `[height, width]`, where there is one.
    fn teeth(&self, id: u32, labels: &mut [u8]) -> Result<()> {
        let path = self.dir.join("teeth_mask").join(format!("{id}.npy"));
        if !path.exists() {
            return Ok(());
        }
        let teeth = npy::read(&path)?;
        let shape = [self.stored[1] as usize, self.stored[0] as usize];
        if teeth.shape != shape {
            return Err(Error::input(
                path.display(),
                format!("shape {shape:?}, as the frames have"),
                format!("{:?}", teeth.shape),
                "make this file again from the same frames",
            ));
        }
        for (label, tooth) in labels.iter_mut().zip(&teeth.data) {
            if *tooth != 0.0 && *label & Label::HEAD != 0 {
                *label |= Label::MOUTH;
            }
        }
        Ok(())
    }
}
