//! Requests on their way through the device: recorded and submitted at once, read back by a ring. Where the pairs of a surfel
//! and a tile do not fit, which the read-back tells, a group of frames is drawn once more with a larger capacity.

use crate::Result;
use crate::composite::DeviceTorso;
use crate::composite::gpu::{Compositor, DeviceImages, DeviceLayers, PictureShape, TextureTarget};
use crate::gpu::{Gpu, PendingReadback, ReadbackRing, Recorder, Timing};
use crate::head::backend::images::{Images, Output, PendingWork};
use crate::raster::Outputs;
use crate::raster::gpu::forward::{self, Work};
use crate::raster::gpu::{GpuRasterizer, Inputs};
use std::collections::VecDeque;
use std::sync::Arc;

/// Groups of frames whose read-back may be in flight at once; a performance has two or three.
const READBACKS: usize = 64;

/// What draws and composes: shared by a backend and its requests in flight.
#[derive(Debug)]
pub(super) struct Renderer {
    pub(super) rasterizer: GpuRasterizer,
    pub(super) compositor: Compositor,
    ring: ReadbackRing,
}

impl Renderer {
    pub(super) fn new(gpu: Gpu, timing: Timing) -> Self {
        Renderer {
            compositor: Compositor::new(&gpu),
            ring: ReadbackRing::new(&gpu, READBACKS),
            rasterizer: GpuRasterizer::timed(gpu, timing),
        }
    }
}

/// A request that is being drawn.
pub(super) struct PendingRender {
    renderer: Arc<Renderer>,
    outputs: Outputs,
    target: Target,
    groups: VecDeque<Group>,
    /// Those of the groups that are there.
    images: Images,
}

/// Where frames go.
enum Target {
    Planes,
    Pictures,
    Texture(wgpu::TextureView, wgpu::TextureFormat),
    Torso(DeviceTorso),
}

/// Frames that are drawn together.
struct Group {
    /// Activated surfels and cameras, kept until the images are known to be whole.
    inputs: Inputs,
    /// What is composed with them.
    layers: Option<DeviceLayers>,
    capacity: u64,
    readback: PendingReadback,
    /// Where pictures are read back.
    shape: Option<PictureShape>,
}

impl PendingRender {
    /// A request of which nothing is submitted yet; `images` has no frame.
    pub(super) fn new(
        renderer: &Arc<Renderer>,
        outputs: Outputs,
        output: &Output<'_>,
        images: Images,
    ) -> Self {
        let target = match *output {
            Output::Planes => Target::Planes,
            Output::Pictures(_) => Target::Pictures,
            Output::Texture(_, TextureTarget { view, format }) => Target::Texture(view.clone(), format),
            Output::Torso(torso) => Target::Torso(torso.clone()),
        };
        PendingRender { renderer: Arc::clone(renderer), outputs, target, groups: VecDeque::new(), images }
    }

    /// Records the drawing of a group after what is recorded, submits it, and waits for nothing.
    ///
    /// # Errors
    /// [`crate::Error::DeviceLost`] when the device goes away, [`crate::Error::Internal`] when too much is in flight.
    pub(super) fn submit(
        &mut self,
        recorder: Recorder<'_>,
        inputs: Inputs,
        layers: Option<DeviceLayers>,
    ) -> Result<()> {
        let capacity = forward::initial_capacity(&self.renderer.rasterizer, &inputs);
        let group = self.record(recorder, inputs, layers, capacity)?;
        self.groups.push_back(group);
        Ok(())
    }

    fn record(
        &self,
        mut recorder: Recorder<'_>,
        inputs: Inputs,
        layers: Option<DeviceLayers>,
        capacity: u64,
    ) -> Result<Group> {
        let Renderer { rasterizer, compositor, ring } = &*self.renderer;
        let drawn = forward::record(&mut recorder, rasterizer, &inputs, &self.outputs, capacity)?;
        let [work, radii, planes] = drawn.sources(&inputs, &self.outputs);
        let [at_color, at_alpha] = inputs.color_and_alpha();
        let images = DeviceImages { buffer: &drawn.images, at_color, at_alpha };
        if let Target::Torso(torso) = &self.target {
            let (gpu, at) = (rasterizer.gpu(), inputs.attention_at());
            let _until_submitted = torso.record(gpu, &mut recorder, &images, at, inputs.frames.clone())?;
            let readback = ring.submit(recorder.into_encoder(), &[work])?;
            return Ok(Group { inputs, layers, capacity, readback, shape: None });
        }
        let Some(on_device) = &layers else {
            let readback = ring.submit(recorder.into_encoder(), &[work, radii, planes])?;
            return Ok(Group { inputs, layers, capacity, readback, shape: None });
        };
        let pictures = compositor.record(&mut recorder, &images, on_device)?;
        let attention = (planes.0, inputs.attention_bytes());
        let mut shape = None;
        let readback = match &self.target {
            Target::Texture(view, format) => {
                // The first frame of the request.
                if inputs.frames.start == 0 {
                    compositor.record_show(
                        &mut recorder,
                        &pictures,
                        TextureTarget { view, format: *format },
                    )?;
                }
                ring.submit(recorder.into_encoder(), &[work, attention])?
            }
            Target::Planes | Target::Pictures | Target::Torso(_) => {
                let packed = compositor.record_pack(&mut recorder, &pictures)?;
                shape = Some(packed.shape());
                let bytes = (&*packed.buffer, 0..packed.bytes);
                ring.submit(recorder.into_encoder(), &[work, attention, bytes])?
            }
        };
        Ok(Group { inputs, layers, capacity, readback, shape })
    }

    /// Takes a group that was read back; what must be drawn again is submitted again.
    fn take(&mut self, group: Group) -> Result<Option<Group>> {
        let Group { inputs, layers, capacity, readback, shape } = group;
        let (frames, outputs, images) = (inputs.frames.len(), &self.outputs, &mut self.images);
        let (mut work, composed) = (Work::default(), layers.is_some());
        readback.take(|i, data| match i {
            0 => work = Work::of(data),
            _ if !work.fits(capacity) => {}
            1 if composed => crate::gpu::append(&mut images.planes.attention, data),
            1 => crate::gpu::append(&mut images.planes.radii, data),
            _ => match &shape {
                Some(shape) => images.pictures.extend(shape.pictures(data)),
                None => forward::append_images(&mut images.planes, outputs, frames, data),
            },
        })?;
        let rasterizer = &self.renderer.rasterizer;
        match forward::grow_capacity(rasterizer, &inputs, capacity, &work)? {
            None => Ok(None),
            Some(more) => {
                self.images.drawn_again = true;
                self.record(rasterizer.recorder(), inputs, layers, more).map(Some)
            }
        }
    }
}

impl PendingWork for PendingRender {
    fn advance(&mut self, wait: bool) -> Result<Option<Images>> {
        while let Some(group) = self.groups.pop_front() {
            if wait {
                group.readback.wait()?;
            } else if !group.readback.is_ready()? {
                self.groups.push_front(group);
                return Ok(None);
            }
            if let Some(again) = self.take(group)? {
                self.groups.push_front(again);
            }
        }
        Ok(Some(std::mem::take(&mut self.images)))
    }
}
