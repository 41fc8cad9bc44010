//! Draws the talker: the backdrop, a frame over it, and what every pixel shows.

use super::curve::Chance;
use super::light::{display, linear};
use super::params::Params;
use super::scene::{Talker, TalkerSurfels, camera};
use crate::raster::{Outputs, RasterSettings, Rasterizer};
use crate::{Error, Result};
use glam::{Vec3, vec3};
use image::{Rgb, RgbImage};

/// What a pixel of a frame shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Region {
    /// The backdrop.
    Background,
    /// Head, hair included.
    Head,
    /// Neck.
    Neck,
    /// Clothes.
    Torso,
}

/// One drawn frame.
#[derive(Debug, Clone)]
pub struct TalkerFrame {
    /// The picture, backdrop included.
    pub rgb: RgbImage,
    /// What every pixel shows, row by row.
    pub regions: Vec<Region>,
    /// True where face, row by row; always inside [`Region::Head`].
    pub face: Vec<bool>,
    /// Share of the pixel that the talker covers, 0..1, row by row.
    pub alpha: Vec<f32>,
    /// The talker on black, `[3, rows, columns]`, 0..1.
    pub color: Vec<f32>,
}

/// The empty stage: a gradient with soft discs of light and darker corners.
pub fn backdrop(talker: &Talker, size: u32) -> RgbImage {
    let [top, bottom] = talker.backdrop().map(linear);
    let mut chance = Chance::new(talker.seed(), 6);
    let discs: Vec<(Vec3, f32)> = (0..9)
        .map(|_| {
            let at = vec3(chance.unit(), chance.between(0.0, 0.8), chance.between(0.05, 0.14));
            (at, chance.between(0.03, 0.10))
        })
        .collect();
    RgbImage::from_fn(size, size, |column, row| {
        let (x, y) = ((column as f32 + 0.5) / size as f32, (row as f32 + 0.5) / size as f32);
        let mut light = top.lerp(bottom, y * y * (3.0 - 2.0 * y));
        for (disc, glow) in &discs {
            let d = (x - disc.x).hypot(y - disc.y) / disc.z;
            light += Vec3::splat(glow / (1.0 + (14.0 * (d - 1.0)).exp()));
        }
        let corner = ((x - 0.5).powi(2) + (y - 0.45).powi(2)) * 0.55;
        let c = display(light * (0.93 - corner)) * 255.0;
        Rgb([c.x, c.y, c.z].map(|v| v.round().clamp(0.0, 255.0) as u8))
    })
}

/// Draws one frame of `size` × `size` pixels over `plate` (of the same size).
///
/// # Errors
/// Those of the rasterizer; [`Error::Internal`] when the plate has another size.
pub fn render_frame(
    talker: &Talker,
    params: &Params,
    size: u32,
    plate: &RgbImage,
    rasterizer: &dyn Rasterizer,
) -> Result<TalkerFrame> {
    draw(&talker.surfels(params), params, size, plate, rasterizer)
}

/// As [`render_frame`], of surfels that are there already.
pub(super) fn draw(
    surfels: &TalkerSurfels,
    params: &Params,
    size: u32,
    plate: &RgbImage,
    rasterizer: &dyn Rasterizer,
) -> Result<TalkerFrame> {
    if plate.dimensions() != (size, size) {
        return Err(Error::Internal(format!("a plate of {:?} for frames of {size}", plate.dimensions())));
    }
    let settings = RasterSettings {
        outputs: Outputs { attention: true, ..Outputs::default() },
        ..RasterSettings::default()
    };
    let drawn = rasterizer.forward(&surfels.batch(true), &[camera(params, size)], &settings)?;
    let pixels = (size * size) as usize;
    if drawn.color.len() != 3 * pixels || drawn.attention.len() != 4 * pixels || drawn.alpha.len() != pixels {
        return Err(Error::Internal("the rasterizer drew another size than asked for".into()));
    }
    let mut regions = Vec::with_capacity(pixels);
    let mut face = Vec::with_capacity(pixels);
    for i in 0..pixels {
        let share = |channel: usize| drawn.attention[channel * pixels + i];
        let candidates = [
            (1.0 - drawn.alpha[i], Region::Background),
            (share(0), Region::Head),
            (share(1), Region::Neck),
            (share(2), Region::Torso),
        ];
        let best = candidates.into_iter().fold(candidates[0], |a, b| if b.0 > a.0 { b } else { a });
        regions.push(best.1);
        face.push(best.1 == Region::Head && share(3) > 0.5 * share(0));
    }
    let rgb = RgbImage::from_fn(size, size, |column, row| {
        let i = (row * size + column) as usize;
        let behind = plate.get_pixel(column, row).0;
        Rgb(std::array::from_fn(|k| {
            let v = drawn.color[k * pixels + i] * 255.0 + (1.0 - drawn.alpha[i]) * f32::from(behind[k]);
            v.round().clamp(0.0, 255.0) as u8
        }))
    });
    Ok(TalkerFrame { rgb, regions, face, alpha: drawn.alpha, color: drawn.color })
}
