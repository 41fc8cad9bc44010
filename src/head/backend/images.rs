//! What is drawn for a voice or for an evaluation, and how it comes back.

use crate::composite::gpu::TextureTarget;
use crate::composite::{Composition, DeviceTorso, Picture};
use crate::head::field::Conditions;
use crate::raster::{Outputs, Rendered};
use crate::{Camera, Error, Result};

/// Frames to draw.
#[derive(Debug, Clone, Copy)]
pub struct RenderRequest<'a> {
    /// What drives each frame; empty to draw the canonical cloud, as the static stage of the training has it.
    pub conditions: &'a [Conditions],
    /// One for each frame, all of one image size.
    pub cameras: &'a [Camera],
    /// Background of the colours, then of the attention channels. Where a picture is composed, that of the colours is black.
    pub background: [f32; 7],
    /// Images wanted beside colour and alpha.
    pub outputs: Outputs,
    /// How the frames come back.
    pub output: Output<'a>,
}

/// How drawn frames come back.
#[derive(Debug, Clone, Copy, Default)]
pub enum Output<'a> {
    /// As planes of floats, to be scored.
    #[default]
    Planes,
    /// As finished pictures, in bytes; of the planes only the attention comes back, where it is drawn.
    Pictures(&'a Composition<'a>),
    /// The first frame on a texture of the caller's; nothing comes back. Needs a GPU.
    Texture(&'a Composition<'a>, TextureTarget<'a>),
    /// As torsos that stay on the device, for a composition there; nothing comes back. Needs a GPU, and the attention.
    Torso(&'a DeviceTorso),
}

impl<'a> Output<'a> {
    /// What pictures are put together from, where they are.
    pub fn composition(&self) -> Option<&'a Composition<'a>> {
        match self {
            Output::Planes | Output::Torso(_) => None,
            Output::Pictures(composition) | Output::Texture(composition, _) => Some(composition),
        }
    }
}

impl RenderRequest<'_> {
    /// The background that the rasterizer draws on.
    pub(super) fn drawn_background(&self) -> [f32; 7] {
        let [_, _, _, attention @ ..] = self.background;
        match self.output {
            Output::Planes => self.background,
            _ => [[0.0; 3].as_slice(), &attention].concat().try_into().unwrap_or_default(),
        }
    }
}

/// Frames that were drawn.
#[derive(Default)]
pub struct Images {
    /// As planes; see [`Output`] for which of them come back.
    pub planes: Rendered,
    /// As finished pictures, where they were asked for.
    pub pictures: Vec<Picture>,
    /// Whether frames had to be drawn once more, with room for more pairs of a surfel and a tile. What was composed before with
    /// torsos of this drawing must be, too.
    pub drawn_again: bool,
}

/// Images that are being drawn. Several requests may be; dropping one gives it up.
pub struct PendingImages(State);

enum State {
    Ready(Option<Box<Images>>),
    Drawing(Box<dyn PendingWork>),
}

/// Work on a device that ends in images.
pub(super) trait PendingWork: Send {
    /// The images when they are there, once; waits for them where `wait` is set.
    fn advance(&mut self, wait: bool) -> Result<Option<Images>>;
}

impl PendingImages {
    /// Images that are there already.
    pub(super) fn ready(images: Images) -> Self {
        PendingImages(State::Ready(Some(Box::new(images))))
    }

    /// Images that a device draws.
    pub(super) fn drawing(work: impl PendingWork + 'static) -> Self {
        PendingImages(State::Drawing(Box::new(work)))
    }

    /// The images once they are there; nothing while they are being drawn, and after they were taken. Does not wait.
    pub fn try_take(&mut self) -> Option<Result<Images>> {
        self.take(false)
    }

    /// Waits for the images. A browser cannot wait, and calls [`PendingImages::try_take`] once a frame.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when the device went away, [`Error::Internal`] when they were taken before.
    pub fn wait(mut self) -> Result<Images> {
        self.take(true).unwrap_or_else(|| Err(Error::Internal("images that were taken before".into())))
    }

    fn take(&mut self, wait: bool) -> Option<Result<Images>> {
        match &mut self.0 {
            State::Ready(images) => images.take().map(|images| Ok(*images)),
            State::Drawing(work) => {
                let outcome = work.advance(wait).transpose()?;
                self.0 = State::Ready(None);
                Some(outcome)
            }
        }
    }
}
