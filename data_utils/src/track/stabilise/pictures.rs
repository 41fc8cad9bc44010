//! The frames of a clip in grey, read one at a time and kept within a budget.

use crate::error::{Error, Result};
use image::GrayImage;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Grey frames of one size. Reading is left to a function that may be called from many threads.
pub struct Pictures<'a> {
    read: &'a (dyn Fn(usize) -> Result<GrayImage> + Sync),
    size: [u32; 2],
    kept: Vec<OnceLock<GrayImage>>,
    left: AtomicU64,
}

impl std::fmt::Debug for Pictures<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pictures").field("size", &self.size).field("frames", &self.kept.len()).finish()
    }
}

impl<'a> Pictures<'a> {
    /// `frames` pictures of `size` (width, height); at most `budget` bytes of them are kept in memory, the others are
    /// read each time they are looked at.
    pub fn new(
        frames: usize,
        size: [u32; 2],
        budget: u64,
        read: &'a (dyn Fn(usize) -> Result<GrayImage> + Sync),
    ) -> Self {
        let kept = (0..frames).map(|_| OnceLock::new()).collect();
        Pictures { read, size, kept, left: AtomicU64::new(budget) }
    }

    /// Number of frames.
    pub fn count(&self) -> usize {
        self.kept.len()
    }

    /// Width and height, pixels.
    pub fn size(&self) -> [u32; 2] {
        self.size
    }

    /// Calls a function with one frame.
    pub(crate) fn look<T>(&self, frame: usize, look: impl FnOnce(&GrayImage) -> T) -> Result<T> {
        let slot = self.kept.get(frame).ok_or_else(|| Error::Internal(format!("no frame {frame}")))?;
        if let Some(picture) = slot.get() {
            return Ok(look(picture));
        }
        let picture = (self.read)(frame)?;
        if picture.dimensions() != (self.size[0], self.size[1]) {
            return Err(Error::input(
                format!("frame {frame}"),
                format!("{} × {} pixels as the others", self.size[0], self.size[1]),
                format!("{} × {}", picture.width(), picture.height()),
                "extract the frames again",
            ));
        }
        let result = look(&picture);
        let bytes = picture.as_raw().len() as u64;
        let take = |left: u64| left.checked_sub(bytes);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
            // Another thread may have stored it first; its picture is the same.
            let _ = slot.set(picture);
        }
        Ok(result)
    }
}

/// Bilinear interpolation of a picture; x and y are counted from the edge, so the first pixel's centre is at 0.5.
/// Outside, the border is repeated.
pub(crate) fn sample(picture: &GrayImage, x: f64, y: f64) -> f32 {
    let (w, h) = (picture.width() as usize, picture.height() as usize);
    let x = (x - 0.5).clamp(0.0, (w - 1) as f64);
    let y = (y - 0.5).clamp(0.0, (h - 1) as f64);
    let (x0, y0) = (x as usize, y as usize);
    let (fx, fy) = ((x - x0 as f64) as f32, (y - y0 as f64) as f32);
    let (x1, y1) = ((x0 + 1).min(w - 1), (y0 + 1).min(h - 1));
    let raw = picture.as_raw();
    let at = |x: usize, y: usize| f32::from(raw[y * w + x]);
    let (top, bottom) =
        (at(x0, y0) * (1.0 - fx) + at(x1, y0) * fx, at(x0, y1) * (1.0 - fx) + at(x1, y1) * fx);
    top * (1.0 - fy) + bottom * fy
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn only_what_the_budget_holds_is_kept() {
        let reads = AtomicUsize::new(0);
        let read = |i: usize| {
            reads.fetch_add(1, Ordering::Relaxed);
            Ok(GrayImage::from_pixel(4, 5, image::Luma([i as u8])))
        };
        let pictures = Pictures::new(3, [4, 5], 40, &read);
        for _ in 0..2 {
            for i in 0..3 {
                assert_eq!(pictures.look(i, |p| p.as_raw()[7]).expect("a frame"), i as u8);
            }
        }
        assert_eq!(reads.load(Ordering::Relaxed), 4);
        assert_eq!(pictures.look(3, |_| ()).expect_err("no such frame").exit_code(), 1);
        let other = Pictures::new(1, [5, 5], 0, &read);
        assert_eq!(other.look(0, |_| ()).expect_err("another size").exit_code(), 2);
    }

    #[test]
    fn between_pixels_the_picture_is_linear() {
        let picture = GrayImage::from_fn(8, 8, |x, y| image::Luma([(10 * x + 3 * y) as u8]));
        assert!((sample(&picture, 3.25, 4.75) - (27.5 + 12.75)).abs() < 1e-4);
        assert_eq!(sample(&picture, -5.0, 0.0), 0.0);
        assert_eq!(sample(&picture, 99.0, 99.0), 91.0);
    }
}
