//! The stages of the backward pass, recorded and read back.

use super::GpuRasterizer;
use super::forward::Group;
use super::layout::{Images, Params};
use super::plan::binding_limit;
use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::kernels::{Constants, Groups, Recorder, groups_of};
use crate::gpu::shaders::Reduce;
use crate::raster::{ImageGradients, RasterSettings, SurfelBatch, SurfelGradients};

/// Bytes of workgroup memory beside the sums of a batch of splats.
const BESIDE_SUMS: u32 = 2560;
/// Bytes of one subgroup's sums of one splat.
const SUM_BYTES: u32 = 100;
/// Splats of one batch that are staged.
const STAGED: u32 = 16;
/// Threads of a tile.
const THREADS: u32 = 256;

/// Gradients of a batch, group after group.
pub(super) fn backward(
    rasterizer: &GpuRasterizer,
    batch: &SurfelBatch<'_, f32>,
    groups: &[Group],
    settings: &RasterSettings<f32>,
    gradients: &ImageGradients<f32>,
) -> Result<SurfelGradients<f32>> {
    let surfels = batch.copies * batch.surfels;
    let frames: usize = groups.iter().map(|g| g.frames.len()).sum();
    let zeros = |width: usize| vec![0.0; surfels * width];
    let mut out = SurfelGradients {
        positions: zeros(3),
        rotations: zeros(4),
        scales: zeros(2),
        opacities: zeros(1),
        colors: zeros(batch.colors.width()),
        attention: zeros(if settings.outputs.attention { 4 } else { 0 }),
        screen: vec![0.0; frames * batch.surfels * 2],
    };
    if surfels > 0 {
        for group in groups {
            go_back(rasterizer, batch, group, settings, gradients, &mut out)?;
        }
    }
    Ok(out)
}

fn go_back(
    rasterizer: &GpuRasterizer,
    batch: &SurfelBatch<'_, f32>,
    group: &Group,
    settings: &RasterSettings<f32>,
    gradients: &ImageGradients<f32>,
    out: &mut SurfelGradients<f32>,
) -> Result<()> {
    let gpu = &rasterizer.gpu;
    let geometry = [&gradients.depth, &gradients.median, &gradients.normal, &gradients.distortion]
        .iter()
        .any(|image| !image.is_empty());
    let slot_width = 12 + if settings.outputs.attention { 7 } else { 3 } + if geometry { 6 } else { 0 };
    let mut params = Params { slot_width, ..group.params };
    let frame_pixels = (params.width * params.height) as usize;
    let images = Images::with_gradients(gradients);
    let pixels = params.frames * params.width * params.height;
    images.place(&mut params, pixels);
    let slices = [
        &gradients.color,
        &gradients.attention,
        &gradients.alpha,
        &gradients.depth,
        &gradients.median,
        &gradients.normal,
        &gradients.distortion,
    ];
    let parts: Vec<&[f32]> = slices
        .iter()
        .zip(images.channels)
        .map(|(values, channels)| {
            let plane = channels as usize * frame_pixels;
            &values[plane * group.frames.start..plane * group.frames.end]
        })
        .collect();
    let upstream = gpu.upload(&parts);

    // Pairs whose gradients are held at once; more go through in several sections.
    let slot_bytes = 4 * u64::from(slot_width);
    let section = (binding_limit(gpu) / 8 * 7 / slot_bytes).min(u64::from(group.pair_count).max(1));
    let instances = u64::from(params.instances);
    let inputs = u64::from(params.copies * params.surfels);
    let input_bytes = 4 * 14 * inputs;
    let color_bytes = 4 * batch.colors.width() as u64 * inputs;
    let slots = gpu.storage(slot_bytes * section);
    let sums = gpu.storage(slot_bytes * instances);
    let input_gradients = gpu.storage(input_bytes);
    let color_gradients = gpu.storage(color_bytes);
    let screen = gpu.storage(8 * instances);

    let mut recorder = Recorder::new(gpu, rasterizer.times.is_some());
    let mut keep = Vec::new();
    recorder.clear(&sums, slot_bytes * instances);
    recorder.clear(&color_gradients, color_bytes);
    recorder.clear(&screen, 8 * instances);
    let (any, reduce) = (Reduce::Threads, rasterizer.reduce());
    let permutation = permutation(rasterizer, settings, gradients, geometry);
    let tiles = u64::from(params.frames * params.tiles_x * params.tiles_y);
    for first in (0..u64::from(group.pair_count)).step_by(section as usize) {
        let count = section.min(u64::from(group.pair_count) - first);
        let section = Params { slot_first: first as u32, slot_count: count as u32, ..params };
        let constants = gpu.uniform(&section.words());
        recorder.clear(&slots, slot_bytes * count);
        recorder.stage(
            "blend_backward",
            reduce,
            permutation.clone(),
            &[
                (0, &constants),
                (1, &group.ranges),
                (2, &group.pairs),
                (3, &group.splats),
                (4, &group.channels),
                (5, &group.saved),
                (6, &upstream),
                (7, &slots),
            ],
            Groups::Count(tiles),
        )?;
        recorder.stage(
            "sum_pairs",
            any,
            vec![],
            &[(0, &constants), (1, &group.rects), (2, &group.first_pairs), (3, &slots), (4, &sums)],
            groups_of(instances * u64::from(slot_width), 256),
        )?;
        keep.push(constants);
    }
    let constants = gpu.uniform(&params.words());
    recorder.stage(
        "project_backward",
        any,
        vec![],
        &[
            (0, &constants),
            (1, &group.cameras),
            (2, &group.surfels),
            (3, &group.colors),
            (4, &group.rects),
            (5, &sums),
            (6, &input_gradients),
            (7, &color_gradients),
            (8, &screen),
        ],
        groups_of(inputs, 256),
    )?;
    let sources: [(&wgpu::Buffer, u64); 3] =
        [(&input_gradients, input_bytes), (&color_gradients, color_bytes), (&screen, 8 * instances)];
    // The first copy that this group draws; one copy is shared by all groups.
    let first_copy = if batch.copies > 1 { group.frames.start } else { 0 } * batch.surfels;
    let inputs = inputs as usize;
    let times = recorder.submit(&sources, |i, data| match i {
        0 => {
            let mut rest = data;
            for (target, width) in [
                (&mut out.positions, 3),
                (&mut out.rotations, 4),
                (&mut out.scales, 2),
                (&mut out.opacities, 1),
                (&mut out.attention, if settings.outputs.attention { 4 } else { 0 }),
            ] {
                let (here, after) = rest.split_at(4 * width * inputs);
                add(&mut target[first_copy * width..(first_copy + inputs) * width], here);
                rest = after;
            }
        }
        1 => {
            let width = batch.colors.width();
            add(&mut out.colors[first_copy * width..(first_copy + inputs) * width], data);
        }
        _ => {
            let at = 2 * group.frames.start * batch.surfels;
            add(&mut out.screen[at..at + 2 * instances as usize], data);
        }
    })?;
    rasterizer.note_times(times);
    Ok(())
}

/// Adds little-endian numbers to `to`.
fn add(to: &mut [f32], data: &[u8]) {
    for (to, bytes) in to.iter_mut().zip(data.chunks_exact(4)) {
        *to += f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
}

/// Subgroups of a tile, and splats of one batch.
fn batches(gpu: &Gpu) -> (u32, u32) {
    match gpu.subgroup {
        Some(least) => {
            let subgroups = THREADS / least;
            let memory = gpu.limits.max_compute_workgroup_storage_size - BESIDE_SUMS;
            (subgroups, (memory / SUM_BYTES / subgroups).clamp(1, STAGED))
        }
        None => (1, STAGED),
    }
}

/// Surfels of one tile that a software adapter goes back through: Mesa's ends a shader after 65,535 turns of its loops,
/// all counted together, without a word.
pub(super) fn software_list_max(gpu: &Gpu) -> u32 {
    const TURNS: u32 = 65_535;
    let (_, batch) = batches(gpu);
    match gpu.subgroup {
        // Each loop has a last turn that leaves it.
        Some(_) => TURNS / (batch + 2) * batch,
        // Turns of the sums that are taken with barriers alone.
        None => TURNS / 220,
    }
}

/// Constants of the shader `blend_backward`.
fn permutation(
    rasterizer: &GpuRasterizer,
    settings: &RasterSettings<f32>,
    gradients: &ImageGradients<f32>,
    geometry: bool,
) -> Constants {
    let outputs = &settings.outputs;
    let (subgroups, batch) = batches(&rasterizer.gpu);
    vec![
        ("ATTENTION", outputs.attention.into()),
        ("GEOMETRY", geometry.into()),
        ("MEDIAN", (!gradients.median.is_empty()).into()),
        ("DISTORTION", (!gradients.distortion.is_empty()).into()),
        ("SUBGROUPS", subgroups),
        ("BATCH", batch),
    ]
}
