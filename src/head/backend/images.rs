//! What is drawn for a voice or for an evaluation, and how it comes back.

use crate::head::field::Conditions;
use crate::raster::{Outputs, Rendered};
use crate::{Camera, Result};

/// Frames to draw.
#[derive(Debug, Clone, Copy)]
pub struct RenderRequest<'a> {
    /// What drives each frame; empty to draw the canonical cloud, as the static stage of the training has it.
    pub conditions: &'a [Conditions],
    /// One for each frame, all of one image size.
    pub cameras: &'a [Camera],
    /// Background of the colours, then of the attention channels.
    pub background: [f32; 7],
    /// Images wanted beside colour and alpha.
    pub outputs: Outputs,
}

/// Images of a request, as planes.
pub type Images = Rendered;

/// Images that are being drawn.
pub struct PendingImages {
    state: Option<Result<Images>>,
}

impl PendingImages {
    /// Images that are there already.
    pub(crate) fn ready(images: Images) -> Self {
        PendingImages { state: Some(Ok(images)) }
    }

    /// The images once they are there; nothing while they are being drawn, and after they were taken.
    pub fn try_take(&mut self) -> Option<Result<Images>> {
        self.state.take()
    }

    /// Waits for the images.
    ///
    /// # Errors
    /// [`crate::Error::DeviceLost`] when the device went away, [`crate::Error::Internal`] when they were taken before.
    pub fn wait(mut self) -> Result<Images> {
        let taken = || Err(crate::Error::Internal("images that were taken before".into()));
        self.try_take().unwrap_or_else(taken)
    }
}
