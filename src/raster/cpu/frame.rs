//! One frame through all stages, forward and back.

use super::blend::{Blended, Saved, Tile, blend};
use super::blend_backward::{blend_backward, width};
use super::count_tiles::count_tiles;
use super::emit_pairs::emit_pairs;
use super::input::{OneCopy, tiles};
use super::lanes::PIXELS;
use super::project::{Drawn, Outcome, Splat, View, project};
use super::project_backward::{Gradients, Layout, project_backward};
use super::sort::sort;
use super::sum_pairs::Section;
use super::tile_ranges::tile_ranges;
use super::upstream::{Upstream, has_geometry};
use crate::raster::constants::{CHANNELS, TILE};
use crate::raster::{ImageGradients, RasterSettings, Real, Rendered, SurfelGradients};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Surfels that one task projects.
const CHUNK: usize = 256;

/// Numbers of pair gradients that are held at once; more pairs go through in several sections.
const SECTION_NUMBERS: usize = 1 << 25;

/// A drawn frame, as the backward pass wants it.
pub(super) struct Frame<R> {
    /// Which surfel each rank is.
    surfels: Vec<u32>,
    /// What blending reads, by rank.
    splats: Vec<Splat<R>>,
    /// Where each tile's list starts in [`Frame::pairs`].
    starts: Vec<usize>,
    /// Ranks, tile after tile.
    pairs: Vec<u32>,
    /// Pixels, tile after tile; nothing for tiles without surfels.
    saved: Vec<Option<Box<Saved<R>>>>,
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
        let outcomes: Vec<Outcome<R>> = (0..copy.len())
            .into_par_iter()
            .with_min_len(CHUNK)
            .map(|index| project(view, copy, index))
            .collect();
        let radii = outcomes.iter().map(|o| o.0).collect();
        let drawn: Vec<&Drawn<R>> = outcomes.iter().filter_map(|o| o.1.as_ref()).collect();
        let order = sort(drawn.iter().map(|d| d.key));
        let by_rank = || order.par_iter().with_min_len(CHUNK).map(|&i| drawn[i as usize]);
        let splats: Vec<Splat<R>> = by_rank().map(|d| d.splat).collect();
        let surfels = by_rank().map(|d| d.surfel).collect();
        let rects: Vec<[u32; 4]> = by_rank().map(|d| d.tiles).collect();

        let tiles = tiles(view.size);
        let starts = tile_ranges(&count_tiles(&rects, tiles));
        let pairs = emit_pairs(&rects, tiles, &starts);
        let mut this = Frame { surfels, splats, starts, pairs, saved: Vec::new(), size: view.size };
        let arch = Arch::new();
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
    fn tile(&self, t: usize) -> Tile<'_, R> {
        let across = tiles(self.size)[0];
        Tile {
            splats: &self.splats,
            pairs: &self.pairs[self.starts[t]..self.starts[t + 1]],
            origin: [t % across * TILE, t / across * TILE],
            size: self.size,
        }
    }

    /// Adds the gradients of frame `frame` to those of copy `copy_index`.
    #[expect(clippy::too_many_arguments, reason = "the trait's arguments and which frame and copy are meant")]
    pub(super) fn go_back(
        &self,
        view: &View,
        copy: &OneCopy<'_, R>,
        settings: &RasterSettings<R>,
        frame: usize,
        gradients: &ImageGradients<R>,
        copy_index: usize,
        out: &mut SurfelGradients<R>,
    ) {
        let layout = Layout {
            channels: if settings.outputs.attention { CHANNELS } else { 3 },
            geometry: has_geometry(gradients),
        };
        let width = width(layout.channels, layout.geometry);
        let sums = self.splat_gradients(settings, frame, gradients, width, SECTION_NUMBERS);
        self.project_backward(view, copy, &sums, layout, [frame, copy_index], out);
    }

    /// Gradients of what blending read, `[ranks, width]`, with no more than `budget` numbers of pairs held at once
    /// (or those of one tile).
    fn splat_gradients(
        &self,
        settings: &RasterSettings<R>,
        frame: usize,
        gradients: &ImageGradients<R>,
        width: usize,
        budget: usize,
    ) -> Vec<R> {
        let mut sums = vec![R::ZERO; self.splats.len() * width];
        let mut first = 0;
        while first < self.saved.len() {
            let end = self.section_end(first, budget / width);
            let bounds = &self.starts[first..=end];
            let pairs = &self.pairs[bounds[0]..bounds[end - first]];
            let mut section = vec![R::ZERO; pairs.len() * width];
            self.blend_backward(first, bounds, settings, frame, gradients, width, &mut section);
            Section { starts: bounds, pairs, gradients: &section, width }.sum_pairs(&mut sums);
            first = end;
        }
        sums
    }

    /// First tile after `first` that no longer fits into `budget` pairs; at least one tile is taken.
    fn section_end(&self, first: usize, budget: usize) -> usize {
        let limit = self.starts[first] + budget;
        let end = self.starts.partition_point(|&start| start <= limit) - 1;
        end.max(first + 1)
    }

    /// Runs the stage on the tiles between `bounds`.
    #[expect(clippy::too_many_arguments, reason = "the arguments of the stage and the tiles it runs on")]
    fn blend_backward(
        &self,
        first: usize,
        bounds: &[usize],
        settings: &RasterSettings<R>,
        frame: usize,
        gradients: &ImageGradients<R>,
        width: usize,
        section: &mut [R],
    ) {
        let mut parts = Vec::with_capacity(bounds.len());
        let mut rest = section;
        for pair in bounds.windows(2) {
            let (part, after) = rest.split_at_mut((pair[1] - pair[0]) * width);
            parts.push(part);
            rest = after;
        }
        let arch = Arch::new();
        parts.into_par_iter().enumerate().with_max_len(1).for_each(|(t, out)| {
            if let Some(saved) = &self.saved[first + t] {
                let tile = self.tile(first + t);
                arch.dispatch(BlendBackward { tile, saved, frame, gradients, settings, out });
            }
        });
    }

    /// Runs the stage on all surfels; `[frame, copy]` say where the gradients belong.
    fn project_backward(
        &self,
        view: &View,
        copy: &OneCopy<'_, R>,
        sums: &[R],
        layout: Layout,
        [frame, copy_index]: [usize; 2],
        out: &mut SurfelGradients<R>,
    ) {
        let n = copy.len();
        let width = width(layout.channels, layout.geometry);
        let mut rank_of_surfel = vec![u32::MAX; n];
        for (rank, &surfel) in self.surfels.iter().enumerate() {
            rank_of_surfel[surfel as usize] = rank as u32;
        }
        if n == 0 {
            return;
        }
        let color_width = out.colors.len() / out.opacities.len();
        let attention_width = out.attention.len() / out.opacities.len();
        let part = |at: usize, width: usize| at * n * width..(at + 1) * n * width;
        let mut attention: Vec<&mut [R]> = match attention_width {
            0 => (0..n).map(|_| Default::default()).collect(),
            w => out.attention[part(copy_index, w)].chunks_mut(w).collect(),
        };
        (
            out.positions[part(copy_index, 3)].par_chunks_mut(3),
            out.rotations[part(copy_index, 4)].par_chunks_mut(4),
            out.scales[part(copy_index, 2)].par_chunks_mut(2),
            out.opacities[part(copy_index, 1)].par_iter_mut(),
            out.colors[part(copy_index, color_width)].par_chunks_mut(color_width),
            attention.par_iter_mut(),
            out.screen[part(frame, 2)].par_chunks_mut(2),
            rank_of_surfel.par_iter().enumerate(),
        )
            .into_par_iter()
            .with_min_len(CHUNK)
            .for_each(
                |(position, rotation, scale, opacity, color, attention, screen, (index, &rank))| {
                    if rank == u32::MAX {
                        return;
                    }
                    let sums = &sums[rank as usize * width..][..width];
                    let mut out = Gradients { position, rotation, scale, opacity, color, attention, screen };
                    project_backward(view, copy, index, sums, layout, &mut out);
                },
            );
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

/// [`blend_backward`], compiled for each instruction set.
struct BlendBackward<'a, R> {
    tile: Tile<'a, R>,
    saved: &'a Saved<R>,
    frame: usize,
    gradients: &'a ImageGradients<R>,
    settings: &'a RasterSettings<R>,
    out: &'a mut [R],
}

impl<R: Real> WithSimd for BlendBackward<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let BlendBackward { tile, saved, frame, gradients, settings, out } = self;
        if settings.outputs.attention {
            let upstream = Upstream::<R, CHANNELS>::gather(&tile, frame, gradients, settings);
            blend_backward(&tile, saved, &upstream, out);
        } else {
            let upstream = Upstream::<R, 3>::gather(&tile, frame, gradients, settings);
            blend_backward(&tile, saved, &upstream, out);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Camera;
    use crate::raster::{Colors, Outputs, Rasterizer, SurfelBatch, cpu::CpuRasterizer, cpu::State};

    /// Gradients of the same frame with different budgets.
    fn gradients_within(budgets: &[usize]) -> Vec<Vec<f32>> {
        let n = 200;
        let wave = |i: usize, k: f32| ((i as f32 + 1.0) * k).sin();
        let positions: Vec<f32> =
            (0..n).flat_map(|i| [wave(i, 1.3), wave(i, 2.7), 3.0 + wave(i, 0.7)]).collect();
        let rotations: Vec<f32> =
            (0..n).flat_map(|i| [1.0, 0.3 * wave(i, 1.1), 0.3 * wave(i, 1.7), wave(i, 2.3)]).collect();
        let (scales, opacities) = (vec![0.1; 2 * n], vec![0.6; n]);
        let colors: Vec<f32> = (0..3 * n).map(|i| 0.5 + 0.5 * wave(i, 3.1)).collect();
        let batch = SurfelBatch {
            surfels: n,
            copies: 1,
            positions: &positions,
            rotations: &rotations,
            scales: &scales,
            opacities: &opacities,
            colors: Colors::Ready(&colors),
            attention: None,
        };
        let camera = Camera {
            camera_from_world: [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]],
            fx: 80.0,
            fy: 80.0,
            cx: 40.0,
            cy: 30.0,
            width: 81,
            height: 61,
        };
        let settings = RasterSettings { outputs: Outputs::default(), ..Default::default() };
        let rendered = CpuRasterizer::new().forward(&batch, &[camera], &settings).unwrap();
        let state = rendered.state.downcast_ref::<State<f32>>().unwrap();
        let color = (0..rendered.color.len()).map(|i| wave(i, 0.9)).collect();
        let upstream = ImageGradients { color, ..Default::default() };
        budgets
            .iter()
            .map(|&budget| state.frames[0].splat_gradients(&settings, 0, &upstream, width(3, false), budget))
            .collect()
    }

    #[test]
    fn sections_change_no_bit_of_the_gradients() {
        let found = gradients_within(&[SECTION_NUMBERS, 0, 1000, 4000]);
        assert!(found[0].iter().any(|&v| v != 0.0));
        assert!(found.iter().all(|f| *f == found[0]));
    }
}
