//! The stages of the backward pass, recorded and read back.

use super::GpuRasterizer;
use super::forward::ForwardState;
use super::inputs::Inputs;
use super::layout::{Images, Params};
use super::plan::{SLOT_PLAIN, SLOT_WIDEST, batches};
use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::PooledBuffer;
use crate::gpu::shaders::Reduce;
use crate::gpu::{Constants, Recorder};
use crate::raster::{ImageGradients, Outputs};

/// Gradients of the images, on the device.
pub struct Upstream {
    pub(crate) buffer: PooledBuffer,
    pub(crate) images: Images,
}

impl Upstream {
    /// Uploads the gradients of the frames of `inputs`, out of those of a whole batch; an empty one is zero.
    ///
    /// # Errors
    /// [`crate::Error::DeviceLost`] when the device goes away.
    pub fn upload(gpu: &Gpu, inputs: &Inputs, gradients: &ImageGradients<f32>) -> Result<Self> {
        let images = Images::with_gradients(gradients);
        let frame_pixels = (inputs.params.width * inputs.params.height) as usize;
        let ImageGradients { color, attention, alpha, depth, median, normal, distortion } = gradients;
        let arrays = [color, attention, alpha, depth, median, normal, distortion];
        let mut parts: Vec<&[f32]> = Vec::with_capacity(arrays.len());
        for (values, channels) in arrays.into_iter().zip(images.channels) {
            let plane = channels as usize * frame_pixels;
            parts.push(&values[plane * inputs.frames.start..plane * inputs.frames.end]);
        }
        Ok(Upstream { buffer: gpu.upload(&parts)?, images })
    }

    /// Whether depth, median, normal or distortion have any.
    fn geometry(&self) -> bool {
        self.images.channels[3..].iter().any(|&c| c > 0)
    }

    fn slot_width(&self) -> u32 {
        if self.geometry() { SLOT_WIDEST } else { SLOT_PLAIN }
    }
}

/// Gradients of the inputs, laid out as they are.
pub struct GradientBuffers {
    /// Of positions, rotations, scales, opacities and attention, one array after another.
    pub surfels: PooledBuffer,
    /// Of the colours.
    pub colors: PooledBuffer,
    /// The densification signal, `[frames, surfels, 2]`.
    pub screen: PooledBuffer,
    /// Needed until the stages have run: another thread must not get them before they are submitted.
    pub scratch: Vec<PooledBuffer>,
}

/// Records the stages that go back through at most `pairs` pairs.
///
/// # Errors
/// [`crate::Error::Internal`] when a shader is missing.
pub fn record(
    recorder: &mut Recorder<'_>,
    rasterizer: &GpuRasterizer,
    inputs: &Inputs,
    state: &ForwardState,
    outputs: &Outputs,
    upstream: &Upstream,
    pairs: u32,
) -> Result<GradientBuffers> {
    let gpu = &rasterizer.gpu;
    let slot_width = upstream.slot_width();
    let mut params = Params { slot_width, ..inputs.params };
    upstream.images.place(&mut params, inputs.pixels() as u32);
    let instances = inputs.instances();
    let count = u64::from(params.copies * params.surfels);
    let color_bytes = 12 * u64::from(params.functions.max(1)) * count;
    // Pairs whose gradients are held at once; more go through in several sections.
    let slot_bytes = 4 * u64::from(slot_width);
    let section = (gpu.binding_limit() / 8 * 7 / slot_bytes).min(u64::from(pairs).max(1));
    let slots = gpu.storage(slot_bytes * section);
    let sums = gpu.storage(slot_bytes * instances);
    let surfels = gpu.storage(4 * 14 * count);
    let colors = gpu.storage(color_bytes);
    let screen = gpu.storage(8 * instances);

    let mut keep = Vec::new();
    if params.functions > 0 {
        recorder.clear(&colors, color_bytes);
    }
    let (any, reduce) = (Reduce::Threads, rasterizer.reduce());
    let permutation = permutation(gpu, outputs, upstream);
    let width = vec![("SLOT_WIDTH", slot_width)];
    // At least one section, so that what has no pairs has zeros.
    for first in (0..u64::from(pairs).max(1)).step_by(section as usize) {
        let here = section.min(u64::from(pairs) - first);
        let section = Params { slot_first: first as u32, slot_count: here as u32, ..params };
        let constants = gpu.uniform(&section.words());
        recorder.clear(&slots, slot_bytes * here);
        recorder.stage(
            "blend_backward",
            reduce,
            permutation.clone(),
            &[
                (0, &constants),
                (1, &state.ranges),
                (2, &state.lists),
                (3, &state.splats),
                (4, &state.seen),
                (5, &state.saved),
                (6, &upstream.buffer),
                (7, &state.drawn),
                (8, &slots),
            ],
            inputs.tiles(),
        )?;
        recorder.stage(
            "sum_pairs",
            any,
            width.clone(),
            &[(0, &constants), (1, &state.seen), (2, &slots), (3, &sums)],
            (instances * u64::from(slot_width)).div_ceil(256),
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
            (1, &inputs.cameras),
            (2, &inputs.surfels),
            (3, &inputs.colors),
            (4, &state.seen),
            (5, &sums),
            (6, &surfels),
            (7, &colors),
            (8, &screen),
        ],
        count.div_ceil(256),
    )?;
    keep.extend([constants, slots, sums]);
    Ok(GradientBuffers { surfels, colors, screen, scratch: keep })
}

/// Constants of the shader `blend_backward`.
fn permutation(gpu: &Gpu, outputs: &Outputs, upstream: &Upstream) -> Constants {
    let slot_width = upstream.slot_width();
    let (subgroups, staged) = batches(gpu, slot_width);
    vec![
        ("ATTENTION", outputs.attention.into()),
        ("GEOMETRY", upstream.geometry().into()),
        ("MEDIAN", (upstream.images.channels[4] > 0).into()),
        ("DISTORTION", (upstream.images.channels[6] > 0).into()),
        ("SUBGROUPS", subgroups),
        ("STAGED", staged),
        ("SLOT_WIDTH", slot_width),
    ]
}
