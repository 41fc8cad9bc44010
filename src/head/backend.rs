//! What runs a branch: one trait, one implementation for each kind of device. Each holds surfels, tri-planes, the small
//! networks, and the state of Adam for all of them.

pub mod adam;
pub mod cpu;
pub mod gpu;
mod images;
pub mod moments;
pub mod rates;
mod step;

pub use cpu::CpuBackend;
pub use gpu::GpuBackend;
pub use images::{Images, PendingImages, RenderRequest};
pub use moments::BranchMoments;
pub use rates::{CloudRates, FieldRates, Rates};
pub use step::{PatchLoss, StepInputs, StepOutputs, StepTargets, StepTimes};

use crate::Result;
use crate::gpu::Gpu;
use crate::head::Branch;
use crate::head::cloud::density::EditList;

/// Runs one branch. Empty until [`Backend::load_state`].
pub trait Backend: Send {
    /// What it runs on: "CPU, 2 threads", or the adapter's name.
    fn name(&self) -> String;

    /// The GPU it runs on; targets may be uploaded there before their step, by another thread.
    fn gpu(&self) -> Option<&Gpu> {
        None
    }

    /// Takes a copy of the parameters, and of the state of Adam when the branch is to be trained.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when they do not fit the device, [`crate::Error::DeviceLost`] when it goes away.
    fn load_state(&mut self, branch: &Branch, moments: Option<&BranchMoments>) -> Result<()>;

    /// The parameters as they are now, and the state of Adam when there is one.
    ///
    /// # Errors
    /// [`crate::Error::DeviceLost`] when the device is gone, [`crate::Error::Internal`] when nothing was loaded.
    fn read_state(&mut self) -> Result<(&Branch, Option<&BranchMoments>)>;

    /// Draws frames.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the request does not fit the branch, [`crate::Error::DeviceLost`] when the device
    /// goes away.
    fn render(&mut self, request: &RenderRequest<'_>) -> Result<PendingImages>;

    /// One training step: forward, loss, backward, Adam. Nothing is learned when a number is not finite.
    ///
    /// # Errors
    /// As [`Backend::render`]; also when the branch was loaded without the state of Adam.
    fn train_step(&mut self, inputs: &StepInputs<'_>) -> Result<StepOutputs>;

    /// Clones, splits and removes surfels together with their state of Adam.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the list was made for another cloud, and those of [`Backend::load_state`].
    fn edit(&mut self, edits: &EditList) -> Result<()>;
}

/// A backend for a branch, and what the user should be told about the choice.
pub struct Opened {
    /// Empty.
    pub backend: Box<dyn Backend>,
    /// A sentence when the GPU is not used although there is one.
    pub note: Option<String>,
}

/// The backend for `branch` when it has up to `surfels` surfels and `frames` frames are drawn together: the GPU where there
/// is one with room for that, else the CPU, which then does all.
pub fn open(gpu: Option<&Gpu>, branch: &Branch, surfels: usize, frames: usize) -> Opened {
    match gpu {
        Some(gpu) if GpuBackend::fits(gpu, branch, surfels, frames) => {
            Opened { backend: Box::new(GpuBackend::new(gpu.clone())), note: None }
        }
        Some(gpu) => Opened {
            backend: Box::new(CpuBackend::new()),
            note: Some(format!(
                "{} has no room for the field of {surfels} surfels in {frames} frames, so the CPU does all the work",
                gpu.name()
            )),
        },
        None => Opened { backend: Box::new(CpuBackend::new()), note: None },
    }
}
