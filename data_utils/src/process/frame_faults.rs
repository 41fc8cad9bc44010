//! Finds frames that no head can be trained on: black, without a face or with a small one, with a second person, with
//! the mouth covered, or of a shot that is not used.

use super::frame_filter::FrameFault;
use crate::face::Landmarks;
use crate::segment::color::Lab;
use crate::segment::regions::FaceFrame;
use image::RgbImage;
use image::imageops::{self, FilterType};
use std::ops::Range;

/// Side of the thumbnail by which cuts are found, pixels.
pub(super) const THUMB: u32 = 24;
/// Points at which the colour of the lower face is sampled, across and down.
const GRID: [usize; 2] = [16, 12];
/// Largest mean grey level of a black frame.
pub(super) const BLACK: f32 = 14.0;
/// The least width of a face in a frame, pixels.
const LEAST_WIDTH: f32 = 80.0;
/// A second face counts when it has at least this share of the first one's width.
const SECOND: f32 = 0.4;
/// Least difference of a covered mouth from the usual one in L*a*b*, and as a multiple of the standard deviation.
const COVERED: [f32; 2] = [11.0, 7.0];

/// What is measured on each frame.
#[derive(Debug, Clone)]
pub struct FrameObservation {
    pub(super) mean: f32,
    /// The frame in grey, `[THUMB, THUMB]`.
    pub(super) thumb: Vec<f32>,
    /// Pixels of the frame across one of the thumbnail.
    pub(super) step: f32,
    pub(super) width: Option<f32>,
    /// Middle of the face, pixels.
    pub(super) center: Option<[f32; 2]>,
    second: bool,
    lower_face: Option<Vec<[f32; 3]>>,
}

impl FrameObservation {
    /// Measures a frame. `faces` are left, top, right and bottom of every face in it, the most certain first.
    pub fn of(picture: &RgbImage, face: Option<&Landmarks>, faces: &[[f32; 4]]) -> FrameObservation {
        let small = imageops::resize(picture, THUMB, THUMB, FilterType::Triangle);
        let thumb: Vec<f32> =
            small.pixels().map(|p| p.0.iter().map(|v| f32::from(*v)).sum::<f32>() / 3.0).collect();
        let frame = face.and_then(FaceFrame::of);
        let width = |b: &[f32; 4]| b[2] - b[0];
        let first = faces.first().map_or(0.0, width);
        FrameObservation {
            mean: thumb.iter().sum::<f32>() / thumb.len().max(1) as f32,
            thumb,
            step: picture.width() as f32 / THUMB as f32,
            width: frame.map(|f| f.width),
            center: faces.first().map(|b| [(b[0] + b[2]) / 2.0, (b[1] + b[3]) / 2.0]),
            second: faces.iter().skip(1).any(|b| width(b) > SECOND * first),
            lower_face: frame.map(|f| lower_face(picture, &f)),
        }
    }
}

/// Colours on a grid over lips and chin.
fn lower_face(picture: &RgbImage, frame: &FaceFrame) -> Vec<[f32; 3]> {
    let [across, down] = GRID;
    let mut patch = RgbImage::new(across as u32, down as u32);
    for (x, y, pixel) in patch.enumerate_pixels_mut() {
        let right = (x as f32 + 0.5) / across as f32 * 0.7 - 0.35;
        let up = -0.05 - (y as f32 + 0.5) / down as f32 * 0.4;
        let [px, py] = frame.pixel([right, up]);
        let at = |v: f32, size: u32| (v.max(0.0) as u32).min(size.saturating_sub(1));
        if picture.width() > 0 && picture.height() > 0 {
            *pixel = *picture.get_pixel(at(px, picture.width()), at(py, picture.height()));
        }
    }
    Lab::of(&patch).pixels
}

/// The fault of each frame, none for good ones; frames outside of the shots `used` have one.
pub fn faults(seen: &[FrameObservation], used: &[Range<usize>]) -> Vec<Option<FrameFault>> {
    let mut faults: Vec<Option<FrameFault>> = seen.iter().map(alone).collect();
    let other = (0..seen.len()).map(|frame| !used.iter().any(|shot| shot.contains(&frame)));
    for (fault, other) in faults.iter_mut().zip(other) {
        if other && *fault != Some(FrameFault::Black) {
            *fault = Some(FrameFault::OtherShot);
        }
    }
    for (index, off) in strange_mouths(seen, &faults) {
        if off {
            faults[index] = Some(FrameFault::MouthCovered);
        }
    }
    faults
}

/// The fault of a frame that can be seen without the others.
fn alone(seen: &FrameObservation) -> Option<FrameFault> {
    match seen.width {
        _ if seen.mean < BLACK => Some(FrameFault::Black),
        None => Some(FrameFault::NoFace),
        Some(width) if width < LEAST_WIDTH => Some(FrameFault::SmallFace),
        Some(_) if seen.second => Some(FrameFault::SecondPerson),
        Some(_) => None,
    }
}

/// For each frame that is good so far, whether the lower face differs much from how it usually looks.
fn strange_mouths(seen: &[FrameObservation], faults: &[Option<FrameFault>]) -> Vec<(usize, bool)> {
    let good: Vec<(usize, &Vec<[f32; 3]>)> = (0..seen.len())
        .filter(|i| faults[*i].is_none())
        .filter_map(|i| seen[i].lower_face.as_ref().map(|p| (i, p)))
        .collect();
    let cells = GRID[0] * GRID[1];
    let usual: Vec<[f32; 3]> = (0..cells)
        .map(|cell| std::array::from_fn(|k| median(good.iter().map(|(_, p)| p[cell][k]).collect())))
        .collect();
    // Lightness has less weight than colour: an open mouth is dark as well, a hand has another colour.
    let off: Vec<f32> = good
        .iter()
        .map(|(_, patch)| {
            let differences = patch.iter().zip(&usual);
            let sum: f32 =
                differences.map(|(a, b)| 0.4 * (a[0] - b[0]).abs() + (a[1] - b[1]).hypot(a[2] - b[2])).sum();
            sum / cells as f32
        })
        .collect();
    let middle = median(off.clone());
    let spread = median(off.iter().map(|v| (v - middle).abs()).collect());
    let most = COVERED[0].max(middle + COVERED[1] * 1.4826 * spread);
    good.iter().zip(off).map(|((index, _), off)| (*index, off > most)).collect()
}

pub(super) fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::LANDMARKS;

    /// A frame with a face of `width` before a wall of `grey`; `lips` is the colour of the lower face.
    fn frame(grey: u8, width: f32, lips: [u8; 3]) -> FrameObservation {
        let picture = RgbImage::from_fn(512, 512, |_, y| image::Rgb(if y > 256 { lips } else { [grey; 3] }));
        let mut face = Landmarks { points: vec![[256.0, 256.0, 0.0]; LANDMARKS], score: 1.0 };
        for (index, x, y) in [(10, 0.0, -0.6), (152, 0.0, 0.6), (234, -0.5, 0.0), (454, 0.5, 0.0)] {
            face.points[index] = [256.0 + x * width, 256.0 + y * width, 0.0];
        }
        FrameObservation::of(&picture, Some(&face), &[])
    }

    fn judged(seen: &[FrameObservation]) -> Vec<Option<FrameFault>> {
        faults(seen, std::slice::from_ref(&(0..seen.len())))
    }

    const LIPS: [u8; 3] = [190, 120, 110];

    #[test]
    fn a_quiet_clip_has_no_faults() {
        assert_eq!(judged(&vec![frame(120, 200.0, LIPS); 30]), vec![None; 30]);
        assert!(judged(&[]).is_empty());
    }

    #[test]
    fn each_fault_is_named_where_it_is() {
        let mut seen = vec![frame(120, 200.0, LIPS); 40];
        seen[3] = FrameObservation::of(&RgbImage::new(512, 512), None, &[]);
        seen[5] = FrameObservation::of(&RgbImage::from_pixel(512, 512, image::Rgb([130; 3])), None, &[]);
        seen[7] = frame(120, 40.0, LIPS);
        seen[9].second = true;
        seen[11] = frame(120, 200.0, [60, 110, 190]);
        let found = judged(&seen);
        let expected = [
            (3, FrameFault::Black),
            (5, FrameFault::NoFace),
            (7, FrameFault::SmallFace),
            (9, FrameFault::SecondPerson),
            (11, FrameFault::MouthCovered),
        ];
        for (index, fault) in found.iter().enumerate() {
            let named = expected.iter().find(|(i, _)| *i == index).map(|(_, f)| *f);
            assert_eq!(*fault, named, "frame {index}");
        }
    }
}
