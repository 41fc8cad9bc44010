//! The stages of the forward pass, recorded and read back.

use super::GpuRasterizer;
use super::backward::software_list_max;
use super::layout::{CameraWords, Images, Params};
use super::plan::{Counts, SIDE_MAX, binding_limit, channels};
use crate::gpu::buffers::{Loan, size_class};
use crate::gpu::kernels::{Constants, Groups, Recorder, groups_of};
use crate::gpu::shaders::Reduce;
use crate::gpu::sort::{Length, sort};
use crate::raster::constants::TILE;
use crate::raster::{Colors, Outputs, RasterSettings, Rendered, SurfelBatch};
use crate::{Camera, Error, Result};
use std::ops::Range;

/// Frames that went through the stages together, and what the backward pass needs of them.
pub(super) struct Group {
    /// Which frames of the batch.
    pub(super) frames: Range<usize>,
    pub(super) params: Params,
    pub(super) cameras: Loan,
    pub(super) surfels: Loan,
    pub(super) colors: Loan,
    pub(super) splats: Loan,
    pub(super) channels: Loan,
    pub(super) rects: Loan,
    pub(super) first_pairs: Loan,
    pub(super) ranges: Loan,
    pub(super) pairs: Loan,
    pub(super) saved: Loan,
    /// Pairs there are.
    pub(super) pair_count: u32,
}

/// Words of the device's `Work`.
const WORK_WORDS: usize = 8;
/// Byte at which it holds the workgroups of stages over pairs.
const PAIR_GROUPS: u64 = 20;

/// Draws every camera, some frames at a time.
pub(super) fn forward(
    rasterizer: &GpuRasterizer,
    batch: &SurfelBatch<'_, f32>,
    cameras: &[Camera],
    settings: &RasterSettings<f32>,
    size: [usize; 2],
) -> Result<(Rendered<f32>, Vec<Group>)> {
    let [width, height] = size;
    if width > SIDE_MAX || height > SIDE_MAX {
        return Err(Error::input(
            "the size of the images",
            format!("at most {SIDE_MAX} pixels a side on a GPU"),
            format!("{width} × {height}"),
            "use smaller images, or --device cpu",
        ));
    }
    let images = Images::drawn(&settings.outputs);
    let (frames, pixels) = (cameras.len(), width * height);
    let image = |channels: u32| vec![0.0; frames * channels as usize * pixels];
    let [color, attention, alpha, depth, median, normal, distortion] = images.channels.map(image);
    let mut rendered = Rendered {
        frames,
        width,
        height,
        color,
        attention,
        alpha,
        depth,
        median,
        normal,
        distortion,
        radii: vec![0; frames * batch.surfels],
        state: Box::new(()),
    };
    let mut groups = Vec::new();
    if pixels == 0 || frames == 0 {
        return Ok((rendered, groups));
    }
    let counts = Counts {
        surfels: batch.surfels as u64,
        frames: frames as u64,
        own_copies: batch.copies > 1,
        pixels: pixels as u64,
        color_width: batch.colors.width() as u64,
        surfel_width: 14,
        channels: channels(&images),
    };
    let together = counts.frames_together(&rasterizer.gpu)?;
    for first in (0..frames).step_by(together) {
        let range = first..(first + together).min(frames);
        groups.push(draw(rasterizer, batch, cameras, settings, range, &mut rendered)?);
    }
    Ok((rendered, groups))
}

/// Draws the frames `range`, again with more room where the pairs did not fit.
fn draw(
    rasterizer: &GpuRasterizer,
    batch: &SurfelBatch<'_, f32>,
    cameras: &[Camera],
    settings: &RasterSettings<f32>,
    range: Range<usize>,
    rendered: &mut Rendered<f32>,
) -> Result<Group> {
    let instances = (batch.surfels * range.len()) as u64;
    let limit = binding_limit(&rasterizer.gpu) / 8;
    let mut room = rasterizer.expected_pairs(instances).min(limit / 8 * 7);
    loop {
        let (group, wanted) = attempt(rasterizer, batch, cameras, settings, range.clone(), room, rendered)?;
        rasterizer.note_pairs(instances, u64::from(wanted));
        if u64::from(wanted) <= room {
            return Ok(group);
        }
        room = u64::from(wanted) + u64::from(wanted) / 8;
        if size_class(8 * room) > 8 * limit {
            return Err(Error::input(
                format!("the memory of {}", rasterizer.gpu.name()),
                format!("at most {limit} pairs of a surfel and a tile"),
                format!("{wanted} in {} frames together", range.len()),
                "use fewer surfels (--max_points), a smaller --batch_size or smaller images",
            ));
        }
        drop(group);
        rasterizer.gpu.pool.trim();
    }
}

/// Runs the stages once, with room for `room` pairs; also how many pairs there should have been.
fn attempt(
    rasterizer: &GpuRasterizer,
    batch: &SurfelBatch<'_, f32>,
    cameras: &[Camera],
    settings: &RasterSettings<f32>,
    range: Range<usize>,
    room: u64,
    rendered: &mut Rendered<f32>,
) -> Result<(Group, u32)> {
    let gpu = &rasterizer.gpu;
    let outputs = &settings.outputs;
    let images = Images::drawn(outputs);
    let params = params(batch, settings, range.len(), [rendered.width, rendered.height], room as u32);
    let instances = u64::from(params.instances);
    let pixels = u64::from(params.frames * params.width * params.height);
    let tiles = u64::from(params.frames * params.tiles_x * params.tiles_y);

    let constants = gpu.uniform(&params.words());
    let camera_words: Vec<f32> =
        cameras[range.clone()].iter().flat_map(|c| CameraWords::new(c).words()).map(f32::from_bits).collect();
    let device_cameras = gpu.upload(&[&camera_words]);
    let (surfels, colors) = upload(rasterizer, batch, outputs, range.clone());
    let splats = gpu.storage(64 * instances);
    let splat_channels = gpu.storage(64 * instances);
    let depths = [gpu.storage(8 * instances), gpu.storage(8 * instances)];
    let rects = gpu.storage(8 * instances);
    let radii = gpu.storage(4 * instances);
    let blocks = gpu.storage(4 * instances.div_ceil(256));
    let work = gpu.storage(4 * WORK_WORDS as u64);
    let keys = [gpu.storage(8 * room), gpu.storage(8 * room)];
    let pair_instances = gpu.storage(4 * room);
    let first_pairs = gpu.storage(4 * instances);
    let ranges = gpu.storage(8 * tiles);
    let pairs = gpu.storage(8 * room);
    let image_bytes = 4 * channels(&images) * pixels;
    let image_buffer = gpu.storage(image_bytes);
    let saved = gpu.storage(4 * saved_planes(outputs) * pixels);

    let mut recorder = Recorder::new(gpu, rasterizer.times.is_some());
    let mut keep = Vec::new();
    let any = Reduce::Threads;
    recorder.clear(&work, 4 * WORK_WORDS as u64);
    recorder.clear(&ranges, 8 * tiles);
    let per_instance = groups_of(instances, 256);
    recorder.stage(
        "project",
        any,
        vec![],
        &[
            (0, &constants),
            (1, &device_cameras),
            (2, &surfels),
            (3, &colors),
            (4, &splats),
            (5, &splat_channels),
            (6, &depths[0]),
            (7, &rects),
            (8, &radii),
        ],
        per_instance,
    )?;
    let order = sort(&mut recorder, gpu, depths, 32, Length::Known(params.instances), &work, &mut keep)?;
    let [order, _spare] = &order;
    let buffers: [(u32, &wgpu::Buffer); 4] = [(0, &constants), (1, order), (2, &rects), (3, &blocks)];
    recorder.stage("count_tiles", any, vec![], &buffers, per_instance)?;
    let buffers: [(u32, &wgpu::Buffer); 3] = [(0, &constants), (1, &blocks), (2, &work)];
    recorder.stage("prefix_sum", any, vec![], &buffers, Groups::Count(1))?;
    recorder.stage(
        "emit_pairs",
        any,
        vec![],
        &[
            (0, &constants),
            (1, order),
            (2, &rects),
            (3, &blocks),
            (4, &keys[0]),
            (5, &pair_instances),
            (6, &first_pairs),
        ],
        per_instance,
    )?;
    let bits = u64::BITS - tiles.leading_zeros();
    let keys = sort(&mut recorder, gpu, keys, bits, Length::Counted(params.pairs_max), &work, &mut keep)?;
    recorder.stage(
        "tile_ranges",
        any,
        vec![],
        &[(0, &work), (1, &keys[0]), (2, &pair_instances), (3, &ranges), (4, &pairs)],
        Groups::Indirect(&work, PAIR_GROUPS),
    )?;
    recorder.stage(
        "blend",
        any,
        permutation(outputs),
        &[
            (0, &constants),
            (1, &ranges),
            (2, &pairs),
            (3, &splats),
            (4, &splat_channels),
            (5, &image_buffer),
            (6, &saved),
        ],
        Groups::Count(tiles),
    )?;
    let mut work_words = [0_u32; WORK_WORDS];
    let range_bytes = if gpu.is_software() { 8 * tiles } else { 0 };
    let sources: [(&wgpu::Buffer, u64); 4] = [
        (&work, 4 * WORK_WORDS as u64),
        (&radii, 4 * instances),
        (&ranges, range_bytes),
        (&image_buffer, image_bytes),
    ];
    let mut longest = 0;
    let times = recorder.submit(&sources, |i, data| match i {
        0 => bytemuck::cast_slice_mut(&mut work_words).copy_from_slice(data),
        1 => {
            let at = range.start * batch.surfels;
            let to = &mut rendered.radii[at..at + params.instances as usize];
            bytemuck::cast_slice_mut(to).copy_from_slice(data);
        }
        2 => {
            let word = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            longest = data.chunks_exact(8).map(|r| word(&r[4..]) - word(r)).max().unwrap_or(0);
        }
        _ => write_images(rendered, &images, &range, data),
    })?;
    let longest_allowed = if gpu.is_software() { software_list_max(gpu) } else { u32::MAX };
    if longest > longest_allowed {
        return Err(Error::input(
            gpu.name(),
            format!("at most {longest_allowed} surfels on one tile, more than which it would leave out"),
            longest.to_string(),
            "use --device cpu",
        ));
    }
    rasterizer.note_times(times);
    let group = Group {
        frames: range,
        params,
        cameras: device_cameras,
        surfels,
        colors,
        splats,
        channels: splat_channels,
        rects,
        first_pairs,
        ranges,
        pairs,
        saved,
        pair_count: work_words[1],
    };
    Ok((group, work_words[0]))
}

/// What holds for a group of frames.
fn params(
    batch: &SurfelBatch<'_, f32>,
    settings: &RasterSettings<f32>,
    frames: usize,
    [width, height]: [usize; 2],
    room: u32,
) -> Params {
    let [b0, b1, b2, b3, b4, b5, b6] = settings.background;
    let mut params = Params {
        surfels: batch.surfels as u32,
        frames: frames as u32,
        copies: if batch.copies > 1 { frames as u32 } else { 1 },
        instances: (batch.surfels * frames) as u32,
        width: width as u32,
        height: height as u32,
        tiles_x: width.div_ceil(TILE) as u32,
        tiles_y: height.div_ceil(TILE) as u32,
        functions: match batch.colors {
            Colors::Ready(_) => 0,
            Colors::Harmonics { degree, .. } => ((degree + 1) * (degree + 1)) as u32,
        },
        attention: u32::from(settings.outputs.attention),
        pairs_max: room,
        background_0: b0,
        background_1: b1,
        background_2: b2,
        background_3: b3,
        background_4: b4,
        background_5: b5,
        background_6: b6,
        ..Params::default()
    };
    Images::drawn(&settings.outputs).place(&mut params, (frames * width * height) as u32);
    params
}

/// The surfels of the copies that the frames `range` draw: parameters, and colours.
fn upload(
    rasterizer: &GpuRasterizer,
    batch: &SurfelBatch<'_, f32>,
    outputs: &Outputs,
    range: Range<usize>,
) -> (Loan, Loan) {
    let copies = if batch.copies > 1 { range } else { 0..1 };
    let part = |width: usize| copies.start * batch.surfels * width..copies.end * batch.surfels * width;
    let attention = batch.attention.filter(|_| outputs.attention).map_or(&[] as &[f32], |a| &a[part(4)]);
    let surfels = rasterizer.gpu.upload(&[
        &batch.positions[part(3)],
        &batch.rotations[part(4)],
        &batch.scales[part(2)],
        &batch.opacities[part(1)],
        attention,
    ]);
    let colors = match batch.colors {
        Colors::Ready(values) => values,
        Colors::Harmonics { coefficients, .. } => coefficients,
    };
    (surfels, rasterizer.gpu.upload(&[&colors[part(batch.colors.width())]]))
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

/// Copies what was read back to where the frames `range` belong.
fn write_images(rendered: &mut Rendered<f32>, images: &Images, range: &Range<usize>, data: &[u8]) {
    let pixels = rendered.width * rendered.height;
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
    for (target, channels) in targets.into_iter().zip(images.channels) {
        let plane = channels as usize * pixels;
        let (here, after) = rest.split_at(4 * plane * range.len());
        bytemuck::cast_slice_mut(&mut target[plane * range.start..plane * range.end]).copy_from_slice(here);
        rest = after;
    }
}
