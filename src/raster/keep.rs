//! Surfels that stay where they are drawn: their own parameters, gradients and the state of Adam, for backends whose
//! memory is far from the host.
//!
//! What a field adds to each surfel in each frame, its deltas, is made on the same device, and so is the use of their
//! gradient. Parameters and moments come to the host when they are asked for.

use crate::gpu::Gpu;
use crate::gpu::buffers::{Loan, append};
use crate::loss::{LossTerms, Target, Weights};
use crate::raster::delta_layout::DeltaLayout;
use crate::raster::{RasterSettings, Rendered};
use crate::{Camera, Result};
use std::any::Any;
use std::ops::Range;

/// Canonical positions of surfels on a device, `[surfels, 3]` at the start of a buffer.
#[derive(Debug)]
pub struct DevicePositions {
    pub(crate) buffer: wgpu::Buffer,
    /// Number of surfels.
    pub(crate) surfels: u64,
    /// Holds the buffer when nobody else does.
    _lent: Option<Loan>,
}

impl DevicePositions {
    /// Positions at the start of a buffer that somebody else holds.
    pub(crate) fn in_buffer(buffer: &wgpu::Buffer, surfels: usize) -> Self {
        DevicePositions { buffer: buffer.clone(), surfels: surfels as u64, _lent: None }
    }

    /// Uploads positions, `[surfels, 3]`.
    ///
    /// # Errors
    /// [`crate::Error::DeviceLost`] when the device is gone.
    pub fn upload(gpu: &Gpu, positions: &[f32]) -> Result<Self> {
        let loan = gpu.upload(&[positions])?;
        let surfels = positions.len() as u64 / 3;
        Ok(DevicePositions { buffer: (*loan).clone(), surfels, _lent: Some(loan) })
    }
}

/// What a field adds to the surfels, `[frames, surfels, columns]`, and the gradient of the loss with respect to it, on a
/// device.
#[derive(Debug)]
pub struct DeviceDeltas {
    pub(crate) values: Loan,
    pub(crate) gradients: Loan,
    /// Floats in each of the two.
    pub(crate) len: u64,
}

impl DeviceDeltas {
    /// Room for `len` floats and their gradient; nothing is written.
    pub(crate) fn new(gpu: &Gpu, len: u64) -> Self {
        DeviceDeltas { values: gpu.storage(4 * len), gradients: gpu.storage(4 * len), len }
    }

    /// Uploads deltas.
    ///
    /// # Errors
    /// [`crate::Error::DeviceLost`] when the device is gone.
    pub fn upload(gpu: &Gpu, values: &[f32]) -> Result<Self> {
        let len = values.len() as u64;
        Ok(DeviceDeltas { values: gpu.upload(&[values])?, gradients: gpu.storage(4 * len), len })
    }

    /// Reads the gradient back.
    ///
    /// # Errors
    /// [`crate::Error::DeviceLost`] when the device is gone.
    pub fn read_gradients(&self, gpu: &Gpu) -> Result<Vec<f32>> {
        let mut gradients = Vec::new();
        let encoder = gpu.device.create_command_encoder(&Default::default());
        let sources: [(&wgpu::Buffer, u64); 1] = [(&self.gradients, 4 * self.len)];
        gpu.submit_and_read(encoder, &sources, |_, data| append(&mut gradients, data))?;
        Ok(gradients)
    }
}

/// The part of the loss that runs on the host: given the numbers of some frames and their composites
/// (`[frames, 3, rows, columns]`), adds the gradient of the whole loss to the last slice, of the same shape.
pub type OnHost<'a> = &'a mut dyn FnMut(Range<usize>, &[f32], &mut [f32]) -> Result<()>;

/// Targets that are on their way to the device, made by [`super::Rasterizer::stage`].
pub struct Staged(pub(super) Box<dyn Any + Send>);

/// Arrays of a surfel's own parameters: positions, rotations, log-scales, opacity logits, harmonics.
pub const ARRAYS: usize = 5;

/// Own parameters and the state of Adam (Kingma & Ba 2015) for them, array by array.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept<A> {
    /// Degree of the harmonics, 0..=3.
    pub sh_degree: usize,
    /// `[surfels, 3]`, `[surfels, 4]`, `[surfels, 2]`, `[surfels]`, `[surfels, (sh_degree + 1)², 3]`, as
    /// [`crate::head::cloud::Cloud`] has them.
    pub parameters: [A; ARRAYS],
    /// First moments, laid out the same.
    pub first: [A; ARRAYS],
    /// Second moments, laid out the same.
    pub second: [A; ARRAYS],
}

/// Learning rates of a step, and 1 − βᵗ of either moment after it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// By which the moments are divided.
    pub corrections: [f32; 2],
    /// Of positions.
    pub position: f32,
    /// Of quaternions.
    pub rotation: f32,
    /// Of log-scales.
    pub scaling: f32,
    /// Of opacity logits.
    pub opacity: f32,
    /// Of band 0 of the harmonics.
    pub feature: f32,
    /// Of the bands above it.
    pub higher: f32,
}

/// What a step looks at.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// One for each frame.
    pub cameras: &'a [Camera],
    /// Colour, then attention.
    pub background: [f32; 7],
    /// One for each frame.
    pub goals: &'a [Target],
    /// What counts how much.
    pub weights: &'a Weights,
    /// Degree of the harmonics drawn, at most the surfels' own.
    pub degree: usize,
    /// Weight of |displacement| of each surfel in each frame, per coordinate.
    pub rest: f32,
    /// Whether radii and the densification signal are wanted.
    pub statistics: bool,
}

/// What is added to the surfels, with the meaning of its columns; nothing where they are drawn as they are.
pub type Deltas<'a> = Option<(&'a DeltaLayout, &'a DeviceDeltas)>;

/// What a look gives back; the gradients of the surfels' own parameters stay where they are.
#[derive(Debug, Clone, Default)]
pub struct Looked {
    /// Terms of each frame.
    pub scores: Vec<LossTerms>,
    /// Whether every gradient is a finite number.
    pub finite: bool,
    /// Screen radius of each surfel in pixels, `[frames, surfels]`; empty where it was not wanted.
    pub radii: Vec<u32>,
    /// The densification signal, `[frames, surfels, 2]`; empty where it was not wanted.
    pub screen: Vec<f32>,
}

/// A backend that keeps surfels.
pub trait Keeper: Send {
    /// Takes parameters and moments in the place of those it had.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when lengths disagree, [`crate::Error::Input`] when they do not fit the device,
    /// [`crate::Error::DeviceLost`] when it goes away.
    fn put(&mut self, kept: &Kept<&[f32]>) -> Result<()>;

    /// Parameters and moments as they are now.
    ///
    /// # Errors
    /// [`crate::Error::DeviceLost`] when the device is gone.
    fn get(&self) -> Result<Kept<Vec<f32>>>;

    /// The positions alone, `[surfels, 3]`, into `to`.
    ///
    /// # Errors
    /// As [`Keeper::get`].
    fn positions(&self, to: &mut Vec<f32>) -> Result<()>;

    /// The positions where they are kept; good until surfels are put.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when none are kept.
    fn device_positions(&self) -> Result<DevicePositions>;

    /// Activates the surfels, draws and scores every frame and goes back; `staged` are the look's goals where they were
    /// brought before. With `on_host` the pictures are
    /// brought to the host in between, some frames at a time.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when goals, deltas and cameras disagree, [`crate::Error::DeviceLost`] when the device goes
    /// away, and those of `on_host`.
    fn look(
        &mut self,
        look: &Look<'_>,
        staged: Option<Staged>,
        deltas: Deltas<'_>,
        on_host: Option<OnHost<'_>>,
    ) -> Result<Looked>;

    /// Activates the surfels and draws every frame, with harmonics of `degree`. As [`crate::raster::Rasterizer::forward`] does;
    /// these pictures have no way back.
    ///
    /// # Errors
    /// As [`Keeper::look`].
    fn show(
        &self,
        cameras: &[Camera],
        settings: &RasterSettings,
        degree: usize,
        deltas: Deltas<'_>,
    ) -> Result<Rendered>;

    /// Takes a step of Adam along the gradients of the last look.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when there was none since the surfels were put, [`crate::Error::DeviceLost`] when the
    /// device goes away.
    fn step(&mut self, rates: &Rates) -> Result<()>;

    /// The device, for who would share its memory.
    fn device(&self) -> &Gpu;
}
