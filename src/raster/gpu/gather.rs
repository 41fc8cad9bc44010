//! Gradients as they come back from the device, group of frames after group.

use super::GpuRasterizer;
use super::backward::Returned;
use super::inputs::Inputs;
use crate::gpu::buffers::{add, append};
use crate::raster::{SurfelBatch, SurfelGradients};

/// Gradients of the groups so far.
pub(super) struct Gathered {
    out: SurfelGradients<f32>,
    /// Numbers of a surfel in every array of `out` but the last: positions, rotations, scales, opacities, attention, colours.
    widths: [usize; 6],
    /// Rows of those arrays in the end.
    surfels: usize,
    /// Whether every frame has rows of its own.
    own_copies: bool,
}

/// Buffers that a group's gradients are read from.
pub(super) const SOURCES: usize = 3;

impl Gathered {
    /// Nothing yet.
    pub(super) fn new(rasterizer: &GpuRasterizer, batch: &SurfelBatch<'_, f32>, attention: bool) -> Self {
        Gathered {
            out: rasterizer.spare.gradients(),
            widths: [3, 4, 2, 1, if attention { 4 } else { 0 }, batch.colors.width()],
            surfels: batch.copies * batch.surfels,
            own_copies: batch.copies > 1,
        }
    }

    /// What to read back of a group, in the order that [`Gathered::take`] wants.
    pub(super) fn sources<'b>(
        &self,
        inputs: &Inputs,
        returned: &'b Returned,
    ) -> [(&'b wgpu::Buffer, u64); SOURCES] {
        let count = u64::from(inputs.params.copies * inputs.params.surfels);
        let [colors, surfels] = [self.widths[5], self.widths[..5].iter().sum()].map(|w| w as u64);
        [
            (&returned.surfels, 4 * surfels * count),
            (&returned.colors, 4 * colors * count),
            (&returned.screen, 8 * inputs.instances()),
        ]
    }

    /// Takes the bytes of source `i` of a group. Groups come in order.
    pub(super) fn take(&mut self, i: usize, data: &[u8]) {
        let SurfelGradients { positions, rotations, scales, opacities, colors, attention, screen } =
            &mut self.out;
        // Copies of their own follow each other; a shared one is added up.
        let put = |to: &mut Vec<f32>, data: &[u8]| {
            if self.own_copies || to.is_empty() { append(to, data) } else { add(to, data) }
        };
        match i {
            0 => {
                let one = data.len() / self.widths[..5].iter().sum::<usize>();
                let mut rest = data;
                let targets = [positions, rotations, scales, opacities, attention];
                for (to, width) in targets.into_iter().zip(self.widths) {
                    let (here, after) = rest.split_at(width * one);
                    put(to, here);
                    rest = after;
                }
            }
            1 => put(colors, data),
            _ => append(screen, data),
        }
    }

    /// All of them; zeros where there was nothing to go back through.
    pub(super) fn finish(mut self) -> SurfelGradients<f32> {
        let o = &mut self.out;
        let arrays = [
            &mut o.positions,
            &mut o.rotations,
            &mut o.scales,
            &mut o.opacities,
            &mut o.attention,
            &mut o.colors,
        ];
        for (array, width) in arrays.into_iter().zip(self.widths) {
            array.resize(self.surfels * width, 0.0);
        }
        self.out
    }
}
