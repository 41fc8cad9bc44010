//! How good the mouth is drawn: the box around the lips alone, where a mean over the whole head says little.

use super::landmarks::Landmarks68;
use super::lpips::{Lpips, SMALLEST};
use super::report::{Figure, Mean};
use crate::Result;
use std::ops::Range;

/// The box reaches so far beyond the outer lips on every side, as a part of its width and height.
const MARGIN: f32 = 0.2;
/// Landmarks of the lips (iBUG 68).
const LIPS: Range<usize> = 48..68;
/// Weights of red, green and blue in a grey level (Rec. 601).
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// Means over frames of what the boxes around the lips show.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct MouthCrop {
    psnr: Mean,
    lpips: Mean,
    sharpness: Mean,
}

impl MouthCrop {
    /// Adds a drawn and a filmed picture of `size` = [width, height], RGB, where `lips` are the landmarks of the filmed face.
    ///
    /// # Errors
    /// Those of the network.
    pub(super) fn add(
        &mut self,
        size: [usize; 2],
        drawn: &[u8],
        filmed: &[u8],
        lips: &Landmarks68,
        lpips: Option<&Lpips>,
    ) -> Result<()> {
        let Some(area) = Area::around(lips, size) else { return Ok(()) };
        let [a, b] = [drawn, filmed].map(|rgb| area.planes(rgb, size[0]));
        let squared = a.iter().zip(&b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / a.len() as f64;
        self.psnr.add(-10.0 * squared.log10());
        let [rows, columns] = area.size();
        let [detail, of_film] = [&a, &b].map(|planes| detail(planes, [rows, columns]));
        if of_film > 0.0 {
            self.sharpness.add(detail / of_film);
        }
        if let Some(lpips) = lpips.filter(|_| rows.min(columns) >= SMALLEST) {
            self.lpips.add(lpips.distance(&a, &b, [rows, columns])?);
        }
        Ok(())
    }

    /// PSNR in dB, LPIPS, and sharpness over the film's: the ratio of the variances of the Laplacian. Where nothing was measured,
    /// `no_face` or `no_lpips` says why.
    pub(super) fn figures(&self, no_face: &str, no_lpips: &str) -> [Figure; 3] {
        [
            self.psnr.figure(no_face),
            self.lpips.figure(if self.psnr.count() == 0 { no_face } else { no_lpips }),
            self.sharpness.figure(no_face),
        ]
    }
}

/// Columns and rows of a picture.
struct Area {
    columns: Range<usize>,
    rows: Range<usize>,
}

impl Area {
    fn around(landmarks: &Landmarks68, size: [usize; 2]) -> Option<Self> {
        let range = |axis: usize| {
            let values = landmarks[LIPS].iter().map(|point| point[axis]);
            let (low, high) = values.fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(v), high.max(v)));
            let margin = MARGIN * (high - low);
            let inside = |v: f32| v.clamp(0.0, size[axis] as f32) as usize;
            inside((low - margin).floor())..inside((high + margin).ceil())
        };
        let area = Area { columns: range(0), rows: range(1) };
        (area.columns.len() > 2 && area.rows.len() > 2).then_some(area)
    }

    /// `[rows, columns]`.
    fn size(&self) -> [usize; 2] {
        [self.rows.len(), self.columns.len()]
    }

    /// Of an RGB picture of `width`, as planes 0..1.
    fn planes(&self, rgb: &[u8], width: usize) -> Vec<f32> {
        let value = |channel: usize, row: usize, column: usize| {
            f32::from(rgb[3 * (row * width + column) + channel]) / 255.0
        };
        let mut planes = Vec::with_capacity(3 * self.rows.len() * self.columns.len());
        for channel in 0..3 {
            for row in self.rows.clone() {
                planes.extend(self.columns.clone().map(|column| value(channel, row, column)));
            }
        }
        planes
    }
}

/// Variance of the Laplacian of the grey levels, `[3, rows, columns]` (Pech-Pacheco et al. 2000).
fn detail(planes: &[f32], [rows, columns]: [usize; 2]) -> f64 {
    let pixels = rows * columns;
    let grey: Vec<f32> = (0..pixels)
        .map(|at| (0..3).map(|channel| LUMA[channel] * planes[channel * pixels + at]).sum())
        .collect();
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
    for row in 1..rows - 1 {
        for column in 1..columns - 1 {
            let at = row * columns + column;
            let around = grey[at - 1] + grey[at + 1] + grey[at - columns] + grey[at + columns];
            let v = f64::from(around - 4.0 * grey[at]);
            (sum, squares, count) = (sum + v, squares + v * v, count + 1.0);
        }
    }
    squares / count - (sum / count).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 2] = [60, 40];

    fn lips() -> Landmarks68 {
        let mut lips = [[0.0; 2]; 68];
        LIPS.for_each(|k| lips[k] = [20.0 + (k - 48) as f32, 15.0 + (k % 11) as f32]);
        lips
    }

    fn picture(value: impl Fn(usize, usize) -> u8) -> Vec<u8> {
        (0..SIZE[0] * SIZE[1]).flat_map(|at| [value(at % SIZE[0], at / SIZE[0]); 3]).collect()
    }

    fn add(drawn: &[u8], filmed: &[u8]) -> [Option<f64>; 3] {
        let mut crop = MouthCrop::default();
        crop.add(SIZE, drawn, filmed, &lips(), None).unwrap();
        crop.figures("no face", "no weights").map(|figure| figure.value())
    }

    #[test]
    fn the_box_is_the_lips_and_a_fifth() {
        let area = Area::around(&lips(), SIZE).unwrap();
        assert_eq!((area.columns, area.rows), (16..43, 13..27));
    }

    #[test]
    fn half_the_contrast_is_a_quarter_of_the_sharpness() {
        let stripes = picture(|column, _| if column % 2 == 0 { 60 } else { 180 });
        let faint = picture(|column, _| if column % 2 == 0 { 90 } else { 150 });
        let [psnr, lpips, sharpness] = add(&faint, &stripes);
        assert!((sharpness.unwrap() - 0.25).abs() < 1e-4);
        assert!((psnr.unwrap() - 20.0 * (255.0f64 / 30.0).log10()).abs() < 1e-3);
        assert_eq!(lpips, None);
    }

    #[test]
    fn what_lies_outside_the_box_does_not_count() {
        let film = picture(|column, row| (column * 3 + row * row % 17) as u8);
        let other = picture(|column, row| {
            let inside = (16..43).contains(&column) && (13..27).contains(&row);
            if inside { (column * 3 + row * row % 17) as u8 } else { 200 }
        });
        let [psnr, _, sharpness] = add(&other, &film);
        assert_eq!((psnr, sharpness), (None, Some(1.0)), "equal inside");
    }

    #[test]
    fn without_a_face_each_figure_says_why() {
        let missing = MouthCrop::default().figures("no face", "no weights");
        assert!(missing.iter().all(|figure| *figure == Figure::missing("no face")));
    }
}
