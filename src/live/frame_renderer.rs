//! Frames from their inputs: field and rasterizer draw the head, plates are decoded on other threads meanwhile, and both are
//! put together. The frames of a new voice and the dataset's own go through here alike.

use super::background::{BackgroundType, Plates};
use super::driver::FrameInputs;
use super::plate_source::{FramePlate, PlateRequest, PlateSource};
use super::stopwatch::{FrameTimes, timed};
use crate::composite::cpu::{HeadImages, compose};
use crate::composite::{BackgroundPlate, Layers, PixelFormat, Seam};
use crate::head::Branch;
use crate::head::backend::{Backend, RenderRequest};
use crate::head::field::Conditions;
use crate::raster::{Outputs, Rendered};
use crate::{Camera, Error, Result};
use rayon::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

/// Batches that are being drawn at once.
const BATCHES_IN_FLIGHT: usize = 2;

/// How frames are drawn and put together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameOptions {
    /// Frames drawn at once, at least 1.
    pub batch: usize,
    /// What is behind the head.
    pub background: BackgroundType,
    /// How the edge of the head is softened.
    pub seam: Seam,
    /// Cut the head by the filmed mask of its part; needs filmed frames.
    pub use_gt_mask: bool,
    /// Also draw the attention images.
    pub attention: bool,
    /// Seed of the random background.
    pub seed: u64,
}

impl Default for FrameOptions {
    fn default() -> Self {
        FrameOptions {
            batch: 16,
            background: BackgroundType::default(),
            seam: Seam::default(),
            use_gt_mask: false,
            attention: false,
            seed: 0,
        }
    }
}

/// A finished frame.
#[derive(Debug, Clone)]
pub struct RenderedFrame {
    /// Number of the frame, from 0.
    pub number: usize,
    /// Width and height, pixels.
    pub size: [usize; 2],
    /// The camera it was drawn with.
    pub camera: Camera,
    /// The frame of the clip whose torso and background are shown.
    pub plate: usize,
    /// The picture, RGB, `[rows, columns, 3]`.
    pub picture: Vec<u8>,
    /// Attention images, `[channels, rows, columns]`, when they were asked for; else empty.
    pub attention: Vec<f32>,
}

/// Draws a head frame by frame.
pub struct FrameRenderer {
    backend: Box<dyn Backend>,
    plates: Arc<dyn PlateSource>,
    background: Option<BackgroundPlate>,
    options: FrameOptions,
    request: PlateRequest,
    batches: VecDeque<Batch>,
    finished: VecDeque<RenderedFrame>,
    submitted: usize,
    times: FrameTimes,
}

/// Frames that are being drawn together.
struct Batch {
    first: usize,
    inputs: Vec<FrameInputs>,
    plates: Vec<Receiver<Result<FramePlate>>>,
    images: Rendered,
}

impl FrameRenderer {
    /// Loads the branch into the backend that draws it.
    ///
    /// # Errors
    /// [`Error::Input`] when filmed frames are needed and `plates` has none; those of the drawing.
    pub fn new(
        branch: &Branch,
        mut backend: Box<dyn Backend>,
        plates: Arc<dyn PlateSource>,
        options: FrameOptions,
    ) -> Result<Self> {
        let background = options.background;
        let filmed = options.use_gt_mask || background.needs_original();
        if filmed && !plates.has_filmed_frames() {
            let asked = if options.use_gt_mask { "use_gt_mask" } else { "background_type gt" };
            let found = "a head without its dataset";
            return Err(Error::input(asked, "the frames of a dataset", found, "name the dataset folder too"));
        }
        let request = PlateRequest { torso: background.shows_clothes(), filmed };
        let scene = background.needs_scene().then(|| plates.background()).transpose()?;
        let scene = scene.map(|picture| BackgroundPlate::new(picture.into_raw()));
        backend.load_state(branch, None)?;
        Ok(FrameRenderer {
            backend,
            plates,
            background: scene,
            options,
            request,
            batches: VecDeque::new(),
            finished: VecDeque::new(),
            submitted: 0,
            times: FrameTimes::default(),
        })
    }

    /// Frames drawn at once.
    pub fn batch(&self) -> usize {
        self.options.batch.max(1)
    }

    /// Whether more frames should be submitted before the next is taken, so that the device has work.
    pub fn wants_frames(&self) -> bool {
        self.finished.is_empty() && self.batches.len() < BATCHES_IN_FLIGHT
    }

    /// Whether no frame is being drawn or waits to be taken.
    pub fn is_idle(&self) -> bool {
        self.finished.is_empty() && self.batches.is_empty()
    }

    /// Starts to draw frames, at most [`FrameRenderer::batch`] of them.
    ///
    /// # Errors
    /// Those of field and rasterizer.
    pub fn submit(&mut self, inputs: Vec<FrameInputs>) -> Result<()> {
        if inputs.is_empty() {
            return Ok(());
        }
        let plates = inputs.iter().map(|frame| self.start_loading(frame.plate)).collect();
        let conditions: Vec<Conditions> = inputs.iter().map(|f| f.conditions.clone()).collect();
        let cameras: Vec<Camera> = inputs.iter().map(|f| f.camera).collect();
        let request = RenderRequest {
            conditions: &conditions,
            cameras: &cameras,
            background: [0.0; 7],
            outputs: Outputs { attention: self.options.attention, ..Outputs::default() },
        };
        let backend = &mut self.backend;
        let images = timed(&mut self.times.drawing, || backend.render(&request)?.wait())?;
        let first = self.submitted;
        self.submitted += inputs.len();
        self.batches.push_back(Batch { first, inputs, plates, images });
        Ok(())
    }

    /// The next frame in their order; `None` when none was submitted. Waits until it is drawn.
    ///
    /// # Errors
    /// Those of drawing and of decoding plates.
    pub fn next_frame(&mut self) -> Result<Option<RenderedFrame>> {
        if self.finished.is_empty()
            && let Some(batch) = self.batches.pop_front()
        {
            let frames = self.finish(batch)?;
            self.finished.extend(frames);
        }
        Ok(self.finished.pop_front())
    }

    /// Where the time went so far.
    pub fn times(&self) -> FrameTimes {
        self.times
    }

    /// Decodes a plate on another thread, where there are threads.
    fn start_loading(&self, index: usize) -> Receiver<Result<FramePlate>> {
        let (sender, receiver) = sync_channel(1);
        let (plates, request) = (Arc::clone(&self.plates), self.request);
        // The receiver is gone when the performance is; then nobody waits for the plate.
        let load = move || drop(sender.send(plates.load(index, request)));
        if cfg!(target_arch = "wasm32") {
            load()
        } else {
            rayon::spawn(load)
        }
        receiver
    }

    fn finish(&mut self, batch: Batch) -> Result<Vec<RenderedFrame>> {
        let Batch { first, inputs, plates, images } = batch;
        let lost = |_| Error::Internal("the thread that decodes plates ended".into());
        let plates: Vec<FramePlate> = timed(&mut self.times.plates, || {
            plates.iter().map(|plate| plate.recv().map_err(lost)?).collect::<Result<_>>()
        })?;
        let (options, background) = (&self.options, self.background.as_ref());
        timed(&mut self.times.composing, || {
            let frames = inputs.into_par_iter().zip(plates).enumerate();
            frames
                .map(|(k, (inputs, plate))| {
                    put_together(options, background, &images, k, first + k, inputs, plate)
                })
                .collect()
        })
    }
}

/// Image `k` of a batch over its background, as frame `number`.
fn put_together(
    options: &FrameOptions,
    scene: Option<&BackgroundPlate>,
    images: &Rendered,
    k: usize,
    number: usize,
    inputs: FrameInputs,
    plate: FramePlate,
) -> Result<RenderedFrame> {
    let size = [images.width, images.height];
    let pixels = size[0] * size[1];
    let filmed = plate.filmed.as_ref();
    let behind = Plates {
        scene,
        torso: Some(plate.torso.torso_patch()),
        original: filmed.map(|frame| frame.rgb.as_slice()),
    };
    let layers = Layers {
        occlusion: options.background.shows_clothes().then(|| plate.torso.occlusion_patch()),
        mask: filmed.filter(|_| options.use_gt_mask).map(|frame| frame.mask.as_slice()),
        ..options.background.layers(&behind, number as u64, options.seed)?
    };
    let head = HeadImages {
        size,
        color: &images.color[k * 3 * pixels..][..3 * pixels],
        alpha: &images.alpha[k * pixels..][..pixels],
    };
    let picture = compose(&head, &layers, options.seam, PixelFormat::Rgb8)?.bytes;
    let attention = match options.attention {
        true => {
            let each = images.attention.len() / (images.alpha.len() / pixels.max(1)).max(1);
            images.attention[k * each..][..each].to_vec()
        }
        false => Vec::new(),
    };
    Ok(RenderedFrame { number, size, camera: inputs.camera, plate: inputs.plate, picture, attention })
}
