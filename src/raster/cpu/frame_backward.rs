//! One frame through the stages of the backward pass.

use super::blend::Saved;
use super::blend::Tile;
use super::blend_backward::{blend_backward, width};
use super::frame::{CHUNK, Frame};
use super::input::OneCopy;
use super::project_backward::{Gradients, Layout, project_backward};
use super::sum_pairs::Section;
use super::upstream::{Upstream, has_geometry};
use super::view::View;
use crate::raster::constants::CHANNELS;
use crate::raster::{ImageGradients, RasterSettings, Real, SurfelGradients};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Numbers of pair gradients that are held at once for each thread; more pairs go through in several sections. Small,
/// so that they stay in the caches and memory stays bounded; large enough to keep the threads busy.
const SECTION_NUMBERS: usize = 1 << 18;

impl<R: Real> Frame<R> {
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
        let budget = SECTION_NUMBERS * rayon::current_num_threads();
        let sums = self.splat_gradients(settings, frame, gradients, width, budget);
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
        let mut sums = vec![R::ZERO; self.order.len() * width];
        let mut section = Vec::new();
        let mut first = 0;
        while first < self.saved.len() {
            let end = self.section_end(first, budget / width);
            let bounds = &self.starts[first..=end];
            let pairs = &self.pairs[bounds[0]..bounds[end - first]];
            // What is left of the section before is overwritten tile by tile.
            section.resize(pairs.len() * width, R::ZERO);
            self.blend_backward(first, bounds, settings, frame, gradients, width, &mut section);
            Section { starts: bounds, pairs, gradients: &section, width }.sum_pairs(&mut sums);
            first = end;
        }
        sums
    }

    /// First tile after `first` that no longer fits into `budget` pairs; at least one tile is taken.
    fn section_end(&self, first: usize, budget: usize) -> usize {
        let limit = self.starts[first].saturating_add(budget);
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
            out.fill(R::ZERO);
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
        let mut rank_of_surfel = vec![u32::MAX; copy.len()];
        for (rank, &surfel) in self.order.iter().enumerate() {
            rank_of_surfel[surfel as usize] = rank as u32;
        }
        let arch = Arch::new();
        let chunks = Gradients::chunks(out, [frame, copy_index], copy.len(), CHUNK);
        chunks.into_par_iter().zip(rank_of_surfel.par_chunks(CHUNK)).enumerate().for_each(
            |(chunk, (out, ranks))| {
                let first = chunk * CHUNK;
                arch.dispatch(ProjectBackward { view, copy, first, ranks, sums, layout, out });
            },
        );
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

/// [`project_backward`] of consecutive surfels, compiled for each instruction set.
struct ProjectBackward<'a, R> {
    view: &'a View,
    copy: &'a OneCopy<'a, R>,
    first: usize,
    /// Rank of each surfel, `u32::MAX` where it is not drawn.
    ranks: &'a [u32],
    sums: &'a [R],
    layout: Layout,
    out: Gradients<'a, R>,
}

impl<R: Real> WithSimd for ProjectBackward<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        let width = width(self.layout.channels, self.layout.geometry);
        for (i, &rank) in self.ranks.iter().enumerate().filter(|(_, rank)| **rank != u32::MAX) {
            let sums = &self.sums[rank as usize * width..][..width];
            project_backward(self.view, self.copy, self.first + i, sums, self.layout, &mut self.out.one(i));
        }
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
            behind: None,
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
        let rendered = CpuRasterizer::new().forward(&batch, &[camera], &settings).expect("images");
        let state = rendered.state.downcast_ref::<State<f32>>().expect("this backend's state");
        let color = (0..rendered.color.len()).map(|i| wave(i, 0.9)).collect();
        let upstream = ImageGradients { color, ..Default::default() };
        budgets
            .iter()
            .map(|&budget| state.frames[0].splat_gradients(&settings, 0, &upstream, width(3, false), budget))
            .collect()
    }

    #[test]
    fn sections_change_no_bit_of_the_gradients() {
        let found = gradients_within(&[usize::MAX / 64, 0, 1000, 4000]);
        assert!(found[0].iter().any(|&v| v != 0.0));
        assert!(found.iter().all(|f| *f == found[0]));
    }
}
