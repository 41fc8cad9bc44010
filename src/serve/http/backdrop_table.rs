//! Pictures to stand behind a head, by their names. They are kept in memory, the newest ones, and nowhere else.

use super::reply::{Answer, Fault};
use crate::serve::backdrop::Backdrop;
use crate::{Error, Result};
use image::{ImageReader, Limits, RgbImage};
use std::collections::VecDeque;
use std::io::Cursor;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The longest side of a picture that is read, and of one that is kept, pixels.
const LONGEST_READ: u32 = 6000;
const LONGEST_KEPT: u32 = 1024;
/// Memory that reading one may take, bytes.
const MEMORY: u64 = 256 << 20;
/// Pictures that are kept.
const MOST: usize = 16;

/// The pictures by their names, the oldest first.
#[derive(Default)]
pub(super) struct Backdrops(Mutex<VecDeque<(String, Arc<RgbImage>)>>);

impl Backdrops {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(String, Arc<RgbImage>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, id: &str, picture: RgbImage) {
        let mut all = self.lock();
        all.push_back((id.to_owned(), Arc::new(picture)));
        if all.len() > MOST {
            all.pop_front();
        }
    }

    /// The backdrop of a request: a picture that was sent, or one that has a name.
    pub(super) fn find(&self, name: Option<&str>) -> Result<Backdrop> {
        let Some(name) = name else { return Ok(Backdrop::default()) };
        let picture = self.lock().iter().find(|(id, _)| id == name).map(|(_, picture)| Arc::clone(picture));
        picture.map_or_else(|| Backdrop::parse(name), |picture| Ok(Backdrop::Picture(picture)))
    }

    pub(super) fn remove(&self, name: &str) -> Answer<()> {
        let mut all = self.lock();
        let before = all.len();
        all.retain(|(id, _)| id != name);
        match all.len() < before {
            true => Ok(()),
            false => Err(Fault::missing("there is no such picture; the newest 16 are kept")),
        }
    }
}

/// Reads a picture, no larger than is needed.
pub(super) fn read(bytes: &[u8]) -> Result<RgbImage> {
    let wrong = |found: String| {
        let expected = format!("a PNG or a JPEG of up to {LONGEST_READ} × {LONGEST_READ} pixels");
        Error::input("the picture", expected, found, "send another one, or make it smaller")
    };
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_READ);
    limits.max_image_height = Some(LONGEST_READ);
    limits.max_alloc = Some(MEMORY);
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| wrong(e.to_string()))?;
    reader.limits(limits);
    let picture = reader.decode().map_err(|e| wrong(e.to_string()))?;
    let is_large = picture.width().max(picture.height()) > LONGEST_KEPT;
    Ok(if is_large { picture.thumbnail(LONGEST_KEPT, LONGEST_KEPT) } else { picture }.into_rgb8())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let picture = RgbImage::from_pixel(width, height, image::Rgb([1, 2, 3]));
        picture.write_to(&mut Cursor::new(&mut bytes), image::ImageFormat::Png).expect("a PNG");
        bytes
    }

    #[test]
    fn pictures_are_read_and_made_small_and_others_refused() {
        assert_eq!(read(&png(30, 20)).expect("a picture").dimensions(), (30, 20));
        assert_eq!(read(&png(3000, 1500)).expect("a picture").dimensions(), (1024, 512));
        for wrong in [png(6001, 1), png(30, 20)[..50].to_vec(), b"<svg></svg>".to_vec(), Vec::new()] {
            let error = read(&wrong).expect_err("refused").to_string();
            assert!(error.contains("PNG"), "{error}");
        }
    }

    #[test]
    fn the_newest_pictures_are_kept() {
        let all = Backdrops::default();
        (0..20).for_each(|k| all.add(&format!("{k:032x}"), RgbImage::new(1, 1)));
        assert!(matches!(all.find(Some(&format!("{:032x}", 19))), Ok(Backdrop::Picture(_))));
        assert!(all.find(Some(&format!("{:032x}", 3))).is_err());
        assert!(all.remove(&format!("{:032x}", 19)).is_ok() && all.remove(&format!("{:032x}", 19)).is_err());
        assert_eq!(all.find(None).expect("the usual one"), Backdrop::default());
    }
}
