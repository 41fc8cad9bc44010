//! Drawing surfels that the host has.

use super::forward::forward;
use super::rasterizer::GpuRasterizer;
use crate::raster::cpu::input as checks;
use crate::raster::{RasterSettings, Rasterizer, Rendered, SurfelBatch};
use crate::{Camera, Result};

impl Rasterizer<f32> for GpuRasterizer {
    fn forward(
        &self,
        batch: &SurfelBatch<'_, f32>,
        cameras: &[Camera],
        settings: &RasterSettings<f32>,
    ) -> Result<Rendered<f32>> {
        let (_, size) = checks::check(batch, cameras, settings)?;
        forward(self, batch, cameras, settings, size)
    }

    fn name(&self) -> String {
        self.gpu.name()
    }
}
