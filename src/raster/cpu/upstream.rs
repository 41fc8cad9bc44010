//! Image gradients of one tile, in the order that the lanes want.

use super::blend::Tile;
use super::lanes::*;
use crate::raster::{ImageGradients, RasterSettings, Real};

/// Gradients of the loss with respect to a tile's pixels; 0 outside the image.
pub(super) struct Upstream<R, const C: usize> {
    pub(super) channels: [Plane<R>; C],
    pub(super) alpha: Plane<R>,
    pub(super) depth: Plane<R>,
    pub(super) normal: [Plane<R>; 3],
    pub(super) median: Plane<R>,
    pub(super) distortion: Plane<R>,
    /// What the background is worth per unit of transmittance.
    pub(super) background_value: Plane<R>,
    /// Whether any gradient arrives at the granule.
    pub(super) arrives: [bool; GRANULES],
    /// Whether depth, normal, median or distortion have gradients in this batch.
    pub(super) geometry: bool,
}

/// Whether depth, normal, median or distortion have gradients.
pub(super) fn has_geometry<R>(g: &ImageGradients<R>) -> bool {
    [&g.depth, &g.normal, &g.median, &g.distortion].iter().any(|image| !image.is_empty())
}

impl<R: Real, const C: usize> Upstream<R, C> {
    /// Gathers the tile's part of frame `frame`.
    #[inline(always)]
    pub(super) fn gather(
        tile: &Tile<'_, R>,
        frame: usize,
        gradients: &ImageGradients<R>,
        settings: &RasterSettings<R>,
    ) -> Self {
        let zeros = plane(R::ZERO);
        let load = |image: &[R], channels: usize, channel: usize| {
            if image.is_empty() {
                return zeros;
            }
            let [width, height] = tile.size;
            let plane = &image[(frame * channels + channel) * width * height..][..width * height];
            std::array::from_fn(|g| {
                Lanes(std::array::from_fn(|lane| {
                    let (row, column) = pixel(g, lane);
                    if tile.inside(row, column) {
                        plane[(tile.origin[1] + row) * width + tile.origin[0] + column]
                    } else {
                        R::ZERO
                    }
                }))
            })
        };
        let channels: [Plane<R>; C] = std::array::from_fn(|k| match k {
            0..3 => load(&gradients.color, 3, k),
            _ => load(&gradients.attention, 4, k - 3),
        });
        let alpha = load(&gradients.alpha, 1, 0);
        let depth = load(&gradients.depth, 1, 0);
        let normal = std::array::from_fn(|k| load(&gradients.normal, 3, k));
        let median = load(&gradients.median, 1, 0);
        let distortion = load(&gradients.distortion, 1, 0);
        let mut background_value = zeros;
        for (channel, &background) in channels.iter().zip(&settings.background) {
            for (values, gradient) in background_value.iter_mut().zip(channel) {
                values.add_scaled(gradient, background);
            }
        }
        let images = || channels.iter().chain(&normal).chain([&alpha, &depth, &median, &distortion]);
        let arrives = std::array::from_fn(|g| images().any(|image| image[g].0.iter().any(|&v| v != R::ZERO)));
        let geometry = has_geometry(gradients);
        Upstream { channels, alpha, depth, normal, median, distortion, background_value, arrives, geometry }
    }
}
