//! Frames from their inputs: field and rasterizer draw the head, plates are decoded on other threads meanwhile, and both are
//! put together. The frames of a new voice and the dataset's own go through here alike.

use super::background::{Backdrop, BackgroundLayers, BackgroundType};
use super::driver::FrameInputs;
use super::plate_source::{FramePlate, PlateRequest, PlateSource};
use super::portrait_frame::PortraitFrame;
use super::stopwatch::{FrameTimes, timed};
use super::torso_branch::{DrawnTorsos, TorsoBranch};
use crate::composite::gpu::TextureTarget;
use crate::composite::{BackgroundPlate, Composition, DeviceTorso, Layers, PixelFormat, Seam};
use crate::head::Branch;
use crate::head::backend::{Backend, Images, Output, PendingImages, RenderRequest};
use crate::head::field::Conditions;
use crate::raster::Outputs;
use crate::{Camera, Error, Result};
use image::RgbImage;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

/// Batches that are worked on at once: one whose plates are decoded, and those that are drawn.
const BATCHES_IN_FLIGHT: usize = 1 + BATCHES_DRAWN;
/// Batches that are drawn at once: while one comes back, the device has the next.
const BATCHES_DRAWN: usize = 2;

/// How frames are drawn and put together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameOptions {
    /// Frames drawn at once, at least 1.
    pub batch: usize,
    /// What is behind the head.
    pub background: BackgroundType,
    /// What takes the place of the room there.
    pub backdrop: Backdrop,
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
            backdrop: Backdrop::default(),
            seam: Seam::default(),
            use_gt_mask: false,
            attention: false,
            seed: 0,
        }
    }
}

impl FrameOptions {
    /// How the bytes of finished pictures are arranged.
    fn format(&self) -> PixelFormat {
        if self.backdrop == Backdrop::Transparent { PixelFormat::Rgba8 } else { PixelFormat::Rgb8 }
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
    /// The picture, RGB, `[rows, columns, 3]`; over [`Backdrop::Transparent`] RGBA of straight colours, `[rows, columns, 4]`.
    pub picture: Vec<u8>,
    /// The original frame that the picture was laid into, in portrait mode.
    pub portrait: Option<PortraitFrame>,
    /// Attention images, `[channels, rows, columns]`, when they were asked for; else empty.
    pub attention: Vec<f32>,
}

impl RenderedFrame {
    /// The picture without its alpha.
    ///
    /// # Errors
    /// [`Error::Internal`] for a picture of another size.
    pub fn to_image(&self) -> Result<RgbImage> {
        let [width, height] = self.size.map(|side| side as u32);
        RgbImage::from_raw(width, height, self.rgb().into_owned())
            .ok_or_else(|| Error::Internal(format!("a picture that is not of {:?}", self.size)))
    }

    /// The picture without its alpha, RGB, `[rows, columns, 3]`.
    pub fn rgb(&self) -> Cow<'_, [u8]> {
        match self.picture.len() == 4 * self.size[0] * self.size[1] {
            true => self.picture.as_chunks::<4>().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect(),
            false => Cow::Borrowed(&self.picture),
        }
    }
}

/// Draws a head frame by frame.
pub struct FrameRenderer {
    backend: Box<dyn Backend>,
    plates: Arc<dyn PlateSource>,
    background: Option<BackgroundPlate>,
    torso: Option<TorsoBranch>,
    options: FrameOptions,
    request: PlateRequest,
    loading: VecDeque<LoadingBatch>,
    drawing: VecDeque<DrawingBatch>,
    finished: VecDeque<RenderedFrame>,
    /// Torsos of frames that were drawn on textures, until it is known how much room they took.
    torsos_on_textures: Vec<PendingImages>,
    submitted: usize,
    times: FrameTimes,
}

/// Frames whose plates are being decoded.
struct LoadingBatch {
    first: usize,
    inputs: Vec<FrameInputs>,
    plates: Vec<Receiver<Result<FramePlate>>>,
}

/// Frames that are being drawn and put together.
struct DrawingBatch {
    first: usize,
    inputs: Vec<FrameInputs>,
    plates: Vec<FramePlate>,
    /// Torsos that were drawn on the device, until they are known to be whole.
    torso: Option<(DeviceTorso, PendingImages)>,
    images: PendingImages,
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
        let request = PlateRequest {
            torso: background.shows_clothes(),
            filmed,
            keep_hair: background == BackgroundType::Hair,
        };
        let scene = options.backdrop.needs_scene(background).then(|| plates.background()).transpose()?;
        let scene = scene.map(|picture| BackgroundPlate::new(picture.into_raw()));
        backend.load_state(branch, None)?;
        Ok(FrameRenderer {
            backend,
            plates,
            background: scene,
            torso: None,
            options,
            request,
            loading: VecDeque::new(),
            drawing: VecDeque::new(),
            finished: VecDeque::new(),
            torsos_on_textures: Vec::new(),
            submitted: 0,
            times: FrameTimes::default(),
        })
    }

    /// The torso is drawn by `branch`, in a backend of its own.
    ///
    /// # Errors
    /// [`Error::Internal`] for a branch of another part; those of the device.
    pub fn with_torso(mut self, branch: &Branch, backend: Box<dyn Backend>) -> Result<Self> {
        self.torso = Some(TorsoBranch::new(branch, backend)?);
        self.request.torso = false;
        Ok(self)
    }

    /// Frames drawn at once.
    pub fn batch(&self) -> usize {
        self.options.batch.max(1)
    }

    /// Whether more frames should be submitted before the next is taken, so that the device has work.
    pub fn wants_frames(&self) -> bool {
        self.finished.is_empty() && self.loading.len() + self.drawing.len() < BATCHES_IN_FLIGHT
    }

    /// Whether no frame is being drawn or waits to be taken.
    pub fn is_idle(&self) -> bool {
        self.finished.is_empty() && self.loading.is_empty() && self.drawing.is_empty()
    }

    /// Takes frames, at most [`FrameRenderer::batch`] of them, and starts to decode their plates.
    ///
    /// # Errors
    /// None yet; drawing may fail later.
    pub fn submit(&mut self, inputs: Vec<FrameInputs>) -> Result<()> {
        if inputs.is_empty() {
            return Ok(());
        }
        let plates = inputs.iter().map(|frame| self.start_loading(frame.plate)).collect();
        let first = self.submitted;
        self.submitted += inputs.len();
        self.loading.push_back(LoadingBatch { first, inputs, plates });
        Ok(())
    }

    /// Counts a frame that is not drawn.
    pub fn skip(&mut self) {
        self.submitted += 1;
    }

    /// The next frame in their order; `None` when none was submitted. Waits until it is drawn.
    ///
    /// # Errors
    /// Those of drawing and of decoding plates.
    pub fn next_frame(&mut self) -> Result<Option<RenderedFrame>> {
        if self.finished.is_empty() {
            self.start()?;
            if let Some(batch) = self.drawing.pop_front() {
                let frames = self.finish(batch)?;
                self.finished.extend(frames);
            }
        }
        Ok(self.finished.pop_front())
    }

    /// Starts to draw what was submitted, as much of it as is drawn at once. A GPU is given the work and is not waited for.
    ///
    /// # Errors
    /// As [`FrameRenderer::next_frame`].
    pub fn start(&mut self) -> Result<()> {
        while self.drawing.len() < BATCHES_DRAWN
            && let Some(batch) = self.loading.pop_front()
        {
            let batch = self.draw(batch)?;
            self.drawing.push_back(batch);
        }
        Ok(())
    }

    /// Draws one frame onto a texture, beside those that were submitted, and waits for nothing: it is there once the images, which
    /// come back empty, can be taken. Plates are decoded here and now. A torso that is drawn with it may lack surfels in the first
    /// frames, until it is known how much room they take.
    ///
    /// # Errors
    /// Those of drawing and of decoding plates; a backend that is no GPU has no textures.
    pub fn draw_on(&mut self, inputs: FrameInputs, target: TextureTarget<'_>) -> Result<PendingImages> {
        let first = self.submitted;
        self.submitted += 1;
        let (plates, request) = (&self.plates, self.request);
        let mut plates = [timed(&mut self.times.plates, || plates.load(inputs.plate, request))?];
        let inputs = [inputs];
        let torso = self.draw_torsos(&inputs, &mut plates)?;
        let images =
            self.compose(first, &inputs, &plates, torso.as_ref().map(|(drawn, _)| drawn), Some(target))?;
        self.torsos_on_textures.retain_mut(|pending| pending.try_take().is_none());
        self.torsos_on_textures.extend(torso.map(|(_, pending)| pending));
        Ok(images)
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

    /// Waits for the plates of a batch and starts to draw it.
    fn draw(&mut self, batch: LoadingBatch) -> Result<DrawingBatch> {
        let LoadingBatch { first, inputs, plates } = batch;
        let lost = |_| Error::Internal("the thread that decodes plates ended".into());
        let mut plates: Vec<FramePlate> = timed(&mut self.times.plates, || {
            plates.iter().map(|plate| plate.recv().map_err(lost)?).collect::<Result<_>>()
        })?;
        let torso = self.draw_torsos(&inputs, &mut plates)?;
        let images = self.compose(first, &inputs, &plates, torso.as_ref().map(|(drawn, _)| drawn), None)?;
        Ok(DrawingBatch { first, inputs, plates, torso, images })
    }

    /// Starts to draw the torsos of frames, where a branch draws them: into their plates, or on the device that composes.
    fn draw_torsos(
        &mut self,
        inputs: &[FrameInputs],
        plates: &mut [FramePlate],
    ) -> Result<Option<(DeviceTorso, PendingImages)>> {
        let cameras = self.cameras(inputs);
        let Some(branch) = &mut self.torso else { return Ok(None) };
        let conditions: Vec<Conditions> = inputs.iter().map(|f| f.conditions.clone()).collect();
        let composing = self.backend.gpu();
        match timed(&mut self.times.drawing, || branch.draw(&conditions, &cameras, composing))? {
            DrawnTorsos::OnDevice(drawn, pending) => Ok(Some((drawn, pending))),
            DrawnTorsos::Plates(drawn) => {
                plates.iter_mut().zip(drawn).for_each(|(plate, drawn)| plate.torso = drawn);
                Ok(None)
            }
        }
    }

    /// The cameras of frames, of the plates' size.
    fn cameras(&self, inputs: &[FrameInputs]) -> Vec<Camera> {
        let [width, height] = self.plates.size();
        let is_other = |camera: &Camera| [camera.width, camera.height] != [width, height];
        let sized = |camera: Camera| if is_other(&camera) { camera.resized(width, height) } else { camera };
        inputs.iter().map(|f| sized(f.camera)).collect()
    }

    /// Starts to draw the head and to put the pictures together, onto a texture where there is one.
    fn compose(
        &mut self,
        first: usize,
        inputs: &[FrameInputs],
        plates: &[FramePlate],
        torso: Option<&DeviceTorso>,
        target: Option<TextureTarget<'_>>,
    ) -> Result<PendingImages> {
        let conditions: Vec<Conditions> = inputs.iter().map(|f| f.conditions.clone()).collect();
        let cameras = self.cameras(inputs);
        let (options, scene) = (&self.options, self.background.as_ref());
        let layers = plates.iter().enumerate().map(|(k, plate)| {
            let layers = layers(options, scene, first + k, plate)?;
            Ok(if torso.is_some() { Layers { torso: None, occlusion: None, ..layers } } else { layers })
        });
        let layers: Vec<Layers<'_>> = layers.collect::<Result<_>>()?;
        let composition =
            Composition { frames: &layers, seam: options.seam, format: options.format(), torso };
        let request = RenderRequest {
            conditions: &conditions,
            cameras: &cameras,
            background: [0.0; 7],
            outputs: Outputs { attention: options.attention, ..Outputs::default() },
            output: match target {
                Some(target) => Output::Texture(&composition, target),
                None => Output::Pictures(&composition),
            },
        };
        let backend = &mut self.backend;
        timed(&mut self.times.drawing, || backend.render(&request))
    }

    fn finish(&mut self, batch: DrawingBatch) -> Result<Vec<RenderedFrame>> {
        let DrawingBatch { first, inputs, plates, torso, mut images } = batch;
        if let Some((torso, pending)) = torso
            && timed(&mut self.times.drawing, || pending.wait())?.drawn_again
        {
            // The pictures were put together with torsos that lacked surfels.
            images = self.compose(first, &inputs, &plates, Some(&torso), None)?;
        }
        let Images { planes, pictures, .. } = timed(&mut self.times.drawing, || images.wait())?;
        let each = planes.attention.len() / inputs.len().max(1);
        let frames = inputs.into_iter().zip(plates).zip(pictures).enumerate();
        let finished = frames.map(|(k, ((inputs, plate), picture))| {
            let portrait = plate.filmed.and_then(|frame| frame.portrait);
            let (size, picture) = match &portrait {
                Some(portrait) => {
                    let whole = portrait.laid(&picture.bytes)?;
                    ([whole.width() as usize, whole.height() as usize], whole.into_raw())
                }
                None => (picture.size, picture.bytes),
            };
            let attention = planes.attention[k * each..][..each].to_vec();
            let FrameInputs { camera, plate, .. } = inputs;
            Ok(RenderedFrame { number: first + k, size, camera, plate, picture, portrait, attention })
        });
        finished.collect()
    }
}

/// What frame `number` is put together from, beside the head.
fn layers<'a>(
    options: &FrameOptions,
    scene: Option<&'a BackgroundPlate>,
    number: usize,
    plate: &'a FramePlate,
) -> Result<Layers<'a>> {
    let filmed = plate.filmed.as_ref();
    let behind = BackgroundLayers {
        scene,
        torso: Some(plate.torso.torso_patch()),
        original: filmed.map(|frame| frame.rgb.as_slice()),
    };
    Ok(Layers {
        occlusion: options.background.shows_clothes().then(|| plate.torso.occlusion_patch()),
        mask: filmed.filter(|frame| options.use_gt_mask || frame.cuts).map(|frame| frame.mask.as_slice()),
        ..options.background.layers(options.backdrop, &behind, number as u64, options.seed)?
    })
}
