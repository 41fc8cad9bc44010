//! Portrait mode: the drawn face is laid into the original video's frames, at their full size. Only the crop is put together
//! with what is drawn; all else is the frame.

use super::plate_source::{FilmedFrame, FramePlate, PlateRequest, PlateSource};
use super::portrait_mask::{JawRange, portrait_mask};
use crate::head::Plate;
use crate::{Error, Result};
use data_utils::dataset::{Dataset, SourceVideo};
use data_utils::media::SourceFrames;
use image::imageops::{FilterType, crop_imm, resize};
use image::{ImageBuffer, Luma, RgbImage};
use std::sync::Arc;

/// An original frame and where in it a picture is laid.
#[derive(Debug, Clone)]
pub struct PortraitFrame {
    /// The frame as it was filmed.
    pub original: Arc<RgbImage>,
    /// Left and top of the crop, pixels.
    pub corner: [u32; 2],
    /// Width and height of the crop.
    pub size: [u32; 2],
    /// How much of the drawing is seen, 0..255, `[rows, columns]` of the crop; where it is 0 the frame is copied.
    pub mask: Arc<Vec<u8>>,
}

impl PortraitFrame {
    /// The whole frame with `picture`, RGB of the crop, in its place.
    ///
    /// # Errors
    /// [`Error::Internal`] for a picture of another size.
    pub fn laid(&self, picture: &[u8]) -> Result<RgbImage> {
        let [width, height] = self.size.map(|side| side as usize);
        if picture.len() != 3 * width * height {
            return Err(Error::Internal(format!("a picture of {} bytes for {:?}", picture.len(), self.size)));
        }
        let mut whole = (*self.original).clone();
        let [left, top] = self.corner.map(|at| at as usize);
        let stride = 3 * whole.width() as usize;
        let pixels: &mut [u8] = &mut whole;
        for (y, row) in picture.chunks_exact(3 * width).enumerate() {
            pixels[(top + y) * stride + 3 * left..][..3 * width].copy_from_slice(row);
        }
        Ok(whole)
    }

    /// The crop as it was filmed, RGB.
    pub fn filmed(&self) -> Vec<u8> {
        let ([left, top], [width, height]) = (self.corner, self.size);
        crop_imm(&*self.original, left, top, width, height).to_image().into_raw()
    }

    /// Pixels of the whole frame that are copied, and pixels in all.
    pub fn copied(&self) -> [u64; 2] {
        let all = u64::from(self.original.width()) * u64::from(self.original.height());
        [all - self.mask.iter().filter(|mask| **mask > 0).count() as u64, all]
    }
}

/// The original frames of a dataset and where the face lies in them.
pub struct PortraitPlates {
    dataset: Arc<Dataset>,
    frames: SourceFrames,
    source: SourceVideo,
    jaw: JawRange,
}

impl PortraitPlates {
    /// The frames of `dataset`, read from the video that `source` describes.
    ///
    /// # Errors
    /// [`Error::Input`] when the video is not of the size that the record says.
    pub fn new(dataset: Arc<Dataset>, source: SourceVideo, frames: SourceFrames) -> Result<Self> {
        if frames.size() != source.size {
            let expected = format!("a video of {}×{}", source.size[0], source.size[1]);
            let found = format!("{}×{}", frames.size()[0], frames.size()[1]);
            return Err(Error::input(
                "--video",
                expected,
                found,
                "name the video that the dataset was made from",
            ));
        }
        let jaw = JawRange::of(&dataset.frames);
        Ok(PortraitPlates { dataset, frames, source, jaw })
    }

    fn corner_and_size(&self) -> [[u32; 2]; 2] {
        let [left, top, width, height] = self.source.window;
        [[left, top], [width, height]]
    }
}

impl PlateSource for PortraitPlates {
    fn size(&self) -> [u32; 2] {
        self.corner_and_size()[1]
    }

    fn picture_size(&self) -> [u32; 2] {
        self.source.size
    }

    fn background(&self) -> Result<RgbImage> {
        Err(Error::Internal("a portrait has no background but its frames".into()))
    }

    fn has_filmed_frames(&self) -> bool {
        true
    }

    fn load(&self, index: usize, _: PlateRequest) -> Result<FramePlate> {
        let none = || Error::Internal(format!("no frame {index}"));
        let meta = self.dataset.frames.get(index).ok_or_else(none)?;
        let original = self.frames.frame(meta.img_id as usize)?;
        let pixels = self.dataset.pixels(index)?;
        let mask = portrait_mask(meta, &pixels, self.jaw);
        let [corner, size] = self.corner_and_size();
        let mask = Arc::new(scaled(mask, [pixels.width, pixels.height], size)?);
        let portrait = PortraitFrame { original, corner, size, mask };
        let filmed = FilmedFrame {
            rgb: portrait.filmed(),
            mask: portrait.mask.to_vec(),
            cuts: true,
            portrait: Some(portrait),
        };
        Ok(FramePlate { torso: Plate::default(), filmed: Some(filmed) })
    }
}

/// A mask of `from` pixels as bytes of `to` pixels.
fn scaled(mask: Vec<f32>, from: [u32; 2], to: [u32; 2]) -> Result<Vec<u8>> {
    let mask: ImageBuffer<Luma<f32>, Vec<f32>> = ImageBuffer::from_raw(from[0], from[1], mask)
        .ok_or_else(|| Error::Internal("a mask of another size".into()))?;
    let mask = if from == to { mask } else { resize(&mask, to[0], to[1], FilterType::Triangle) };
    Ok(mask.iter().map(|v| (v.clamp(0.0, 1.0) * 255.0 + 0.5) as u8).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_laid_into_its_crop_and_all_else_stays() {
        let original = Arc::new(RgbImage::from_fn(9, 7, |x, y| image::Rgb([x as u8, y as u8, 77])));
        let mask = Arc::new(vec![0, 255, 128, 0, 0, 255]);
        let portrait = PortraitFrame { original: original.clone(), corner: [4, 2], size: [3, 2], mask };
        assert_eq!(portrait.laid(&portrait.filmed()).expect("laid"), *original);
        let laid = portrait.laid(&[9; 18]).expect("laid");
        for (x, y, pixel) in laid.enumerate_pixels() {
            let inside = (4..7).contains(&x) && (2..4).contains(&y);
            assert_eq!(pixel.0, if inside { [9; 3] } else { original.get_pixel(x, y).0 }, "{x} {y}");
        }
        assert_eq!(portrait.copied(), [60, 63]);
        assert!(portrait.laid(&[0; 3]).is_err());
    }

    #[test]
    fn a_scaled_mask_keeps_its_ends() {
        let mask = scaled(vec![0.0, 0.0, 1.0, 1.0], [2, 2], [8, 8]).expect("scaled");
        assert!(mask[..8].iter().all(|v| *v == 0) && mask[56..].iter().all(|v| *v == 255));
    }
}
