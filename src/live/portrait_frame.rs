//! A picture in the frame that it is a part of.

use super::seam_color::match_edge;
use crate::{Error, Result};
use image::RgbImage;
use image::imageops::crop_imm;
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
    /// The whole frame with `picture`, RGB of the crop, in its place; along the edge of the drawing its colours are the frame's.
    ///
    /// # Errors
    /// [`Error::Internal`] for a picture of another size.
    pub fn laid(&self, picture: &[u8]) -> Result<RgbImage> {
        let [width, height] = self.size.map(|side| side as usize);
        if picture.len() != 3 * width * height {
            return Err(Error::Internal(format!("a picture of {} bytes for {:?}", picture.len(), self.size)));
        }
        let mut picture = picture.to_vec();
        match_edge(&mut picture, &self.filmed(), &self.mask, width);
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
}
