//! The rows of the field on the CPU: the same arithmetic as the graph, in chunks small enough for the cache, one rayon
//! task each, with no graph and no allocation for each operation. The way back is in `rows_backward`.
//!
//! Plain slices, row-major. Weights are `[outputs, inputs]`; J = 4·heads attention columns, column h·4 + t.

use super::attention::NORM_EPSILON;
use super::heads::{DRIVES, HEADS};
use super::matrix::{Matrix, fill_rows, multiply, multiply_part};
use super::triplane::{Site, product, sample_three};
use super::{Layout, TOKENS};
use rayon::prelude::*;

/// Rows of one chunk: its activations (some 700 numbers a row) stay in the second-level cache.
pub(super) const CHUNK: usize = 128;

/// Widths of everything.
#[derive(Debug, Clone)]
pub(super) struct Widths {
    pub(super) sides: Vec<usize>,
    pub(super) channels: usize,
    pub(super) embedding: usize,
    pub(super) model: usize,
    pub(super) heads: usize,
    pub(super) feed: usize,
    pub(super) hidden: usize,
    pub(super) layout: Layout,
    /// Factor of the position columns.
    pub(super) reach: f32,
}

impl Widths {
    /// Width of the features.
    pub(super) fn features(&self) -> usize {
        self.channels * self.sides.len()
    }

    /// Attention columns, J.
    pub(super) fn columns(&self) -> usize {
        self.heads * TOKENS
    }
}

/// A dense layer, or its gradient.
#[derive(Debug, Clone, Default)]
pub(super) struct DenseValues {
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

/// What a layer shares between frames, or its gradient.
#[derive(Debug, Clone, Default)]
pub(super) struct LayerValues {
    pub(super) answer_bias: Vec<f32>,
    /// gamma and beta.
    pub(super) norm1: DenseValues,
    pub(super) feed1: DenseValues,
    pub(super) feed2: DenseValues,
    pub(super) norm2: DenseValues,
}

/// What is folded for one frame, or its gradient.
#[derive(Debug, Clone, Default)]
pub(super) struct FrameValues {
    pub(super) layers: Vec<FrameLayer>,
    /// The heads' driven layers, `[columns, hidden]`, head after head and drive after drive.
    pub(super) heads: Vec<Vec<f32>>,
}

/// A layer's folded attention in one frame, or its gradient.
#[derive(Debug, Clone, Default)]
pub(super) struct FrameLayer {
    /// `[J, model]`.
    pub(super) score: Vec<f32>,
    /// `[J]`.
    pub(super) score_bias: Vec<f32>,
    /// `[J, model]`.
    pub(super) answer: Vec<f32>,
}

/// All weights the rows use, or their gradients.
#[derive(Debug, Clone, Default)]
pub(super) struct RowValues {
    pub(super) query: DenseValues,
    pub(super) layers: Vec<LayerValues>,
    pub(super) hidden: DenseValues,
    pub(super) heads: Vec<DenseValues>,
    pub(super) frames: Vec<FrameValues>,
}

impl RowValues {
    /// Every array, always in the same order: the shared ones in the order of the parameters, then the frames'.
    pub(super) fn arrays_mut(&mut self) -> Vec<&mut Vec<f32>> {
        let mut out = vec![&mut self.query.weight, &mut self.query.bias];
        for layer in &mut self.layers {
            out.push(&mut layer.answer_bias);
            for dense in [&mut layer.norm1, &mut layer.feed1, &mut layer.feed2, &mut layer.norm2] {
                out.extend([&mut dense.weight, &mut dense.bias]);
            }
        }
        out.extend([&mut self.hidden.weight, &mut self.hidden.bias]);
        for head in &mut self.heads {
            out.extend([&mut head.weight, &mut head.bias]);
        }
        for frame in &mut self.frames {
            for layer in &mut frame.layers {
                out.extend([&mut layer.score, &mut layer.score_bias, &mut layer.answer]);
            }
            out.extend(&mut frame.heads);
        }
        out
    }

    /// The same shapes, all zero.
    pub(super) fn zeros(&self) -> Self {
        let mut zeros = self.clone();
        zeros.arrays_mut().into_iter().for_each(|a| a.fill(0.0));
        zeros
    }

    /// Adds another of the same shapes.
    pub(super) fn add(&mut self, mut other: Self) {
        for (to, from) in self.arrays_mut().into_iter().zip(other.arrays_mut()) {
            for (t, f) in to.iter_mut().zip(from.iter()) {
                *t += f;
            }
        }
    }
}

/// What a forward pass over one chunk and frame keeps for the way back, one of it per layer.
#[derive(Debug, Default)]
pub(super) struct LayerTrace {
    /// Input of the layer, `[rows, model]`.
    pub(super) input: Vec<f32>,
    /// Attention weights, `[rows, J]`.
    pub(super) weights: Vec<f32>,
    /// Rows after normalisation, before scale and shift, and 1 / deviation.
    pub(super) unit1: Vec<f32>,
    pub(super) rate1: Vec<f32>,
    /// After the first norm.
    pub(super) middle: Vec<f32>,
    /// After ReLU, `[rows, feed]`.
    pub(super) hidden: Vec<f32>,
    pub(super) unit2: Vec<f32>,
    pub(super) rate2: Vec<f32>,
}

/// Activations of one chunk and frame.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) layers: Vec<LayerTrace>,
    /// The last layer's rows, after the heads' first ReLU.
    pub(super) rows: Vec<f32>,
    /// Hidden layer of the heads after ReLU, `[rows, 5·hidden]`.
    pub(super) hidden: Vec<f32>,
    /// What a drive adds to one head.
    pub(super) driven: Vec<f32>,
}

/// The planes' values, `[scales][3]`.
pub(super) type Planes<'a> = [[&'a [f32]; 3]];

/// Features of rows `first..` into `inputs` `[rows, features + embedding]`, samples of the planes into
/// `samples` `[rows, scales·3·channels]` when they are wanted.
pub(super) fn gather(
    w: &Widths,
    planes: &Planes<'_>,
    sites: &[Vec<Site>],
    first: usize,
    embedding: &[f32],
    inputs: &mut [f32],
    samples: &mut [f32],
) {
    let (features, width) = (w.features(), w.features() + w.embedding);
    let per_scale = 3 * w.channels;
    for (row, (input, samples)) in
        inputs.chunks_exact_mut(width).zip(samples.chunks_exact_mut(per_scale * w.sides.len())).enumerate()
    {
        for (scale, samples) in samples.chunks_exact_mut(per_scale).enumerate() {
            sample_three(planes[scale], &sites[scale][first + row], w.sides[scale], samples);
            product(samples, &mut input[scale * w.channels..][..w.channels]);
        }
        input[features..].copy_from_slice(&embedding[row * w.embedding..][..w.embedding]);
    }
}

/// y = x·Wᵀ + b for `rows` rows.
pub(super) fn dense(y: &mut [f32], x: &[f32], layer: &DenseValues, rows: usize) {
    let outputs = layer.bias.len();
    let inputs = layer.weight.len() / outputs;
    fill_rows(y, &layer.bias);
    multiply(y, 1.0, Matrix::new(x, rows, inputs), Matrix::new(&layer.weight, outputs, inputs).t());
}

/// The query rows `[n, model]` of all surfels.
pub(super) fn queries(
    w: &Widths,
    values: &RowValues,
    planes: &Planes<'_>,
    sites: &[Vec<Site>],
    embedding: &[f32],
) -> Vec<f32> {
    let n = embedding.len() / w.embedding;
    let mut out = vec![0.0; n * w.model];
    let chunks = out.par_chunks_mut(CHUNK * w.model).zip(embedding.par_chunks(CHUNK * w.embedding));
    chunks.enumerate().for_each(|(chunk, (out, embedding))| {
        let rows = out.len() / w.model;
        let mut inputs = vec![0.0; rows * (w.features() + w.embedding)];
        let mut samples = vec![0.0; rows * 3 * w.features()];
        gather(w, planes, sites, chunk * CHUNK, embedding, &mut inputs, &mut samples);
        dense(out, &inputs, &values.query, rows);
    });
    out
}

/// The packed deformation `[frames, n, columns]` of all frames from the query rows.
pub(super) fn infer(w: &Widths, values: &RowValues, queries: &[f32]) -> Vec<f32> {
    let n = queries.len() / w.model;
    let columns = w.layout.columns;
    let mut packed = vec![0.0; values.frames.len() * n * columns];
    if n == 0 {
        return packed;
    }
    packed.par_chunks_mut(n * columns).enumerate().for_each(|(frame, packed)| {
        let chunks = packed.par_chunks_mut(CHUNK * columns).zip(queries.par_chunks(CHUNK * w.model));
        chunks
            .for_each_init(Trace::default, |trace, (packed, x)| forward(w, values, frame, x, packed, trace));
    });
    packed
}

/// One chunk of rows `x` `[rows, model]` in one frame to `packed` `[rows, columns]`.
pub(super) fn forward(
    w: &Widths,
    values: &RowValues,
    frame: usize,
    x: &[f32],
    packed: &mut [f32],
    trace: &mut Trace,
) {
    let (rows, columns, j) = (x.len() / w.model, w.layout.columns, w.columns());
    trace.layers.resize_with(values.layers.len(), LayerTrace::default);
    trace.rows.clear();
    trace.rows.extend_from_slice(x);
    attend_nothing(packed, w);
    let share = 1.0 / (w.heads * values.layers.len()) as f32;
    for (l, (layer, t)) in values.layers.iter().zip(&mut trace.layers).enumerate() {
        let folded = &values.frames[frame].layers[l];
        t.input.clone_from(&trace.rows);
        t.weights.resize(rows * j, 0.0);
        fill_rows(&mut t.weights, &folded.score_bias);
        let score = Matrix::new(&folded.score, j, w.model).t();
        multiply(&mut t.weights, 1.0, Matrix::new(&t.input, rows, w.model), score);
        for (weights, packed) in t.weights.chunks_exact_mut(j).zip(packed.chunks_exact_mut(columns)) {
            for weights in weights.chunks_exact_mut(TOKENS) {
                softmax(weights);
                for (p, a) in packed[w.layout.attention.clone()].iter_mut().zip(weights) {
                    *p += share * *a;
                }
            }
        }
        let sum = &mut trace.rows; // x + attention
        add_to_rows(sum, &layer.answer_bias);
        let weights = Matrix::new(&t.weights, rows, j);
        multiply(sum, 1.0, weights, Matrix::new(&folded.answer, j, w.model));
        t.middle.resize(rows * w.model, 0.0);
        normalise(sum, &layer.norm1, &mut t.unit1, &mut t.rate1, &mut t.middle);
        t.hidden.resize(rows * w.feed, 0.0);
        dense(&mut t.hidden, &t.middle, &layer.feed1, rows);
        relu(&mut t.hidden);
        sum.copy_from_slice(&t.middle);
        add_to_rows(sum, &layer.feed2.bias);
        let feed2 = Matrix::new(&layer.feed2.weight, w.model, w.feed).t();
        multiply(sum, 1.0, Matrix::new(&t.hidden, rows, w.feed), feed2);
        let sum = std::mem::take(&mut trace.rows);
        trace.rows.resize(rows * w.model, 0.0);
        normalise(&sum, &layer.norm2, &mut t.unit2, &mut t.rate2, &mut trace.rows);
    }
    relu(&mut trace.rows);
    trace.hidden.resize(rows * HEADS * w.hidden, 0.0);
    dense(&mut trace.hidden, &trace.rows, &values.hidden, rows);
    relu(&mut trace.hidden);
    for (i, (_, range)) in w.layout.heads().into_iter().enumerate() {
        let part = Matrix::part(&trace.hidden, rows, HEADS * w.hidden, i * w.hidden, w.hidden);
        for row in packed.chunks_exact_mut(columns) {
            row[range.clone()].copy_from_slice(&values.heads[i].bias);
        }
        let weight = Matrix::new(&values.heads[i].weight, range.len(), w.hidden).t();
        multiply_part(packed, columns, range.start, 1.0, part, weight);
        let driven = values.frames[frame].heads.iter().skip(i * DRIVES.len());
        for ((token, ..), layer) in DRIVES.iter().zip(driven) {
            trace.driven.resize(rows * range.len(), 0.0);
            multiply(&mut trace.driven, 0.0, part, Matrix::new(layer, range.len(), w.hidden).t());
            let per_row = packed.chunks_exact_mut(columns).zip(trace.driven.chunks_exact(range.len()));
            for (row, driven) in per_row {
                let share = row[w.layout.attention.start + token];
                row[range.clone()].iter_mut().zip(driven).for_each(|(v, d)| *v += share * d);
            }
        }
    }
    for row in packed.chunks_exact_mut(columns) {
        row[w.layout.position.clone()].iter_mut().for_each(|v| *v *= w.reach);
    }
}

fn attend_nothing(packed: &mut [f32], w: &Widths) {
    for row in packed.chunks_exact_mut(w.layout.columns) {
        row[w.layout.attention.clone()].fill(0.0);
    }
}

pub(super) fn softmax(x: &mut [f32]) {
    let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for v in x.iter_mut() {
        *v = (*v - largest).exp();
        sum += *v;
    }
    x.iter_mut().for_each(|v| *v /= sum);
}

pub(super) fn relu(x: &mut [f32]) {
    x.iter_mut().for_each(|v| *v = v.max(0.0));
}

fn add_to_rows(x: &mut [f32], row: &[f32]) {
    for x in x.chunks_exact_mut(row.len()) {
        for (x, r) in x.iter_mut().zip(row) {
            *x += r;
        }
    }
}

/// Layer norm of every row of `x`; keeps the unit rows and 1 / deviation.
fn normalise(x: &[f32], norm: &DenseValues, unit: &mut Vec<f32>, rate: &mut Vec<f32>, y: &mut [f32]) {
    let width = norm.weight.len();
    unit.resize(x.len(), 0.0);
    rate.clear();
    let rows = x.chunks_exact(width).zip(unit.chunks_exact_mut(width)).zip(y.chunks_exact_mut(width));
    for ((x, unit), y) in rows {
        let mean = sum(x, |v| v) / width as f32;
        let variance = sum(x, |v| (v - mean) * (v - mean)) / width as f32;
        let r = 1.0 / (variance + NORM_EPSILON as f32).sqrt();
        rate.push(r);
        for k in 0..width {
            unit[k] = (x[k] - mean) * r;
            y[k] = unit[k] * norm.weight[k] + norm.bias[k];
        }
    }
}

/// Σ f(x), eight sums side by side so that it vectorises.
#[inline]
pub(super) fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; 8];
    let chunks = x.chunks_exact(8);
    let rest: f32 = chunks.remainder().iter().map(|v| f(*v)).sum();
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane += f(*v);
        }
    }
    lanes.iter().sum::<f32>() + rest
}
