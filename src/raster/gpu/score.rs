//! Drawing, scoring and going back in one submission; the images never leave the device.

use super::backward::{self, Upstream};
use super::forward::{self, WORK_BYTES, Work};
use super::gather::Gathered;
use super::inputs::Inputs;
use super::layout::{GoalWords, Images, Params};
use super::plan::channels;
use super::{GpuRasterizer, checks};
use crate::gpu::Gpu;
use crate::gpu::buffers::{Loan, append};
use crate::gpu::kernels::{Recorder, Timing};
use crate::gpu::shaders::Reduce;
use crate::metrics::ssim::{C1, C2, kernel};
use crate::raster::score::{Crop, Goal, Room, Score, ScoreWeights, Scored, Scorer, check_goals};
use crate::raster::{Outputs, RasterSettings, SurfelBatch};
use crate::{Camera, Result};
use rayon::prelude::*;
use std::time::Instant;

/// Pixels that a workgroup of stage `score` sums up, and sums it leaves.
const PIXELS: u64 = 256;
const SUMS: usize = 7;

impl Scorer for GpuRasterizer {
    fn score(
        &self,
        batch: &SurfelBatch<'_>,
        cameras: &[Camera],
        background: [f32; 7],
        goals: &[Goal<'_>],
        weights: &ScoreWeights,
    ) -> Result<Scored> {
        let outputs = weights.outputs();
        let settings = RasterSettings { background, outputs };
        let (_, size) = checks::check(batch, cameras, &settings)?;
        check_goals(goals, cameras.len(), size)?;
        let together = forward::frames_together(self, batch, cameras.len(), size, &outputs, true)?;
        let scales: Vec<Scale> = goals.par_iter().map(|g| Scale::of(g, weights, size, goals.len())).collect();
        let mut scored = Scored::default();
        let mut gathered = Gathered::new(self, batch, outputs.attention);
        for first in (0..cameras.len()).step_by(together) {
            let range = first..(first + together).min(cameras.len());
            let start = Instant::now();
            let inputs = Inputs::upload(self, batch, cameras, &settings, size, range.clone())?;
            let wanted = Wanted::upload(&self.gpu, &goals[range.clone()], &scales[range.clone()], weights)?;
            if self.timing != Timing::Off {
                self.note_times(vec![("host: uploads", start.elapsed().as_secs_f64() * 1e3)]);
            }
            let mut room = forward::first_room(self, &inputs);
            loop {
                let (work, sums) =
                    attempt(self, &inputs, &outputs, &wanted, room, &mut gathered, &mut scored.radii)?;
                let Some(more) = forward::more_room(self, &inputs, room, &work)? else {
                    let frames = scales[range].iter().zip(sums.by_frame(inputs.frames.len()));
                    scored.scores.extend(frames.map(|(scale, sums)| scale.score(weights, &sums)));
                    break;
                };
                room = more;
                self.gpu.pool.trim();
            }
        }
        scored.gradients = gathered.finish();
        Ok(scored)
    }
}

/// What turns a frame's sums into its terms, and each pixel's share into a gradient.
struct Scale {
    words: GoalWords,
    /// One over the numbers of the mask, of the picture's pixels, of the lips, of the eyes.
    inside: f32,
    pixels: f32,
    lips: f32,
    eyes: f32,
}

impl Scale {
    fn of(goal: &Goal<'_>, weights: &ScoreWeights, [width, height]: [usize; 2], frames: usize) -> Scale {
        let share = 1.0 / frames as f32;
        let inside = 1.0 / (3.0 * goal.mask.iter().sum::<f32>().max(1.0));
        let pixels = 1.0 / (width * height) as f32;
        let crop = |crop: Option<Crop>| {
            let crop = crop.map(|c| c.inside(width, height)).unwrap_or_default();
            (crop, 1.0 / (3 * crop.area()) as f32)
        };
        let ((lips_at, lips), (eyes_at, eyes)) = (crop(goal.lips), crop(goal.eyes));
        let words = GoalWords {
            l1: share * (1.0 - weights.dssim) * inside,
            similarity: -share * weights.dssim * pixels / 3.0,
            mask: share * weights.mask * pixels,
            audio: share * weights.audio * pixels,
            expression: share * weights.expression * pixels,
            normal: share * weights.normal * pixels,
            distortion: share * weights.distortion * pixels,
            lips: share * weights.lips * lips,
            lips_row0: lips_at.rows[0] as u32,
            lips_row1: lips_at.rows[1] as u32,
            lips_col0: lips_at.columns[0] as u32,
            lips_col1: lips_at.columns[1] as u32,
            eyes: share * weights.eyes * eyes,
            eyes_row0: eyes_at.rows[0] as u32,
            eyes_row1: eyes_at.rows[1] as u32,
            eyes_col0: eyes_at.columns[0] as u32,
            eyes_col1: eyes_at.columns[1] as u32,
        };
        Scale { words, inside, pixels, lips, eyes }
    }

    /// Terms from the sums of the stages.
    fn score(&self, weights: &ScoreWeights, sums: &FrameSums) -> Score {
        let mean = |k: usize, each: f32| (sums.pixels[k] * f64::from(each)) as f32;
        let counts = |weight: f32, value: f32| if weight > 0.0 { value } else { 0.0 };
        Score {
            l1: mean(0, self.inside),
            dssim: counts(weights.dssim, (1.0 - sums.similarity * f64::from(self.pixels) / 3.0) as f32),
            lips: mean(1, self.lips),
            eyes: mean(2, self.eyes),
            mask: counts(weights.mask, mean(3, self.pixels)),
            audio: mean(4, self.pixels),
            expression: mean(5, self.pixels),
            normal: (sums.relief * f64::from(self.pixels)) as f32,
            distortion: mean(6, self.pixels),
        }
    }
}

/// The goals of a group on the device.
struct Wanted {
    goals: Loan,
    /// `[frames, 5, rows, columns]`: colour, mask, trust.
    targets: Loan,
    /// Where attention may be, a byte a pixel.
    marks: Loan,
    rooms: Loan,
    room_count: u32,
    window: Loan,
    similarity: bool,
}

impl Wanted {
    fn upload(gpu: &Gpu, goals: &[Goal<'_>], scales: &[Scale], weights: &ScoreWeights) -> Result<Self> {
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

/// The known room of frame `frame`, as `shaders/shared/behind.wgsl` lays it out.
fn rooms(frame: usize, goal: &Goal<'_>) -> Vec<u32> {
    let first = frame * goal.mask.len();
    let words =
        |Room { at, color: [r, g, b] }: &Room| [(first + at) as u32, r.to_bits(), g.to_bits(), b.to_bits()];
    goal.room.iter().flat_map(words).collect()
}

/// What the stages left: sums by workgroup.
#[derive(Default)]
struct Sums {
    pixels: Vec<f32>,
    similarities: Vec<f32>,
    relief: Vec<f32>,
}

/// Those of one frame, added up.
struct FrameSums {
    pixels: [f64; SUMS],
    similarity: f64,
    relief: f64,
}

impl Sums {
    /// The sums of each frame, added in the order of their workgroups.
    fn by_frame(&self, frames: usize) -> Vec<FrameSums> {
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

/// Runs all stages once, with room for `room` pairs; gradients and radii are taken where that was enough.
fn attempt(
    rasterizer: &GpuRasterizer,
    inputs: &Inputs,
    outputs: &Outputs,
    wanted: &Wanted,
    room: u64,
    gathered: &mut Gathered,
    radii: &mut Vec<u32>,
) -> Result<(Work, Sums)> {
    let gpu = &rasterizer.gpu;
    let mut recorder = Recorder::new(gpu, rasterizer.timing);
    let drawn = forward::record(&mut recorder, rasterizer, inputs, outputs, room)?;
    let recorded = record(&mut recorder, gpu, inputs, outputs, wanted, &drawn.images)?;
    let (kept, upstream) = (&drawn.kept, &recorded.upstream);
    let returned = backward::record(&mut recorder, rasterizer, inputs, kept, outputs, upstream, room as u32)?;
    let [surfels, colors, screen] = gathered.sources(inputs, &returned);
    let sources = [
        (&*drawn.work, WORK_BYTES),
        (&*recorded.pixels, 4 * recorded.counts[0]),
        (&*recorded.similarities, 4 * recorded.counts[1]),
        (&*recorded.relief, 4 * recorded.counts[2]),
        (&*drawn.radii, 4 * inputs.instances()),
        surfels,
        colors,
        screen,
    ];
    let (mut work, mut sums) = (Work::default(), Sums::default());
    let times = recorder.submit(&sources, |i, data| match i {
        0 => work = Work::of(data),
        _ if !work.fits(room) => {}
        1 => append(&mut sums.pixels, data),
        2 => append(&mut sums.similarities, data),
        3 => append(&mut sums.relief, data),
        4 => append(radii, data),
        _ => gathered.take(i - 5, data),
    })?;
    rasterizer.note_times(times);
    Ok((work, sums))
}

/// Gradients of the images and sums, once the stages have run.
struct Recorded {
    upstream: Upstream,
    pixels: Loan,
    similarities: Loan,
    relief: Loan,
    /// Numbers in the three.
    counts: [u64; 3],
    /// Needed until the stages have run.
    _scratch: [Loan; 3],
}

/// Records the stages that score images which are drawn.
fn record(
    recorder: &mut Recorder<'_>,
    gpu: &Gpu,
    inputs: &Inputs,
    outputs: &Outputs,
    wanted: &Wanted,
    images: &Loan,
) -> Result<Recorded> {
    let layout = Images::drawn(outputs);
    let params = Params { rooms: wanted.room_count, ..inputs.params };
    let constants = gpu.uniform(&params.words());
    let (pixels, frames) = (inputs.pixels(), inputs.frames.len() as u64);
    let groups = frames * (pixels / frames.max(1)).div_ceil(PIXELS);
    let patches = if wanted.similarity { 3 * inputs.tiles() } else { 0 };
    let upstream = gpu.storage(4 * channels(&layout) * pixels);
    let sums = gpu.storage(4 * SUMS as u64 * groups);
    let similarities = gpu.storage(4 * patches);
    let partials = gpu.storage(if wanted.similarity { 4 * 9 * pixels } else { 0 });
    let relief_groups = if outputs.normal { groups } else { 0 };
    let relief = gpu.storage(4 * relief_groups);
    let slopes = gpu.storage(if outputs.normal { 4 * 6 * pixels } else { 0 });
    let per_room = u64::from(wanted.room_count).div_ceil(256);
    let any = Reduce::Threads;

    let buffers: [(u32, &wgpu::Buffer); 3] = [(0, &constants), (1, &wanted.rooms), (2, images)];
    recorder.stage("show_room", any, vec![], &buffers, per_room)?;
    recorder.stage(
        "score",
        any,
        vec![("ATTENTION", outputs.attention.into()), ("DISTORTION", outputs.distortion.into())],
        &[
            (0, &constants),
            (1, &wanted.goals),
            (2, &wanted.targets),
            (3, &wanted.marks),
            (4, images),
            (5, &upstream),
            (6, &sums),
        ],
        groups,
    )?;
    recorder.stage(
        "ssim",
        any,
        vec![],
        &[
            (0, &constants),
            (1, &wanted.window),
            (2, &wanted.targets),
            (3, images),
            (4, &partials),
            (5, &similarities),
        ],
        patches,
    )?;
    recorder.stage(
        "ssim_backward",
        any,
        vec![],
        &[
            (0, &constants),
            (1, &wanted.window),
            (2, &wanted.goals),
            (3, &wanted.targets),
            (4, images),
            (5, &partials),
            (6, &upstream),
        ],
        patches,
    )?;
    let buffers: [(u32, &wgpu::Buffer); 3] = [(0, &constants), (1, &wanted.rooms), (2, &upstream)];
    recorder.stage("room_backward", any, vec![], &buffers, per_room)?;
    let buffers: [(u32, &wgpu::Buffer); 7] = [
        (0, &constants),
        (1, &wanted.goals),
        (2, &inputs.cameras),
        (3, images),
        (4, &upstream),
        (5, &slopes),
        (6, &relief),
    ];
    recorder.stage("relief", any, vec![], &buffers, relief_groups)?;
    let buffers: [(u32, &wgpu::Buffer); 5] =
        [(0, &constants), (1, &inputs.cameras), (2, images), (3, &slopes), (4, &upstream)];
    let per_pixel = if outputs.normal { pixels.div_ceil(PIXELS) } else { 0 };
    recorder.stage("relief_backward", any, vec![], &buffers, per_pixel)?;
    Ok(Recorded {
        upstream: Upstream { buffer: upstream, images: layout },
        pixels: sums,
        similarities,
        relief,
        counts: [SUMS as u64 * groups, patches, relief_groups],
        _scratch: [constants, partials, slopes],
    })
}
