//! Inputs and outputs of a training step.

use super::rates::Rates;
use crate::gpu::Gpu;
use crate::head::field::Conditions;
use crate::loss::gpu::DeviceTargets;
use crate::loss::patches::{PatchNetwork, Patches};
use crate::loss::{LossTerms, Target, Weights};
use crate::raster::{Outputs, RasterSettings};
use crate::{Camera, Result};
use std::ops::Range;
use std::time::{Duration, Instant};

/// The targets of a step, and a copy on the GPU that trains.
pub struct StepTargets {
    /// One for each frame.
    pub targets: Vec<Target>,
    pub(super) device: Option<DeviceTargets>,
}

impl StepTargets {
    /// Uploads targets to `gpu`, where there is one. May run on another thread while the step before is taken.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when sizes disagree, [`crate::Error::DeviceLost`] when the device goes away.
    pub fn prepare(
        gpu: Option<&Gpu>,
        targets: Vec<Target>,
        weights: &Weights,
        size: [usize; 2],
    ) -> Result<Self> {
        let device = gpu.map(|gpu| DeviceTargets::upload(gpu, &targets, weights, size)).transpose()?;
        Ok(StepTargets { targets, device })
    }
}

/// What patches are placed and compared by.
#[derive(Clone, Copy)]
pub struct PatchInputs<'a> {
    /// The network; it is on the GPU that trains, where there is one.
    pub network: &'a PatchNetwork,
    /// Two numbers in 0..1 for each frame that place its patch.
    pub dice: &'a [[f64; 2]],
}

/// Inputs of a training step.
pub struct StepInputs<'a> {
    /// What drives each frame; empty while the cloud is trained without the field.
    pub conditions: &'a [Conditions],
    /// One for each frame, all of one image size.
    pub cameras: &'a [Camera],
    /// Colour behind the head.
    pub background: [f32; 3],
    /// What the frames should look like.
    pub targets: &'a StepTargets,
    /// Weights of the terms.
    pub weights: &'a Weights,
    /// Degree of the harmonics drawn, at most the cloud's own.
    pub sh_degree: usize,
    /// Weight of the mean displacement of the surfels, in parts of the extent.
    pub rest_weight: f32,
    /// Whether radii and the densification signal are wanted.
    pub statistics: bool,
    /// For the terms over patches, which do not count without it.
    pub patches: Option<PatchInputs<'a>>,
    /// Learning rates.
    pub rates: &'a Rates,
}

impl StepInputs<'_> {
    pub(super) fn size(&self) -> [usize; 2] {
        self.cameras.first().map_or([0, 0], |c| [c.width as usize, c.height as usize])
    }

    pub(super) fn settings(&self) -> RasterSettings {
        let outputs: Outputs = self.weights.outputs();
        let mut settings = RasterSettings { outputs, ..RasterSettings::default() };
        settings.background[..3].copy_from_slice(&self.background);
        settings
    }

    /// The network and the patches of the frames `range`, where they count.
    pub(super) fn patches(&self, range: Range<usize>) -> Result<Option<(&PatchNetwork, Patches)>> {
        let Some(PatchInputs { network, dice }) = &self.patches else { return Ok(None) };
        if self.weights.patch_terms().next().is_none() {
            return Ok(None);
        }
        let targets = &self.targets.targets;
        let (own, dice) = (&targets[range.clone()], dice.get(range).unwrap_or_default());
        Ok(Some((network, network.place(own, targets.len(), dice, self.weights, self.size())?)))
    }
}

/// Outputs of a training step.
#[derive(Debug, Clone, Default)]
pub struct StepOutputs {
    /// False when a number was not finite; then nothing was learned.
    pub finite: bool,
    /// The terms of the loss of each frame.
    pub terms: Vec<LossTerms>,
    /// Screen radius of each surfel in pixels, `[frames, surfels]`; empty where it was not wanted.
    pub radii: Vec<u32>,
    /// The densification signal of 2DGS, `[frames, surfels, 2]`; empty where it was not wanted.
    pub screen: Vec<f32>,
    /// Where the time went.
    pub times: StepTimes,
}

/// Wall time of the parts of a step. On a GPU the device works on all of them while the host waits in `device`.
#[derive(Debug, Clone, Copy, Default)]
pub struct StepTimes {
    /// The field, forward. On a GPU: tokens, and recording.
    pub field_forward: Duration,
    /// Parameters to drawn surfels, and gradients back.
    pub activate: Duration,
    /// Drawing.
    pub raster_forward: Duration,
    /// The loss.
    pub loss: Duration,
    /// Gradients of the drawing.
    pub raster_backward: Duration,
    /// Waiting for the GPU.
    pub device: Duration,
    /// The field, backward. On a GPU: the small networks.
    pub field_backward: Duration,
    /// Adam.
    pub optimizer: Duration,
}

/// Counts time to the parts of a step.
pub(super) struct Clock {
    last: Instant,
    pub(super) times: StepTimes,
}

impl Clock {
    pub(super) fn start() -> Self {
        Clock { last: Instant::now(), times: StepTimes::default() }
    }

    /// Counts the time since the last call to `part`.
    pub(super) fn lap(&mut self, part: impl FnOnce(&mut StepTimes) -> &mut Duration) {
        let now = Instant::now();
        *part(&mut self.times) += now - self.last;
        self.last = now;
    }
}
