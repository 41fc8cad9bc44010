//! The backend that runs on a GPU. Surfels, tri-planes, embedding and the state of Adam for them live in its memory; the small
//! networks run on the CPU.
//!
//! A training step is recorded from front to back, submitted, and waited for once: for its loss, and for the gradients of the
//! small networks. Adam's steps are submitted and not waited for.

mod activation;
mod device_cloud;
mod render;
mod training;
mod uniforms;

use super::images::{Images, PendingImages, RenderRequest};
use super::interface::Backend;
use super::moments::BranchMoments;
use super::rates::{FieldRates, Rates};
use super::step::{Clock, StepInputs, StepOutputs};
use crate::gpu::Gpu;
use crate::gpu::{StageTime, Timing};
use crate::head::Branch;
use crate::head::backend::adam::{Adam, corrections};
use crate::head::cloud::density::EditList;
use crate::head::field::{DeviceField, LearnRates, Learned};
use crate::loss::check_targets;
use crate::loss::gpu::{DeviceNeighbors, record_embedding};
use crate::loss::neighbors::NeighborGraph;
use crate::raster::gpu::{BatchShape, GpuRasterizer, Inputs, forward};
use crate::raster::{RasterSettings, Rendered};
use crate::{Camera, Error, Result};
use activation::{Activation, Deltas};
use candle_core::Tensor;
use device_cloud::DeviceCloud;
use render::{PendingRender, Renderer};
use std::sync::Arc;
use training::{Step, groups};

/// Runs a branch on a GPU.
pub struct GpuBackend {
    renderer: Arc<Renderer>,
    loaded: Option<Loaded>,
}

/// A branch on the device.
struct Loaded {
    /// Settings and small networks; cloud and planes as they were when they were last read back.
    branch: Branch,
    /// As they were when they were last read back, except those of the small networks.
    moments: Option<BranchMoments>,
    cloud: DeviceCloud,
    field: DeviceField,
    /// Steps that the moments of planes and embedding have seen.
    field_steps: [u64; 2],
    /// Whether the copy on the host is up to date.
    is_read: bool,
    /// Found when a term of the loss first needs them, and again after surfels were edited.
    neighbors: Option<DeviceNeighbors>,
}

impl GpuBackend {
    /// One that holds nothing yet.
    pub fn new(gpu: Gpu) -> Self {
        Self::timed(gpu, Timing::Off)
    }

    /// One that measures its stages, where the device can.
    pub fn timed(gpu: Gpu, timing: Timing) -> Self {
        GpuBackend { renderer: Arc::new(Renderer::new(gpu, timing)), loaded: None }
    }

    /// Milliseconds of every stage since the last call, in the order they ran.
    pub fn take_times(&self) -> Vec<StageTime> {
        self.renderer.rasterizer.take_times()
    }

    /// Whether `gpu` has room for the field of `branch` with up to `surfels` surfels in `frames` frames.
    pub fn fits(gpu: &Gpu, branch: &Branch, surfels: usize, frames: usize) -> bool {
        DeviceField::fits(gpu, &branch.field, surfels, frames)
    }

    fn loaded(&mut self) -> Result<(&GpuRasterizer, &mut Loaded)> {
        let nothing = || Error::Internal("no branch was loaded".into());
        Ok((&self.renderer.rasterizer, self.loaded.as_mut().ok_or_else(nothing)?))
    }
}

impl Loaded {
    fn upload(gpu: &Gpu, branch: Branch, moments: Option<BranchMoments>) -> Result<Self> {
        let cloud = DeviceCloud::upload(gpu, &branch.cloud, moments.as_ref().map(|m| &m.cloud))?;
        let learned = learned(&branch, moments.as_ref())?;
        let field = DeviceField::new(gpu, &branch.field, &learned.as_slices())?;
        let field_steps = moments
            .as_ref()
            .map_or([0; 2], |m| [m.parameters.first().map_or(0, |(_, adam)| adam.steps), m.embedding.steps]);
        Ok(Loaded { branch, moments, cloud, field, field_steps, is_read: true, neighbors: None })
    }

    /// Brings the copy on the host up to date.
    fn read(&mut self) -> Result<()> {
        if self.is_read {
            return Ok(());
        }
        let moments = self.moments.as_mut();
        self.cloud.read(&mut self.branch.cloud, moments.map(|m| &mut m.cloud))?;
        let learned = self.field.get()?;
        let [planes, embedding] = self.field_steps;
        let Learned { planes: [values, first, second], embedding: [own, own_first, own_second] } = learned;
        let mut at = 0;
        for (k, (name, var)) in self.branch.field.parameters().iter().enumerate() {
            if !name.starts_with("planes.") {
                break;
            }
            let here = at..at + var.elem_count();
            at = here.end;
            let values = values.get(here.clone()).ok_or_else(|| {
                Error::Internal(format!("{} floats of planes were read back", values.len()))
            })?;
            var.set(&Tensor::from_slice(values, var.shape(), var.device())?)?;
            if let Some(moments) = &mut self.moments {
                let [first, second] = [&first, &second].map(|m| m[here.clone()].to_vec());
                moments.parameters[k].1 = Adam { first, second, steps: planes };
            }
        }
        self.branch.cloud.embedding = own;
        if let Some(moments) = &mut self.moments {
            moments.embedding = Adam { first: own_first, second: own_second, steps: embedding };
        }
        self.branch.embedding_changed()?;
        self.branch.positions_changed()?;
        self.is_read = true;
        Ok(())
    }

    /// Finds the neighbours of the surfels, where they are not known.
    fn find_neighbors(&mut self, gpu: &Gpu) -> Result<()> {
        if self.neighbors.is_none() {
            self.read()?;
            let graph = NeighborGraph::new(&self.branch.cloud.positions, self.branch.settings.extent)?;
            self.neighbors = Some(DeviceNeighbors::upload(gpu, &graph)?);
        }
        Ok(())
    }

    fn shape(&self, copies: usize, sh_degree: usize) -> BatchShape {
        BatchShape {
            surfels: self.cloud.surfels,
            copies,
            harmonics: (sh_degree + 1).pow(2),
            behind: self.branch.cloud.behind(),
        }
    }

    /// The deltas of the last forward pass of the field, when there was one in this step.
    fn deltas(&self, has_field: bool) -> Result<Deltas<'_>> {
        match has_field {
            true => Ok(Some((self.branch.layout(), self.field.deltas()?))),
            false => Ok(None),
        }
    }
}

impl Backend for GpuBackend {
    fn name(&self) -> String {
        self.renderer.rasterizer.gpu().name()
    }

    fn gpu(&self) -> Option<&Gpu> {
        Some(self.renderer.rasterizer.gpu())
    }

    fn load_state(&mut self, branch: &Branch, moments: Option<&BranchMoments>) -> Result<()> {
        // What was loaded makes room first.
        self.loaded = None;
        self.loaded = Some(Loaded::upload(self.renderer.rasterizer.gpu(), branch.copy()?, moments.cloned())?);
        Ok(())
    }

    fn read_state(&mut self) -> Result<(&Branch, Option<&BranchMoments>)> {
        let (_, loaded) = self.loaded()?;
        loaded.read()?;
        Ok((&loaded.branch, loaded.moments.as_ref()))
    }

    fn render(&mut self, request: &RenderRequest<'_>) -> Result<PendingImages> {
        let renderer = Arc::clone(&self.renderer);
        let (rasterizer, loaded) = self.loaded()?;
        let settings = RasterSettings { background: request.drawn_background(), outputs: request.outputs };
        let (frames, outputs) = (request.cameras.len(), &settings.outputs);
        let size = image_size(request.cameras)?;
        let has_field = !request.conditions.is_empty();
        if has_field {
            check_conditions(request.conditions.len(), frames)?;
            let mut recorder = rasterizer.recorder();
            let Loaded { branch, cloud, field, .. } = loaded;
            field.record_forward(&mut recorder, &branch.field, request.conditions, cloud.geometry())?;
            recorder.submit()?;
        }
        let loaded = &*loaded;
        let sh_degree = loaded.branch.cloud.sh_degree;
        let shape = loaded.shape(if has_field { frames } else { 1 }, sh_degree);
        let (gpu, cloud, deltas) = (rasterizer.gpu(), &loaded.cloud, loaded.deltas(has_field)?);
        let activation = Activation::new(gpu, cloud, deltas, frames, sh_degree, outputs, 0.0)?;
        let images = Images {
            planes: Rendered { frames, width: size[0], height: size[1], ..Rendered::default() },
            ..Images::default()
        };
        let mut pending = PendingRender::new(&renderer, request.outputs, &request.output, images);
        let together = forward::frames_together(rasterizer, &shape, frames, size, outputs, false)?;
        for range in groups(frames, together) {
            let layers = match request.output.composition() {
                Some(composition) => Some(renderer.compositor.upload(size, composition, range.clone())?),
                None => None,
            };
            let inputs = Inputs::reserve(rasterizer, &shape, request.cameras, &settings, size, range)?;
            let group = activation.group(&inputs);
            let mut recorder = rasterizer.recorder();
            activation.forward(&mut recorder, &inputs, &group)?;
            pending.submit(recorder, inputs, layers)?;
        }
        Ok(PendingImages::drawing(pending))
    }

    fn train_step(&mut self, inputs: &StepInputs<'_>) -> Result<StepOutputs> {
        let (rasterizer, loaded) = self.loaded()?;
        let mut clock = Clock::start();
        let frames = inputs.cameras.len();
        let has_field = !inputs.conditions.is_empty();
        let size = image_size(inputs.cameras)?;
        check_targets(&inputs.targets.targets, frames, size)?;
        if loaded.moments.is_none() {
            return Err(Error::Internal("a training step without the state of Adam".into()));
        }
        if has_field {
            check_conditions(inputs.conditions.len(), frames)?;
        }
        if has_field && inputs.weights.embedding_terms().next().is_some() {
            loaded.find_neighbors(rasterizer.gpu())?;
        }
        let mut capacities = Vec::new();
        // Once more with a larger capacity where the pairs of a surfel and a tile did not fit.
        let (outputs, sums) = loop {
            let mut recorder = rasterizer.recorder();
            if has_field {
                let Loaded { branch, cloud, field, .. } = &mut *loaded;
                field.record_forward(&mut recorder, &branch.field, inputs.conditions, cloud.geometry())?;
            }
            clock.lap(|t| &mut t.field_forward);
            let mut step = Step::new(rasterizer, &loaded.branch, inputs, size, &mut capacities);
            let deltas = loaded.deltas(has_field)?;
            step.record_images(&mut recorder, &loaded.cloud, deltas)?;
            let mut embedding = None;
            if has_field {
                loaded.field.record_backward(&mut recorder)?;
                if let Some(neighbors) = &loaded.neighbors {
                    let (gpu, buffers) = (rasterizer.gpu(), loaded.field.embedding_buffers());
                    let pass = record_embedding(&mut recorder, gpu, neighbors, buffers, inputs.weights)?;
                    embedding = Some(pass);
                }
            }
            clock.lap(|t| &mut t.raster_forward);
            let sums = if has_field { Some(loaded.field.sums()?) } else { None };
            let found = step.read(recorder, &loaded.cloud, sums, embedding.as_ref())?;
            clock.lap(|t| &mut t.device);
            if let Some(found) = found {
                break found;
            }
        };
        if outputs.finite {
            let field = inputs.rates.field.filter(|_| has_field);
            loaded.learn(rasterizer, &sums, &Rates { field, ..*inputs.rates }, &mut clock)?;
        }
        Ok(StepOutputs { times: clock.times, ..outputs })
    }

    fn edit(&mut self, edits: &EditList) -> Result<()> {
        let (_, loaded) = self.loaded()?;
        loaded.read()?;
        edits.apply(&mut loaded.branch.cloud)?;
        if let Some(moments) = &mut loaded.moments {
            moments.edit(edits, loaded.branch.cloud.bands())?;
        }
        // The buffers of the old cloud make room first.
        let Some(Loaded { mut branch, moments, .. }) = self.loaded.take() else { return Ok(()) };
        branch.embedding_changed()?;
        branch.positions_changed()?;
        self.loaded = Some(Loaded::upload(self.renderer.rasterizer.gpu(), branch, moments)?);
        Ok(())
    }
}

impl Loaded {
    /// Adam's steps: on the device for surfels, planes and embedding, on the host for the small networks.
    fn learn(
        &mut self,
        rasterizer: &GpuRasterizer,
        sums: &[f32],
        rates: &Rates,
        clock: &mut Clock,
    ) -> Result<()> {
        let mut recorder = rasterizer.recorder();
        let mut lent = Vec::new();
        if let Some(rates) = &rates.cloud {
            lent.extend(self.cloud.record_adam(&mut recorder, rates)?);
        }
        if let Some(rates) = &rates.field {
            self.field_steps = self.field_steps.map(|steps| steps + 1);
            let on_device = device_rates(rates, self.field_steps);
            lent.extend(self.field.record_adam(&mut recorder, &on_device)?);
        }
        recorder.submit()?;
        self.is_read = false;
        clock.lap(|t| &mut t.optimizer);
        if let (Some(rates), Some(moments)) = (&rates.field, &mut self.moments) {
            let gradients = self.field.gradients(&self.branch.field, sums)?;
            clock.lap(|t| &mut t.field_backward);
            moments.step_rest(&self.branch.field, &gradients, rates.other)?;
            clock.lap(|t| &mut t.optimizer);
        }
        Ok(())
    }
}

/// Planes and embedding of a branch with their moments, zeros where nothing is learned.
fn learned(branch: &Branch, moments: Option<&BranchMoments>) -> Result<Learned<Vec<f32>>> {
    let (planes, embedding) = (branch.field.plane_values()?, branch.cloud.embedding.clone());
    let Some(moments) = moments else {
        // Moments are as long, and mean nothing.
        let zeros = |values: &[f32]| vec![0.0; values.len()];
        return Ok(Learned {
            planes: [planes.clone(), zeros(&planes), zeros(&planes)],
            embedding: [embedding.clone(), zeros(&embedding), zeros(&embedding)],
        });
    };
    let of_planes = &moments.parameters[..moments.planes()];
    let joined =
        |part: fn(&Adam) -> &Vec<f32>| of_planes.iter().flat_map(|(_, adam)| part(adam)).copied().collect();
    let own = &moments.embedding;
    Ok(Learned {
        planes: [planes, joined(|adam| &adam.first), joined(|adam| &adam.second)],
        embedding: [embedding, own.first.clone(), own.second.clone()],
    })
}

/// Rates of planes and embedding, after so many steps of either.
fn device_rates(rates: &FieldRates, steps: [u64; 2]) -> LearnRates {
    let [plane_corrections, embedding_corrections] = steps.map(corrections);
    LearnRates { planes: rates.planes, embedding: rates.embedding, plane_corrections, embedding_corrections }
}

/// Columns and rows of the images of cameras.
fn image_size(cameras: &[Camera]) -> Result<[usize; 2]> {
    let size = |camera: &Camera| [camera.width as usize, camera.height as usize];
    let first = cameras.first().map_or([0, 0], size);
    match cameras.iter().all(|camera| size(camera) == first) {
        true => Ok(first),
        false => Err(Error::Internal("the cameras of a batch have different image sizes".into())),
    }
}

fn check_conditions(conditions: usize, frames: usize) -> Result<()> {
    match conditions == frames {
        true => Ok(()),
        false => Err(Error::Internal(format!("{conditions} conditions for {frames} cameras"))),
    }
}
