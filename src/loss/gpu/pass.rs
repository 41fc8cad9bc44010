//! The stages of the loss, recorded between the rasterizer's forward and backward passes.

use super::in_use::pixel_parts;
use super::sums::LossSums;
use super::targets::DeviceTargets;
use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::PooledBuffer;
use crate::gpu::Recorder;
use crate::gpu::shaders::{Reduce, Shader};
use crate::loss::term::Stages;
use crate::raster::Outputs;
use crate::raster::gpu::Inputs;
use crate::raster::gpu::backward::Upstream;
use crate::raster::gpu::layout::{Images, Params};

/// Threads of a workgroup, each with one pixel.
const PIXELS: u64 = 256;

/// Gradients of the images, and sums, once the stages have run.
pub struct LossPass {
    /// Gradients of the images.
    pub upstream: Upstream,
    /// Sums by workgroup: of the terms of one pixel, of `ssim`, of `gradient_difference`, of `normal_consistency`. And how
    /// many.
    sums: [SumBuffer; LossSums::SOURCES],
    pub(super) params: PooledBuffer,
    /// Needed until the stages have run.
    _scratch: [PooledBuffer; 2],
}

impl LossPass {
    /// Buffers to read back, with their bytes.
    pub fn sources(&self) -> [(&wgpu::Buffer, u64); LossSums::SOURCES] {
        self.sums.each_ref().map(|(buffer, count)| (&**buffer, 4 * count))
    }

    /// Records what the gradient of the composites implies for alpha. Comes last.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the shader is missing.
    pub fn add_alpha(&self, recorder: &mut Recorder<'_>, targets: &DeviceTargets) -> Result<()> {
        let buffers: [(u32, &wgpu::Buffer); 3] =
            [(0, &self.params), (1, &targets.background), (2, &self.upstream.buffer)];
        let groups = u64::from(targets.background_samples).div_ceil(PIXELS);
        recorder.stage("composite_background_backward", Reduce::Threads, vec![], &buffers, groups)
    }
}

/// Records the stages that composite `images`, which were drawn, over their backgrounds, in place, and compare them with
/// their targets. [`LossPass::add_alpha`] is still to come.
///
/// # Errors
/// [`crate::Error::Internal`] when a shader is missing.
pub fn record(
    recorder: &mut Recorder<'_>,
    gpu: &Gpu,
    inputs: &Inputs,
    outputs: &Outputs,
    targets: &DeviceTargets,
    images: &PooledBuffer,
) -> Result<LossPass> {
    let layout = Images::drawn(outputs);
    let params = Params { background_samples: targets.background_samples, ..inputs.params };
    let params = gpu.uniform(&params.words());
    let (pixels, frames) = (inputs.pixels(), inputs.frames.len() as u64);
    let upstream = gpu.storage(4 * u64::from(layout.total()) * pixels);

    let buffers: [(u32, &wgpu::Buffer); 3] = [(0, &params), (1, &targets.background), (2, images)];
    let groups = u64::from(targets.background_samples).div_ceil(PIXELS);
    recorder.stage("composite_background", Reduce::Threads, vec![], &buffers, groups)?;

    let stages = PassStages {
        gpu,
        inputs,
        targets,
        params: &params,
        images,
        upstream: &upstream,
        groups: frames * (pixels / frames.max(1)).div_ceil(PIXELS),
    };
    let pixel_sums = stages.pixel_terms(recorder, outputs)?;
    let (windows, partials) = stages.ssim(recorder)?;
    let differences = stages.gradient_difference(recorder)?;
    let (normals, slopes) = stages.normal_consistency(recorder)?;
    Ok(LossPass {
        upstream: Upstream { buffer: upstream, images: layout },
        sums: [pixel_sums, windows, differences, normals],
        params,
        _scratch: [partials, slopes],
    })
}

/// What the stages have in common.
struct PassStages<'a> {
    gpu: &'a Gpu,
    inputs: &'a Inputs,
    targets: &'a DeviceTargets,
    params: &'a wgpu::Buffer,
    images: &'a wgpu::Buffer,
    upstream: &'a wgpu::Buffer,
    /// Workgroups of 256 pixels of one frame each.
    groups: u64,
}

/// A buffer of sums, and how many.
type SumBuffer = (PooledBuffer, u64);

impl PassStages<'_> {
    fn terms(&self) -> u32 {
        self.targets.in_use.len() as u32
    }

    /// The terms that look at one pixel; writes the gradients of colour, alpha, attention and distortion.
    fn pixel_terms(&self, recorder: &mut Recorder<'_>, outputs: &Outputs) -> Result<SumBuffer> {
        let shader = Shader { stage: "pixel_terms", parts: pixel_parts(&self.targets.in_use) };
        let count = shader.parts.len().max(1) as u64 * self.groups;
        let sums = self.gpu.storage(4 * count);
        let constants = vec![
            ("ATTENTION", outputs.attention.into()),
            ("DISTORTION", outputs.distortion.into()),
            ("TERMS", self.terms()),
        ];
        let buffers: [(u32, &wgpu::Buffer); 8] = [
            (0, self.params),
            (1, &self.targets.crops),
            (2, &self.targets.planes),
            (3, &self.targets.attention_masks),
            (4, self.images),
            (5, self.upstream),
            (6, &sums),
            (7, &self.targets.element_weights),
        ];
        recorder.stage(shader, Reduce::Threads, constants, &buffers, self.groups)?;
        Ok((sums, count))
    }

    /// 1 − SSIM; adds to the gradient of the colour. Also the derivatives of the windows, needed until the stages have run.
    fn ssim(&self, recorder: &mut Recorder<'_>) -> Result<(SumBuffer, PooledBuffer)> {
        let term = self.targets.number_of(Stages::Ssim);
        let count = if term.is_some() { 3 * self.inputs.tiles() } else { 0 };
        let sums = self.gpu.storage(4 * count);
        let partials = self.gpu.storage(if term.is_some() { 4 * 9 * self.inputs.pixels() } else { 0 });
        if let Some(term) = term {
            let buffers: [(u32, &wgpu::Buffer); 6] = [
                (0, self.params),
                (1, &self.targets.window),
                (2, &self.targets.planes),
                (3, self.images),
                (4, &partials),
                (5, &sums),
            ];
            recorder.stage("ssim", Reduce::Threads, vec![], &buffers, count)?;
            let buffers: [(u32, &wgpu::Buffer); 7] = [
                (0, self.params),
                (1, &self.targets.window),
                (2, &self.targets.element_weights),
                (3, &self.targets.planes),
                (4, self.images),
                (5, &partials),
                (6, self.upstream),
            ];
            let constants = vec![("TERMS", self.terms()), ("TERM", term)];
            recorder.stage("ssim_backward", Reduce::Threads, constants, &buffers, count)?;
        }
        Ok(((sums, count), partials))
    }

    /// Finite differences of the images; adds to the gradient of the colour.
    fn gradient_difference(&self, recorder: &mut Recorder<'_>) -> Result<SumBuffer> {
        let term = self.targets.number_of(Stages::GradientDifference);
        let count = if term.is_some() { self.groups } else { 0 };
        let sums = self.gpu.storage(4 * count);
        if let Some(term) = term {
            let buffers: [(u32, &wgpu::Buffer); 6] = [
                (0, self.params),
                (1, &self.targets.element_weights),
                (2, &self.targets.planes),
                (3, self.images),
                (4, self.upstream),
                (5, &sums),
            ];
            let constants = vec![("TERMS", self.terms()), ("TERM", term)];
            recorder.stage("gradient_difference", Reduce::Threads, constants, &buffers, count)?;
        }
        Ok((sums, count))
    }

    /// Normal consistency; writes the gradients of normal and depth and adds to that of alpha. Also the gradients of
    /// neighbouring points, needed until the stages have run.
    fn normal_consistency(&self, recorder: &mut Recorder<'_>) -> Result<(SumBuffer, PooledBuffer)> {
        let term = self.targets.number_of(Stages::NormalConsistency);
        let count = if term.is_some() { self.groups } else { 0 };
        let sums = self.gpu.storage(4 * count);
        let pixels = self.inputs.pixels();
        let slopes = self.gpu.storage(if term.is_some() { 4 * 6 * pixels } else { 0 });
        if let Some(term) = term {
            let buffers: [(u32, &wgpu::Buffer); 7] = [
                (0, self.params),
                (1, &self.targets.element_weights),
                (2, &self.inputs.cameras),
                (3, self.images),
                (4, self.upstream),
                (5, &slopes),
                (6, &sums),
            ];
            let constants = vec![("TERMS", self.terms()), ("TERM", term)];
            recorder.stage("normal_consistency", Reduce::Threads, constants, &buffers, count)?;
            let buffers: [(u32, &wgpu::Buffer); 5] = [
                (0, self.params),
                (1, &self.inputs.cameras),
                (2, self.images),
                (3, &slopes),
                (4, self.upstream),
            ];
            let groups = pixels.div_ceil(PIXELS);
            recorder.stage("normal_consistency_backward", Reduce::Threads, vec![], &buffers, groups)?;
        }
        Ok(((sums, count), slopes))
    }
}
