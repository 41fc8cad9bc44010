//! Pictures of the report: twelve frames spread over the clip, as they are, with their labels, and the torso alone.

use super::frame_filter::FrameFilter;
use super::frames::read_frame;

use super::masks::read_labels;
use crate::dataset::Label;
use crate::error::Result;
use crate::media::files;
use crate::media::pictures::read_picture;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use std::path::Path;

/// Frames on a sheet, across and down, and the side of each.
const SHEET: [u32; 2] = [4, 3];
const SIDE: u32 = 256;
/// Opacity of the label colours over the picture.
const TINT: f32 = 0.4;
/// Background of the torso sheet, a colour that no torso has.
const BEHIND: [u8; 3] = [255, 0, 255];

/// Twelve of these frames, evenly spread from the first to the last.
pub fn chosen(good: &[usize]) -> Vec<usize> {
    let count = (SHEET[0] * SHEET[1]) as usize;
    let last = good.len().saturating_sub(1);
    (0..count).filter_map(|k| good.get(k * last / (count - 1)).copied()).collect()
}

/// Writes `report/{crop,masks,torso}.png`.
///
/// # Errors
/// What reading the dataset fails with.
pub fn write(dir: &Path, filter: &FrameFilter) -> Result<()> {
    let good: Vec<usize> =
        filter.used().iter().enumerate().filter_map(|(i, used)| used.then_some(i)).collect();
    let frames = chosen(&good);
    let torso = |index: usize, picture: &mut RgbImage| {
        let path = dir.join("torso_imgs").join(format!("{index}.png"));
        let torso = read_picture(&path)?;
        *picture = RgbImage::from_pixel(picture.width(), picture.height(), Rgb(BEHIND));
        for (to, from) in picture.pixels_mut().zip(torso.to_rgba8().pixels()).filter(|(_, f)| f.0[3] > 0) {
            to.0 = [from.0[0], from.0[1], from.0[2]];
        }
        Ok(())
    };
    let masks = |index: usize, picture: &mut RgbImage| tint(picture, &read_labels(dir, index)?);
    let put = |name: &str, draw: Draw| files::write_bytes(&dir.join(name), &sheet(dir, &frames, draw)?);
    put("report/crop.png", &|_, _| Ok(()))?;
    put("report/masks.png", &masks)?;
    put("report/torso.png", &torso)
}

/// Draws on the picture of a frame.
pub type Draw<'a> = &'a dyn Fn(usize, &mut RgbImage) -> Result<()>;

/// A sheet of frames, each drawn on by `draw`, as PNG.
///
/// # Errors
/// What reading the frames and drawing fails with.
pub fn sheet(dir: &Path, frames: &[usize], draw: Draw) -> Result<Vec<u8>> {
    let mut whole = RgbImage::new(SHEET[0] * SIDE, SHEET[1] * SIDE);
    for (k, index) in frames.iter().enumerate() {
        let mut picture = read_frame(dir, *index)?;
        draw(*index, &mut picture)?;
        let small = imageops::resize(&picture, SIDE, SIDE, FilterType::Triangle);
        let (x, y) = (k as u32 % SHEET[0] * SIDE, k as u32 / SHEET[0] * SIDE);
        imageops::replace(&mut whole, &small, x.into(), y.into());
    }
    files::png(&whole)
}

fn tint(picture: &mut RgbImage, labels: &[u8]) -> Result<()> {
    for (pixel, label) in picture.pixels_mut().zip(labels) {
        let color = Label::to_color(*label);
        let mixed = |p: u8, c: u8| (f32::from(p) * (1.0 - TINT) + f32::from(c) * TINT) as u8;
        pixel.0 = std::array::from_fn(|k| mixed(pixel.0[k], color[k]));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_good_frames_from_first_to_last_are_shown() {
        let shown = chosen(&(0..100).collect::<Vec<_>>());
        assert_eq!((shown.len(), shown[0], shown[11]), (12, 0, 99));
        assert!(chosen(&[]).is_empty());
    }
}
