//! One frame through the stages of the forward pass.

use super::blend::{Blended, Saved, Tile, blend};
use super::count_tiles::count_tiles;
use super::emit_pairs::emit_pairs;
use super::input::{OneCopy, tiles};
use super::lanes::PIXELS;
use super::project::{Seen, project};
use super::sort::sort;
use super::tile_ranges::tile_ranges;
use super::view::View;
use crate::raster::constants::{CHANNELS, TILE};
use crate::raster::{RasterSettings, Real, Rendered};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Surfels that one task projects.
pub(super) const CHUNK: usize = 256;

/// A drawn frame, as the backward pass wants it.
pub(super) struct Frame<R> {
    /// All surfels.
    pub(super) seen: Vec<Seen<R>>,
    /// Which surfel each rank is; ranks count from the nearest.
    pub(super) order: Vec<u32>,
    /// Where each tile's list starts in [`Frame::pairs`].
    pub(super) starts: Vec<usize>,
    /// Ranks, tile after tile.
    pub(super) pairs: Vec<u32>,
    /// Pixels, tile after tile; nothing for tiles without surfels.
    pub(super) saved: Vec<Option<Box<Saved<R>>>>,
    size: [usize; 2],
}

impl<R: Real> Frame<R> {
    /// Draws frame `frame` into `rendered`; the radii of the surfels, and the frame.
    pub(super) fn draw(
        view: &View,
        copy: &OneCopy<'_, R>,
        settings: &RasterSettings<R>,
        frame: usize,
        rendered: &mut Rendered<R>,
    ) -> (Vec<u32>, Self) {
        let arch = Arch::new();
        let seen: Vec<Seen<R>> = (0..copy.len())
            .into_par_iter()
            .with_min_len(CHUNK)
            .map(|index| arch.dispatch(Project { view, copy, index }))
            .collect();
        let radii = seen.iter().map(|s| s.radius).collect();
        let drawn = seen.iter().enumerate().filter(|(_, s)| s.is_drawn());
        let order = sort(drawn.map(|(surfel, s)| (s.key, surfel as u32)));
        let rects: Vec<[u32; 4]> =
            order.par_iter().with_min_len(CHUNK).map(|&surfel| seen[surfel as usize].tiles).collect();

        let tiles = tiles(view.size);
        let starts = tile_ranges(&count_tiles(&rects, tiles));
        let pairs = emit_pairs(&rects, tiles, &starts);
        let mut this = Frame { seen, order, starts, pairs, saved: Vec::new(), size: view.size };
        let blended: Vec<Blended<R>> = (0..tiles[0] * tiles[1])
            .into_par_iter()
            .with_max_len(1)
            .map(|t| arch.dispatch(Blend { tile: this.tile(t), settings }))
            .collect();
        write_images(&blended, frame, settings, rendered);
        this.saved = blended.into_iter().map(|b| b.saved).collect();
        (radii, this)
    }

    /// Tile `t`, counted row by row.
    pub(super) fn tile(&self, t: usize) -> Tile<'_, R> {
        let across = tiles(self.size)[0];
        Tile {
            seen: &self.seen,
            order: &self.order,
            pairs: &self.pairs[self.starts[t]..self.starts[t + 1]],
            origin: [t % across * TILE, t / across * TILE],
            size: self.size,
        }
    }
}

/// [`project`], compiled for each instruction set.
struct Project<'a, R> {
    view: &'a View,
    copy: &'a OneCopy<'a, R>,
    index: usize,
}

impl<R: Real> WithSimd for Project<'_, R> {
    type Output = Seen<R>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Seen<R> {
        project(self.view, self.copy, self.index)
    }
}

/// [`blend`], compiled for each instruction set.
struct Blend<'a, R> {
    tile: Tile<'a, R>,
    settings: &'a RasterSettings<R>,
}

impl<R: Real> WithSimd for Blend<'_, R> {
    type Output = Blended<R>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Blended<R> {
        if self.settings.outputs.attention {
            blend::<R, CHANNELS>(&self.tile, self.settings)
        } else {
            blend::<R, 3>(&self.tile, self.settings)
        }
    }
}

/// Copies tiles into the images of a frame.
fn write_images<R: Real>(
    blended: &[Blended<R>],
    frame: usize,
    settings: &RasterSettings<R>,
    rendered: &mut Rendered<R>,
) {
    let size = [rendered.width, rendered.height];
    let across = tiles(size)[0];
    let outputs = &settings.outputs;
    let mut first = 0;
    for (image, channels, wanted) in [
        (&mut rendered.color, 3, true),
        (&mut rendered.attention, 4, outputs.attention),
        (&mut rendered.alpha, 1, true),
        (&mut rendered.depth, 1, outputs.depth),
        (&mut rendered.median, 1, outputs.median),
        (&mut rendered.normal, 3, outputs.normal),
        (&mut rendered.distortion, 1, outputs.distortion),
    ] {
        if !wanted || size.contains(&0) {
            continue;
        }
        let [width, height] = size;
        let image = &mut image[frame * channels * width * height..][..channels * width * height];
        image.par_chunks_mut(width).enumerate().with_min_len(TILE).for_each(|(line, out)| {
            let (channel, row) = (first + line / height, line % height);
            let start = channel * PIXELS + row % TILE * TILE;
            for (pixels, tile) in out.chunks_mut(TILE).zip(&blended[row / TILE * across..]) {
                pixels.copy_from_slice(&tile.image[start..start + pixels.len()]);
            }
        });
        first += channels;
    }
}
