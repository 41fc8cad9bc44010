//! The stages of the GPU rasterizer over surfels that the host has, as a training step records them over its own.

use super::scene::Scene;
use surfeltalk::loss::gpu::{self as loss_gpu, DeviceTargets, LossSums};
use surfeltalk::loss::{LossTerms, Target, Weights};
use surfeltalk::raster::cpu::CpuRasterizer;
use surfeltalk::raster::gpu::backward::{self, GradientBuffers, Upstream};
use surfeltalk::raster::gpu::forward::{self, WORK_BYTES, Work};
use surfeltalk::raster::gpu::{GpuRasterizer, Inputs};
use surfeltalk::raster::{
    ImageGradients, RasterSettings, Rasterizer, Rendered, SurfelBatch, SurfelGradients,
};
use surfeltalk::{Camera, Result};

/// A backend with its backward pass.
pub trait Differentiable: Rasterizer {
    /// Gradients of `Σ image · gradient` for what was drawn.
    fn backward(
        &self,
        batch: &SurfelBatch<'_>,
        cameras: &[Camera],
        settings: &RasterSettings,
        rendered: &Rendered,
        gradients: &ImageGradients,
    ) -> Result<SurfelGradients>;
}

impl Differentiable for CpuRasterizer<f32> {
    fn backward(
        &self,
        batch: &SurfelBatch<'_>,
        cameras: &[Camera],
        settings: &RasterSettings,
        rendered: &Rendered,
        gradients: &ImageGradients,
    ) -> Result<SurfelGradients> {
        CpuRasterizer::backward(self, batch, cameras, settings, rendered, gradients)
    }
}

impl Differentiable for GpuRasterizer {
    fn backward(
        &self,
        batch: &SurfelBatch<'_>,
        cameras: &[Camera],
        settings: &RasterSettings,
        _: &Rendered,
        gradients: &ImageGradients,
    ) -> Result<SurfelGradients> {
        let size = cameras.first().map_or([0, 0], |c| [c.width as usize, c.height as usize]);
        let mut read = ReadGradients::new(batch, settings);
        if batch.surfels == 0 {
            return Ok(read.finish());
        }
        let (outputs, frames) = (&settings.outputs, cameras.len());
        let together = forward::frames_together(self, &batch.into(), frames, size, outputs, false)?;
        for first in (0..frames).step_by(together) {
            let range = first..(first + together).min(frames);
            let inputs = Inputs::upload(self, batch, cameras, settings, size, range)?;
            let upstream = Upstream::upload(self.gpu(), &inputs, gradients)?;
            let mut capacity = forward::initial_capacity(self, &inputs);
            loop {
                let mut recorder = self.recorder();
                let drawn = forward::record(&mut recorder, self, &inputs, outputs, capacity)?;
                let found = backward::record(
                    &mut recorder,
                    self,
                    &inputs,
                    &drawn.state,
                    outputs,
                    &upstream,
                    capacity as u32,
                )?;
                let mut sources = vec![(&*drawn.work, WORK_BYTES)];
                sources.extend(read.sources(&inputs, &found));
                let mut work = Work::default();
                let times = recorder.submit_and_read(&sources, |i, data| match i {
                    0 => work = Work::of(data),
                    _ if !work.fits(capacity) => {}
                    _ => read.take(i - 1, data),
                })?;
                self.note_times(times);
                match forward::grow_capacity(self, &inputs, capacity, &work)? {
                    None => break,
                    Some(more) => capacity = more,
                }
            }
        }
        Ok(read.finish())
    }
}

/// What a scored batch gives.
pub struct Scored {
    pub scores: Vec<LossTerms>,
    pub gradients: SurfelGradients,
    pub radii: Vec<u32>,
}

/// Draws a scene, computes its loss and runs the backward pass on the device.
pub fn score_scene(
    rasterizer: &GpuRasterizer,
    scene: &Scene<f32>,
    targets: &[Target],
    weights: &Weights,
) -> Result<Scored> {
    let (batch, cameras, outputs) = (scene.batch(), &scene.cameras, weights.outputs());
    let settings = RasterSettings { outputs, ..scene.settings };
    let size = [cameras[0].width as usize, cameras[0].height as usize];
    let frames = cameras.len();
    let mut read = ReadGradients::new(&batch, &settings);
    let (mut scores, mut radii) = (Vec::new(), Vec::new());
    let together = forward::frames_together(rasterizer, &(&batch).into(), frames, size, &outputs, true)?;
    for first in (0..frames).step_by(together) {
        let range = first..(first + together).min(frames);
        let inputs = Inputs::upload(rasterizer, &batch, cameras, &settings, size, range.clone())?;
        let targets =
            DeviceTargets::of_part(rasterizer.gpu(), &targets[range.clone()], frames, weights, size)?;
        let mut capacity = forward::initial_capacity(rasterizer, &inputs);
        loop {
            let mut recorder = rasterizer.recorder();
            let drawn = forward::record(&mut recorder, rasterizer, &inputs, &outputs, capacity)?;
            let gpu = rasterizer.gpu();
            let loss = loss_gpu::record(&mut recorder, gpu, &inputs, &outputs, &targets, &drawn.images)?;
            loss.add_alpha(&mut recorder, &targets)?;
            let (state, upstream) = (&drawn.state, &loss.upstream);
            let found = backward::record(
                &mut recorder,
                rasterizer,
                &inputs,
                state,
                &outputs,
                upstream,
                capacity as u32,
            )?;
            let mut sources = vec![(&*drawn.work, WORK_BYTES), (&*drawn.radii, 4 * inputs.instances())];
            sources.extend(loss.sources());
            let first_gradient = sources.len();
            sources.extend(read.sources(&inputs, &found));
            let mut work = Work::default();
            let mut sums = LossSums::default();
            let times = recorder.submit_and_read(&sources, |i, data| match i {
                0 => work = Work::of(data),
                _ if !work.fits(capacity) => {}
                1 => radii.extend(words(data)),
                _ if i < first_gradient => sums.take(i - 2, data),
                _ => read.take(i - first_gradient, data),
            })?;
            rasterizer.note_times(times);
            match forward::grow_capacity(rasterizer, &inputs, capacity, &work)? {
                None => {
                    scores.extend(targets.loss_terms(&sums));
                    break;
                }
                Some(more) => capacity = more,
            }
        }
    }
    Ok(Scored { scores, gradients: read.finish(), radii })
}

fn words(data: &[u8]) -> impl Iterator<Item = u32> {
    data.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b))
}

fn floats(data: &[u8]) -> Vec<f32> {
    words(data).map(f32::from_bits).collect()
}

/// Gradients as they are read back, group of frames after group.
struct ReadGradients {
    out: SurfelGradients,
    /// Floats of a surfel in every array of `out` but the last: positions, rotations, scales, opacities, attention, colours.
    widths: [usize; 6],
    /// Surfels of one copy, and copies.
    surfels: usize,
    copies: usize,
}

impl ReadGradients {
    fn new(batch: &SurfelBatch<'_>, settings: &RasterSettings) -> Self {
        let attention = if settings.outputs.attention { 4 } else { 0 };
        ReadGradients {
            out: SurfelGradients::default(),
            widths: [3, 4, 2, 1, attention, batch.colors.width()],
            surfels: batch.surfels,
            copies: batch.copies,
        }
    }

    /// What to read back of a group.
    fn sources<'b>(&self, inputs: &Inputs, found: &'b GradientBuffers) -> [(&'b wgpu::Buffer, u64); 3] {
        let copies = if self.copies > 1 { inputs.frames.len() } else { 1 };
        let count = (copies * self.surfels) as u64;
        let [colors, surfels] = [self.widths[5], self.widths[..5].iter().sum()].map(|w| w as u64);
        [
            (&found.surfels, 4 * surfels * count),
            (&found.colors, 4 * colors * count),
            (&found.screen, 8 * inputs.instances()),
        ]
    }

    /// Takes the bytes of source `i` of a group. Groups come in order.
    fn take(&mut self, i: usize, data: &[u8]) {
        let SurfelGradients { positions, rotations, scales, opacities, colors, attention, screen } =
            &mut self.out;
        // Copies of their own follow each other; a shared one is added up.
        let put = |to: &mut Vec<f32>, values: &[f32]| {
            if self.copies > 1 || to.is_empty() {
                to.extend_from_slice(values);
            } else {
                to.iter_mut().zip(values).for_each(|(t, v)| *t += v);
            }
        };
        let values = floats(data);
        match i {
            0 => {
                let one = values.len() / self.widths[..5].iter().sum::<usize>();
                let mut rest = values.as_slice();
                let targets = [positions, rotations, scales, opacities, attention];
                for (to, width) in targets.into_iter().zip(self.widths) {
                    let (here, after) = rest.split_at(width * one);
                    put(to, here);
                    rest = after;
                }
            }
            1 => put(colors, &values),
            _ => screen.extend(values),
        }
    }

    /// All of them; zeros where nothing was drawn.
    fn finish(mut self) -> SurfelGradients {
        let o = &mut self.out;
        let arrays = [
            &mut o.positions,
            &mut o.rotations,
            &mut o.scales,
            &mut o.opacities,
            &mut o.attention,
            &mut o.colors,
        ];
        for (array, width) in arrays.into_iter().zip(self.widths) {
            array.resize(self.surfels * self.copies * width, 0.0);
        }
        self.out
    }
}
