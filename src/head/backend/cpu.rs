//! The backend that runs on the processor, with the threads of the rayon pool it is called in.

use super::images::{Images, Output, PendingImages, RenderRequest};
use super::interface::Backend;
use super::moments::BranchMoments;
use super::step::{Clock, StepInputs, StepOutputs};
use crate::composite::cpu::{HeadImages, compose};
use crate::composite::{Composition, Layers};
use crate::head::Branch;
use crate::head::cloud::activate::{RawGradients, activate, activate_vjp};
use crate::head::cloud::density::EditList;
use crate::head::cloud::surfels::EMBEDDING;
use crate::loss::embedding_loss::embedding_loss;
use crate::loss::neighbors::NeighborGraph;
use crate::loss::{Composite, LossTerms, image_loss};
use crate::raster::cpu::CpuRasterizer;
use crate::raster::{ImageGradients, RasterSettings, Rasterizer, Rendered};
use crate::{Error, Result};
use candle_core::Tensor;
use rayon::prelude::*;

/// Runs a branch on the processor.
#[derive(Default)]
pub struct CpuBackend {
    rasterizer: CpuRasterizer,
    loaded: Option<Loaded>,
}

struct Loaded {
    branch: Branch,
    moments: Option<BranchMoments>,
    /// Whether surfels moved since the field last looked up where they lie on its planes.
    moved: bool,
    /// Found when a term of the loss first needs them, and again after surfels were edited.
    neighbors: Option<NeighborGraph>,
}

impl Loaded {
    /// Looks up where the surfels lie on the planes, after they moved.
    fn refresh(&mut self) -> Result<()> {
        if std::mem::take(&mut self.moved) {
            self.branch.positions_changed()?;
        }
        Ok(())
    }
}

impl CpuBackend {
    /// One that holds nothing yet.
    pub fn new() -> Self {
        CpuBackend::default()
    }

    fn loaded(&mut self) -> Result<(&CpuRasterizer, &mut Loaded)> {
        let nothing = || Error::Internal("no branch was loaded".into());
        Ok((&self.rasterizer, self.loaded.as_mut().ok_or_else(nothing)?))
    }
}

impl Backend for CpuBackend {
    fn name(&self) -> String {
        self.rasterizer.name()
    }

    fn load_state(&mut self, branch: &Branch, moments: Option<&BranchMoments>) -> Result<()> {
        self.loaded = None;
        self.loaded =
            Some(Loaded { branch: branch.copy()?, moments: moments.cloned(), moved: false, neighbors: None });
        Ok(())
    }

    fn read_state(&mut self) -> Result<(&Branch, Option<&BranchMoments>)> {
        let (_, loaded) = self.loaded()?;
        loaded.refresh()?;
        Ok((&loaded.branch, loaded.moments.as_ref()))
    }

    fn render(&mut self, request: &RenderRequest<'_>) -> Result<PendingImages> {
        let (rasterizer, loaded) = self.loaded()?;
        loaded.refresh()?;
        let (branch, frames) = (&loaded.branch, request.conditions.len());
        let packed = if frames == 0 { None } else { Some(branch.deform(request.conditions)?) };
        let deltas = packed.as_deref().map(|packed| branch.deltas(packed, frames));
        let activated = activate(&branch.cloud, branch.cloud.sh_degree, deltas.as_ref())?;
        let settings = RasterSettings { background: request.drawn_background(), outputs: request.outputs };
        let planes = rasterizer.forward(&activated.batch(), request.cameras, &settings)?;
        let images = match request.output {
            Output::Planes => Images { planes, ..Images::default() },
            Output::Pictures(composition) => composed(planes, composition)?,
            Output::Texture(..) | Output::Torso(_) => {
                return Err(Error::input(
                    "the output of a drawing",
                    "planes or pictures, on the CPU",
                    "something that stays on a GPU",
                    "use a GPU backend, or upload the picture",
                ));
            }
        };
        Ok(PendingImages::ready(images))
    }

    fn train_step(&mut self, inputs: &StepInputs<'_>) -> Result<StepOutputs> {
        let (rasterizer, loaded) = self.loaded()?;
        let mut clock = Clock::start();
        loaded.refresh()?;
        let Loaded { branch, moments: Some(moments), moved, neighbors } = loaded else {
            return Err(Error::Internal("a training step without the state of Adam".into()));
        };
        let (frames, targets) = (inputs.cameras.len(), &inputs.targets.targets);
        let has_field = !inputs.conditions.is_empty();
        let packed = if has_field { Some(branch.deform(inputs.conditions)?) } else { None };
        clock.lap(|t| &mut t.field_forward);
        let deltas = packed.as_deref().map(|packed| branch.deltas(packed, frames));
        let activated = activate(&branch.cloud, inputs.sh_degree, deltas.as_ref())?;
        clock.lap(|t| &mut t.activate);
        let (batch, settings) = (activated.batch(), inputs.settings());
        let rendered = rasterizer.forward(&batch, inputs.cameras, &settings)?;
        clock.lap(|t| &mut t.raster_forward);
        let composite = Composite::new(&rendered, inputs.background, targets);
        let mut loss = image_loss(&rendered, &composite, inputs.cameras, targets, inputs.weights)?;
        let ImageGradients { color, alpha, .. } = &mut loss.gradients;
        let mut of_patches = vec![Vec::new(); frames];
        if let Some((network, patches)) = inputs.patches(0..frames)? {
            let found = network.add(&patches, &composite.color, inputs.size(), targets, color)?;
            of_patches = (0..frames).map(|frame| patches.of_frame(frame, &found)).collect();
        }
        alpha.resize(rendered.alpha.len(), 0.0);
        composite.add_alpha_gradient(targets, color, alpha);
        clock.lap(|t| &mut t.loss);
        let gradients = rasterizer.backward(&batch, inputs.cameras, &settings, &rendered, &loss.gradients)?;
        clock.lap(|t| &mut t.raster_backward);
        let mut raw = activate_vjp(&branch.cloud, deltas.as_ref(), &activated, &gradients)?;
        if let Some(packed) = &packed {
            branch.add_rest_gradient(packed, inputs.rest_weight, &mut raw.deltas);
        }
        clock.lap(|t| &mut t.activate);
        let mut of_neighbors = Vec::new();
        let mut values = Vec::new();
        if has_field && inputs.weights.embedding_terms().next().is_some() {
            let graph = match neighbors.take() {
                Some(graph) => graph,
                None => NeighborGraph::new(&branch.cloud.positions, branch.settings.extent)?,
            };
            let embedding = &branch.cloud.embedding;
            of_neighbors.resize(embedding.len(), 0.0);
            values = embedding_loss(&graph, embedding, EMBEDDING, inputs.weights, &mut of_neighbors);
            *neighbors = Some(graph);
            clock.lap(|t| &mut t.loss);
        }
        let with = |(terms, of_patches): (&LossTerms, &Vec<_>)| {
            terms.with(inputs.weights, of_patches).with(inputs.weights, &values)
        };
        let terms: Vec<LossTerms> = loss.frames.iter().zip(&of_patches).map(with).collect();
        let finite = terms.iter().all(|terms| terms.total.is_finite()) && is_finite(&raw);
        let outputs = StepOutputs {
            finite,
            terms,
            radii: if inputs.statistics { rendered.radii } else { Vec::new() },
            screen: if inputs.statistics { gradients.screen } else { Vec::new() },
            times: clock.times,
        };
        if !finite {
            return Ok(outputs);
        }
        let mut of_field = match has_field {
            true => Some(branch.field_backward(inputs.conditions, std::mem::take(&mut raw.deltas))?),
            false => None,
        };
        if let (Some(of_field), false) = (&mut of_field, of_neighbors.is_empty()) {
            let shape = of_field.embedding.shape();
            let added = Tensor::from_vec(of_neighbors, shape, of_field.embedding.device())?;
            of_field.embedding = (&of_field.embedding + added)?;
        }
        clock.lap(|t| &mut t.field_backward);
        if let Some(rates) = &inputs.rates.cloud {
            moments.step_cloud(&mut branch.cloud, &raw, rates);
            *moved = true;
        }
        if let (Some(rates), Some(gradients)) = (&inputs.rates.field, &of_field) {
            moments.step_field(branch, gradients, rates)?;
        }
        clock.lap(|t| &mut t.optimizer);
        Ok(StepOutputs { times: clock.times, ..outputs })
    }

    fn edit(&mut self, edits: &EditList) -> Result<()> {
        let (_, Loaded { branch, moments, moved, neighbors }) = self.loaded()?;
        *neighbors = None;
        edits.apply(&mut branch.cloud)?;
        if let Some(moments) = moments {
            moments.edit(edits, branch.cloud.bands())?;
        }
        *moved = true;
        branch.embedding_changed()
    }
}

/// The frames put together; of the planes the attention is left.
fn composed(planes: Rendered, composition: &Composition<'_>) -> Result<Images> {
    let size = [planes.width, planes.height];
    let pixels = size[0] * size[1];
    if composition.torso.is_some() {
        return Err(Error::Internal("torsos on a device for pictures that the CPU composes".into()));
    }
    if composition.frames.len() != planes.frames {
        let layers = composition.frames.len();
        return Err(Error::Internal(format!("layers of {layers} frames where {} are drawn", planes.frames)));
    }
    let picture = |(k, layers): (usize, &Layers<'_>)| {
        let head = HeadImages {
            size,
            color: &planes.color[3 * k * pixels..][..3 * pixels],
            alpha: &planes.alpha[k * pixels..][..pixels],
        };
        compose(&head, layers, composition.seam, composition.format)
    };
    let pictures = composition.frames.par_iter().enumerate().map(picture).collect::<Result<_>>()?;
    let planes = Rendered { color: Vec::new(), alpha: Vec::new(), ..planes };
    Ok(Images { planes, pictures, drawn_again: false })
}

fn is_finite(raw: &RawGradients) -> bool {
    let arrays =
        [&raw.positions, &raw.rotations, &raw.log_scales, &raw.opacity_logits, &raw.harmonics, &raw.deltas];
    arrays.iter().all(|values| values.par_iter().all(|v| v.is_finite()))
}
