//! One loaded branch that many draw with: its parameters are on the device once.

use super::images::{PendingImages, RenderRequest};
use super::interface::Backend;
use super::moments::BranchMoments;
use super::step::{StepInputs, StepOutputs};
use crate::gpu::Gpu;
use crate::head::Branch;
use crate::head::cloud::density::EditList;
use crate::{Error, Result};
use std::sync::{Arc, Mutex, PoisonError};

/// A backend that was loaded for drawing; clones draw with the same one. It can neither be trained nor loaded anew.
#[derive(Clone)]
pub struct SharedBackend {
    backend: Arc<Mutex<Box<dyn Backend>>>,
    name: Arc<str>,
    gpu: Option<Gpu>,
}

impl SharedBackend {
    /// Loads a branch.
    ///
    /// # Errors
    /// Those of [`Backend::load_state`].
    pub fn load(mut backend: Box<dyn Backend>, branch: &Branch) -> Result<Self> {
        backend.load_state(branch, None)?;
        let (name, gpu) = (backend.name().into(), backend.gpu().cloned());
        Ok(SharedBackend { backend: Arc::new(Mutex::new(backend)), name, gpu })
    }
}

fn refused(what: &str) -> Error {
    Error::Internal(format!("a backend that many draw with is not {what}"))
}

impl Backend for SharedBackend {
    fn name(&self) -> String {
        self.name.to_string()
    }

    fn gpu(&self) -> Option<&Gpu> {
        self.gpu.as_ref()
    }

    /// It holds its branch already.
    fn load_state(&mut self, _: &Branch, _: Option<&BranchMoments>) -> Result<()> {
        Ok(())
    }

    fn read_state(&mut self) -> Result<(&Branch, Option<&BranchMoments>)> {
        Err(refused("read"))
    }

    fn render(&mut self, request: &RenderRequest<'_>) -> Result<PendingImages> {
        self.backend.lock().unwrap_or_else(PoisonError::into_inner).render(request)
    }

    fn train_step(&mut self, _: &StepInputs<'_>) -> Result<StepOutputs> {
        Err(refused("trained"))
    }

    fn edit(&mut self, _: &EditList) -> Result<()> {
        Err(refused("edited"))
    }
}
