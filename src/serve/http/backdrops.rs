//! Pictures that clients send to stand behind a head. They are kept in memory, the newest ones, and nowhere else.

use super::reply::{Answer, Fault, blocking};
use super::service::App;
use super::upload::Form;
use crate::serve::backdrop::Backdrop;
use crate::serve::session::random_name;
use crate::{Error, Result};
use axum::Json;
use axum::extract::{Multipart, Path};
use axum::http::StatusCode;
use image::{ImageReader, Limits, RgbImage};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::Cursor;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The largest file, bytes.
pub(super) const LARGEST_FILE: usize = 8 << 20;
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

    fn add(&self, id: &str, picture: RgbImage) {
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

    fn remove(&self, name: &str) -> Answer<()> {
        let mut all = self.lock();
        let before = all.len();
        all.retain(|(id, _)| id != name);
        match all.len() < before {
            true => Ok(()),
            false => Err(Fault::missing("there is no such picture; the newest 16 are kept")),
        }
    }
}

/// Takes a picture: a form with `file`, a PNG or a JPEG.
pub(super) async fn create(service: App, form: Multipart) -> Answer<(StatusCode, Json<Value>)> {
    let bytes = Form::read(form, "file").await?.bytes("file")?;
    let picture = blocking(move || read(&bytes)).await?;
    let id = random_name()?;
    let [width, height] = [picture.width(), picture.height()];
    service.backdrops.add(&id, picture);
    Ok((StatusCode::CREATED, Json(json!({"id": id, "width": width, "height": height}))))
}

/// Forgets a picture; sessions that show it go on.
pub(super) async fn remove(service: App, id: Path<String>) -> Answer<StatusCode> {
    service.backdrops.remove(&id)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reads a picture, no larger than is needed.
fn read(bytes: &[u8]) -> Result<RgbImage> {
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
