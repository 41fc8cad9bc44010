//! Portrait mode: the drawn face is laid into the original video's frames, at their full size. Only the crop is put together
//! with what is drawn; all else is the frame.

use super::plate_source::{FilmedFrame, FramePlate, PlateRequest, PlateSource};
use super::portrait_frame::PortraitFrame;
use super::portrait_mask::{JawRange, portrait_mask};
use crate::head::Plate;
use crate::{Error, Result};
use data_utils::dataset::{Dataset, SourceVideo};
use data_utils::media::SourceFrames;
use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Luma, RgbImage};
use std::sync::Arc;

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
    fn a_scaled_mask_keeps_its_ends() {
        let mask = scaled(vec![0.0, 0.0, 1.0, 1.0], [2, 2], [8, 8]).expect("scaled");
        assert!(mask[..8].iter().all(|v| *v == 0) && mask[56..].iter().all(|v| *v == 255));
    }
}
