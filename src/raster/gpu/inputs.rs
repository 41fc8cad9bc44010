//! What a group of frames is drawn from, on the device.

use super::GpuRasterizer;
use super::layout::{CameraUniform, Images, Params};
use crate::gpu::PooledBuffer;
use crate::raster::constants::TILE;
use crate::raster::{Behind, Colors, Outputs, RasterSettings, SurfelBatch};
use crate::{Camera, Result};
use std::ops::Range;

/// How many surfels a batch has and what of them is drawn.
#[derive(Debug, Clone, Copy)]
pub struct BatchShape {
    /// Surfels in one copy.
    pub surfels: usize,
    /// Copies: 1 (every camera sees the same), or the number of cameras.
    pub copies: usize,
    /// Harmonics of each channel, 0 where colours are RGB.
    pub harmonics: usize,
    /// Surfels that are drawn behind the others.
    pub behind: Option<Behind>,
}

impl BatchShape {
    /// Floats of a surfel's colour.
    pub(super) fn color_width(&self) -> usize {
        3 * self.harmonics.max(1)
    }
}

impl From<&SurfelBatch<'_, f32>> for BatchShape {
    fn from(batch: &SurfelBatch<'_, f32>) -> Self {
        let harmonics = match batch.colors {
            Colors::Ready(_) => 0,
            Colors::Harmonics { degree, .. } => (degree + 1).pow(2),
        };
        BatchShape { surfels: batch.surfels, copies: batch.copies, harmonics, behind: batch.behind }
    }
}

/// Surfels and cameras of some frames of a batch.
pub struct Inputs {
    /// Which frames of the batch.
    pub frames: Range<usize>,
    /// What holds for them; room for pairs is not yet set.
    pub(crate) params: Params,
    pub(crate) cameras: PooledBuffer,
    /// Parameters, as `shaders/shared/surfels.wgsl` lays them out.
    pub surfels: PooledBuffer,
    /// Colours of the copies.
    pub colors: PooledBuffer,
}

impl Inputs {
    /// Copies the frames `range` to the device.
    ///
    /// # Errors
    /// [`crate::Error::DeviceLost`] when the device goes away.
    pub fn upload(
        rasterizer: &GpuRasterizer,
        batch: &SurfelBatch<'_, f32>,
        cameras: &[Camera],
        settings: &RasterSettings<f32>,
        size: [usize; 2],
        range: Range<usize>,
    ) -> Result<Self> {
        let (surfels, colors) = surfels(rasterizer, batch, &settings.outputs, range.clone())?;
        Ok(Inputs {
            params: params(&BatchShape::from(batch), settings, range.len(), size),
            cameras: camera_buffer(rasterizer, &cameras[range.clone()])?,
            frames: range,
            surfels,
            colors,
        })
    }

    /// The same with room for surfels that stages before the drawing write.
    ///
    /// # Errors
    /// [`crate::Error::DeviceLost`] when the device goes away.
    pub fn reserve(
        rasterizer: &GpuRasterizer,
        shape: &BatchShape,
        cameras: &[Camera],
        settings: &RasterSettings<f32>,
        size: [usize; 2],
        range: Range<usize>,
    ) -> Result<Self> {
        let params = params(shape, settings, range.len(), size);
        let count = u64::from(params.copies) * u64::from(params.surfels);
        Ok(Inputs {
            params,
            cameras: camera_buffer(rasterizer, &cameras[range.clone()])?,
            frames: range,
            surfels: rasterizer.gpu.storage(4 * 14 * count),
            colors: rasterizer.gpu.storage(4 * shape.color_width() as u64 * count),
        })
    }

    /// Copies of the surfels.
    pub fn copies(&self) -> u32 {
        self.params.copies
    }

    /// Where colour and alpha begin among the images that are drawn, in floats.
    pub fn color_and_alpha(&self) -> [u32; 2] {
        [self.params.at_color, self.params.at_alpha]
    }

    /// Where the attention image begins among them, in floats; it is there where it is drawn.
    pub fn attention_at(&self) -> u32 {
        self.params.at_attention
    }

    /// Where the attention image lies among them, in bytes; nowhere unless it is drawn.
    pub fn attention_bytes(&self) -> Range<u64> {
        if self.params.attention == 0 {
            return 0..0;
        }
        let start = 4 * u64::from(self.params.at_attention);
        start..start + 16 * self.pixels()
    }

    /// Tiles of all frames.
    pub fn tiles(&self) -> u64 {
        u64::from(self.params.frames * self.params.tiles_x * self.params.tiles_y)
    }

    /// Pixels of all frames.
    pub fn pixels(&self) -> u64 {
        u64::from(self.params.frames * self.params.width * self.params.height)
    }

    /// Surfels times frames.
    pub fn instances(&self) -> u64 {
        u64::from(self.params.instances)
    }
}

fn camera_buffer(rasterizer: &GpuRasterizer, cameras: &[Camera]) -> Result<PooledBuffer> {
    let words: Vec<u32> = cameras.iter().flat_map(|c| CameraUniform::new(c).words()).collect();
    rasterizer.gpu.upload(&[&words])
}

/// What holds for a group of frames.
fn params(
    shape: &BatchShape,
    settings: &RasterSettings<f32>,
    frames: usize,
    [width, height]: [usize; 2],
) -> Params {
    let [b0, b1, b2, b3, b4, b5, b6] = settings.background;
    let Behind { first, offset } = shape.behind.unwrap_or(Behind { first: shape.surfels, offset: 0.0 });
    let mut params = Params {
        surfels: shape.surfels as u32,
        frames: frames as u32,
        copies: if shape.copies > 1 { frames as u32 } else { 1 },
        instances: (shape.surfels * frames) as u32,
        width: width as u32,
        height: height as u32,
        tiles_x: width.div_ceil(TILE) as u32,
        tiles_y: height.div_ceil(TILE) as u32,
        functions: shape.harmonics as u32,
        attention: u32::from(settings.outputs.attention),
        behind_first: first as u32,
        behind_offset: offset,
        background_0: b0,
        background_1: b1,
        background_2: b2,
        background_3: b3,
        background_4: b4,
        background_5: b5,
        background_6: b6,
        ..Params::default()
    };
    Images::drawn(&settings.outputs).place(&mut params, (frames * width * height) as u32);
    params
}

/// The surfels of the copies that the frames `range` draw: parameters, and colours.
fn surfels(
    rasterizer: &GpuRasterizer,
    batch: &SurfelBatch<'_, f32>,
    outputs: &Outputs,
    range: Range<usize>,
) -> Result<(PooledBuffer, PooledBuffer)> {
    let copies = if batch.copies > 1 { range } else { 0..1 };
    let part = |width: usize| copies.start * batch.surfels * width..copies.end * batch.surfels * width;
    let attention = batch.attention.filter(|_| outputs.attention).map_or(&[] as &[f32], |a| &a[part(4)]);
    let surfels = rasterizer.gpu.upload(&[
        &batch.positions[part(3)],
        &batch.rotations[part(4)],
        &batch.scales[part(2)],
        &batch.opacities[part(1)],
        attention,
    ])?;
    let colors = match batch.colors {
        Colors::Ready(values) => values,
        Colors::Harmonics { coefficients, .. } => coefficients,
    };
    Ok((surfels, rasterizer.gpu.upload(&[&colors[part(batch.colors.width())]])?))
}
