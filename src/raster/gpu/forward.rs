//! The stages of the forward pass, recorded and read back.

use super::GpuRasterizer;
use super::inputs::{BatchShape, Inputs};
use super::layout::{Images, Params};
use super::plan::{Counts, SIDE_MAX, channels, software_list_max};
use crate::gpu::Gpu;
use crate::gpu::shaders::Reduce;
use crate::gpu::{Constants, Recorder};
use crate::gpu::{PooledBuffer, append, size_class};
use crate::raster::{Outputs, RasterSettings, Rendered, SurfelBatch};
use crate::{Camera, Error, Result};
use std::ops::Range;

/// What the backward pass needs of the forward pass.
pub struct ForwardState {
    pub(super) splats: PooledBuffer,
    pub(super) seen: PooledBuffer,
    pub(super) ranges: PooledBuffer,
    pub(super) lists: PooledBuffer,
    pub(super) saved: PooledBuffer,
    /// Blocks of pixels on which each pair was drawn.
    pub(super) drawn: PooledBuffer,
}

/// What the stages leave on the device.
pub struct Drawn {
    /// For the backward pass.
    pub state: ForwardState,
    /// Images, one after another, all frames of each.
    pub images: PooledBuffer,
    /// Screen radius of each surfel in pixels, `[frames, surfels]`.
    pub radii: PooledBuffer,
    /// The device's [`Work`].
    pub work: PooledBuffer,
    /// Needed until the stages have run: another thread must not get them before they are submitted.
    pub scratch: [PooledBuffer; 3],
}

/// Bytes of what `project` finds out about an instance.
const SPLAT_BYTES: u64 = 112;
const SEEN_BYTES: u64 = 16;
/// Bytes of a tile's range.
const RANGE_BYTES: u64 = 12;
/// Instances of a block, for which one workgroup counts.
const BLOCK: u64 = 256;
/// Bytes of the device's `Work`.
pub const WORK_BYTES: u64 = 12;

/// How many frames go through the stages together.
///
/// # Errors
/// [`Error::Input`] when the images are too large, or not even one frame fits.
pub fn frames_together(
    rasterizer: &GpuRasterizer,
    shape: &BatchShape,
    frames: usize,
    [width, height]: [usize; 2],
    outputs: &Outputs,
    scored: bool,
) -> Result<usize> {
    if width > SIDE_MAX || height > SIDE_MAX {
        return Err(Error::input(
            "the size of the images",
            format!("at most {SIDE_MAX} pixels a side on a GPU"),
            format!("{width} × {height}"),
            "use smaller images, or --device cpu",
        ));
    }
    let counts = Counts {
        surfels: shape.surfels as u64,
        frames: frames as u64,
        own_copies: shape.copies > 1,
        pixels: (width * height) as u64,
        color_width: shape.color_width() as u64,
        surfel_width: 14,
        channels: channels(&Images::drawn(outputs)),
        scored,
    };
    counts.frames_together(&rasterizer.gpu)
}

/// Draws every camera, some frames at a time.
pub(super) fn forward(
    rasterizer: &GpuRasterizer,
    batch: &SurfelBatch<'_, f32>,
    cameras: &[Camera],
    settings: &RasterSettings<f32>,
    size: [usize; 2],
) -> Result<Rendered<f32>> {
    let (frames, outputs) = (cameras.len(), &settings.outputs);
    let mut rendered = Rendered { frames, width: size[0], height: size[1], ..Rendered::default() };
    if size[0] * size[1] == 0 || frames == 0 {
        rendered.radii = vec![0; frames * batch.surfels];
        return Ok(rendered);
    }
    let together = frames_together(rasterizer, &BatchShape::from(batch), frames, size, outputs, false)?;
    for first in (0..frames).step_by(together) {
        let range = first..(first + together).min(frames);
        let inputs = Inputs::upload(rasterizer, batch, cameras, settings, size, range)?;
        let mut capacity = initial_capacity(rasterizer, &inputs);
        loop {
            let mut recorder = rasterizer.recorder();
            let drawn = record(&mut recorder, rasterizer, &inputs, outputs, capacity)?;
            let work = drawn.read(recorder, rasterizer, &inputs, outputs, capacity, &mut rendered)?;
            match grow_capacity(rasterizer, &inputs, capacity, &work)? {
                None => break,
                Some(more) => capacity = more,
            }
        }
    }
    Ok(rendered)
}

/// The device's `Work`: pairs wanted, pairs, those of the longest list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Work {
    wanted: u32,
    /// Pairs of a surfel and a tile.
    pub pairs: u32,
    /// Those of the tile that has most.
    pub longest: u32,
}

impl Work {
    /// From the bytes that were read back.
    pub fn of(data: &[u8]) -> Self {
        let (words, _) = data.as_chunks::<4>();
        let word = |i: usize| words.get(i).map_or(0, |b| u32::from_le_bytes(*b));
        Work { wanted: word(0), pairs: word(1), longest: word(2) }
    }

    /// Whether there was room for all pairs.
    pub fn fits(&self, capacity: u64) -> bool {
        u64::from(self.wanted) <= capacity
    }
}

/// Capacity for pairs of the first attempt.
pub fn initial_capacity(rasterizer: &GpuRasterizer, inputs: &Inputs) -> u64 {
    rasterizer.expected_pairs(inputs.instances()).min(rasterizer.gpu.binding_limit() / 64 * 7)
}

/// Capacity for the next attempt, or nothing where `capacity` was enough.
///
/// # Errors
/// [`Error::Input`] when the adapter has no such capacity, or a software adapter would cut a tile short.
pub fn grow_capacity(
    rasterizer: &GpuRasterizer,
    inputs: &Inputs,
    capacity: u64,
    work: &Work,
) -> Result<Option<u64>> {
    let gpu = &rasterizer.gpu;
    let wanted = u64::from(work.wanted);
    rasterizer.note_pairs(inputs.instances(), wanted);
    if work.fits(capacity) {
        // That of a browser is not Mesa's.
        let cuts_short = gpu.is_software() && !cfg!(target_arch = "wasm32");
        let allowed = if cuts_short { software_list_max(gpu) } else { u32::MAX };
        if work.longest > allowed {
            return Err(Error::input(
                gpu.name(),
                format!("at most {allowed} surfels on one tile, more than which it would leave out"),
                work.longest.to_string(),
                "use --device cpu",
            ));
        }
        return Ok(None);
    }
    let more = wanted + wanted / 8;
    let limit = gpu.binding_limit() / 8;
    if size_class(8 * more) > 8 * limit {
        return Err(Error::input(
            format!("the memory of {}", gpu.name()),
            format!("at most {limit} pairs of a surfel and a tile"),
            format!("{wanted} in {} frames together", inputs.frames.len()),
            "use fewer surfels (--max_points), a smaller --batch_size or smaller images",
        ));
    }
    // The buffers that were too small make room.
    gpu.pool.trim();
    Ok(Some(more))
}

impl Drawn {
    /// What is read back of a drawing: the device's [`Work`], the radii, all images.
    pub fn sources(&self, inputs: &Inputs, outputs: &Outputs) -> [(&wgpu::Buffer, Range<u64>); 3] {
        [
            (&self.work, 0..WORK_BYTES),
            (&self.radii, 0..4 * inputs.instances()),
            (&self.images, 0..4 * channels(&Images::drawn(outputs)) * inputs.pixels()),
        ]
    }

    /// Submits a recording that draws, and adds its images to `rendered` where there was room for all pairs.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when the device goes away.
    pub fn read(
        &self,
        recorder: Recorder<'_>,
        rasterizer: &GpuRasterizer,
        inputs: &Inputs,
        outputs: &Outputs,
        capacity: u64,
        rendered: &mut Rendered<f32>,
    ) -> Result<Work> {
        let images = Images::drawn(outputs);
        let mut work = Work::default();
        let sources: [(&wgpu::Buffer, u64); 3] = [
            (&self.work, WORK_BYTES),
            (&self.radii, 4 * inputs.instances()),
            (&self.images, 4 * channels(&images) * inputs.pixels()),
        ];
        let times = recorder.submit_and_read(&sources, |i, data| match i {
            0 => work = Work::of(data),
            _ if !work.fits(capacity) => {}
            1 => append(&mut rendered.radii, data),
            _ => append_images(rendered, outputs, inputs.frames.len(), data),
        })?;
        rasterizer.note_times(times);
        Ok(work)
    }
}

/// Records the stages, for at most `capacity` pairs; where there are more, nothing is drawn.
///
/// # Errors
/// [`crate::Error::Internal`] when a shader is missing.
pub fn record(
    recorder: &mut Recorder<'_>,
    rasterizer: &GpuRasterizer,
    inputs: &Inputs,
    outputs: &Outputs,
    capacity: u64,
) -> Result<Drawn> {
    let gpu = &rasterizer.gpu;
    let (instances, tiles, pixels) = (inputs.instances(), inputs.tiles(), inputs.pixels());
    let params = Params { pairs_max: capacity as u32, ..inputs.params };
    let constants = gpu.uniform(&params.words());
    let splats = gpu.storage(SPLAT_BYTES * instances);
    let seen = gpu.storage(SEEN_BYTES * instances);
    let radii = gpu.storage(4 * instances);
    let counts = gpu.storage(4 * (tiles + instances.div_ceil(BLOCK)));
    let work = gpu.storage(WORK_BYTES);
    let ranges = gpu.storage(RANGE_BYTES * tiles);
    let keys = gpu.storage(8 * capacity);
    let lists = gpu.storage(4 * capacity);
    let images = gpu.storage(4 * channels(&Images::drawn(outputs)) * pixels);
    let saved = gpu.storage(4 * saved_planes(outputs) * pixels);
    // A byte a pair, in words of 32 places for each of 8 blocks; each tile starts new words.
    let drawn = gpu.storage(capacity + 32 * (tiles + 1));

    let any = Reduce::Threads;
    let per_instance = instances.div_ceil(BLOCK);
    recorder.clear(&counts, 4 * tiles);
    recorder.stage(
        "project",
        any,
        vec![],
        &[
            (0, &constants),
            (1, &inputs.cameras),
            (2, &inputs.surfels),
            (3, &inputs.colors),
            (4, &splats),
            (5, &seen),
            (6, &radii),
            (7, &counts),
        ],
        per_instance,
    )?;
    let buffers: [(u32, &wgpu::Buffer); 4] = [(0, &constants), (1, &counts), (2, &ranges), (3, &work)];
    recorder.stage("prefix_sum", any, vec![], &buffers, 1)?;
    let buffers: [(u32, &wgpu::Buffer); 4] = [(0, &constants), (1, &seen), (2, &counts), (3, &keys)];
    recorder.stage("emit_pairs", any, vec![], &buffers, per_instance)?;
    let buffers: [(u32, &wgpu::Buffer); 4] = [(0, &constants), (1, &ranges), (2, &keys), (3, &lists)];
    recorder.stage("sort_tiles", any, vec![("CAPACITY", sort_capacity(gpu, inputs))], &buffers, tiles)?;
    recorder.stage(
        "blend",
        any,
        permutation(outputs),
        &[(0, &constants), (1, &ranges), (2, &lists), (3, &splats), (4, &images), (5, &saved), (6, &drawn)],
        tiles,
    )?;
    let state = ForwardState { splats, seen, ranges, lists, saved, drawn };
    Ok(Drawn { state, images, radii, work, scratch: [constants, keys, counts] })
}

/// Pairs that a workgroup sorts in its own memory, with nine places of eight bytes for eight of them. A batch keeps
/// the device full and is sorted faster with less memory a workgroup, a few frames when the longest lists need no merge.
fn sort_capacity(gpu: &Gpu, inputs: &Inputs) -> u32 {
    let most = gpu.limits.max_compute_workgroup_storage_size / 9;
    if most >= 2048 && inputs.frames.len() < 4 { 2048 } else { 1024 }
}

/// Planes of the state that the backward pass needs.
fn saved_planes(outputs: &Outputs) -> u64 {
    match outputs {
        Outputs { distortion: true, .. } => 6,
        Outputs { median: true, .. } => 3,
        _ => 2,
    }
}

/// Constants of the shader `blend`.
fn permutation(outputs: &Outputs) -> Constants {
    let Outputs { attention, depth, median, normal, distortion } = *outputs;
    vec![
        ("ATTENTION", attention.into()),
        ("DEPTH", depth.into()),
        ("MEDIAN", median.into()),
        ("NORMAL", normal.into()),
        ("DISTORTION", distortion.into()),
    ]
}

/// Adds the images of `frames` frames to those of the frames before them.
pub fn append_images(rendered: &mut Rendered<f32>, outputs: &Outputs, frames: usize, data: &[u8]) {
    let plane = 4 * rendered.width * rendered.height * frames;
    let targets = [
        &mut rendered.color,
        &mut rendered.attention,
        &mut rendered.alpha,
        &mut rendered.depth,
        &mut rendered.median,
        &mut rendered.normal,
        &mut rendered.distortion,
    ];
    let mut rest = data;
    for (target, channels) in targets.into_iter().zip(Images::drawn(outputs).channels) {
        let (here, after) = rest.split_at(channels as usize * plane);
        append(target, here);
        rest = after;
    }
}
