//! The dispatches that take pairs of pictures through a network on the GPU, and gradients back.

use super::network::Pool;
use super::packed::{ConvStep, Packed, Step};
use super::uniforms::{ConvParams, PoolParams, TapParams};
use crate::Result;
use crate::gpu::Constants;

/// Threads of a workgroup.
const THREADS: u64 = 256;
/// Threads that fill a large GPU; convolutions of fewer are split along their sums.
const MANY_THREADS: u64 = 1 << 18;
/// Pixels that a workgroup of `lpips_tap` takes.
const TAP_PIXELS: u64 = 16;

/// A buffer that a dispatch uses.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operand {
    /// Features after so many steps; after none, the input.
    Features(usize),
    /// Gradients with respect to them.
    Gradient(usize),
    /// [`Packed::forward`].
    Forward,
    /// [`Packed::backward`].
    Backward,
    PairWeights,
    Sums,
}

/// One dispatch.
#[derive(Debug)]
pub(super) struct Dispatch {
    pub(super) stage: &'static str,
    pub(super) constants: Constants,
    /// Its uniform struct, binding 0.
    pub(super) params: Vec<u32>,
    /// The bindings from 1 on.
    pub(super) operands: Vec<Operand>,
    pub(super) groups: u64,
}

/// Features of a picture after some steps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) quads: u32,
}

/// The sums of one tap.
#[derive(Debug, Clone, Copy)]
pub(super) struct TapSums {
    /// The place of the first.
    first: usize,
    /// How many each pair has.
    each: usize,
    /// Pixels that they are over.
    plane: usize,
}

/// Dispatches in order, and the sizes of what they use.
#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) dispatches: Vec<Dispatch>,
    /// After so many steps.
    pub(super) shapes: Vec<Shape>,
    pub(super) taps: Vec<TapSums>,
    /// Sums of all taps.
    pub(super) sums: usize,
    pairs: usize,
}

impl Shape {
    fn plane(&self) -> usize {
        self.rows * self.columns
    }

    /// Bytes of the features of some pictures.
    pub(super) fn bytes(&self, pictures: usize) -> u64 {
        (16 * pictures * self.plane()) as u64 * u64::from(self.quads)
    }
}

impl Schedule {
    /// For some pairs of pictures; with `backward`, also the gradient with respect to the first of each.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the pictures are too small.
    pub(super) fn new(
        packed: &Packed,
        pairs: usize,
        [rows, columns]: [usize; 2],
        backward: bool,
    ) -> Result<Self> {
        let mut shapes = vec![Shape { rows, columns, quads: 1 }];
        for (k, step) in packed.steps.iter().enumerate() {
            let Shape { rows, columns, quads } = shapes[k];
            let [rows, columns] = [step.length(rows)?, step.length(columns)?];
            shapes.push(Shape { rows, columns, quads: step.quads(quads) });
        }
        let mut schedule = Schedule { dispatches: Vec::new(), shapes, taps: Vec::new(), sums: 0, pairs };
        for (k, step) in packed.steps.iter().enumerate() {
            match step {
                Step::Conv(conv) => schedule.conv(k, conv),
                Step::Pool(pool) => schedule.pool(k, *pool),
            }
        }
        for (steps, head) in &packed.taps {
            schedule.tap(*steps, *head, backward);
        }
        if backward {
            for (k, step) in packed.steps.iter().enumerate().rev() {
                let keep = packed.taps.iter().any(|(steps, _)| *steps == k);
                match step {
                    Step::Conv(conv) => schedule.conv_backward(k, conv, keep),
                    Step::Pool(pool) => schedule.pool_backward(k, *pool, keep),
                }
            }
        }
        Ok(schedule)
    }

    /// The distance of each pair from the sums.
    pub(super) fn distances(&self, sums: &[f32]) -> Vec<f64> {
        let of_tap = |pair: usize, tap: &TapSums| {
            let own = &sums[tap.first + pair * tap.each..][..tap.each];
            own.iter().map(|v| f64::from(*v)).sum::<f64>() / tap.plane as f64
        };
        (0..self.pairs).map(|pair| self.taps.iter().map(|tap| of_tap(pair, tap)).sum()).collect()
    }

    fn conv(&mut self, k: usize, conv: &ConvStep) {
        let params = ConvParams {
            kernel: conv.kernel,
            bias: conv.bias,
            centre_out: conv.centre,
            ..self.conv_params(conv, [k, k + 1], 2 * self.pairs)
        };
        let operands =
            vec![Operand::Features(k), Operand::Forward, Operand::Backward, Operand::Features(k + 1)];
        self.push_conv(params, operands, false);
    }

    fn conv_backward(&mut self, k: usize, conv: &ConvStep, keep: bool) {
        let params = ConvParams {
            kernel: conv.backward,
            centre_in: conv.centre,
            keep: keep.into(),
            rectify: u32::from(k > 0),
            ..self.conv_params(conv, [k + 1, k], self.pairs)
        };
        let operands =
            vec![Operand::Gradient(k + 1), Operand::Backward, Operand::Features(k), Operand::Gradient(k)];
        self.push_conv(params, operands, true);
    }

    fn push_conv(&mut self, params: ConvParams, operands: Vec<Operand>, backward: bool) {
        let tiles = params.pixels.div_ceil(4 * params.down) * params.out_quads.div_ceil(params.across);
        self.dispatches.push(Dispatch {
            stage: "lpips_conv",
            constants: vec![("BACKWARD", backward.into())],
            params: params.words(),
            operands,
            groups: tiles.into(),
        });
    }

    /// From the features or gradients after `read` steps to those after `write`.
    fn conv_params(&self, conv: &ConvStep, [read, write]: [usize; 2], pictures: usize) -> ConvParams {
        let (input, output) = (self.shapes[read], self.shapes[write]);
        let pixels = (pictures * output.plane()) as u32;
        // The largest power of two that divides the quads, to 16.
        let across = 1 << output.quads.trailing_zeros().min(4);
        let blocks = u64::from(pixels.div_ceil(4)) * u64::from(output.quads);
        let mut slices = 16;
        while slices > 1 && (slices > input.quads || blocks * u64::from(slices) > MANY_THREADS) {
            slices /= 2;
        }
        ConvParams {
            pixels,
            out_rows: output.rows as u32,
            out_columns: output.columns as u32,
            in_rows: input.rows as u32,
            in_columns: input.columns as u32,
            in_quads: input.quads,
            out_quads: output.quads,
            side: conv.side,
            stride: conv.stride,
            padding: conv.padding,
            across,
            down: THREADS as u32 / (across * slices),
            slices,
            ..ConvParams::default()
        }
    }

    fn pool(&mut self, k: usize, pool: Pool) {
        let threads = self.shapes[k + 1].bytes(2 * self.pairs) / 16;
        let params = self.pool_params(k, pool, 2 * self.pairs);
        let operands = vec![Operand::Features(k), Operand::Features(k + 1)];
        self.push("lpips_pool", params.words(), operands, threads.div_ceil(THREADS));
    }

    fn pool_backward(&mut self, k: usize, pool: Pool, keep: bool) {
        let threads = self.shapes[k].bytes(self.pairs) / 16;
        let params = PoolParams { keep: keep.into(), ..self.pool_params(k, pool, self.pairs) };
        let operands = vec![Operand::Features(k), Operand::Gradient(k + 1), Operand::Gradient(k)];
        self.push("lpips_pool_backward", params.words(), operands, threads.div_ceil(THREADS));
    }

    fn pool_params(&self, k: usize, pool: Pool, pictures: usize) -> PoolParams {
        let (input, output) = (self.shapes[k], self.shapes[k + 1]);
        PoolParams {
            pictures: pictures as u32,
            in_rows: input.rows as u32,
            in_columns: input.columns as u32,
            out_rows: output.rows as u32,
            out_columns: output.columns as u32,
            quads: input.quads,
            side: pool.side as u32,
            keep: 0,
        }
    }

    fn tap(&mut self, steps: usize, head: u32, backward: bool) {
        let shape = self.shapes[steps];
        let each = (shape.plane() as u64).div_ceil(TAP_PIXELS);
        let params = TapParams {
            pairs: self.pairs as u32,
            plane: shape.plane() as u32,
            quads: shape.quads,
            head,
            sums: self.sums as u32,
        };
        self.taps.push(TapSums { first: self.sums, each: each as usize, plane: shape.plane() });
        self.sums += each as usize * self.pairs;
        let operands = [Operand::Features(steps), Operand::Forward, Operand::PairWeights];
        let operands = [&operands[..], &[Operand::Gradient(steps), Operand::Sums]].concat();
        self.push("lpips_tap", params.words(), operands, each * self.pairs as u64);
        if let Some(last) = self.dispatches.last_mut() {
            last.constants = vec![("BACKWARD", backward.into())];
        }
    }

    fn push(&mut self, stage: &'static str, params: Vec<u32>, operands: Vec<Operand>, groups: u64) {
        self.dispatches.push(Dispatch { stage, constants: Vec::new(), params, operands, groups });
    }
}
