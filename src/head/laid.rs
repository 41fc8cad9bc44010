//! A head where it is drawn: on the rasterizer's device together with its field, or on the host.

use super::branch::Branch;
use crate::head::field::{Conditions, DeviceField, Learned};
use crate::raster::keep::{Keeper, Kept};
use crate::raster::{RasterSettings, Rasterizer, Rendered};
use crate::{Camera, Result};

/// A head that is drawn again and again.
pub struct Laid<'a> {
    head: &'a Branch,
    rasterizer: &'a dyn Rasterizer,
    there: Option<(Box<dyn Keeper + 'a>, DeviceField)>,
}

impl<'a> Laid<'a> {
    /// Brings the head to the rasterizer's device, where that keeps surfels and has room for the field and `frames` frames at
    /// once.
    ///
    /// # Errors
    /// [`crate::Error::DeviceLost`] when the device goes away.
    pub fn new(head: &'a Branch, rasterizer: &'a dyn Rasterizer, frames: usize) -> Result<Self> {
        let (field, cloud) = (&head.field, &head.cloud);
        let fits = |keeper: &dyn Keeper| DeviceField::fits(keeper.device(), field, cloud.len(), frames);
        let keeper = rasterizer.keeper().filter(|keeper| fits(&**keeper));
        let Some(mut keeper) = keeper else {
            return Ok(Laid { head, rasterizer, there: None });
        };
        let arrays = cloud.own();
        // Nothing is learned: moments are as long, and mean nothing.
        keeper.put(&Kept {
            sh_degree: cloud.sh_degree,
            parameters: arrays,
            first: arrays,
            second: arrays,
        })?;
        let planes = field.plane_values()?;
        let learned = Learned { planes: [planes.as_slice(); 3], embedding: [cloud.embedding.as_slice(); 3] };
        let there = DeviceField::new(keeper.device(), field, &learned)?;
        Ok(Laid { head, rasterizer, there: Some((keeper, there)) })
    }

    /// Whether field and surfels are on the rasterizer's device.
    pub fn on_device(&self) -> bool {
        self.there.is_some()
    }

    /// Draws the head, one camera for each of the conditions; as [`Branch::draw`] does.
    ///
    /// # Errors
    /// Those of the field and of the rasterizer.
    pub fn draw(
        &mut self,
        conditions: &[Conditions],
        cameras: &[Camera],
        settings: &RasterSettings,
    ) -> Result<Rendered> {
        let Some((keeper, field)) = &mut self.there else {
            return self.head.draw(self.rasterizer, conditions, cameras, settings);
        };
        let deltas = field.ask(&self.head.field, conditions, &keeper.device_positions()?)?;
        keeper.show(cameras, settings, self.head.cloud.sh_degree, Some((self.head.layout(), deltas)))
    }
}
