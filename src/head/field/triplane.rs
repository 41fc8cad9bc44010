//! Tri-planes: what the field knows of a place (K-Planes, Fridovich-Keil et al. 2023, with three dimensions).
//!
//! Each scale has three planes, (x, y), (x, z), (y, z), `[side, side, channels]`: row = second coordinate, column = first,
//! channels innermost so that a texel is one read. A place's feature is the product of three bilinear samples; the scales
//! stand one after the other. The smallest coordinate of the bounds falls on texel 0 and the largest on texel side − 1,
//! outside of them the border counts. (SyncGaussianTalker runs its axes the other way and keeps channels first.)
//!
//! Places are canonical and get no gradient.

use super::params::{Init, Parameters};
use super::{FieldBounds, FieldConfig};
use crate::{Error, Result};
use candle_core::Tensor;
use rayon::prelude::*;

/// Planes of a scale.
pub(super) const PLANES: usize = 3;
/// The first and second coordinate of each plane.
pub(super) const AXES: [[usize; 2]; PLANES] = [[0, 1], [0, 2], [1, 2]];
const NAMES: [&str; 3] = ["xy", "xz", "yz"];

/// A number the planes may be made of.
pub(super) trait Real:
    candle_core::WithDType + std::ops::Mul<Output = Self> + std::ops::AddAssign + Send + Sync
{
}

impl Real for f32 {}
impl Real for f64 {}

/// Where one place lies at one scale: texel before it and the way to the next, along x, y, z.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Site {
    pub(super) cell: [u16; 3],
    pub(super) fraction: [f32; 3],
}

/// Places, laid onto the planes of a field by [`super::Field::prepare`]; good until they move or the field changes.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Number of places.
    pub(super) rows: usize,
    /// One list for each scale, `[scales][rows]`.
    pub(super) sites: std::sync::Arc<Vec<Vec<Site>>>,
}

impl Prepared {
    /// Number of places.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }
}

/// The planes.
pub(super) struct TriPlane {
    /// `[scales][3]`, `[side, side, channels]` each.
    pub(super) planes: Vec<[Tensor; 3]>,
    pub(super) sides: Vec<usize>,
}

impl TriPlane {
    pub(super) fn new(p: &mut Parameters, config: &FieldConfig) -> Result<Self> {
        let channels = config.plane_channels;
        let mut planes = Vec::new();
        for (scale, &side) in config.plane_resolutions.iter().enumerate() {
            let mut plane = |axes: usize| {
                p.add(
                    format!("planes.{scale}.{}", NAMES[axes]),
                    &[side, side, channels],
                    Init::Uniform(0.1, 0.5),
                )
            };
            planes.push([plane(0)?, plane(1)?, plane(2)?]);
        }
        Ok(TriPlane { planes, sides: config.plane_resolutions.clone() })
    }

    /// Finds the texels around every place, `[n, 3]` in the units of the bounds.
    ///
    /// # Errors
    /// [`Error::Internal`] for a place that is not finite.
    pub(super) fn prepare(&self, positions: &[f32], bounds: &FieldBounds) -> Result<Prepared> {
        if !positions.len().is_multiple_of(3) || positions.iter().any(|v| !v.is_finite()) {
            return Err(Error::Internal(
                "the field is asked about places that are not finite triples".into(),
            ));
        }
        let place = |point: &[f32], side: usize| {
            let mut site = Site { cell: [0; 3], fraction: [0.0; 3] };
            for (k, coordinate) in point.iter().enumerate() {
                let unit = (coordinate - bounds.min[k]) / (bounds.max[k] - bounds.min[k]);
                let texel = unit.clamp(0.0, 1.0) * (side - 1) as f32;
                // The last texel is reached as the end of the last cell, so that cell + 1 always exists.
                let cell = (texel as usize).min(side - 2);
                site.cell[k] = cell as u16;
                site.fraction[k] = texel - cell as f32;
            }
            site
        };
        let sites = self
            .sides
            .iter()
            .map(|&side| positions.par_chunks_exact(3).with_min_len(1024).map(|p| place(p, side)).collect());
        Ok(Prepared { rows: positions.len() / 3, sites: std::sync::Arc::new(sites.collect()) })
    }
}

/// First texel and the weights of the four around a site: (0, 0), next column, next row, both.
pub(super) fn corners(site: &Site, axes: usize, side: usize) -> ([usize; 4], [f32; 4]) {
    let [a, b] = AXES[axes];
    let first = usize::from(site.cell[b]) * side + usize::from(site.cell[a]);
    let (u, v) = (site.fraction[a], site.fraction[b]);
    let weights = [(1.0 - u) * (1.0 - v), u * (1.0 - v), (1.0 - u) * v, u * v];
    ([first, first + 1, first + side, first + side + 1], weights)
}

/// One bilinear sample of all channels into `out`.
#[inline]
pub(super) fn sample<R: Real>(plane: &[R], site: &Site, axes: usize, side: usize, out: &mut [R]) {
    let channels = out.len();
    let (texels, weights) = corners(site, axes, side);
    let w = weights.map(|w| R::from_f64(f64::from(w)));
    let [p00, p01, p10, p11] = texels.map(|t| &plane[t * channels..][..channels]);
    for c in 0..channels {
        out[c] = w[0] * p00[c] + w[1] * p01[c] + w[2] * p10[c] + w[3] * p11[c];
    }
}

/// The three samples of one scale, one plane after the other, into `samples` (`3·channels`).
#[inline]
pub(super) fn sample_three<R: Real>(planes: [&[R]; 3], site: &Site, side: usize, samples: &mut [R]) {
    let channels = samples.len() / 3;
    for (axes, out) in samples.chunks_exact_mut(channels).enumerate() {
        sample(planes[axes], site, axes, side, out);
    }
}

/// The product of three samples into `feature`.
#[inline]
pub(super) fn product<R: Real>(samples: &[R], feature: &mut [R]) {
    let channels = feature.len();
    let (a, rest) = samples.split_at(channels);
    let (b, c) = rest.split_at(channels);
    for k in 0..channels {
        feature[k] = a[k] * b[k] * c[k];
    }
}

/// From the gradient of a product to those of the three samples, in place of the samples.
#[inline]
pub(super) fn product_backward<R: Real>(samples: &mut [R], gradient: &[R]) {
    let channels = gradient.len();
    let (a, rest) = samples.split_at_mut(channels);
    let (b, c) = rest.split_at_mut(channels);
    for k in 0..channels {
        let (x, y, z, g) = (a[k], b[k], c[k], gradient[k]);
        (a[k], b[k], c[k]) = (g * y * z, g * x * z, g * x * y);
    }
}

/// Adds the gradients of one plane's samples to the plane's, in the order of the rows. Row r's gradient is the `channels`
/// numbers from `r·stride + first` on.
pub(super) fn scatter<R: Real>(
    plane: &mut [R],
    sites: &[Site],
    axes: usize,
    side: usize,
    gradients: &[R],
    [stride, first, channels]: [usize; 3],
) {
    for (site, row) in sites.iter().zip(gradients.chunks_exact(stride)) {
        let g = &row[first..first + channels];
        let (texels, weights) = corners(site, axes, side);
        for (texel, weight) in texels.into_iter().zip(weights) {
            let weight = R::from_f64(f64::from(weight));
            for (p, g) in plane[texel * channels..][..channels].iter_mut().zip(g) {
                *p += weight * *g;
            }
        }
    }
}
