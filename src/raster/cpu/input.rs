//! What a caller hands over: checked once, then read surfel by surfel in f64.

use super::sh;
use super::view::View;
use crate::raster::constants::TILE;
use crate::raster::{Behind, Colors, ImageGradients, Outputs, RasterSettings, Real, SurfelBatch};
use crate::{Camera, Error, Result};

/// Largest side of an image. Tile numbers and anchors stay far from the ends of their integers.
const SIDE_MAX: usize = 1 << 20;

/// The slices of one copy of the surfels.
#[derive(Debug, Clone, Copy)]
pub(super) struct OneCopy<'a, R> {
    /// Degree of the harmonics; nothing where the colours are ready.
    pub(super) harmonics: Option<usize>,
    positions: &'a [R],
    rotations: &'a [R],
    scales: &'a [R],
    opacities: &'a [R],
    colors: &'a [R],
    attention: Option<&'a [R]>,
    behind: Option<Behind>,
}

/// Geometry and opacity of one surfel.
#[derive(Debug, Clone, Copy)]
pub(super) struct SurfelInput {
    pub(super) position: [f64; 3],
    pub(super) rotation: [f64; 4],
    pub(super) scale: [f64; 2],
    pub(super) opacity: f64,
}

impl<'a, R: Real> OneCopy<'a, R> {
    /// Copy `copy` of a batch that [`check`] has passed.
    pub(super) fn new(batch: &SurfelBatch<'a, R>, copy: usize, attention: bool) -> Self {
        let n = batch.surfels;
        let part = |values: &'a [R], width: usize| &values[copy * n * width..(copy + 1) * n * width];
        let (harmonics, colors) = match batch.colors {
            Colors::Ready(values) => (None, part(values, 3)),
            Colors::Harmonics { degree, coefficients } => {
                (Some(degree), part(coefficients, 3 * sh::functions(degree)))
            }
        };
        OneCopy {
            harmonics,
            positions: part(batch.positions, 3),
            rotations: part(batch.rotations, 4),
            scales: part(batch.scales, 2),
            opacities: part(batch.opacities, 1),
            colors,
            attention: batch.attention.filter(|_| attention).map(|values| part(values, 4)),
            behind: batch.behind,
        }
    }

    /// Surfels in the copy.
    pub(super) fn len(&self) -> usize {
        self.opacities.len()
    }

    /// Geometry and opacity of surfel `i`.
    #[inline(always)]
    pub(super) fn surfel(&self, i: usize) -> SurfelInput {
        SurfelInput {
            position: numbers(self.positions, i),
            rotation: numbers(self.rotations, i),
            scale: numbers(self.scales, i),
            opacity: self.opacities[i].to_f64(),
        }
    }

    /// How much farther away surfel `i` is sorted than it lies.
    #[inline(always)]
    pub(super) fn depth_offset(&self, i: usize) -> f32 {
        self.behind.filter(|behind| i >= behind.first).map_or(0.0, |behind| behind.offset)
    }

    /// RGB of surfel `i` as it was given.
    #[inline(always)]
    pub(super) fn ready_color(&self, i: usize) -> [f64; 3] {
        numbers(self.colors, i)
    }

    /// 0.5 + Σ basis · coefficient of surfel `i`, before negative channels are clamped.
    #[inline(always)]
    pub(super) fn raw_color(&self, i: usize, degree: usize, basis: &[f64; sh::BASIS_MAX]) -> [f64; 3] {
        let mut color = [0.5; 3];
        for (k, weight) in basis.iter().enumerate().take(sh::functions(degree)) {
            let coefficient = self.coefficient(i, degree, k);
            for (sum, c) in color.iter_mut().zip(coefficient) {
                *sum += weight * c;
            }
        }
        color
    }

    /// RGB coefficient of function `k` of surfel `i`.
    #[inline(always)]
    pub(super) fn coefficient(&self, i: usize, degree: usize, k: usize) -> [f64; 3] {
        numbers(self.colors, i * sh::functions(degree) + k)
    }

    /// Attention weights of surfel `i`, zeros where none are drawn.
    #[inline(always)]
    pub(super) fn attention(&self, i: usize) -> [f64; 4] {
        self.attention.map_or([0.0; 4], |values| numbers(values, i))
    }
}

#[inline(always)]
fn numbers<R: Real, const N: usize>(values: &[R], i: usize) -> [f64; N] {
    std::array::from_fn(|k| values[i * N + k].to_f64())
}

/// Checks a batch against its cameras; the views, and columns and rows of the images.
pub(in crate::raster) fn check<R: Real>(
    batch: &SurfelBatch<'_, R>,
    cameras: &[Camera],
    settings: &RasterSettings<R>,
) -> Result<(Vec<View>, [usize; 2])> {
    let views: Vec<View> = cameras.iter().map(View::new).collect();
    let size = views.first().map_or([0, 0], |v| v.size);
    if views.iter().any(|v| v.size != size) {
        return Err(Error::Internal("the cameras of a batch have different image sizes".into()));
    }
    if size.iter().any(|&s| s > SIDE_MAX) {
        return Err(Error::Internal(format!("an image of {} × {} pixels is too large", size[0], size[1])));
    }
    if batch.copies != 1 && batch.copies != cameras.len() {
        return Err(Error::Internal(format!(
            "{} copies of the surfels for {} cameras; it must be one copy, or one for each",
            batch.copies,
            cameras.len()
        )));
    }
    if u32::try_from(batch.surfels).is_err() {
        return Err(Error::Internal(format!("{} surfels are more than u32 can count", batch.surfels)));
    }
    let width = |name: &str, values: &[R], width: usize| {
        let expected = batch.copies * batch.surfels * width;
        length(name, values.len(), expected)
    };
    width("positions", batch.positions, 3)?;
    width("rotations", batch.rotations, 4)?;
    width("scales", batch.scales, 2)?;
    width("opacities", batch.opacities, 1)?;
    match batch.colors {
        Colors::Ready(values) => width("colors", values, 3)?,
        Colors::Harmonics { degree, coefficients } if degree <= 3 => {
            width("harmonics", coefficients, 3 * sh::functions(degree))?;
        }
        Colors::Harmonics { degree, .. } => {
            return Err(Error::Internal(format!("harmonics of degree {degree}, above 3")));
        }
    }
    if let Some(values) = batch.attention {
        width("attention", values, 4)?;
    } else if settings.outputs.attention {
        return Err(Error::Internal("the attention image is wanted but the batch has no attention".into()));
    }
    Ok((views, size))
}

/// Checks image gradients: each is empty, or of an image that was drawn.
pub(in crate::raster) fn check_gradients<R: Real>(
    gradients: &ImageGradients<R>,
    outputs: &Outputs,
    frames: usize,
    size: [usize; 2],
) -> Result<()> {
    let pixels = frames * size[0] * size[1];
    for (name, values, channels, drawn) in [
        ("color", &gradients.color, 3, true),
        ("attention", &gradients.attention, 4, outputs.attention),
        ("alpha", &gradients.alpha, 1, true),
        ("depth", &gradients.depth, 1, outputs.depth),
        ("median", &gradients.median, 1, outputs.median),
        ("normal", &gradients.normal, 3, outputs.normal),
        ("distortion", &gradients.distortion, 1, outputs.distortion),
    ] {
        if values.is_empty() {
            continue;
        }
        if !drawn {
            return Err(Error::Internal(format!("a gradient for the {name} image, which was not drawn")));
        }
        length(&format!("gradient of {name}"), values.len(), pixels * channels)?;
    }
    Ok(())
}

fn length(name: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Internal(format!("{name}: {found} numbers where {expected} belong")))
}

/// Tiles across and down an image.
pub(super) fn tiles(size: [usize; 2]) -> [usize; 2] {
    size.map(|s| s.div_ceil(TILE))
}
