//! When and how the eyes close: the blinks of a clip, taken out of its blendshapes.

use crate::head::field::EXPRESSION;
use data_utils::face::blinks::blink_frames;

/// The blendshapes of the two lids among the 22.
pub const LIDS: [usize; 2] = [8, 9];
/// Frames before and after the most closed one that belong to a blink.
const BEFORE: usize = 4;
const AFTER: usize = 6;
/// Frames of a blink.
pub const FRAMES: usize = BEFORE + 1 + AFTER;

/// The blinks of a clip.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Blinks {
    /// Frames from one to the next.
    pub intervals: Vec<f64>,
    /// What each adds to the stretched blendshapes, `[count, FRAMES, EXPRESSION]`.
    pub shapes: Vec<f32>,
}

impl Blinks {
    /// Numbers of one shape.
    pub const SHAPE: usize = FRAMES * EXPRESSION;

    /// Takes the blinks out of runs of consecutive frames of stretched blendshapes, and leaves what is under them there.
    pub(super) fn take(runs: &mut [Vec<[f32; EXPRESSION]>], squash: impl Fn(f32) -> f32) -> Self {
        let mut blinks = Blinks::default();
        for run in runs {
            let closed: Vec<f32> =
                run.iter().map(|e| LIDS.iter().map(|lid| squash(e[*lid])).sum::<f32>() / 2.0).collect();
            let peaks = blink_frames(&closed);
            blinks.intervals.extend(peaks.windows(2).map(|pair| (pair[1] - pair[0]) as f64));
            let length = run.len();
            let whole = peaks.into_iter().filter(|at| *at >= BEFORE && at + AFTER < length);
            for peak in whole {
                let first = peak - BEFORE;
                let (from, to) = (run[first], run[peak + AFTER]);
                for k in 0..FRAMES {
                    let share = k as f32 / (FRAMES - 1) as f32;
                    for c in 0..EXPRESSION {
                        let under = from[c] + share * (to[c] - from[c]);
                        blinks.shapes.push(run[first + k][c] - under);
                        run[first + k][c] = under;
                    }
                }
            }
        }
        if blinks.shapes.is_empty() || blinks.intervals.is_empty() {
            return Blinks::default();
        }
        blinks
    }

    /// How many shapes there are.
    pub fn count(&self) -> usize {
        self.shapes.len() / Self::SHAPE
    }

    /// What blink `which` adds in its frame `frame`.
    pub fn at(&self, which: usize, frame: usize) -> [f32; EXPRESSION] {
        let values = &self.shapes[which * Self::SHAPE + frame * EXPRESSION..][..EXPRESSION];
        std::array::from_fn(|k| values[k])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::field::{squashed, stretched};

    #[test]
    fn blinks_are_taken_out_and_put_back() {
        let lid = |t: usize| match t % 60 {
            28 | 32 => 0.3,
            29 | 31 => 0.7,
            30 => 0.9,
            _ => 0.1,
        };
        let frames: Vec<[f32; EXPRESSION]> = (0..300)
            .map(|t| std::array::from_fn(|k| stretched(if LIDS.contains(&k) { lid(t) } else { 0.2 })))
            .collect();
        let mut runs = [frames.clone()];
        let blinks = Blinks::take(&mut runs, squashed);
        assert_eq!((blinks.count(), blinks.intervals.as_slice()), (5, [60.0; 4].as_slice()));
        assert!(runs[0].iter().all(|e| (squashed(e[8]) - 0.1).abs() < 1e-3), "open eyes are left");
        assert!((runs[0][30][8] + blinks.at(0, BEFORE)[8] - frames[30][8]).abs() < 1e-5);
    }
}
