//! The images of a training step on the GPU: activation, drawing, loss, and their backward passes.

use super::activation::{Activation, Deltas, Group};
use super::device_cloud::DeviceCloud;
use crate::gpu::Recorder;
use crate::gpu::{PooledBuffer, append};
use crate::head::Branch;
use crate::head::backend::step::{StepInputs, StepOutputs};
use crate::loss::LossTerms;
use crate::loss::gpu::{
    self as loss_gpu, DeviceTargets, EmbeddingPass, LossPass, LossSums, PatchPass, record_patches,
};
use crate::raster::RasterSettings;
use crate::raster::gpu::backward::{self, GradientBuffers};
use crate::raster::gpu::forward::{self, Drawn, WORK_BYTES, Work};
use crate::raster::gpu::{BatchShape, GpuRasterizer, Inputs};
use crate::{Error, Result};
use std::ops::Range;

/// A training step that is being recorded.
pub(super) struct Step<'a> {
    rasterizer: &'a GpuRasterizer,
    branch: &'a Branch,
    inputs: &'a StepInputs<'a>,
    settings: RasterSettings,
    size: [usize; 2],
    /// Pairs that each group of frames has room for.
    capacities: &'a mut Vec<u64>,
    passes: Vec<Pass>,
}

/// Frames that go through the stages together.
struct Pass {
    inputs: Inputs,
    /// The targets of these frames alone; nothing where those of the whole step serve.
    targets: Option<DeviceTargets>,
    work: PooledBuffer,
    radii: PooledBuffer,
    screen: PooledBuffer,
    loss: LossPass,
    patches: Option<PatchPass>,
    capacity: u64,
    /// Needed until the recording is submitted.
    scratch: Option<Scratch>,
}

/// Buffers that another thread must not get before the stages that use them are submitted.
struct Scratch {
    _group: Group,
    _state: forward::ForwardState,
    _images: PooledBuffer,
    _gradients: [PooledBuffer; 2],
    _of_forward: [PooledBuffer; 3],
    _of_backward: Vec<PooledBuffer>,
}

impl<'a> Step<'a> {
    pub(super) fn new(
        rasterizer: &'a GpuRasterizer,
        branch: &'a Branch,
        inputs: &'a StepInputs<'a>,
        size: [usize; 2],
        capacities: &'a mut Vec<u64>,
    ) -> Self {
        let settings = inputs.settings();
        Step { rasterizer, branch, inputs, settings, size, capacities, passes: Vec::new() }
    }

    /// Records the stages of all frames.
    pub(super) fn record_images(
        &mut self,
        recorder: &mut Recorder<'a>,
        cloud: &DeviceCloud,
        deltas: Deltas<'_>,
    ) -> Result<()> {
        let (rasterizer, inputs, frames) = (self.rasterizer, self.inputs, self.inputs.cameras.len());
        let outputs = self.settings.outputs;
        let copies = if deltas.is_some() { frames } else { 1 };
        let harmonics = (inputs.sh_degree + 1).pow(2);
        let behind = self.branch.cloud.behind();
        let shape = BatchShape { surfels: cloud.surfels, copies, harmonics, behind };
        let rest = self.branch.rest(inputs.rest_weight, frames);
        let gpu = rasterizer.gpu();
        let activation = Activation::new(gpu, cloud, deltas, frames, inputs.sh_degree, &outputs, rest)?;
        let together = forward::frames_together(rasterizer, &shape, frames, self.size, &outputs, true)?;
        for (index, range) in groups(frames, together).enumerate() {
            let part = Inputs::reserve(
                rasterizer,
                &shape,
                inputs.cameras,
                &self.settings,
                self.size,
                range.clone(),
            )?;
            let targets = match &inputs.targets.device {
                Some(_) if together >= frames => None,
                _ => {
                    let targets = &inputs.targets.targets[range];
                    Some(DeviceTargets::of_part(gpu, targets, frames, inputs.weights, self.size)?)
                }
            };
            if self.capacities.len() == index {
                self.capacities.push(forward::initial_capacity(rasterizer, &part));
            }
            let capacity = self.capacities[index];
            let pass = self.record_pass(recorder, &activation, part, targets, capacity)?;
            self.passes.push(pass);
            if together < frames {
                // The buffers of these frames serve the next.
                std::mem::replace(recorder, rasterizer.recorder()).submit()?;
                self.passes.iter_mut().for_each(|pass| pass.scratch = None);
            }
        }
        Ok(())
    }

    /// Records the stages of some frames: activation, drawing and loss, and back.
    fn record_pass(
        &mut self,
        recorder: &mut Recorder<'a>,
        activation: &Activation<'_>,
        inputs: Inputs,
        targets: Option<DeviceTargets>,
        capacity: u64,
    ) -> Result<Pass> {
        let (rasterizer, outputs) = (self.rasterizer, self.settings.outputs);
        let gpu = rasterizer.gpu();
        let device_targets = self.targets(targets.as_ref())?;
        let group = activation.group(&inputs);
        activation.forward(recorder, &inputs, &group)?;
        let drawn = forward::record(recorder, rasterizer, &inputs, &outputs, capacity)?;
        let loss = loss_gpu::record(recorder, gpu, &inputs, &outputs, device_targets, &drawn.images)?;
        let patches = match self.inputs.patches(inputs.frames.clone())? {
            Some((network, patches)) => {
                record_patches(recorder, gpu, network, patches, &loss, device_targets, &drawn.images)?
            }
            None => None,
        };
        loss.add_alpha(recorder, device_targets)?;
        let (state, upstream) = (&drawn.state, &loss.upstream);
        let gradients =
            backward::record(recorder, rasterizer, &inputs, state, &outputs, upstream, capacity as u32)?;
        activation.backward(recorder, &group, &gradients)?;
        // Without `..`: what is dropped here would be written to by others before it is used.
        let Drawn { state, images, radii, work, scratch: of_forward } = drawn;
        let GradientBuffers { surfels, colors, screen, scratch: of_backward } = gradients;
        let scratch = Some(Scratch {
            _group: group,
            _state: state,
            _images: images,
            _gradients: [surfels, colors],
            _of_forward: of_forward,
            _of_backward: of_backward,
        });
        Ok(Pass { inputs, targets, work, radii, screen, loss, patches, capacity, scratch })
    }

    fn targets<'t>(&'t self, own: Option<&'t DeviceTargets>) -> Result<&'t DeviceTargets> {
        let missing = || Error::Internal("a step whose targets were not uploaded".into());
        own.or(self.inputs.targets.device.as_ref()).ok_or_else(missing)
    }

    /// Submits, waits, and reads what the step found, `sums`, those of the field, and the terms over the embedding, which come
    /// with a field alone. Nothing when pairs did not fit;
    /// capacities are then larger.
    pub(super) fn read(
        self,
        recorder: Recorder<'_>,
        cloud: &DeviceCloud,
        sums: Option<(&wgpu::Buffer, u64)>,
        embedding: Option<&EmbeddingPass>,
    ) -> Result<Option<(StepOutputs, Vec<f32>)>> {
        const EACH: usize = 4 + LossSums::SOURCES;
        let mut sources: Vec<(&wgpu::Buffer, u64)> = Vec::new();
        for pass in &self.passes {
            let per_instance = if self.inputs.statistics { pass.inputs.instances() } else { 0 };
            sources.push((&pass.work, WORK_BYTES));
            sources.push((&pass.radii, 4 * per_instance));
            sources.push((&pass.screen, 8 * per_instance));
            sources.extend(pass.loss.sources());
            let nothing = (&*pass.work, 0);
            sources.push(pass.patches.as_ref().map_or(nothing, PatchPass::source));
        }
        let first_own = sources.len();
        sources.push((&cloud.not_finite, 4));
        sources.extend(sums);
        sources.extend(embedding.iter().flat_map(|pass| pass.sources()));
        let (mut of_embedding, mut of_patches) = (Vec::new(), Vec::new());
        let mut works = vec![Work::default(); self.passes.len()];
        let mut loss_sums: Vec<LossSums> = self.passes.iter().map(|_| LossSums::default()).collect();
        let (mut outputs, mut field_sums) =
            (StepOutputs { finite: true, ..StepOutputs::default() }, Vec::new());
        let times = recorder.submit_and_read(&sources, |i, data| {
            let (pass, source) = (i / EACH, i % EACH);
            match (i.checked_sub(first_own), source) {
                (Some(0), _) => outputs.finite &= data.iter().all(|b| *b == 0),
                (Some(1), _) => append(&mut field_sums, data),
                (Some(own), _) => of_embedding.extend(embedding.map(|pass| pass.value(own - 2, data))),
                (None, 0) => works[pass] = Work::of(data),
                (None, 1) => append(&mut outputs.radii, data),
                (None, 2) => append(&mut outputs.screen, data),
                (None, _) if source + 1 == EACH => {
                    let frames = self.passes[pass].inputs.frames.len();
                    let values = self.passes[pass].patches.as_ref().map(|own| own.values(frames, data));
                    of_patches.push(values.unwrap_or_else(|| vec![Vec::new(); frames]));
                }
                (None, _) => loss_sums[pass].take(source - 3, data),
            }
        })?;
        self.rasterizer.note_times(times);
        let mut all_fit = true;
        for (index, (pass, work)) in self.passes.iter().zip(&works).enumerate() {
            if let Some(more) = forward::grow_capacity(self.rasterizer, &pass.inputs, pass.capacity, work)? {
                self.capacities[index] = more;
                all_fit = false;
            }
        }
        if !all_fit {
            return Ok(None);
        }
        let weights = self.inputs.weights;
        for ((pass, sums), of_patches) in self.passes.iter().zip(&loss_sums).zip(&of_patches) {
            let terms = self.targets(pass.targets.as_ref())?.loss_terms(sums);
            let with =
                |(terms, own): (&LossTerms, &Vec<_>)| terms.with(weights, own).with(weights, &of_embedding);
            outputs.terms.extend(terms.iter().zip(of_patches).map(with));
        }
        outputs.finite &= outputs.terms.iter().all(|terms| terms.total.is_finite());
        outputs.finite &= field_sums.iter().all(|v: &f32| v.is_finite());
        Ok(Some((outputs, field_sums)))
    }
}

/// Frames in groups of at most `together`.
pub(super) fn groups(frames: usize, together: usize) -> impl Iterator<Item = Range<usize>> {
    (0..frames).step_by(together.max(1)).map(move |first| first..(first + together).min(frames))
}
