//! The field while it is learned: by candle, or where the rasterizer keeps the surfels.
//!
//! One seam for both, as `own` is for the surfels themselves: a step hands what the field adds to each surfel to whoever
//! draws, and gets its gradient back; the gradients of what the field learns stay with whoever learns it.

use super::field_moments::{FieldMoments, FieldRates};
use super::step::Clock;
use crate::gpu::Gpu;
use crate::head::Branch;
use crate::head::field::{Conditions, DeviceField, FieldGradients};
use crate::raster::keep::{DeviceDeltas, DevicePositions};
use crate::{Error, Result};
use candle_core::Tensor;

/// What the field adds to each surfel in each frame, `[frames, surfels, columns]`.
#[derive(Clone, Copy)]
pub(super) enum Moved<'a> {
    /// A tensor where the field is.
    Tensor(&'a Tensor),
    /// On the rasterizer's device, with room for the gradient.
    Device(&'a DeviceDeltas),
}

/// Draws what was moved; the gradient of a tensor, or nothing where it was put beside the rows.
pub(super) type Draw<'a> = dyn FnMut(Moved<'_>, &mut Clock) -> Result<Option<Tensor>> + 'a;

/// Who runs and learns the field.
pub(super) trait Mover {
    /// Moves the surfels of `head` in the frames, lets `draw` draw them, and goes back. `places` are the surfels' where the
    /// rasterizer keeps them.
    fn step(
        &mut self,
        head: &Branch,
        conditions: &[Conditions],
        places: Option<DevicePositions>,
        clock: &mut Clock,
        draw: &mut Draw<'_>,
    ) -> Result<()>;

    /// Takes Adam's step along the gradients of the last one.
    fn learn(&mut self, head: &mut Branch, rates: &FieldRates) -> Result<()>;

    /// Brings `head` and the moments up to date.
    fn fetch(&mut self, head: &mut Branch) -> Result<()>;

    /// The moments, as they were when they were last fetched.
    fn moments(&mut self) -> &mut FieldMoments;

    /// To be called after the fetched embedding or moments were changed.
    fn changed(&mut self);

    /// Whether it must be told where surfels are, or knows that from who keeps them.
    fn asks_the_host(&self) -> bool;

    /// Whether what is learned goes when a device goes.
    fn on_device(&self) -> bool;
}

/// Who runs the field of `head`: the GPU that keeps the surfels, or else the CPU.
pub(super) fn choose(head: &Branch, gpu: Option<&Gpu>) -> Result<Box<dyn Mover>> {
    match gpu {
        Some(gpu) => Ok(Box::new(ByDevice::new(gpu, head)?)),
        None => Ok(Box::new(ByCandle::new(head)?)),
    }
}

/// The CPU runs the field.
pub(super) struct ByCandle {
    moments: FieldMoments,
    gradients: Option<FieldGradients>,
}

impl ByCandle {
    pub(super) fn new(head: &Branch) -> Result<Self> {
        Ok(ByCandle { moments: FieldMoments::new(head), gradients: None })
    }
}

fn no_gradient() -> Error {
    Error::Internal("a step of the field without its gradient".into())
}

impl Mover for ByCandle {
    fn step(
        &mut self,
        head: &Branch,
        conditions: &[Conditions],
        _: Option<DevicePositions>,
        clock: &mut Clock,
        draw: &mut Draw<'_>,
    ) -> Result<()> {
        let gradients = head.field_step(conditions, |packed| {
            clock.lap(|t| &mut t.field_forward);
            draw(Moved::Tensor(packed), clock)?.ok_or_else(no_gradient)
        })?;
        clock.lap(|t| &mut t.field_backward);
        self.gradients = Some(gradients);
        Ok(())
    }

    fn learn(&mut self, head: &mut Branch, rates: &FieldRates) -> Result<()> {
        let gradients = self.gradients.take().ok_or_else(no_gradient)?;
        self.moments.step(head, &gradients, rates)
    }

    fn fetch(&mut self, head: &mut Branch) -> Result<()> {
        head.fetch_embedding()
    }

    fn moments(&mut self) -> &mut FieldMoments {
        &mut self.moments
    }

    fn changed(&mut self) {}

    fn asks_the_host(&self) -> bool {
        true
    }

    fn on_device(&self) -> bool {
        false
    }
}

/// The rasterizer's device runs the field; tokens and small weights are candle's, on the CPU.
pub(super) struct ByDevice {
    gpu: Gpu,
    /// As they were fetched, or are to be put.
    moments: FieldMoments,
    there: Option<DeviceField>,
    /// Steps that the moments of planes and embedding have seen.
    steps: [u64; 2],
    /// Gradients of what is learned here.
    gradients: Option<Vec<Tensor>>,
    fetched: bool,
}

impl ByDevice {
    pub(super) fn new(gpu: &Gpu, head: &Branch) -> Result<Self> {
        Ok(ByDevice {
            gpu: gpu.clone(),
            moments: FieldMoments::new(head),
            there: None,
            steps: [0; 2],
            gradients: None,
            fetched: true,
        })
    }
}

impl Mover for ByDevice {
    fn step(
        &mut self,
        head: &Branch,
        conditions: &[Conditions],
        places: Option<DevicePositions>,
        clock: &mut Clock,
        draw: &mut Draw<'_>,
    ) -> Result<()> {
        let places = places
            .ok_or_else(|| Error::Internal("a field on a device without the surfels' places".into()))?;
        let there = match &mut self.there {
            Some(there) => there,
            None => {
                let learned = self.moments.learned(head)?;
                self.steps = self.moments.learned_steps();
                let there = DeviceField::new(&self.gpu, &head.field, &learned.as_slices())?;
                clock.lap(|t| &mut t.copies);
                self.there.insert(there)
            }
        };
        let rows = there.ask(&head.field, conditions, &places)?;
        clock.lap(|t| &mut t.field_forward);
        draw(Moved::Device(rows), clock)?;
        self.gradients = Some(there.backward(&head.field)?);
        clock.lap(|t| &mut t.field_backward);
        Ok(())
    }

    fn learn(&mut self, head: &mut Branch, rates: &FieldRates) -> Result<()> {
        let gradients = self.gradients.take().ok_or_else(no_gradient)?;
        let there = self.there.as_mut().ok_or_else(no_gradient)?;
        self.steps = self.steps.map(|steps| steps + 1);
        there.learn(&rates.on_device(self.steps))?;
        self.moments.step_rest(&head.field, &gradients, rates.other)?;
        self.fetched = false;
        Ok(())
    }

    fn fetch(&mut self, head: &mut Branch) -> Result<()> {
        let Some(there) = self.there.as_ref().filter(|_| !self.fetched) else { return Ok(()) };
        self.moments.take(there.get()?, self.steps, head)?;
        self.fetched = true;
        Ok(())
    }

    fn moments(&mut self) -> &mut FieldMoments {
        &mut self.moments
    }

    fn changed(&mut self) {
        self.there = None;
    }

    fn asks_the_host(&self) -> bool {
        false
    }

    fn on_device(&self) -> bool {
        true
    }
}
