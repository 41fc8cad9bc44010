//! The terms that compare square patches by LPIPS, on the CPU, and where the patches lie. Outside the part's mask a drawn
//! patch is painted with its target, so that the part alone counts.

use super::target::Target;
use super::terms::Weights;
use crate::gpu::Gpu;
use crate::metrics::lpips::device::DeviceLpips;
use crate::metrics::lpips::{Lpips, SMALLEST};
use crate::{Error, Result};
use candle_core::Device;
use rayon::prelude::*;
use std::path::Path;

/// The network that patches are compared by, and their size.
pub struct PatchNetwork {
    lpips: Lpips,
    pub(super) device: Option<DeviceLpips>,
    side: usize,
}

/// A square patch of a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Patch {
    /// The frame, among those it was placed for.
    pub frame: usize,
    /// The number in [`super::TERMS`] of the term that compares it.
    pub term: usize,
    /// What its distance adds to the loss of the step.
    pub weight: f32,
    /// Its first row and column.
    pub corner: [usize; 2],
}

/// The patches of some frames.
#[derive(Debug, Clone, PartialEq)]
pub struct Patches {
    /// Those of a frame follow each other.
    pub patches: Vec<Patch>,
    /// Pixels along a side.
    pub side: usize,
}

impl PatchNetwork {
    /// Reads LPIPS weights, and uploads them to `gpu` where there is one; patches are `side` pixels wide, or as wide as the
    /// frames where these are smaller.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when the file is missing or no such network, [`crate::Error::DeviceLost`] when the device
    /// goes away.
    pub fn open(path: &Path, side: usize, gpu: Option<&Gpu>) -> Result<Self> {
        Self::new(Lpips::open(&[path], &Device::Cpu)?, side, gpu)
    }

    /// The same with a network that is already there.
    ///
    /// # Errors
    /// As [`PatchNetwork::open`].
    pub fn new(lpips: Lpips, side: usize, gpu: Option<&Gpu>) -> Result<Self> {
        let device = gpu.map(|gpu| DeviceLpips::upload(gpu, &lpips)).transpose()?;
        Ok(PatchNetwork { lpips, device, side })
    }

    /// The patches of some frames of `[columns, rows]` in a step of `step_frames` frames, from two numbers in 0..1 for each
    /// frame. Frames of which only the lips count have none.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when the frames are smaller than the network can take.
    pub fn place(
        &self,
        targets: &[Target],
        step_frames: usize,
        dice: &[[f64; 2]],
        weights: &Weights,
        size: [usize; 2],
    ) -> Result<Patches> {
        let side = self.side.min(size[0]).min(size[1]);
        if side < SMALLEST {
            let expected = format!("frames of at least {SMALLEST} × {SMALLEST} pixels");
            let remedy = "train at a larger size, or without lpips_weights";
            return Err(Error::input("LPIPS", expected, format!("{} × {}", size[0], size[1]), remedy));
        }
        let share = 1.0 / step_frames.max(1) as f32;
        let mut patches = Vec::new();
        for (frame, (target, dice)) in targets.iter().zip(dice).enumerate().filter(|(_, t)| !t.0.lip_only) {
            for (term, weight, kind) in weights.patch_terms() {
                let corner = (kind.place)(target, side, size, *dice);
                let patch = |corner| Patch { frame, term, weight: share * weight, corner };
                patches.extend(corner.map(patch));
            }
        }
        Ok(Patches { patches, side })
    }

    /// The distance of each patch; `color` are the composites, to whose `gradient` (both `[frames, 3, rows, columns]`) the
    /// weighted ones of the patches are added.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the network fails.
    pub fn add(
        &self,
        patches: &Patches,
        color: &[f32],
        size: [usize; 2],
        targets: &[Target],
        gradient: &mut [f32],
    ) -> Result<Vec<f32>> {
        let (side, n) = (patches.side, size[0] * size[1]);
        // Convolutions of a patch are too small for many threads, so each patch takes one of its own.
        let compared = patches.patches.par_iter().map(|patch| {
            let target = &targets[patch.frame];
            let places = Places { corner: patch.corner, side, width: size[0], plane: n };
            let truth = cut(&target.color, places);
            let mask = cut(&target.mask, Places { plane: 0, ..places });
            let mut drawn = cut(&color[patch.frame * 3 * n..][..3 * n], places);
            for ((drawn, truth), mask) in drawn.iter_mut().zip(&truth).zip(&mask) {
                *drawn = truth * (1.0 - mask) + *drawn * mask;
            }
            let (value, mut slope) = self.lpips.distance_and_gradient(&drawn, &truth, [side, side])?;
            slope.iter_mut().zip(&mask).for_each(|(slope, mask)| *slope *= mask);
            Ok((places, value as f32, slope))
        });
        let compared = compared.collect::<Result<Vec<_>>>()?;
        for (patch, (places, _, slope)) in patches.patches.iter().zip(&compared) {
            let own = &mut gradient[patch.frame * 3 * n..][..3 * n];
            slope.iter().enumerate().for_each(|(i, slope)| own[places.of(i)] += patch.weight * slope);
        }
        Ok(compared.into_iter().map(|(_, value, _)| value).collect())
    }
}

impl Patches {
    /// The values of the terms of frame `frame`, by their numbers in [`super::TERMS`], from those of all patches.
    pub fn of_frame(&self, frame: usize, values: &[f32]) -> Vec<(usize, f32)> {
        let own = self.patches.iter().zip(values).filter(|(patch, _)| patch.frame == frame);
        own.map(|(patch, value)| (patch.term, *value)).collect()
    }
}

/// Where the elements of a patch lie in planes.
#[derive(Clone, Copy)]
struct Places {
    corner: [usize; 2],
    side: usize,
    width: usize,
    /// Elements from one plane to the next; 0 where all channels share one.
    plane: usize,
}

impl Places {
    /// The place of element `i` of `[3, side, side]`.
    fn of(&self, i: usize) -> usize {
        let (channel, row, column) = (i / self.side / self.side, i / self.side % self.side, i % self.side);
        channel * self.plane + (self.corner[0] + row) * self.width + self.corner[1] + column
    }
}

fn cut(planes: &[f32], places: Places) -> Vec<f32> {
    (0..3 * places.side * places.side).map(|i| planes[places.of(i)]).collect()
}
