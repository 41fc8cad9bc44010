//! Contact sheets: pictures in a grid with labels, to be looked at; and pictures of differences.

use super::font;
use crate::{Error, Result};
use image::{Rgb, RgbImage, imageops};
use std::path::Path;

const PAPER: [u8; 3] = [24, 24, 27];
const INK: [u8; 3] = [230, 230, 230];
const GAP_PX: u32 = 6;
/// Longest side of a sheet, pixels; viewers refuse larger ones.
const LONGEST_SIDE: u64 = 32768;

/// Pictures with labels, row by row. All cells have the size of the largest picture; a smaller one stands in
/// the upper left corner of its cell.
#[derive(Debug, Clone)]
pub struct Sheet {
    columns: usize,
    title: String,
    cells: Vec<(String, RgbImage)>,
}

impl Sheet {
    /// An empty sheet of `columns` pictures a row (at least one) under a title, which may be empty.
    pub fn new(columns: usize, title: &str) -> Self {
        Sheet { columns: columns.max(1), title: title.to_string(), cells: Vec::new() }
    }

    /// Adds a picture. Its label stands under it and is cut at the width of the cell.
    pub fn push(&mut self, label: &str, picture: RgbImage) {
        self.cells.push((label.to_string(), picture));
    }

    /// The sheet as one picture.
    ///
    /// # Errors
    /// [`Error::Input`] for a sheet with a side above 32768 pixels.
    pub fn draw(&self) -> Result<RgbImage> {
        let side = |side: fn(&RgbImage) -> u32| self.cells.iter().map(|(_, picture)| side(picture)).max();
        let (cell_width, cell_height) =
            (side(RgbImage::width).unwrap_or(0), side(RgbImage::height).unwrap_or(0));
        let columns = self.columns.min(self.cells.len()).max(1);
        let rows = self.cells.len().div_ceil(columns);
        // Large pictures get large letters: labels are to be read when the sheet is seen as a whole.
        let scale = (cell_width / 200).clamp(1, 4);
        let labelled = self.cells.iter().any(|(label, _)| !label.is_empty());
        let label_px = if labelled { (font::LINE_PX + 2) * scale } else { 0 };
        let title_px = if self.title.is_empty() { 0 } else { (font::LINE_PX + 2) * (scale + 1) };

        let step = |cell: u32| u64::from(cell) + u64::from(GAP_PX);
        let width = step(cell_width) * columns as u64 + u64::from(GAP_PX);
        let width = width.max(u64::from(font::width(&self.title, scale + 1)) + 2 * u64::from(GAP_PX));
        let height = step(cell_height + label_px) * rows as u64 + u64::from(GAP_PX + title_px);
        if width.max(height) > LONGEST_SIDE {
            return Err(Error::input(
                "a contact sheet",
                format!("sides of at most {LONGEST_SIDE} pixels"),
                format!("{width}×{height}"),
                "put fewer or smaller pictures on it",
            ));
        }
        let mut sheet = RgbImage::from_pixel(width as u32, height as u32, Rgb(PAPER));
        font::draw(&mut sheet, GAP_PX, GAP_PX, scale + 1, INK, &self.title);
        for (place, (label, picture)) in self.cells.iter().enumerate() {
            let x = u64::from(GAP_PX) + step(cell_width) * (place % columns) as u64;
            let y = u64::from(GAP_PX + title_px) + step(cell_height + label_px) * (place / columns) as u64;
            imageops::replace(&mut sheet, picture, x as i64, y as i64);
            let fitting = (cell_width / (font::ADVANCE_PX * scale)) as usize;
            let label: String = label.chars().take(fitting).collect();
            let below = y as u32 + cell_height + 2 * scale;
            font::draw(&mut sheet, x as u32, below, scale, INK, &label);
        }
        Ok(sheet)
    }

    /// Writes the sheet as PNG, as a whole or not at all.
    ///
    /// # Errors
    /// As [`Sheet::draw`]; [`Error::Input`] when the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        save_png(path, &self.draw()?)
    }
}

/// Writes a picture as PNG, as a whole or not at all.
///
/// # Errors
/// [`Error::Input`] when the file cannot be written.
pub fn save_png(path: &Path, picture: &RgbImage) -> Result<()> {
    data_utils::media::files::write_bytes(path, &data_utils::media::files::png(picture)?)
}

/// How far two pictures differ: `gain`·|a − b| for each colour, clipped; black where they are equal.
///
/// # Errors
/// [`Error::Internal`] when their sizes differ.
pub fn difference(a: &RgbImage, b: &RgbImage, gain: f32) -> Result<RgbImage> {
    if a.dimensions() != b.dimensions() {
        return Err(Error::Internal(format!(
            "{:?} and {:?} cannot be compared",
            a.dimensions(),
            b.dimensions()
        )));
    }
    let mut picture = a.clone();
    for (to, other) in picture.iter_mut().zip(b.iter()) {
        *to = (f32::from(to.abs_diff(*other)) * gain).round() as u8;
    }
    Ok(picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(width: u32, height: u32, color: [u8; 3]) -> RgbImage {
        RgbImage::from_pixel(width, height, Rgb(color))
    }

    #[test]
    fn pictures_stand_in_rows_with_their_labels_below() {
        let mut sheet = Sheet::new(2, "");
        for (label, color) in [("one", [200, 0, 0]), ("two", [0, 200, 0]), ("three", [0, 0, 200])] {
            sheet.push(label, flat(40, 30, color));
        }
        let drawn = sheet.draw().unwrap();
        assert_eq!(drawn.dimensions(), (6 + 2 * 46, 6 + 2 * (30 + 12 + 6)));
        assert_eq!(drawn.get_pixel(6, 6).0, [200, 0, 0]);
        assert_eq!(drawn.get_pixel(6 + 46, 6).0, [0, 200, 0]);
        assert_eq!(drawn.get_pixel(6 + 39, 6 + 48 + 29).0, [0, 0, 200]);
        assert_eq!(drawn.get_pixel(6 + 46, 6 + 48).0, PAPER, "no fourth picture");
        let inked = |left: u32| (left..left + 40).any(|x| (36..48).any(|y| drawn.get_pixel(x, y).0 == INK));
        assert!(inked(6) && inked(52));
    }

    #[test]
    fn a_long_label_does_not_run_into_its_neighbour() {
        let mut sheet = Sheet::new(2, "");
        sheet.push("a label longer than its picture is wide", flat(30, 10, [9; 3]));
        sheet.push("", flat(30, 10, [9; 3]));
        let drawn = sheet.draw().unwrap();
        assert!((36..72).all(|x| (16..28).all(|y| drawn.get_pixel(x, y).0 == PAPER)));
    }

    #[test]
    fn a_long_title_widens_the_sheet() {
        let mut sheet = Sheet::new(1, "a title of some length");
        sheet.push("", flat(8, 8, [9; 3]));
        assert_eq!(sheet.draw().unwrap().width(), 22 * 12 + 12);
    }

    #[test]
    fn an_empty_sheet_and_a_single_picture_can_be_drawn() {
        assert!(Sheet::new(0, "").draw().is_ok());
        let mut sheet = Sheet::new(5, "");
        sheet.push("", flat(8, 8, [9; 3]));
        assert_eq!(sheet.draw().unwrap().dimensions(), (20, 20));
    }

    #[test]
    fn a_sheet_too_large_to_be_seen_is_refused() {
        let mut sheet = Sheet::new(1, "");
        (0..9).for_each(|_| sheet.push("", flat(2, 4000, [0; 3])));
        assert_eq!(sheet.draw().unwrap_err().exit_code(), 2);
    }

    #[test]
    fn the_png_holds_what_was_drawn() {
        let dir = tempfile::tempdir().unwrap();
        let mut sheet = Sheet::new(1, "title");
        sheet.push("label", flat(64, 48, [1, 2, 3]));
        let path = dir.path().join("made/sheet.png");
        sheet.save(&path).unwrap();
        assert_eq!(image::open(&path).unwrap().to_rgb8(), sheet.draw().unwrap());
    }

    #[test]
    fn equal_pictures_differ_by_black_and_others_by_the_gain() {
        let (a, b) = (flat(2, 2, [100, 10, 0]), flat(2, 2, [90, 20, 200]));
        assert!(difference(&a, &a, 5.0).unwrap().iter().all(|v| *v == 0));
        assert_eq!(difference(&a, &b, 2.0).unwrap().get_pixel(1, 1).0, [20, 20, 255]);
        assert!(difference(&a, &flat(2, 3, [0; 3]), 1.0).is_err());
    }
}
