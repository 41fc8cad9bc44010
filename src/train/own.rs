//! The cloud's own parameters while they are learned: on the host, or where the rasterizer keeps them.
//!
//! One seam for both. A step hands over what the field adds to each surfel (its rows, a tensor where the field runs) and
//! gets their gradient back; the gradients of the own parameters stay with whoever learns them.

use super::config::TrainConfig;
use super::draw::{self, Drawn};
use super::moments::{CloudMoments, CloudRates};
use super::mover::Moved;
use super::step::Clock;
use super::view::View;
use crate::head::Branch;
use crate::head::cloud::Cloud;
use crate::head::cloud::activate::RawGradients;
use crate::loss::perceptual::Perceptual;
use crate::loss::{Loss, Target};
use crate::raster::cpu::CpuRasterizer;
use crate::raster::keep::{DevicePositions, Keeper, Look, Looked};
use crate::raster::keep::{OnHost, Staged};
use crate::{Error, Result};
use candle_core::Tensor;
use rayon::prelude::*;
use std::ops::Range;

/// What a step's pictures are made of.
pub(super) struct Looking<'a> {
    pub(super) config: &'a TrainConfig,
    pub(super) head: &'a Branch,
    pub(super) perceptual: Option<&'a Perceptual>,
    pub(super) view: &'a View,
    pub(super) targets: &'a [Target],
    /// Of the harmonics drawn.
    pub(super) degree: usize,
    /// Whether density control wants to know what the surfels did on the screen.
    pub(super) statistics: bool,
}

/// Who learns the cloud's own parameters.
pub(super) trait Own {
    /// Draws a step's frames, scores them and goes back; the gradient of the rows, where there are any. `staged` are the
    /// targets where the rasterizer has taken them.
    fn draw(
        &mut self,
        looking: &Looking<'_>,
        staged: Option<Staged>,
        rows: Option<Moved<'_>>,
        clock: &mut Clock,
    ) -> Result<(Drawn, Option<Tensor>)>;

    /// The positions, where the rasterizer keeps them.
    fn device_positions(&mut self, cloud: &Cloud) -> Result<Option<DevicePositions>>;

    /// Takes Adam's step along the gradients of the last drawing.
    fn learn(&mut self, cloud: &mut Cloud, rates: &CloudRates) -> Result<()>;

    /// Brings the cloud's positions up to date.
    fn places(&mut self, cloud: &mut Cloud) -> Result<()>;

    /// Brings the whole cloud and the moments up to date.
    fn fetch(&mut self, cloud: &mut Cloud) -> Result<()>;

    /// The moments, as they were when they were last fetched.
    fn moments(&mut self) -> &mut CloudMoments;

    /// To be called after the fetched cloud or moments were changed.
    fn changed(&mut self);

    /// Whether parameters go when the device goes.
    fn on_device(&self) -> bool;
}

/// Learns on the host.
pub(super) struct OnTheHost {
    rasterizer: CpuRasterizer,
    moments: CloudMoments,
    /// Gradients of the last drawing.
    raw: RawGradients,
}

impl OnTheHost {
    pub(super) fn new(cloud: &Cloud) -> Self {
        OnTheHost {
            rasterizer: CpuRasterizer::new(),
            moments: CloudMoments::new(cloud),
            raw: RawGradients::default(),
        }
    }
}

impl Own for OnTheHost {
    fn draw(
        &mut self,
        looking: &Looking<'_>,
        _: Option<Staged>,
        rows: Option<Moved<'_>>,
        clock: &mut Clock,
    ) -> Result<(Drawn, Option<Tensor>)> {
        let rows = match rows {
            Some(Moved::Tensor(rows)) => Some(rows),
            Some(Moved::Device(_)) => {
                return Err(Error::Internal("rows on a device, drawn on the host".into()));
            }
            None => None,
        };
        let packed: Option<Vec<f32>> = rows.map(|t| t.flatten_all()?.to_vec1()).transpose()?;
        clock.lap(|t| &mut t.copies);
        let (mut drawn, mut raw) = draw::on_the_host(&self.rasterizer, looking, packed.as_deref(), clock)?;
        let mut deltas = std::mem::take(&mut raw.deltas);
        self.raw = raw;
        let (Some(packed), Some(rows)) = (packed, rows) else { return Ok((drawn, None)) };
        looking.head.add_rest_gradient(&packed, looking.config.lambda_motion, &mut deltas);
        drawn.finite &= deltas.par_iter().all(|v| v.is_finite());
        clock.lap(|t| &mut t.activate);
        let gradient = Tensor::from_vec(deltas, rows.shape(), rows.device())?;
        clock.lap(|t| &mut t.copies);
        Ok((drawn, Some(gradient)))
    }

    fn device_positions(&mut self, _: &Cloud) -> Result<Option<DevicePositions>> {
        Ok(None)
    }

    fn learn(&mut self, cloud: &mut Cloud, rates: &CloudRates) -> Result<()> {
        self.moments.step(cloud, &self.raw, rates);
        Ok(())
    }

    fn places(&mut self, _: &mut Cloud) -> Result<()> {
        Ok(())
    }

    fn fetch(&mut self, _: &mut Cloud) -> Result<()> {
        Ok(())
    }

    fn moments(&mut self) -> &mut CloudMoments {
        &mut self.moments
    }

    fn changed(&mut self) {}

    fn on_device(&self) -> bool {
        false
    }
}

/// Learns where the rasterizer keeps the surfels.
pub(super) struct OnTheDevice<'a> {
    keeper: Box<dyn Keeper + 'a>,
    /// As they were fetched, or are to be put.
    moments: CloudMoments,
    /// Steps that the moments have seen.
    steps: u64,
    /// Whether the device has what the host has, and the other way round.
    put: bool,
    fetched: bool,
}

impl<'a> OnTheDevice<'a> {
    pub(super) fn new(keeper: Box<dyn Keeper + 'a>, cloud: &Cloud) -> Self {
        OnTheDevice { keeper, moments: CloudMoments::new(cloud), steps: 0, put: false, fetched: true }
    }

    /// Brings the cloud to the device, where it is not there yet.
    fn put(&mut self, cloud: &Cloud) -> Result<()> {
        if !self.put {
            self.steps = self.moments.steps()?;
            self.keeper.put(&self.moments.kept(cloud))?;
            self.put = true;
        }
        Ok(())
    }
}

impl Own for OnTheDevice<'_> {
    fn draw(
        &mut self,
        looking: &Looking<'_>,
        staged: Option<Staged>,
        rows: Option<Moved<'_>>,
        clock: &mut Clock,
    ) -> Result<(Drawn, Option<Tensor>)> {
        self.put(&looking.head.cloud)?;
        clock.lap(|t| &mut t.copies);
        let Looking { config, head, view, targets, .. } = *looking;
        let mut background = [0.0; 7];
        background[..3].copy_from_slice(&view.background);
        let look = Look {
            cameras: &view.cameras,
            background,
            goals: targets,
            weights: &view.weights,
            degree: looking.degree,
            rest: head.rest(config.lambda_motion, view.cameras.len()),
            statistics: looking.statistics,
        };
        let mut perceptual = 0.0;
        let mut patches = |range: Range<usize>, color: &[f32], gradient: &mut [f32]| {
            perceptual += draw::patches(looking, range, color, gradient)?;
            Ok(())
        };
        // The patches' network runs on the host.
        let has_patches = looking.perceptual.is_some() && view.perceptual;
        let on_host = has_patches.then_some(&mut patches as OnHost<'_>);
        let deltas = match rows {
            None => None,
            Some(Moved::Device(deltas)) => Some((head.layout(), deltas)),
            Some(Moved::Tensor(_)) => {
                return Err(Error::Internal("deltas on the host, drawn on a device".into()));
            }
        };
        let looked = self.keeper.look(&look, staged, deltas, on_host)?;
        clock.lap(|t| &mut t.scored);
        let Looked { scores, finite, radii, screen } = looked;
        let loss = Loss::without_gradients(&scores);
        let finite = finite && loss.terms.total.is_finite();
        let drawn = Drawn { finite, terms: loss.terms, perceptual, errors: loss.hardness, radii, screen };
        Ok((drawn, None))
    }

    fn device_positions(&mut self, cloud: &Cloud) -> Result<Option<DevicePositions>> {
        self.put(cloud)?;
        Ok(Some(self.keeper.device_positions()?))
    }

    fn learn(&mut self, _: &mut Cloud, rates: &CloudRates) -> Result<()> {
        self.keeper.step(&rates.kept(self.steps + 1))?;
        self.steps += 1;
        self.fetched = false;
        Ok(())
    }

    fn places(&mut self, cloud: &mut Cloud) -> Result<()> {
        if self.fetched { Ok(()) } else { self.keeper.positions(&mut cloud.positions) }
    }

    fn fetch(&mut self, cloud: &mut Cloud) -> Result<()> {
        if self.fetched {
            return Ok(());
        }
        let kept = self.keeper.get()?;
        if kept.sh_degree != cloud.sh_degree || kept.parameters[3].len() != cloud.len() {
            return Err(Error::Internal("the device keeps another cloud".into()));
        }
        self.moments.take(kept, self.steps, cloud);
        self.fetched = true;
        Ok(())
    }

    fn moments(&mut self) -> &mut CloudMoments {
        &mut self.moments
    }

    fn changed(&mut self) {
        self.put = false;
    }

    fn on_device(&self) -> bool {
        true
    }
}
