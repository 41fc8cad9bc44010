//! How far a mouth is open, measured in a picture without any face network: from the colours inside the box
//! where the lips are. It works for the talker (red lips on lighter skin, dark hollow, light teeth) and for
//! renders of models trained on it.

use super::landmarks::project;
use super::warp::{HALF_WIDTH, SEAM};
use crate::Camera;
use glam::vec3;
use image::RgbImage;

/// The box of a picture in which the lips move: first and last column and row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MouthRegion {
    /// First and last column.
    pub columns: [f32; 2],
    /// First and last row.
    pub rows: [f32; 2],
}

impl MouthRegion {
    /// The box around the middle of the talker's mouth as `camera` sees it: the middle 9 mm across, from the
    /// philtrum to where the lower lip goes when the mouth is wide open.
    pub fn of(camera: &Camera) -> Self {
        let corner = |x: f32, y: f32| project(camera, vec3(x, y, 88.0));
        let (a, b) = (corner(-0.2 * HALF_WIDTH, SEAM + 9.0), corner(0.2 * HALF_WIDTH, SEAM - 26.0));
        MouthRegion { columns: [a[0].min(b[0]), a[0].max(b[0])], rows: [a[1].min(b[1]), a[1].max(b[1])] }
    }
}

/// How red a colour (sRGB 0..1) is: 0 for grey, about 0.25 for skin, 0.55 for lips.
fn redness([r, g, b]: [f32; 3]) -> f32 {
    (r - 0.5 * (g + b)) / r.max(0.05)
}

/// How much a colour between the lips looks like the inside of a mouth, 0..1: darker than any lip, or as grey as
/// teeth.
fn inside(c: [f32; 3]) -> f32 {
    let dark = ((0.70 - c[0]) / 0.28).clamp(0.0, 1.0);
    let grey = ((0.48 - redness(c)) / 0.22).clamp(0.0, 1.0);
    dark.max(grey)
}

/// Height of the inside of the mouth in one column, from above to below: what lies between the first and the last
/// pixel as red as lips.
fn opening(column: &[[f32; 3]]) -> f32 {
    let lip = |c: &[f32; 3]| redness(*c) > 0.46 && c[0] > 0.5;
    match (column.iter().position(lip), column.iter().rposition(lip)) {
        (Some(first), Some(last)) => column[first..=last].iter().map(|c| inside(*c)).sum(),
        _ => 0.0,
    }
}

/// The opening of the mouth in pixels: the height of what looks like the inside of a mouth, averaged over the
/// columns of the region; 0 for a region outside the picture.
pub fn measure_mouth_opening(rgb: &RgbImage, region: &MouthRegion) -> f32 {
    let clip = |range: [f32; 2], size: u32| {
        let last = size.saturating_sub(1) as f32;
        let usable = range[1] >= 0.0 && range[0] <= last && range[0].is_finite() && range[1].is_finite();
        usable.then(|| range[0].clamp(0.0, last).round() as u32..=range[1].clamp(0.0, last).round() as u32)
    };
    let (Some(columns), Some(rows)) = (clip(region.columns, rgb.width()), clip(region.rows, rgb.height()))
    else {
        return 0.0;
    };
    let count = columns.clone().count();
    let read = |x: u32, y: u32| rgb.get_pixel(x, y).0.map(|v| f32::from(v) / 255.0);
    let sum: f32 = columns.map(|x| opening(&rows.clone().map(|y| read(x, y)).collect::<Vec<_>>())).sum();
    sum / count as f32
}

#[cfg(test)]
mod tests {
    use super::super::{SampleClip, Sentence, Talker, backdrop, camera, render_frame};
    use super::*;
    use crate::raster::cpu::CpuRasterizer;

    fn correlation(a: &[f32], b: &[f32]) -> f32 {
        let mean = |x: &[f32]| x.iter().sum::<f32>() / x.len() as f32;
        let (ma, mb) = (mean(a), mean(b));
        let dot = |f: &dyn Fn(f32, f32) -> f32| a.iter().zip(b).map(|(x, y)| f(x - ma, y - mb)).sum::<f32>();
        dot(&|x, y| x * y) / (dot(&|x, _| x * x) * dot(&|_, y| y * y)).sqrt()
    }

    #[test]
    fn the_opening_measured_in_pictures_follows_the_truth() {
        let (size, talker, rasterizer) = (160, Talker::new(0), CpuRasterizer::<f32>::new());
        let plate = backdrop(&talker, size);
        let sentence = Sentence::new(super::super::HELD_OUT[0]).unwrap();
        let clip = SampleClip::speak(&[sentence], 9).unwrap();
        let truth: Vec<f32> = clip.mouth_openings(size).into_iter().step_by(3).collect();
        let measured: Vec<f32> = clip
            .params
            .iter()
            .step_by(3)
            .map(|p| {
                let frame = render_frame(&talker, p, size, &plate, &rasterizer).unwrap();
                measure_mouth_opening(&frame.rgb, &MouthRegion::of(&camera(p, size)))
            })
            .collect();
        let r = correlation(&measured, &truth);
        assert!(r >= 0.95, "{r}");
    }

    #[test]
    fn a_region_outside_the_picture_measures_nothing() {
        let picture = RgbImage::new(8, 8);
        for columns in [[20.0, 30.0], [-9.0, -2.0], [f32::NAN, 3.0]] {
            assert_eq!(measure_mouth_opening(&picture, &MouthRegion { columns, rows: [0.0, 7.0] }), 0.0);
        }
    }
}
