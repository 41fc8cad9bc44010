//! Drawing, scoring and going back in one submission; the images never leave the device.

use super::backward::{self, Returned, Upstream};
use super::forward::{self, Drawn, WORK_BYTES, Work};
use super::gather::Gathered;
use super::inputs::Inputs;
use super::layout::{Images, Params};
use super::plan::channels;
use super::wanted::{SUMS, Scale, Sums, Wanted};
use super::{GpuRasterizer, checks};
use crate::gpu::Gpu;
use crate::gpu::buffers::{Loan, append};
use crate::gpu::kernels::{Recorder, Timing};
use crate::gpu::shaders::Reduce;
use crate::raster::score::{Goal, OnHost, Score, Scored, Scorer, Weights, check_goals};
use crate::raster::{Outputs, RasterSettings, SurfelBatch};
use crate::{Camera, Result};
use rayon::prelude::*;
use std::ops::Range;
use std::time::Instant;

/// Pixels that a workgroup of stage `score` sums up.
const PIXELS: u64 = 256;

impl Scorer for GpuRasterizer {
    fn score(
        &self,
        batch: &SurfelBatch<'_>,
        cameras: &[Camera],
        background: [f32; 7],
        goals: &[Goal<'_>],
        weights: &Weights,
        on_host: Option<OnHost<'_>>,
    ) -> Result<Scored> {
        let outputs = weights.outputs();
        let settings = RasterSettings { background, outputs };
        let (_, size) = checks::check(batch, cameras, &settings)?;
        let mut radii = Vec::new();
        let mut ends = FromHost {
            rasterizer: self,
            batch,
            cameras,
            settings: &settings,
            size,
            gathered: Gathered::new(self, batch, outputs.attention),
        };
        let scores = score_all(
            self,
            batch,
            cameras,
            size,
            goals,
            weights,
            None,
            on_host,
            &mut ends,
            Some(&mut radii),
        )?;
        Ok(Scored { scores, gradients: ends.gathered.finish(), radii })
    }
}

/// Buffers that are read back of a group, beside what the stages found out.
pub(super) const READ: usize = 3;

/// Where the surfels of a group of frames come from, and where their gradients go.
pub(super) trait Ends {
    /// The surfels of the frames `range`, or the buffers they will be in.
    fn inputs(&mut self, range: Range<usize>) -> Result<Inputs>;

    /// Records what must come before the stages.
    fn before(&self, recorder: &mut Recorder<'_>, inputs: &Inputs) -> Result<()>;

    /// Records what must come after them.
    fn after(&self, recorder: &mut Recorder<'_>, inputs: &Inputs, returned: &Returned) -> Result<()>;

    /// What to read back, in bytes of a buffer each.
    fn sources(&self, inputs: &Inputs, returned: &Returned) -> [(wgpu::Buffer, u64); READ];

    /// Takes source `i` of a group. Groups come in order.
    fn take(&mut self, i: usize, data: &[u8]);

    /// Fetches what else is wanted of a group whose sources were taken.
    fn fetch(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Surfels that come from the host and gradients that go there.
struct FromHost<'a> {
    rasterizer: &'a GpuRasterizer,
    batch: &'a SurfelBatch<'a>,
    cameras: &'a [Camera],
    settings: &'a RasterSettings,
    size: [usize; 2],
    gathered: Gathered,
}

impl Ends for FromHost<'_> {
    fn inputs(&mut self, range: Range<usize>) -> Result<Inputs> {
        Inputs::upload(self.rasterizer, self.batch, self.cameras, self.settings, self.size, range)
    }

    fn before(&self, _: &mut Recorder<'_>, _: &Inputs) -> Result<()> {
        Ok(())
    }

    fn after(&self, _: &mut Recorder<'_>, _: &Inputs, _: &Returned) -> Result<()> {
        Ok(())
    }

    fn sources(&self, inputs: &Inputs, returned: &Returned) -> [(wgpu::Buffer, u64); READ] {
        self.gathered.sources(inputs, returned).map(|(buffer, bytes)| (buffer.clone(), bytes))
    }

    fn take(&mut self, i: usize, data: &[u8]) {
        self.gathered.take(i, data);
    }
}

/// Goals of all frames, on the device.
pub(super) struct Goals {
    scales: Vec<Scale>,
    wanted: Wanted,
}

impl Goals {
    /// Brings goals to the device.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when sizes disagree, [`crate::Error::DeviceLost`] when the device goes away.
    pub(super) fn bring(
        rasterizer: &GpuRasterizer,
        goals: &[Goal<'_>],
        weights: &Weights,
        size: [usize; 2],
    ) -> Result<Self> {
        check_goals(goals, goals.len(), size)?;
        let scales = scales(goals, weights, size);
        let wanted = Wanted::upload(&rasterizer.gpu, goals, &scales, weights)?;
        Ok(Goals { scales, wanted })
    }
}

fn scales(goals: &[Goal<'_>], weights: &Weights, size: [usize; 2]) -> Vec<Scale> {
    goals.par_iter().map(|g| Scale::of(g, weights, size, goals.len())).collect()
}

/// Draws, scores and goes back, some frames at a time; the terms of each frame, and radii where they are wanted. Of
/// `batch` only the shape counts.
#[expect(clippy::too_many_arguments, reason = "what a batch is, what it should be, and where things go")]
pub(super) fn score_all(
    rasterizer: &GpuRasterizer,
    batch: &SurfelBatch<'_>,
    cameras: &[Camera],
    size: [usize; 2],
    goals: &[Goal<'_>],
    weights: &Weights,
    staged: Option<Goals>,
    mut on_host: Option<OnHost<'_>>,
    ends: &mut dyn Ends,
    mut radii: Option<&mut Vec<u32>>,
) -> Result<Vec<Score>> {
    check_goals(goals, cameras.len(), size)?;
    let outputs = weights.outputs();
    let together = forward::frames_together(rasterizer, batch, cameras.len(), size, &outputs, true)?;
    // Those that were staged go together; where fewer frames do, they are brought again.
    let staged = staged.filter(|g| together >= cameras.len() && g.scales.len() == cameras.len());
    let (scales, mut staged) = match staged {
        Some(Goals { scales, wanted }) => (scales, Some(wanted)),
        None => (scales(goals, weights, size), None),
    };
    let mut scores = Vec::with_capacity(cameras.len());
    for first in (0..cameras.len()).step_by(together) {
        let range = first..(first + together).min(cameras.len());
        let start = Instant::now();
        let inputs = ends.inputs(range.clone())?;
        let wanted = match staged.take() {
            Some(wanted) => wanted,
            None => Wanted::upload(&rasterizer.gpu, &goals[range.clone()], &scales[range.clone()], weights)?,
        };
        if rasterizer.timing != Timing::Off {
            rasterizer.note_times(vec![("host: uploads", start.elapsed().as_secs_f64() * 1e3)]);
        }
        let mut room = forward::first_room(rasterizer, &inputs);
        loop {
            let step = Step { rasterizer, inputs: &inputs, outputs: &outputs, wanted: &wanted, room };
            let host = on_host.as_mut().map(|f| &mut **f as OnHost<'_>);
            let (work, sums) = step.attempt(ends, radii.as_deref_mut(), host)?;
            let Some(more) = forward::more_room(rasterizer, &inputs, room, &work)? else {
                let frames = scales[range].iter().zip(sums.by_frame(inputs.frames.len()));
                scores.extend(frames.map(|(scale, sums)| scale.score(weights, &sums)));
                break;
            };
            room = more;
            rasterizer.gpu.pool.trim();
        }
    }
    Ok(scores)
}

/// Frames that are drawn, scored and gone back through together, with room for `room` pairs.
struct Step<'a> {
    rasterizer: &'a GpuRasterizer,
    inputs: &'a Inputs,
    outputs: &'a Outputs,
    wanted: &'a Wanted,
    room: u64,
}

impl Step<'_> {
    /// Runs all stages once; gradients and radii are taken where there was room enough.
    fn attempt(
        &self,
        ends: &mut dyn Ends,
        mut radii: Option<&mut Vec<u32>>,
        on_host: Option<OnHost<'_>>,
    ) -> Result<(Work, Sums)> {
        let Step { rasterizer, inputs, outputs, wanted, room } = *self;
        let gpu = &rasterizer.gpu;
        let mut recorder = Recorder::new(gpu, rasterizer.timing);
        ends.before(&mut recorder, inputs)?;
        let drawn = forward::record(&mut recorder, rasterizer, inputs, outputs, room)?;
        let recorded = record(&mut recorder, gpu, inputs, outputs, wanted, &drawn.images)?;
        let mut added = None;
        if let Some(on_host) = on_host {
            let (work, pictures) = self.pictures(recorder, &drawn)?;
            if !work.fits(room) {
                return Ok((work, Sums::default()));
            }
            let mut gradient = vec![0.0; pictures.len()];
            on_host(inputs.frames.clone(), &pictures, &mut gradient)?;
            let buffer = gpu.upload(&[&gradient])?;
            recorder = Recorder::new(gpu, rasterizer.timing);
            let buffers: [(u32, &wgpu::Buffer); 3] =
                [(0, &recorded.constants), (1, &buffer), (2, &recorded.upstream.buffer)];
            let groups = (3 * inputs.pixels()).div_ceil(256);
            recorder.stage("add_color", Reduce::Threads, vec![], &buffers, groups)?;
            added = Some(buffer);
        }
        let buffers: [(u32, &wgpu::Buffer); 3] =
            [(0, &recorded.constants), (1, &wanted.rooms), (2, &recorded.upstream.buffer)];
        let groups = u64::from(wanted.room_count).div_ceil(256);
        recorder.stage("composite_background_backward", Reduce::Threads, vec![], &buffers, groups)?;
        let (kept, upstream) = (&drawn.kept, &recorded.upstream);
        let returned =
            backward::record(&mut recorder, rasterizer, inputs, kept, outputs, upstream, room as u32)?;
        ends.after(&mut recorder, inputs, &returned)?;
        let ends_read = ends.sources(inputs, &returned);
        let radii_bytes = if radii.is_some() { 4 * inputs.instances() } else { 0 };
        let mut sources = vec![
            (&*drawn.work, WORK_BYTES),
            (&*recorded.pixels, 4 * recorded.counts[0]),
            (&*recorded.similarities, 4 * recorded.counts[1]),
            (&*recorded.relief, 4 * recorded.counts[2]),
            (&*drawn.radii, radii_bytes),
        ];
        sources.extend(ends_read.iter().map(|(buffer, bytes)| (buffer, *bytes)));
        let (mut work, mut sums) = (Work::default(), Sums::default());
        let times = recorder.submit(&sources, |i, data| match i {
            0 => work = Work::of(data),
            _ if !work.fits(room) => {}
            1 => append(&mut sums.pixels, data),
            2 => append(&mut sums.similarities, data),
            3 => append(&mut sums.relief, data),
            4 => radii.iter_mut().for_each(|radii| append(radii, data)),
            _ => ends.take(i - 5, data),
        })?;
        drop(added);
        rasterizer.note_times(times);
        if work.fits(room) {
            ends.fetch()?;
        }
        Ok((work, sums))
    }

    /// Submits what is recorded and reads the pictures, laid over their rooms, where there was room enough for them.
    fn pictures(&self, recorder: Recorder<'_>, drawn: &Drawn) -> Result<(Work, Vec<f32>)> {
        let (mut work, mut pictures) = (Work::default(), Vec::new());
        // Colour comes first in the buffer of images.
        let sources = [(&*drawn.work, WORK_BYTES), (&*drawn.images, 12 * self.inputs.pixels())];
        let times = recorder.submit(&sources, |i, data| match i {
            0 => work = Work::of(data),
            _ if !work.fits(self.room) => {}
            _ => append(&mut pictures, data),
        })?;
        self.rasterizer.note_times(times);
        Ok((work, pictures))
    }
}

/// Gradients of the images and sums, once the stages have run.
struct Recorded {
    upstream: Upstream,
    pixels: Loan,
    similarities: Loan,
    relief: Loan,
    /// Numbers in the three.
    counts: [u64; 3],
    constants: Loan,
    /// Needed until the stages have run.
    _scratch: [Loan; 2],
}

/// Records the stages that score images which are drawn, but for what the room's pixels mean for alpha.
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
    recorder.stage("composite_background", any, vec![], &buffers, per_room)?;
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
    let buffers: [(u32, &wgpu::Buffer); 7] = [
        (0, &constants),
        (1, &wanted.goals),
        (2, &inputs.cameras),
        (3, images),
        (4, &upstream),
        (5, &slopes),
        (6, &relief),
    ];
    recorder.stage("normal_consistency", any, vec![], &buffers, relief_groups)?;
    let buffers: [(u32, &wgpu::Buffer); 5] =
        [(0, &constants), (1, &inputs.cameras), (2, images), (3, &slopes), (4, &upstream)];
    let per_pixel = if outputs.normal { pixels.div_ceil(PIXELS) } else { 0 };
    recorder.stage("normal_consistency_backward", any, vec![], &buffers, per_pixel)?;
    Ok(Recorded {
        upstream: Upstream { buffer: upstream, images: layout },
        pixels: sums,
        similarities,
        relief,
        counts: [SUMS as u64 * groups, patches, relief_groups],
        constants,
        _scratch: [partials, slopes],
    })
}
