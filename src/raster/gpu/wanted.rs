//! What frames are compared with, on the device, and what its sums mean.

use super::layout::GoalWords;
use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::buffers::Loan;
use crate::metrics::ssim::{C1, C2, kernel};
use crate::raster::score::{Crop, Goal, Room, Score, Weights};
use rayon::prelude::*;

/// Sums that a workgroup of stage `score` leaves.
pub(super) const SUMS: usize = 7;

/// What turns a frame's sums into its terms, and each pixel's share into a gradient.
pub(super) struct Scale {
    words: GoalWords,
    /// One over the numbers of the mask, of the picture's pixels, of the lips, of the eyes.
    inside: f32,
    pixels: f32,
    lips: f32,
    eyes: f32,
    lips_alone: bool,
}

impl Scale {
    pub(super) fn of(
        goal: &Goal<'_>,
        weights: &Weights,
        [width, height]: [usize; 2],
        frames: usize,
    ) -> Scale {
        let share = 1.0 / frames as f32;
        let inside = 1.0 / (3.0 * goal.mask.iter().sum::<f32>().max(1.0));
        let pixels = 1.0 / (width * height) as f32;
        let crop = |crop: Option<Crop>| {
            let crop = crop.map(|c| c.inside(width, height)).unwrap_or_default();
            (crop, 1.0 / (3 * crop.area()) as f32)
        };
        let ((lips_at, lips), (eyes_at, eyes)) = (crop(goal.lips), crop(goal.eyes));
        let rest = if goal.lips_alone { 0.0 } else { share };
        let words = GoalWords {
            l1: rest * (1.0 - weights.dssim) * inside,
            similarity: -rest * weights.dssim * pixels / 3.0,
            mask: rest * weights.mask * pixels,
            audio: rest * weights.attention_audio * pixels,
            expression: rest * weights.attention_expression * pixels,
            normal: rest * weights.normal * pixels,
            distortion: rest * weights.distortion * pixels,
            lips: share * weights.lips * lips,
            lips_row0: lips_at.rows[0] as u32,
            lips_row1: lips_at.rows[1] as u32,
            lips_col0: lips_at.columns[0] as u32,
            lips_col1: lips_at.columns[1] as u32,
            eyes: rest * weights.eyes * eyes,
            eyes_row0: eyes_at.rows[0] as u32,
            eyes_row1: eyes_at.rows[1] as u32,
            eyes_col0: eyes_at.columns[0] as u32,
            eyes_col1: eyes_at.columns[1] as u32,
        };
        Scale { words, inside, pixels, lips, eyes, lips_alone: goal.lips_alone }
    }

    /// Terms from the sums of the stages.
    pub(super) fn score(&self, weights: &Weights, sums: &FrameSums) -> Score {
        let mean = |k: usize, each: f32| (sums.pixels[k] * f64::from(each)) as f32;
        let counts = |weight: f32, value: f32| if weight > 0.0 { value } else { 0.0 };
        let lips = mean(1, self.lips);
        let found = match self.lips_alone {
            true => Score { lips, ..Score::default() },
            false => Score {
                total: 0.0,
                l1: mean(0, self.inside),
                dssim: counts(weights.dssim, (1.0 - sums.similarity * f64::from(self.pixels) / 3.0) as f32),
                lips,
                eyes: mean(2, self.eyes),
                mask: counts(weights.mask, mean(3, self.pixels)),
                attention_audio: mean(4, self.pixels),
                attention_expression: mean(5, self.pixels),
                normal: (sums.relief * f64::from(self.pixels)) as f32,
                distortion: mean(6, self.pixels),
            },
        };
        Score { total: weights.total(&found), ..found }
    }
}

/// The goals of a group on the device.
pub(super) struct Wanted {
    pub(super) goals: Loan,
    /// `[frames, 5, rows, columns]`: colour, mask, trust.
    pub(super) targets: Loan,
    /// Where attention may be, a byte a pixel.
    pub(super) marks: Loan,
    pub(super) rooms: Loan,
    pub(super) room_count: u32,
    pub(super) window: Loan,
    pub(super) similarity: bool,
}

impl Wanted {
    pub(super) fn upload(gpu: &Gpu, goals: &[Goal<'_>], scales: &[Scale], weights: &Weights) -> Result<Self> {
        let words: Vec<u32> = scales.iter().flat_map(|s| s.words.words()).collect();
        let targets: Vec<&[f32]> = goals.iter().flat_map(|g| [g.color, g.mask, g.trust]).collect();
        let marks: Vec<Vec<u8>> =
            if weights.outputs().attention { goals.par_iter().map(marks).collect() } else { Vec::new() };
        let marks: Vec<&[u8]> = marks.iter().map(Vec::as_slice).collect();
        let rooms: Vec<Vec<u32>> = goals.par_iter().enumerate().map(|(f, g)| rooms(f, g)).collect();
        let room_count = rooms.iter().map(|r| r.len() / 4).sum::<usize>() as u32;
        let rooms: Vec<&[u32]> = rooms.iter().map(Vec::as_slice).collect();
        let mut window = [0.0_f32; 16];
        window.iter_mut().zip(kernel().into_iter().chain([C1, C2])).for_each(|(w, v)| *w = v as f32);
        Ok(Wanted {
            goals: gpu.upload(&[&words])?,
            targets: gpu.upload(&targets)?,
            marks: gpu.upload(&marks)?,
            rooms: gpu.upload(&rooms)?,
            room_count,
            window: gpu.uniform(&window.map(f32::to_bits)),
            similarity: weights.dssim > 0.0,
        })
    }
}

/// Where audio (bit 0) and expression (bit 1) may be listened to, to the end of a word.
fn marks(goal: &Goal<'_>) -> Vec<u8> {
    let mut marks: Vec<u8> = goal
        .may_hear
        .iter()
        .zip(goal.may_express)
        .map(|(hear, express)| u8::from(*hear) | u8::from(*express) << 1)
        .collect();
    marks.resize(marks.len().next_multiple_of(4), 0);
    marks
}

/// The known room of frame `frame`, as `shaders/shared/background_sample.wgsl` lays it out.
fn rooms(frame: usize, goal: &Goal<'_>) -> Vec<u32> {
    let first = frame * goal.mask.len();
    let words =
        |Room { at, color: [r, g, b] }: &Room| [(first + at) as u32, r.to_bits(), g.to_bits(), b.to_bits()];
    goal.room.iter().flat_map(words).collect()
}

/// What the stages left: sums by workgroup.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) pixels: Vec<f32>,
    pub(super) similarities: Vec<f32>,
    pub(super) relief: Vec<f32>,
}

/// Those of one frame, added up.
pub(super) struct FrameSums {
    pub(super) pixels: [f64; SUMS],
    pub(super) similarity: f64,
    pub(super) relief: f64,
}

impl Sums {
    /// The sums of each frame, added in the order of their workgroups.
    pub(super) fn by_frame(&self, frames: usize) -> Vec<FrameSums> {
        let part = |values: &[f32], frame: usize| {
            let each = values.len() / frames.max(1);
            values.iter().skip(frame * each).take(each).map(|v| f64::from(*v)).collect::<Vec<f64>>()
        };
        let of = |frame: usize| {
            let mut pixels = [0.0; SUMS];
            for group in part(&self.pixels, frame).chunks(SUMS) {
                pixels.iter_mut().zip(group).for_each(|(s, v)| *s += v);
            }
            let [similarity, relief] =
                [&self.similarities, &self.relief].map(|values| part(values, frame).iter().sum());
            FrameSums { pixels, similarity, relief }
        };
        (0..frames).map(of).collect()
    }
}
