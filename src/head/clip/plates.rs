//! Torso plates: neck and clothes of each frame of a clip, cropped to what is not transparent.
//!
//! A plate is two files in memory: the colours as JPEG (4:4:4; outside the torso the nearest colour of the row goes on, so
//! that the edge has no ringing) and a PNG of two channels, the torso's alpha and how much of the head the clothes hide.
//! Every plate can be decoded by itself, in any order and on any thread.

use crate::composite::Patch;
use crate::{Error, Result};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageReader, Limits, RgbaImage};
use std::io::Cursor;

/// JPEG quality of the colours: 20 KiB and 41 dB or more for a torso of 512×250 pixels.
const QUALITY: u8 = 92;

/// One decoded plate: a rectangle of the picture.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plate {
    /// Column and row of its upper left corner in the picture.
    pub corner: [u32; 2],
    /// Width and height, pixels; both 0 when the frame has no torso.
    pub size: [u32; 2],
    /// The torso, RGBA with straight alpha, `[height, width, 4]`.
    pub torso: Vec<u8>,
    /// How much of the head the clothes hide, 255 for all, `[height, width]`.
    pub occlusion: Vec<u8>,
}

impl Plate {
    /// The smallest plate that holds a torso and a mask of clothes (0..1, `[height, width]`) of a whole picture.
    pub fn crop(torso: &RgbaImage, clothes: Option<&[f32]>) -> Self {
        let (width, height) = torso.dimensions();
        let hidden = |x: u32, y: u32| {
            clothes.map_or(0, |c| (c[(y * width + x) as usize].clamp(0.0, 1.0) * 255.0).round() as u8)
        };
        let used = |x: u32, y: u32| torso.get_pixel(x, y).0[3] > 0 || hidden(x, y) > 0;
        let mut bounds: Option<[u32; 4]> = None;
        for y in 0..height {
            for x in (0..width).filter(|x| used(*x, y)) {
                let [left, top, right, bottom] = bounds.unwrap_or([x, y, x, y]);
                bounds = Some([left.min(x), top.min(y), right.max(x), bottom.max(y)]);
            }
        }
        let Some([left, top, right, bottom]) = bounds else { return Plate::default() };
        let size = [right - left + 1, bottom - top + 1];
        let places = || (top..=bottom).flat_map(|y| (left..=right).map(move |x| (x, y)));
        Plate {
            corner: [left, top],
            size,
            torso: places().flat_map(|(x, y)| torso.get_pixel(x, y).0).collect(),
            occlusion: places().map(|(x, y)| hidden(x, y)).collect(),
        }
    }
    /// The torso where it lies in the picture.
    pub fn torso_patch(&self) -> Patch<'_> {
        Patch { corner: self.corner, size: self.size, bytes: &self.torso }
    }

    /// The clothes' mask where it lies in the picture.
    pub fn occlusion_patch(&self) -> Patch<'_> {
        Patch { corner: self.corner, size: self.size, bytes: &self.occlusion }
    }
}

/// Where a plate lies in the picture and its two files in the bytes of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) corner: [u32; 2],
    pub(super) size: [u32; 2],
    pub(super) color: usize,
    pub(super) mask: usize,
    pub(super) start: usize,
}

/// The compressed plates of a clip.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plates {
    pub(super) entries: Vec<Entry>,
    pub(super) bytes: Vec<u8>,
}

/// One compressed plate.
pub(super) struct Compressed {
    plate: [[u32; 2]; 2],
    color: Vec<u8>,
    mask: Vec<u8>,
}

impl Compressed {
    pub(super) fn new(plate: &Plate) -> Result<Self> {
        let place = [plate.corner, plate.size];
        let (width, height) = (plate.size[0], plate.size[1]);
        if width == 0 || height == 0 {
            return Ok(Compressed { plate: place, color: Vec::new(), mask: Vec::new() });
        }
        let fail = |e: image::ImageError| Error::Internal(format!("compressing a torso plate: {e}"));
        let (mut color, mut mask) = (Vec::new(), Vec::new());
        JpegEncoder::new_with_quality(&mut color, QUALITY)
            .encode(&filled_colors(plate), width, height, ExtendedColorType::Rgb8)
            .map_err(fail)?;
        let alpha = plate.torso.chunks_exact(4).map(|rgba| rgba[3]);
        let pairs: Vec<u8> = alpha.zip(&plate.occlusion).flat_map(|(a, o)| [a, *o]).collect();
        PngEncoder::new_with_quality(&mut mask, CompressionType::Default, FilterType::Up)
            .write_image(&pairs, width, height, ExtendedColorType::La8)
            .map_err(fail)?;
        Ok(Compressed { plate: place, color, mask })
    }
}

impl Plates {
    /// How many there are, one for each frame of the clip.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all plates, compressed.
    pub fn compressed_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Compresses the plates of a clip, one for each of its frames.
    ///
    /// # Errors
    /// [`Error::Internal`] when an encoder fails.
    pub fn compress(plates: &[Plate]) -> Result<Self> {
        let mut all = Plates::default();
        plates.iter().try_for_each(|plate| Compressed::new(plate).map(|c| all.push(&c)))?;
        Ok(all)
    }

    pub(super) fn push(&mut self, compressed: &Compressed) {
        let [corner, size] = compressed.plate;
        let (color, mask) = (compressed.color.len(), compressed.mask.len());
        self.entries.push(Entry { corner, size, color, mask, start: self.bytes.len() });
        self.bytes.extend_from_slice(&compressed.color);
        self.bytes.extend_from_slice(&compressed.mask);
    }

    /// Decodes the plate of frame `index`.
    ///
    /// # Errors
    /// [`Error::Internal`] when there is no such frame, [`Error::Input`] when its plate is damaged.
    pub fn decode(&self, index: usize) -> Result<Plate> {
        let none = || Error::Internal(format!("torso plate {index} of {}", self.len()));
        let Entry { corner, size, color, mask, start } = self.entries.get(index).ok_or_else(none)?.clone();
        if size.contains(&0) {
            return Ok(Plate::default());
        }
        let at = format!("torso plate {index}");
        let files = self.bytes.get(start..start + color + mask).ok_or_else(none)?;
        let colors = decode(&files[..color], size, &at)?.into_rgb8();
        let masks = decode(&files[color..], size, &at)?.into_luma_alpha8();
        let pixels = colors.as_raw().chunks_exact(3).zip(masks.as_raw().chunks_exact(2));
        Ok(Plate {
            corner,
            size,
            torso: pixels.flat_map(|(rgb, mask)| [rgb[0], rgb[1], rgb[2], mask[0]]).collect(),
            occlusion: masks.as_raw().chunks_exact(2).map(|mask| mask[1]).collect(),
        })
    }
}

/// Decodes a JPEG or PNG that must have `size` = [width, height]. `at` names it in errors.
pub(super) fn decode(file: &[u8], size: [u32; 2], at: &str) -> Result<DynamicImage> {
    let damaged = |found: String| {
        Error::input(
            at,
            format!("a picture of {}×{} pixels", size[0], size[1]),
            found,
            "use another copy of the model",
        )
    };
    let reader = ImageReader::new(Cursor::new(file)).with_guessed_format();
    let mut reader = reader.map_err(|e| damaged(e.to_string()))?;
    let mut limits = Limits::default();
    [limits.max_image_width, limits.max_image_height] = size.map(Some);
    // Twice the widest pixels, and room for everything else.
    limits.max_alloc = Some(16 * u64::from(size[0]) * u64::from(size[1]) + (1 << 20));
    reader.limits(limits);
    let picture = reader.decode().map_err(|e| damaged(e.to_string()))?;
    match [picture.width(), picture.height()] == size {
        true => Ok(picture),
        false => Err(damaged(format!("{}×{}", picture.width(), picture.height()))),
    }
}

/// The colours of a plate, RGB. Where it is transparent the nearest colour of the row to the left goes on, at the start of a
/// row its first colour, in a row without any the row above.
fn filled_colors(plate: &Plate) -> Vec<u8> {
    let width = plate.size[0] as usize;
    let mut colors: Vec<u8> = Vec::with_capacity(3 * width * plate.size[1] as usize);
    for row in plate.torso.chunks_exact(4 * width) {
        let first = row.chunks_exact(4).find(|rgba| rgba[3] > 0);
        let Some(first) = first else {
            match colors.len().checked_sub(3 * width) {
                Some(above) => colors.extend_from_within(above..),
                None => colors.resize(3 * width, 128),
            }
            continue;
        };
        let mut last = [first[0], first[1], first[2]];
        for rgba in row.chunks_exact(4) {
            if rgba[3] > 0 {
                last = [rgba[0], rgba[1], rgba[2]];
            }
            colors.extend(last);
        }
    }
    colors
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgba;

    /// A smooth torso with a soft edge in the lower half of a picture, and clothes in its last quarter.
    fn picture(width: u32, height: u32) -> (RgbaImage, Vec<f32>) {
        let torso = RgbaImage::from_fn(width, height, |x, y| {
            let alpha = if y < height / 2 || x < 4 {
                0
            } else if y == height / 2 {
                100
            } else {
                255
            };
            Rgba([(60 + x) as u8, (200 - y) as u8, 90, alpha])
        });
        let clothes =
            (0..width * height).map(|i| if i / width >= 3 * height / 4 { 1.0 } else { 0.0 }).collect();
        (torso, clothes)
    }

    #[test]
    fn a_plate_is_what_it_was_but_for_the_jpeg() {
        let (torso, clothes) = picture(64, 48);
        let plate = Plate::crop(&torso, Some(&clothes));
        assert_eq!((plate.corner, plate.size), ([0, 24], [64, 24]));
        // The plate begins with row 24 of the picture.
        assert!(
            plate
                .occlusion
                .iter()
                .zip(&clothes[24 * 64..])
                .all(|(found, own)| f32::from(*found) == 255.0 * own)
        );
        let plates = Plates::compress(&[Plate::default(), plate.clone()]).expect("compressed");
        assert_eq!(plates.decode(0).expect("decoded"), Plate::default());
        let found = plates.decode(1).expect("decoded");
        assert_eq!((found.corner, found.size), (plate.corner, plate.size));
        assert_eq!(found.occlusion, plate.occlusion);
        for (found, own) in found.torso.chunks(4).zip(torso.as_raw()[24 * 64 * 4..].chunks(4)) {
            assert_eq!(found[3], own[3]);
            if own[3] > 0 {
                assert!(found.iter().zip(own).all(|(a, b)| a.abs_diff(*b) <= 4), "{found:?} {own:?}");
            }
        }
        assert!(plates.decode(2).is_err());
    }

    #[test]
    fn a_damaged_plate_is_an_error() {
        let (torso, _) = picture(64, 48);
        let mut plates = Plates::compress(&[Plate::crop(&torso, None)]).expect("compressed");
        plates.bytes[..20].fill(0);
        assert_eq!(plates.decode(0).expect_err("no JPEG").exit_code(), 2);
    }
}
