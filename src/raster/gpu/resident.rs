//! A batch that stays on the device: drawn and gone back through without copies to or from the host.

use super::backward::{self, Returned, Upstream};
use super::forward::{self, Drawn, WORK_BYTES, Work};
use super::inputs::Inputs;
use super::layout::Images;
use super::{GpuRasterizer, checks};
use crate::gpu::kernels::Recorder;
use crate::raster::{ImageGradients, RasterSettings, SurfelBatch};
use crate::{Camera, Error, Result};

/// Surfels, cameras and image gradients on the device, all frames in one set of dispatches.
pub struct Resident<'r> {
    rasterizer: &'r GpuRasterizer,
    inputs: Inputs,
    settings: RasterSettings<f32>,
    size: [usize; 2],
    upstream: Option<Upstream>,
    /// Pairs there is room for.
    room: u64,
    drawn: Option<Drawn>,
    returned: Option<Returned>,
}

/// What a pass found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Pairs of a surfel and a tile.
    pub pairs: u32,
    /// Those of the tile that has most.
    pub longest: u32,
}

impl<'r> Resident<'r> {
    /// Copies a batch to the device and makes room for its pairs, which are counted by drawing it once.
    ///
    /// # Errors
    /// As [`crate::raster::Rasterizer::forward`]; [`Error::Input`] also when the frames do not fit together.
    pub fn new(
        rasterizer: &'r GpuRasterizer,
        batch: &SurfelBatch<'_, f32>,
        cameras: &[Camera],
        settings: &RasterSettings<f32>,
    ) -> Result<Self> {
        let (_, size) = checks::check(batch, cameras, settings)?;
        let (rendered, groups) = forward::forward(rasterizer, batch, cameras, settings, size)?;
        if groups.len() != 1 {
            let found = format!("{} frames of {} × {}", rendered.frames, rendered.width, rendered.height);
            return Err(Error::input("a resident batch", "frames that fit together", found, "use fewer"));
        }
        let pairs: u64 = groups.iter().map(|g| u64::from(g.pairs)).sum();
        Ok(Resident {
            rasterizer,
            inputs: Inputs::upload(rasterizer, batch, cameras, settings, size, 0..cameras.len())?,
            settings: *settings,
            size,
            upstream: None,
            room: pairs.max(1 << 14),
            drawn: None,
            returned: None,
        })
    }

    /// Copies the gradients of the images that a way back starts from to the device.
    ///
    /// # Errors
    /// [`Error::Internal`] when their sizes are not those of the images, [`Error::DeviceLost`] when the device goes away.
    pub fn set_gradients(&mut self, gradients: &ImageGradients<f32>) -> Result<()> {
        checks::check_gradients(gradients, &self.settings.outputs, self.inputs.frames.len(), self.size)?;
        let parts: [&[f32]; 7] = [
            &gradients.color,
            &gradients.attention,
            &gradients.alpha,
            &gradients.depth,
            &gradients.median,
            &gradients.normal,
            &gradients.distortion,
        ];
        let images = Images::with_gradients(gradients);
        self.upstream = Some(Upstream { buffer: self.rasterizer.gpu.upload(&parts)?, images });
        Ok(())
    }

    /// Draws, and waits for the end; with `back` also goes back, in the same submission.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when the device goes away, [`Error::Internal`] when gradients are missing.
    pub fn run(&mut self, back: bool) -> Result<Load> {
        let (recorder, drawn) = self.record(back)?;
        let mut load = Load { pairs: 0, longest: 0 };
        let times = recorder.submit(&[(&drawn.work, WORK_BYTES)], |_, data| {
            let work = Work::of(data);
            load = Load { pairs: work.pairs, longest: work.longest };
        })?;
        self.rasterizer.note_times(times);
        self.drawn = Some(drawn);
        Ok(load)
    }

    /// As [`Resident::run`] some times in a row, each submitted for itself; waits only after the last.
    ///
    /// # Errors
    /// As [`Resident::run`].
    pub fn run_in_a_row(&mut self, back: bool, times: usize) -> Result<()> {
        for _ in 0..times {
            let (recorder, drawn) = self.record(back)?;
            recorder.send()?;
            self.drawn = Some(drawn);
        }
        self.rasterizer.gpu.finish()
    }

    fn record(&mut self, back: bool) -> Result<(Recorder<'r>, Drawn)> {
        let rasterizer = self.rasterizer;
        let mut recorder = Recorder::new(&rasterizer.gpu, rasterizer.timing);
        let outputs = &self.settings.outputs;
        let drawn = forward::record(&mut recorder, rasterizer, &self.inputs, outputs, self.room)?;
        if back {
            let Some(upstream) = &self.upstream else {
                return Err(Error::Internal("no gradients of the images are set".into()));
            };
            let (kept, room) = (&drawn.kept, self.room as u32);
            let returned =
                backward::record(&mut recorder, rasterizer, &self.inputs, kept, outputs, upstream, room)?;
            self.returned = Some(returned);
        }
        Ok((recorder, drawn))
    }

    /// Bytes of the buffers that all this takes on the device, those of single passes left out.
    pub fn bytes(&self) -> u64 {
        let inputs = [&self.inputs.cameras, &self.inputs.surfels, &self.inputs.colors].map(|b| b.size());
        let drawn = self.drawn.iter().flat_map(|d| {
            let k = &d.kept;
            [&k.splats, &k.seen, &k.ranges, &k.lists, &k.saved, &k.drawn, &d.images, &d.radii]
                .map(|b| b.size())
        });
        let returned =
            self.returned.iter().flat_map(|r| [&r.surfels, &r.colors, &r.screen].map(|b| b.size()));
        let upstream = self.upstream.iter().map(|u| u.buffer.size());
        inputs.into_iter().chain(drawn).chain(returned).chain(upstream).sum()
    }
}
