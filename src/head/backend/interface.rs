//! The one trait between a branch and what runs it.

use super::images::{PendingImages, RenderRequest};
use super::moments::BranchMoments;
use super::step::{StepInputs, StepOutputs};
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
