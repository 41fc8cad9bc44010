//! Finds frames that no head can be trained on: black, without a face or with a small one, with a second person, with
//! the mouth covered, or of another shot.

use super::frame_filter::FrameFault;
use crate::face::Landmarks;
use crate::segment::color::Lab;
use crate::segment::regions::FaceFrame;
use image::RgbImage;
use image::imageops::{self, FilterType};
use std::ops::Range;

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
/// The same for a cut between two shots that are much alike: there the change stands out among the ones just before and
/// after it.
const LIKE_CUT: [f32; 2] = [5.0, 4.0];
/// Changes on either side that a cut is held against.
const AROUND: usize = 12;
/// Least move of the face at a cut between two like shots, in widths of the face, and change of the thumbnail.
const FACE_CUT: [f32; 2] = [0.25, 2.5];
/// A picture that changes less than this stands still: what comes after it is no cut, but frames are missing.
const STILL: f32 = 0.02;
/// Least difference of a covered mouth from the usual one in L*a*b*, and as a multiple of the standard deviation.
const COVERED: [f32; 2] = [11.0, 7.0];

/// What is measured on each frame.
#[derive(Debug, Clone)]
pub struct FrameObservation {
    mean: f32,
    thumb: Vec<f32>,
    width: Option<f32>,
    /// Middle of the face, pixels.
    center: Option<[f32; 2]>,
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

/// The fault of each frame, none for good ones; of the shots `shots` the one of number `wanted` is used.
pub fn faults(seen: &[FrameObservation], shots: &[Range<usize>], wanted: usize) -> Vec<Option<FrameFault>> {
    let mut faults: Vec<Option<FrameFault>> = seen.iter().map(alone).collect();
    let used = shots.get(wanted).cloned().unwrap_or(0..seen.len());
    for (fault, other) in faults.iter_mut().zip((0..seen.len()).map(|frame| !used.contains(&frame))) {
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

/// The longest of some shots.
pub fn longest(shots: &[Range<usize>]) -> usize {
    (0..shots.len()).rev().max_by_key(|k| shots[*k].len()).unwrap_or(0)
}

/// The shots of a video, in order: frames between two cuts. Black frames belong to the shot after them.
pub fn shots(seen: &[FrameObservation]) -> Vec<Range<usize>> {
    let lit: Vec<usize> = (0..seen.len()).filter(|i| seen[*i].mean >= BLACK).collect();
    let change = |a: usize, b: usize| {
        let pairs = seen[a].thumb.iter().zip(&seen[b].thumb);
        pairs.map(|(a, b)| (a - b).abs()).sum::<f32>() / seen[a].thumb.len().max(1) as f32
    };
    let changes: Vec<f32> = lit.windows(2).map(|w| change(w[0], w[1])).collect();
    let usual = CUT[0].max(CUT[1] * median(changes.clone()));
    let mut cuts = Vec::new();
    for k in 1..lit.len() {
        let here = changes[k - 1];
        let around = |k: usize| {
            let before = k.saturating_sub(1 + AROUND)..k - 1;
            let after = k..(k + AROUND).min(changes.len());
            before.chain(after).map(|i| changes[i]).fold(0.0, f32::max)
        };
        let stood_still = k > 2 && changes[k - 2] < STILL && changes[k - 3] < STILL;
        let like = LIKE_CUT[0].max(LIKE_CUT[1] * around(k));
        let moved = moved(&seen[lit[k - 1]], &seen[lit[k]]);
        let least = if here > usual {
            usual
        } else if stood_still {
            continue;
        } else if here > like {
            like * 0.8
        } else if moved > FACE_CUT[0] && here > FACE_CUT[1].max(2.0 * around(k)) {
            FACE_CUT[1]
        } else {
            continue;
        };
        // A single damaged frame is no cut: the frames around it are similar.
        if lit.get(k + 1).is_none_or(|next| change(lit[k - 1], *next) > least)
            && (k < 2 || change(lit[k - 2], lit[k]) > least)
        {
            cuts.push(lit[k - 1] + 1);
        }
    }
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([seen.len()]);
    starts.zip(ends).map(|(start, end)| start..end).collect()
}

/// How far the face moves between two frames, in its widths.
fn moved(a: &FrameObservation, b: &FrameObservation) -> f32 {
    match (a.center, b.center, a.width, b.width) {
        (Some(from), Some(to), Some(before), Some(after)) => {
            let place = (from[0] - to[0]).hypot(from[1] - to[1]);
            place.max((before - after).abs()) / before.max(1.0)
        }
        _ => 0.0,
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

    fn judged(seen: &[FrameObservation]) -> Vec<Option<FrameFault>> {
        let shots = shots(seen);
        faults(seen, &shots, longest(&shots))
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

    #[test]
    fn after_a_cut_the_longer_shot_stays() {
        let mut seen = vec![frame(60, 200.0, LIPS); 12];
        seen.extend(vec![frame(200, 200.0, LIPS); 20]);
        let found = judged(&seen);
        assert!(
            found[..12].iter().all(|f| *f == Some(FrameFault::OtherShot))
                && found[12..].iter().all(Option::is_none)
        );
    }

    #[test]
    fn one_torn_frame_is_no_cut() {
        let mut seen = vec![frame(60, 200.0, LIPS); 12];
        seen[6].thumb = vec![200.0; seen[6].thumb.len()];
        assert!(judged(&seen).iter().all(Option::is_none));
    }

    /// Frames of a thumbnail whose cells all have `grey`, changing by up to `stir` from frame to frame.
    fn shot(grey: f32, stir: f32, frames: usize) -> Vec<FrameObservation> {
        let mut seen = vec![frame(120, 200.0, LIPS); frames];
        for (k, frame) in seen.iter_mut().enumerate() {
            let wobble = stir * (k as f32 * 1.7).sin();
            frame.thumb.fill(grey + wobble);
            frame.mean = grey + wobble;
        }
        seen
    }

    #[test]
    fn a_cut_between_two_like_shots_is_found_and_quick_motion_is_none() {
        // 10.8 grey levels where the neighbours change by at most 2.3.
        let seen = [shot(100.0, 1.15, 60), shot(110.8, 1.15, 40)].concat();
        assert_eq!(shots(&seen), [0..60, 60..100]);
        // The same change spread over a few frames is a movement.
        let mut seen = shot(100.0, 1.15, 100);
        for (k, frame) in seen.iter_mut().enumerate().skip(40) {
            let moved = 10.8 * ((k - 39) as f32 / 5.0).min(1.0);
            frame.thumb.iter_mut().for_each(|v| *v += moved);
        }
        assert_eq!(shots(&seen), vec![0..100; 1]);
        // A face that jumps while the room is nearly the same.
        let mut seen = shot(100.0, 0.2, 60);
        for (k, frame) in seen.iter_mut().enumerate() {
            frame.center = Some([if k < 30 { 200.0 } else { 280.0 }, 250.0]);
            frame.thumb.iter_mut().take(150).for_each(|v| *v += if k < 30 { 0.0 } else { 12.0 });
        }
        assert_eq!(shots(&seen), [0..30, 30..60]);
        // After frames that are missing the picture has moved on.
        let mut seen = shot(100.0, 0.0, 100);
        seen.iter_mut().skip(50).for_each(|frame| frame.thumb.fill(108.0));
        assert_eq!(shots(&seen), vec![0..100; 1]);
    }

    #[test]
    fn the_shot_that_was_asked_for_is_used() {
        let seen = [shot(60.0, 1.0, 30), shot(120.0, 1.0, 50), shot(180.0, 1.0, 20)].concat();
        let shots = shots(&seen);
        assert_eq!((shots.len(), longest(&shots)), (3, 1));
        let found = faults(&seen, &shots, 2);
        assert!(
            found[..80].iter().all(|f| *f == Some(FrameFault::OtherShot))
                && found[80..].iter().all(Option::is_none)
        );
    }
}
