//! Finds frames that no head can be trained on: black, without a face or with a small one, with a second person, with
//! the mouth covered, or of another shot.

use super::frame_filter::FrameFault;
use crate::face::Landmarks;
use crate::segment::color::Lab;
use crate::segment::regions::FaceFrame;
use image::RgbImage;
use image::imageops::{self, FilterType};

/// Side of the thumbnail by which cuts are found, pixels.
const THUMB: u32 = 24;
/// Points at which the colour of the lower face is sampled, across and down.
const GRID: [usize; 2] = [16, 12];
/// Largest mean grey level of a black frame.
const BLACK: f32 = 14.0;
/// The least width of a face in a frame, pixels.
const LEAST_WIDTH: f32 = 80.0;
/// A second face counts when it has at least this share of the first one's width.
const SECOND: f32 = 0.4;
/// Least change of the thumbnail at a cut, grey levels, and as a multiple of the usual change.
const CUT: [f32; 2] = [14.0, 8.0];
/// Least difference of a covered mouth from the usual one in L*a*b*, and as a multiple of the standard deviation.
const COVERED: [f32; 2] = [11.0, 7.0];

/// What is measured on each frame.
#[derive(Debug, Clone)]
pub struct FrameObservation {
    mean: f32,
    thumb: Vec<f32>,
    width: Option<f32>,
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
            width: frame.map(|f| f.width),
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

/// The fault of each frame; none for good ones.
pub fn faults(seen: &[FrameObservation]) -> Vec<Option<FrameFault>> {
    let mut faults: Vec<Option<FrameFault>> = seen.iter().map(alone).collect();
    for (fault, other) in faults.iter_mut().zip(other_shots(seen)) {
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

/// Frames outside the longest shot.
fn other_shots(seen: &[FrameObservation]) -> Vec<bool> {
    let lit: Vec<usize> = (0..seen.len()).filter(|i| seen[*i].mean >= BLACK).collect();
    let change = |a: usize, b: usize| {
        let pairs = seen[a].thumb.iter().zip(&seen[b].thumb);
        pairs.map(|(a, b)| (a - b).abs()).sum::<f32>() / seen[a].thumb.len().max(1) as f32
    };
    let changes: Vec<f32> = lit.windows(2).map(|w| change(w[0], w[1])).collect();
    let least = CUT[0].max(CUT[1] * median(changes.clone()));
    let (mut shot, mut shots) = (0, vec![0usize; seen.len()]);
    for k in 0..lit.len() {
        // A single damaged frame is no cut: the frames around it are similar.
        let cut = k > 0
            && changes[k - 1] > least
            && lit.get(k + 1).is_none_or(|next| change(lit[k - 1], *next) > least)
            && (k < 2 || change(lit[k - 2], lit[k]) > least);
        shot += usize::from(cut);
        let from = if k > 0 { lit[k - 1] + 1 } else { 0 };
        shots[from..=lit[k]].iter_mut().for_each(|s| *s = shot);
    }
    if let Some(last) = lit.last() {
        shots[*last..].iter_mut().for_each(|s| *s = shot);
    }
    let longest = (0..=shot).rev().max_by_key(|s| shots.iter().filter(|o| *o == s).count()).unwrap_or(0);
    shots.iter().map(|s| *s != longest).collect()
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

fn median(mut values: Vec<f32>) -> f32 {
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

    const LIPS: [u8; 3] = [190, 120, 110];

    #[test]
    fn a_quiet_clip_has_no_faults() {
        assert_eq!(faults(&vec![frame(120, 200.0, LIPS); 30]), vec![None; 30]);
        assert!(faults(&[]).is_empty());
    }

    #[test]
    fn each_fault_is_named_where_it_is() {
        let mut seen = vec![frame(120, 200.0, LIPS); 40];
        seen[3] = FrameObservation::of(&RgbImage::new(512, 512), None, &[]);
        seen[5] = FrameObservation::of(&RgbImage::from_pixel(512, 512, image::Rgb([130; 3])), None, &[]);
        seen[7] = frame(120, 40.0, LIPS);
        seen[9].second = true;
        seen[11] = frame(120, 200.0, [60, 110, 190]);
        let found = faults(&seen);
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

    #[test]
    fn after_a_cut_the_longer_shot_stays() {
        let mut seen = vec![frame(60, 200.0, LIPS); 12];
        seen.extend(vec![frame(200, 200.0, LIPS); 20]);
        let found = faults(&seen);
        assert!(
            found[..12].iter().all(|f| *f == Some(FrameFault::OtherShot))
                && found[12..].iter().all(Option::is_none)
        );
    }

    #[test]
    fn one_torn_frame_is_no_cut() {
        let mut seen = vec![frame(60, 200.0, LIPS); 12];
        seen[6].thumb = vec![200.0; seen[6].thumb.len()];
        assert!(faults(&seen).iter().all(Option::is_none));
    }
}
