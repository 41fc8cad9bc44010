//! Stages of the field, recorded with their constants.

use super::uniforms::{
    ABSENT, ADD, BLOCK, COLUMNS, DEPTH, DenseUniform, FrameUniform, KEEP, LANES, MASK, MASK_KEPT, NOTHING,
    NormUniform, PieceUniform, ProductUniform, ScaleUniform, THREADS,
};
use super::weights::DensePlace;
use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::PooledBuffer;
use crate::gpu::Recorder;
use crate::gpu::shaders::Reduce;
use std::num::NonZeroU64;
use std::ops::Range;
use wgpu::Buffer;

/// Pieces in which sums over all rows are made, about as many as keep a large card busy.
const PIECES: usize = 128;
/// Rows of a workgroup of layer norm.
const NORM_ROWS: usize = THREADS / LANES as usize;

/// Rows of some frames.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) frames: usize,
    /// Rows of a frame.
    pub(super) rows: usize,
}

impl Shape {
    pub(super) fn all(self) -> usize {
        self.frames * self.rows
    }

    /// Pieces of a frame, and rows of one.
    fn pieces(self) -> (usize, usize) {
        let wanted = (PIECES / self.frames).max(1);
        let piece = self.rows.div_ceil(wanted).next_multiple_of(DEPTH as usize);
        (self.rows.div_ceil(piece), piece)
    }

    /// Pieces of all frames at most, whatever their number.
    pub(super) fn most_pieces(frames: usize) -> usize {
        PIECES.max(frames)
    }
}

/// What becomes of a product beside its bias.
#[derive(Clone, Copy)]
pub(super) enum Then<'a> {
    Nothing,
    Relu,
    /// Rows are added; whether all frames have the same.
    Add(&'a Buffer, bool),
    /// 0 where these are not positive.
    Mask(&'a Buffer),
    /// What was in the result is added.
    Keep,
    /// 0 where what was in the result is not positive.
    MaskKept,
}

/// Stages in their order. Their constants go to the device together when all are known, since writing to a device costs
/// about the same for a word and for a thousand.
pub(super) struct Recording<'g> {
    gpu: &'g Gpu,
    waiting: Vec<Waiting>,
    constants: Vec<u32>,
}

/// What is to be recorded.
enum Waiting {
    Stage { name: &'static str, constants: Range<usize>, buffers: Vec<Buffer>, groups: usize },
    Clear { buffer: Buffer, bytes: u64 },
}

impl<'g> Recording<'g> {
    pub(super) fn new(gpu: &'g Gpu) -> Self {
        Recording { gpu, waiting: Vec::new(), constants: Vec::new() }
    }

    /// Stage `name` with its constants at binding 0 and buffers after them.
    pub(super) fn stage(&mut self, name: &'static str, words: &[u32], buffers: &[&Buffer], groups: usize) {
        // Parts of a buffer start at multiples of this.
        let apart = (self.gpu.limits.min_storage_buffer_offset_alignment as usize / 4).max(1);
        let start = self.constants.len().next_multiple_of(apart);
        self.constants.resize(start, 0);
        self.constants.extend_from_slice(words);
        let constants = start..self.constants.len();
        let buffers = buffers.iter().map(|b| (*b).clone()).collect();
        self.waiting.push(Waiting::Stage { name, constants, buffers, groups });
    }

    /// Zeroes the first bytes of a buffer.
    pub(super) fn clear(&mut self, buffer: &Buffer, bytes: u64) {
        self.waiting.push(Waiting::Clear { buffer: buffer.clone(), bytes });
    }

    /// Records everything into `recorder`. The uniforms returned must live until that is submitted.
    pub(super) fn record_into(self, recorder: &mut Recorder<'_>) -> Result<PooledBuffer> {
        let lent = self.gpu.uniform_as_storage(&self.constants);
        for waiting in &self.waiting {
            let (name, constants, buffers, groups) = match waiting {
                Waiting::Stage { name, constants, buffers, groups } => (name, constants, buffers, groups),
                Waiting::Clear { buffer, bytes } => {
                    recorder.clear(buffer, *bytes);
                    continue;
                }
            };
            let words = wgpu::BufferBinding {
                buffer: &lent,
                offset: 4 * constants.start as u64,
                size: NonZeroU64::new(4 * constants.len() as u64),
            };
            let whole = buffers.iter().map(Buffer::as_entire_binding);
            let resources = std::iter::once(wgpu::BindingResource::Buffer(words)).chain(whole);
            let entries: Vec<_> = resources
                .enumerate()
                .map(|(i, resource)| wgpu::BindGroupEntry { binding: i as u32, resource })
                .collect();
            recorder.bound_stage(*name, Reduce::Threads, vec![], &entries, *groups as u64)?;
        }
        Ok(lent)
    }

    /// A stage with a thread per number.
    pub(super) fn each(&mut self, name: &'static str, words: &[u32], buffers: &[&Buffer], numbers: usize) {
        self.stage(name, words, buffers, numbers.div_ceil(THREADS));
    }

    /// `rows · matrix + bias` of every frame; whether all frames have the same rows.
    fn product(
        &mut self,
        shape: Shape,
        (rows, same): (&Buffer, bool),
        matrix: Matrix<'_>,
        then: Then<'_>,
        result: &Buffer,
    ) {
        let Matrix { weights, start, frame, bias, sizes: [inner, columns] } = matrix;
        let apart = |same: bool, width: usize| if same { 0 } else { (shape.rows * width) as u32 };
        let (purpose, other, other_frame) = match then {
            Then::Nothing | Then::Relu => (NOTHING, rows, 0),
            Then::Add(other, same) => (ADD, other, apart(same, columns)),
            Then::Mask(other) => (MASK, other, apart(false, columns)),
            Then::Keep => (KEEP, rows, 0),
            Then::MaskKept => (MASK_KEPT, rows, 0),
        };
        let words = DenseUniform {
            rows: shape.rows as u32,
            frames: shape.frames as u32,
            inner: inner as u32,
            columns: columns as u32,
            matrix: start as u32,
            matrix_frame: frame as u32,
            bias: bias.map_or(ABSENT, |(at, _)| at as u32),
            bias_frame: bias.map_or(0, |(_, frame)| frame as u32),
            from_frame: apart(same, inner),
            other_frame,
            purpose,
            relu: u32::from(matches!(then, Then::Relu)),
        };
        let groups = shape.frames * shape.rows.div_ceil(BLOCK as usize) * columns.div_ceil(BLOCK as usize);
        self.stage("dense", &words.words(), &[rows, weights, other, result], groups);
    }

    /// A dense layer; the rows, and whether all frames have the same.
    pub(super) fn dense(
        &mut self,
        shape: Shape,
        rows: (&Buffer, bool),
        weights: &Buffer,
        layer: DensePlace,
        then: Then<'_>,
        result: &Buffer,
    ) {
        let bias = Some((layer.bias, layer.bias_frame));
        let sizes = [layer.inputs, layer.outputs];
        let matrix = Matrix { weights, start: layer.there, frame: layer.frame, bias, sizes };
        self.product(shape, rows, matrix, then, result);
    }

    /// From the gradient of a dense layer's result to that of its input.
    pub(super) fn dense_back(
        &mut self,
        shape: Shape,
        gradient: &Buffer,
        weights: &Buffer,
        layer: DensePlace,
        then: Then<'_>,
        result: &Buffer,
    ) {
        let sizes = [layer.outputs, layer.inputs];
        let matrix = Matrix { weights, start: layer.back, frame: layer.frame, bias: None, sizes };
        self.product(shape, (gradient, false), matrix, then, result);
    }

    /// The gradient `[left + 1, right]` of a matrix and its bias, from the layer's input and the gradient of its result, to
    /// `sums`.
    pub(super) fn matrix_back(
        &mut self,
        shape: Shape,
        left: Side<'_>,
        right: Side<'_>,
        pieces: &Buffer,
        sums: &Buffer,
        to: To,
    ) {
        let (count, piece) = shape.pieces();
        let words = ProductUniform {
            rows: shape.rows as u32,
            frames: shape.frames as u32,
            piece: piece as u32,
            pieces: count as u32,
            left: left.width as u32,
            left_start: left.start as u32,
            left_row: left.row as u32,
            right: right.width as u32,
            right_start: right.start as u32,
            right_row: right.row as u32,
            left_frame: if left.same { 0 } else { (shape.rows * left.row) as u32 },
        };
        let tiles = left.width.div_ceil(BLOCK as usize) * right.width.div_ceil(BLOCK as usize);
        let groups = shape.frames * count * tiles;
        self.stage("dense_backward", &words.words(), &[left.rows, right.rows, pieces], groups);
        self.add_pieces((left.width + 1) * right.width, shape.frames, count, pieces, sums, to);
    }

    /// Adds pieces of `frames` results of `count` numbers, all to one place or each frame's to its own.
    fn add_pieces(
        &mut self,
        count: usize,
        frames: usize,
        each: usize,
        pieces: &Buffer,
        sums: &Buffer,
        to: To,
    ) {
        let (results, stride, made_of) = match to.frame {
            Some(stride) => (frames, stride, each),
            None => (1, 0, frames * each),
        };
        let words = PieceUniform {
            count: count as u32,
            results: results as u32,
            pieces: made_of as u32,
            first: to.first as u32,
            stride: stride as u32,
            fresh: to.fresh.into(),
        };
        self.each("sum_pieces", &words.words(), &[pieces, sums], count * results);
    }

    /// Layer norm of `given` to units, rates and the result.
    pub(super) fn normalise(
        &mut self,
        norm: NormUniform,
        weights: &Buffer,
        given: &Buffer,
        [units, rates, result]: [&Buffer; 3],
    ) {
        let groups = (norm.rows as usize).div_ceil(NORM_ROWS);
        self.stage("normalise", &norm.words(), &[weights, given, units, rates, result], groups);
    }

    /// The way back of layer norm, in the place of the gradient; its scale's and shift's to `sums`.
    pub(super) fn normalise_back(
        &mut self,
        norm: NormUniform,
        weights: &Buffer,
        [units, rates, gradient]: [&Buffer; 3],
        pieces: &Buffer,
        sums: &Buffer,
        to: To,
    ) {
        let (rows, width) = (norm.rows as usize, norm.width as usize);
        let (count, piece) = Shape { frames: 1, rows }.pieces();
        let words =
            ScaleUniform { rows: norm.rows, width: norm.width, piece: piece as u32, pieces: count as u32 };
        let groups = count * width.div_ceil(COLUMNS as usize);
        self.stage("scale_backward", &words.words(), &[units, gradient, pieces], groups);
        self.add_pieces(2 * width, 1, count, pieces, sums, to);
        let buffers = [weights, units, rates, gradient];
        self.stage("normalise_backward", &norm.words(), &buffers, rows.div_ceil(NORM_ROWS));
    }

    /// Adds the rows of all frames.
    pub(super) fn sum_frames(
        &mut self,
        shape: Shape,
        width: usize,
        rows: &Buffer,
        sums: &Buffer,
        fresh: bool,
    ) {
        let count = shape.rows * width;
        let words = FrameUniform { count: count as u32, frames: shape.frames as u32, fresh: fresh.into() };
        self.each("sum_frames", &words.words(), &[rows, sums], count);
    }
}

/// A matrix among the weights, its bias, and the way from one frame's to the next.
struct Matrix<'a> {
    weights: &'a Buffer,
    start: usize,
    frame: usize,
    bias: Option<(usize, usize)>,
    /// Rows and columns.
    sizes: [usize; 2],
}

/// Columns of some rows.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    rows: &'a Buffer,
    /// Where they start in a row, how many they are, and numbers of a row.
    start: usize,
    width: usize,
    row: usize,
    /// Whether all frames have the same rows.
    same: bool,
}

impl<'a> Side<'a> {
    /// Rows of `width` numbers.
    pub(super) fn whole(rows: &'a Buffer, width: usize) -> Self {
        Side { rows, start: 0, width, row: width, same: false }
    }

    /// Some columns of rows of `row` numbers.
    pub(super) fn part(rows: &'a Buffer, columns: Range<usize>, row: usize) -> Self {
        Side { rows, start: columns.start, width: columns.len(), row, same: false }
    }

    /// The same rows in every frame, or not.
    pub(super) fn same(self, same: bool) -> Self {
        Side { same, ..self }
    }
}

/// Where a gradient goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct To {
    pub(super) first: usize,
    /// From one frame's to the next, where each frame has its own.
    pub(super) frame: Option<usize>,
    /// Whether the sum starts at 0.
    pub(super) fresh: bool,
}
