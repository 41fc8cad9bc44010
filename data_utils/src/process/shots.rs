//! Shots: frames between two cuts, and which of them show the same room from the same place.

use super::frame_faults::{BLACK, FrameObservation, THUMB, median};
use std::ops::Range;

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
/// How many shots are listed.
const MOST_NAMED: usize = 20;
/// Where the background of two shots is compared: this far beside and above the middle of the face, and below it beside the
/// shoulders, widths of the face.
const BESIDE: f32 = 1.1;
const SHOULDERS: [f32; 2] = [0.3, 2.5];
/// Least number of cells of the thumbnail that show background.
const LEAST_CELLS: usize = 20;
/// Largest difference of two shots of one room, grey levels: median and upper quartile over the background. And of the width
/// of the face, as a part of it.
const SAME_ROOM: [f32; 2] = [3.0, 6.0];
const SAME_WIDTH: f32 = 0.15;

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

/// Numbers of the shots that are used together: the longest, and all that show the same room from the same place. Cuts within
/// one room leave out words; background and clothes stay what they are.
pub fn together(seen: &[FrameObservation], shots: &[Range<usize>]) -> Vec<usize> {
    let first = longest(shots);
    let usual: Vec<Option<UsualFrame>> =
        shots.iter().map(|shot| UsualFrame::of(&seen[shot.clone()])).collect();
    let is_same = |k: usize| match (usual.get(first), &usual[k]) {
        (Some(Some(a)), Some(b)) => a.shows_the_room_of(b),
        _ => false,
    };
    (0..shots.len()).filter(|k| *k == first || is_same(*k)).collect()
}

/// The median of a shot's frames.
struct UsualFrame {
    thumb: Vec<f32>,
    step: f32,
    width: f32,
    center: [f32; 2],
}

impl UsualFrame {
    /// None for a shot without a face.
    fn of(shot: &[FrameObservation]) -> Option<UsualFrame> {
        let faces: Vec<(f32, [f32; 2])> = shot.iter().filter_map(|f| f.width.zip(f.center)).collect();
        let first = shot.first().filter(|_| !faces.is_empty())?;
        Some(UsualFrame {
            thumb: (0..first.thumb.len())
                .map(|at| median(shot.iter().map(|f| f.thumb[at]).collect()))
                .collect(),
            step: first.step,
            width: median(faces.iter().map(|(width, _)| *width).collect()),
            center: [0, 1].map(|k| median(faces.iter().map(|(_, center)| center[k]).collect())),
        })
    }

    /// Whether a cell of the thumbnail shows neither head nor shoulders.
    fn is_background(&self, at: usize) -> bool {
        let place = [at % THUMB as usize, at / THUMB as usize].map(|v| (v as f32 + 0.5) * self.step);
        let [right, down] = [0, 1].map(|k| (place[k] - self.center[k]) / self.width.max(1.0));
        let beside_head = right.abs() > BESIDE || down < -BESIDE;
        beside_head && (down < SHOULDERS[0] || right.abs() > SHOULDERS[1])
    }

    fn shows_the_room_of(&self, other: &UsualFrame) -> bool {
        let cells = (0..self.thumb.len()).filter(|at| self.is_background(*at) && other.is_background(*at));
        let mut off: Vec<f32> = cells.map(|at| (self.thumb[at] - other.thumb[at]).abs()).collect();
        off.sort_by(f32::total_cmp);
        let quantile = |share: usize| off.get(off.len() * share / 100).copied().unwrap_or(f32::INFINITY);
        off.len() >= LEAST_CELLS
            && quantile(50) <= SAME_ROOM[0]
            && quantile(75) <= SAME_ROOM[1]
            && (self.width / other.width - 1.0).abs() <= SAME_WIDTH
    }
}

/// Shots in words: `3 shots, frames 0-120, 121-400, 401-500`.
pub fn list(shots: &[Range<usize>]) -> String {
    let named =
        shots.iter().take(MOST_NAMED).map(|shot| format!("{}-{}", shot.start, shot.end.saturating_sub(1)));
    let more = if shots.len() > MOST_NAMED { ", …" } else { "" };
    format!("{} shots, frames {}{more}", shots.len(), named.collect::<Vec<_>>().join(", "))
}

/// Which of the shots are used, in words.
pub fn list_used(shots: &[Range<usize>], used: &[usize]) -> String {
    let all = list(shots);
    match used {
        [one] => format!("{all}, of which number {} is used (--shot)", one + 1),
        _ if used.len() == shots.len() => {
            format!("{all}, all of one room and used together (--shot for one of them)")
        }
        _ => {
            let numbers: Vec<String> = used.iter().map(|k| (k + 1).to_string()).collect();
            format!(
                "{all}, of which numbers {} are of one room and used (--shot for one of them)",
                numbers.join(", ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame_faults::faults;
    use super::*;
    use crate::face::{LANDMARKS, Landmarks};
    use image::RgbImage;

    /// A frame with a face of `width` before a wall of `grey`.
    fn frame(grey: u8, width: f32) -> FrameObservation {
        let picture = RgbImage::from_pixel(512, 512, image::Rgb([grey; 3]));
        let mut face = Landmarks { points: vec![[256.0, 256.0, 0.0]; LANDMARKS], score: 1.0 };
        for (index, x, y) in [(10, 0.0, -0.6), (152, 0.0, 0.6), (234, -0.5, 0.0), (454, 0.5, 0.0)] {
            face.points[index] = [256.0 + x * width, 256.0 + y * width, 0.0];
        }
        FrameObservation::of(
            &picture,
            Some(&face),
            &[[256.0 - width / 2.0, 256.0 - width / 2.0, 256.0 + width / 2.0, 256.0 + width / 2.0]],
        )
    }

    #[test]
    fn one_torn_frame_is_no_cut() {
        let mut seen = vec![frame(60, 130.0); 12];
        seen[6].thumb = vec![200.0; seen[6].thumb.len()];
        assert_eq!(shots(&seen), vec![0..12; 1]);
    }

    #[test]
    fn another_wall_and_another_distance_are_other_rooms() {
        let mut seen = vec![frame(60, 130.0); 30];
        seen.extend(vec![frame(90, 130.0); 25]);
        // The same wall from nearer.
        seen.extend(vec![frame(60, 170.0); 10]);
        let shots = [0..30, 30..55, 55..65];
        let usual = |k: usize| UsualFrame::of(&seen[shots[k].clone()]).expect("a face");
        assert!(!usual(0).shows_the_room_of(&usual(1)) && !usual(0).shows_the_room_of(&usual(2)));
        assert_eq!(together(&seen, &shots), [0]);
        assert!(list_used(&shots, &[0]).contains("number 1 is used"));
        assert!(list_used(&shots, &[0, 1]).contains("numbers 1, 2 are of one room"));
    }

    /// Frames of a thumbnail whose cells all have `grey`, changing by up to `stir` from frame to frame.
    fn shot(grey: f32, stir: f32, frames: usize) -> Vec<FrameObservation> {
        let mut seen = vec![frame(120, 130.0); frames];
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
    fn the_longest_shot_is_used_and_frames_of_others_are_not() {
        let seen = [shot(60.0, 1.0, 30), shot(120.0, 1.0, 50), shot(180.0, 1.0, 20)].concat();
        let shots = shots(&seen);
        assert_eq!((shots.len(), longest(&shots)), (3, 1));
        assert_eq!(together(&seen, &shots), [1]);
        let found = faults(&seen, &shots[2..]);
        assert!(found[..80].iter().all(Option::is_some) && found[80..].iter().all(Option::is_none));
    }

    #[test]
    fn a_head_that_jumps_within_its_room_stays_in_use() {
        let mut seen = [shot(100.0, 0.5, 60), shot(100.0, 0.5, 40)].concat();
        for (k, frame) in seen.iter_mut().enumerate() {
            let x = if k < 60 { 230.0 } else { 300.0 };
            frame.center = Some([x, 256.0]);
            // The head, eight cells wide and twelve high.
            let left = x as usize / 21 - 4;
            (6..18).for_each(|row| {
                (left..left + 8).for_each(|column| frame.thumb[row * THUMB as usize + column] = 200.0)
            });
        }
        let shots = shots(&seen);
        assert_eq!(shots, [0..60, 60..100]);
        assert_eq!(together(&seen, &shots), [0, 1]);
        assert!(list_used(&shots, &[0, 1]).contains("all of one room"));
    }
}
