//! The loss on the device: stages that compare drawn images with their targets and leave the images' gradients.

use super::backward::Upstream;
use super::inputs::Inputs;
use super::layout::{Images, Params};
use super::plan::channels;
use super::wanted::{SUMS, Scale, Sums, Wanted};
use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::buffers::{Loan, append};
use crate::gpu::kernels::Recorder;
use crate::gpu::shaders::Reduce;
use crate::raster::Outputs;
use crate::raster::score::{Goal, Score, Weights, check_goals};
use rayon::prelude::*;

/// Pixels that a workgroup of stage `score` sums up.
const PIXELS: u64 = 256;

/// The targets of some frames on the device, and how the loss is normalised in each.
pub struct Goals {
    scales: Vec<Scale>,
    wanted: Wanted,
}

impl Goals {
    /// Uploads the targets of a whole batch.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when sizes disagree, [`crate::Error::DeviceLost`] when the device goes away.
    pub fn upload(gpu: &Gpu, goals: &[Goal<'_>], weights: &Weights, size: [usize; 2]) -> Result<Self> {
        Self::of_part(gpu, goals, goals.len(), weights, size)
    }

    /// Uploads the targets of some frames of a batch of `frames` frames.
    ///
    /// # Errors
    /// As [`Goals::upload`].
    pub fn of_part(
        gpu: &Gpu,
        goals: &[Goal<'_>],
        frames: usize,
        weights: &Weights,
        size: [usize; 2],
    ) -> Result<Self> {
        check_goals(goals, goals.len(), size)?;
        let scales: Vec<Scale> = goals.par_iter().map(|g| Scale::of(g, weights, size, frames)).collect();
        let wanted = Wanted::upload(gpu, goals, &scales, weights)?;
        Ok(Goals { scales, wanted })
    }

    /// Frames there are targets for.
    pub fn frames(&self) -> usize {
        self.scales.len()
    }

    /// The terms of each frame from what the stages left.
    pub fn scores(&self, weights: &Weights, sums: &LossSums) -> Vec<Score> {
        let sums = sums.0.by_frame(self.frames());
        self.scales.iter().zip(sums).map(|(scale, sums)| scale.score(weights, &sums)).collect()
    }
}

/// What the stages summed up, as it is read back.
#[derive(Default)]
pub struct LossSums(Sums);

impl LossSums {
    /// Takes the bytes of source `i` of [`Recorded::sources`].
    pub fn take(&mut self, i: usize, data: &[u8]) {
        let Sums { pixels, similarities, relief } = &mut self.0;
        append([pixels, similarities, relief][i], data);
    }
}

/// Gradients of the images and sums, once the stages have run.
pub struct Recorded {
    /// Gradients of the images.
    pub upstream: Upstream,
    pixels: Loan,
    similarities: Loan,
    relief: Loan,
    /// Numbers in the three.
    counts: [u64; 3],
    constants: Loan,
    /// Needed until the stages have run.
    _scratch: [Loan; 2],
}

impl Recorded {
    /// Buffers to read back, with their bytes.
    pub fn sources(&self) -> [(&wgpu::Buffer, u64); 3] {
        let [pixels, similarities, relief] = self.counts.map(|count| 4 * count);
        [(&self.pixels, pixels), (&self.similarities, similarities), (&self.relief, relief)]
    }

    /// Records the addition of a gradient of the colours, `[frames, 3, rows, columns]`.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the shader is missing.
    pub fn add_color(
        &self,
        recorder: &mut Recorder<'_>,
        inputs: &Inputs,
        gradient: &wgpu::Buffer,
    ) -> Result<()> {
        let buffers: [(u32, &wgpu::Buffer); 3] =
            [(0, &self.constants), (1, gradient), (2, &self.upstream.buffer)];
        recorder.stage("add_color", Reduce::Threads, vec![], &buffers, (3 * inputs.pixels()).div_ceil(256))
    }

    /// Records what the gradient of the colours means for alpha where the background is known. Comes last.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the shader is missing.
    pub fn add_alpha(&self, recorder: &mut Recorder<'_>, goals: &Goals) -> Result<()> {
        let buffers: [(u32, &wgpu::Buffer); 3] =
            [(0, &self.constants), (1, &goals.wanted.rooms), (2, &self.upstream.buffer)];
        let groups = u64::from(goals.wanted.room_count).div_ceil(256);
        recorder.stage("composite_background_backward", Reduce::Threads, vec![], &buffers, groups)
    }
}

/// Records the stages that compare `images`, which were drawn, with their targets. [`Recorded::add_alpha`] is still to come.
///
/// # Errors
/// [`crate::Error::Internal`] when a shader is missing.
pub fn record(
    recorder: &mut Recorder<'_>,
    gpu: &Gpu,
    inputs: &Inputs,
    outputs: &Outputs,
    goals: &Goals,
    images: &Loan,
) -> Result<Recorded> {
    let wanted = &goals.wanted;
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
