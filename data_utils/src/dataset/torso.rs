//! What lies under the head: neck and torso of a frame, from `torso_imgs` or cut out of the frame itself.

use super::masks::Label;
use super::{Dataset, FramePixels, scale};
use crate::error::{Error, Result};
use image::{Rgba, RgbaImage};

/// How far a cut torso goes on upwards under the head, in sides of the picture (SyncTalk: 9 of 512 pixels).
const UNDER_HEAD: f32 = 9.0 / 512.0;

impl Dataset {
    /// Whether the dataset has torsos of its own, which go on under the head.
    pub fn has_torsos(&self) -> bool {
        self.frames.first().is_some_and(|frame| self.torso_path(frame.img_id).exists())
    }

    /// Neck and torso of `frames[index]` to be laid under the head (straight alpha): its `torso_imgs`, or without one
    /// what its parsing calls torso and neck, continued a little upwards.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that cannot be decoded, [`Error::Internal`] when there is no such frame.
    pub fn torso(&self, index: usize) -> Result<RgbaImage> {
        let path = self.torso_path(self.frame(index)?.img_id);
        if !path.exists() {
            return Ok(cut(&*self.pixels(index)?));
        }
        let mut picture = self.store.open(&path)?.into_rgba8();
        if self.size == self.store.stored {
            return Ok(picture);
        }
        // Averaging needs colours weighted by their alpha, or the edge takes the colour of what is not there.
        picture.pixels_mut().for_each(|p| {
            let alpha = u16::from(p.0[3]);
            (0..3).for_each(|c| p.0[c] = (u16::from(p.0[c]) * alpha / 255) as u8);
        });
        let small = scale::area(picture.as_raw(), self.store.stored, 4, self.size);
        let mut small = RgbaImage::from_raw(self.size[0], self.size[1], small)
            .ok_or_else(|| Error::Internal("a scaled torso of the wrong length".into()))?;
        small.pixels_mut().for_each(|p| {
            let alpha = u16::from(p.0[3].max(1));
            (0..3).for_each(|c| p.0[c] = (u16::from(p.0[c]) * 255 / alpha).min(255) as u8);
        });
        Ok(small)
    }

    fn torso_path(&self, img_id: u32) -> std::path::PathBuf {
        self.store.dir.join("torso_imgs").join(format!("{img_id}.png"))
    }
}

/// The pixels labelled torso or neck, which no drawn neck covers to the pixel; in each column the topmost of each run is
/// continued under the head above it.
fn cut(frame: &FramePixels) -> RgbaImage {
    let (w, h) = (frame.width, frame.height);
    let mut torso = RgbaImage::new(w, h);
    let label = |x: u32, y: u32| frame.labels[(y * w + x) as usize];
    let reach = (UNDER_HEAD * w.max(h) as f32).round() as u32;
    for x in 0..w {
        let mut below: Option<(Rgba<u8>, u32)> = None;
        for y in (0..h).rev() {
            let at = (y * w + x) as usize * 3;
            if label(x, y) & (Label::TORSO | Label::NECK) != 0 {
                let color = Rgba([frame.rgb[at], frame.rgb[at + 1], frame.rgb[at + 2], 255]);
                torso.put_pixel(x, y, color);
                below = Some((color, reach));
            } else if let (Some((color, left)), true) = (below, label(x, y) != 0) {
                torso.put_pixel(x, y, color);
                below = (left > 1).then_some((color, left.saturating_sub(1)));
            } else {
                below = None;
            }
        }
    }
    torso
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn torso_and_neck_go_on_under_the_head_but_not_over_the_background() {
        let (w, h) = (2u32, 200u32);
        let mut frame = FramePixels { width: w, height: h, rgb: vec![7; 1200], labels: vec![0; 400] };
        for y in 0..h {
            let column = if y >= 150 {
                Label::TORSO
            } else if y >= 120 {
                Label::NECK
            } else {
                Label::FACE
            };
            frame.labels[(y * w) as usize] = column;
            frame.labels[(y * w + 1) as usize] = if y >= 150 { Label::TORSO } else { 0 };
        }
        let torso = cut(&frame);
        let opaque = |x: u32| (0..h).filter(|y| torso.get_pixel(x, *y).0[3] == 255).count();
        assert_eq!((opaque(0), opaque(1)), (84, 50));
        assert_eq!(torso.get_pixel(0, 117).0, [7, 7, 7, 255]);
    }
}
