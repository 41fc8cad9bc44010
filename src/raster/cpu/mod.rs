//! The CPU backend: rayon over surfels and tiles, vector instructions over pixels.
//!
//! One file per stage, in the order they run:
//!
//! ```text
//! forward:  project → sort → count_tiles → tile_ranges → emit_pairs → blend
//! backward: blend_backward → sum_pairs → project_backward
//! ```
//!
//! Per surfel everything is computed in f64, per pixel in `R`. Nothing depends on the number of threads: tiles are
//! drawn apart, gradients are kept per (surfel, tile) pair and added in the order of the tiles.

mod blend;
mod blend_backward;
mod count_tiles;
mod emit_pairs;
mod frame;
mod frame_backward;
pub(in crate::raster) mod input;
mod intersect;
mod lanes;
mod project;
mod project_backward;
mod sh;
mod sort;
mod sum_pairs;
mod tile_ranges;
mod upstream;
mod vector;
mod view;

use super::{
    ImageGradients, Outputs, RasterSettings, Rasterizer, Real, Rendered, SurfelBatch, SurfelGradients,
};
use crate::{Camera, Error, Result};
use frame::Frame;
use input::OneCopy;
use std::marker::PhantomData;

/// Draws on the processor, with the threads of the rayon pool it is called in.
#[derive(Debug, Clone, Copy, Default)]
pub struct CpuRasterizer<R = f32> {
    number: PhantomData<R>,
}

impl<R: Real> CpuRasterizer<R> {
    /// A rasterizer; it holds nothing.
    pub fn new() -> Self {
        CpuRasterizer { number: PhantomData }
    }
}

/// What [`Rendered::state`] holds for this backend.
struct State<R> {
    frames: Vec<Frame<R>>,
    surfels: usize,
    outputs: Outputs,
}

impl<R: Real> Rasterizer<R> for CpuRasterizer<R> {
    fn forward(
        &self,
        batch: &SurfelBatch<'_, R>,
        cameras: &[Camera],
        settings: &RasterSettings<R>,
    ) -> Result<Rendered<R>> {
        let (views, [width, height]) = input::check(batch, cameras, settings)?;
        let (frames, outputs) = (views.len(), &settings.outputs);
        let image = |channels: usize, wanted: bool| {
            vec![R::ZERO; if wanted { frames * channels * width * height } else { 0 }]
        };
        let mut rendered = Rendered {
            frames,
            width,
            height,
            color: image(3, true),
            attention: image(4, outputs.attention),
            alpha: image(1, true),
            depth: image(1, outputs.depth),
            median: image(1, outputs.median),
            normal: image(3, outputs.normal),
            distortion: image(1, outputs.distortion),
            radii: Vec::with_capacity(frames * batch.surfels),
            state: Box::new(()),
        };
        let mut drawn = Vec::with_capacity(frames);
        for (f, view) in views.iter().enumerate() {
            let copy = OneCopy::new(batch, if batch.copies == 1 { 0 } else { f }, outputs.attention);
            let (radii, frame) = Frame::draw(view, &copy, settings, f, &mut rendered);
            rendered.radii.extend(radii);
            drawn.push(frame);
        }
        rendered.state = Box::new(State { frames: drawn, surfels: batch.surfels, outputs: *outputs });
        Ok(rendered)
    }

    fn name(&self) -> String {
        match rayon::current_num_threads() {
            1 => "CPU, 1 thread".into(),
            threads => format!("CPU, {threads} threads"),
        }
    }
}

impl<R: Real> CpuRasterizer<R> {
    /// Gradients of `Σ image · gradient` for what [`Rasterizer::forward`] drew from the same batch and cameras.
    ///
    /// # Errors
    /// As [`Rasterizer::forward`]; also when `rendered` was not drawn by the CPU.
    pub fn backward(
        &self,
        batch: &SurfelBatch<'_, R>,
        cameras: &[Camera],
        settings: &RasterSettings<R>,
        rendered: &Rendered<R>,
        gradients: &ImageGradients<R>,
    ) -> Result<SurfelGradients<R>> {
        let (views, size) = input::check(batch, cameras, settings)?;
        let state = rendered.state.downcast_ref::<State<R>>();
        let matches = |s: &&State<R>| {
            s.frames.len() == views.len() && s.surfels == batch.surfels && s.outputs == settings.outputs
        };
        let Some(state) = state.filter(matches) else {
            return Err(Error::Internal("these images were not drawn by the CPU from this batch".into()));
        };
        if size != [rendered.width, rendered.height] {
            return Err(Error::Internal("these images were drawn with other cameras".into()));
        }
        let attention = settings.outputs.attention;
        input::check_gradients(gradients, &settings.outputs, views.len(), size)?;
        let surfels = batch.copies * batch.surfels;
        let color_width = batch.colors.width();
        let zeros = |width: usize| vec![R::ZERO; surfels * width];
        let mut out = SurfelGradients {
            positions: zeros(3),
            rotations: zeros(4),
            scales: zeros(2),
            opacities: zeros(1),
            colors: zeros(color_width),
            attention: zeros(if attention { 4 } else { 0 }),
            screen: vec![R::ZERO; views.len() * batch.surfels * 2],
        };
        for (f, (view, frame)) in views.iter().zip(&state.frames).enumerate() {
            let c = if batch.copies == 1 { 0 } else { f };
            let copy = OneCopy::new(batch, c, attention);
            frame.go_back(view, &copy, settings, f, gradients, c, &mut out);
        }
        Ok(out)
    }
}
