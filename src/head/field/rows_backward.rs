//! The way back through the rows of the field. Each chunk recomputes its forward pass, so nothing is kept between the
//! passes but the packed deformation itself.
//!
//! The sums over rows (gradients of weights) are made in a fixed number of groups of neighbouring chunks, each in order,
//! and the groups are added in order: the result does not depend on the number of threads.

use super::TOKENS;
use super::heads::{DRIVES, HEADS};
use super::matrix::{Matrix, add_rows, multiply, multiply_part};
use super::rows::{
    CHUNK, DenseValues, LayerTrace, Planes, RowValues, Trace, Widths, dense, forward, gather, sum,
};
use super::triplane::{PLANES, Site, product_backward, scatter};
use rayon::prelude::*;
use std::ops::Range;

/// Groups of chunks; more than the cores of most machines, few enough that adding them costs nothing.
const GROUPS: usize = 32;

/// Gradients of everything the rows depend on.
pub(super) struct RowGradients {
    /// Of the weights.
    pub(super) values: RowValues,
    /// Of the embedding, `[n, embedding]`.
    pub(super) embedding: Vec<f32>,
    /// Of the planes, scale after scale, `[side, side, channels]` each.
    pub(super) planes: Vec<Vec<f32>>,
}

/// Gradients from that of the packed deformation, `[frames, n, columns]`.
pub(super) fn backward(
    w: &Widths,
    values: &RowValues,
    planes: &Planes<'_>,
    sites: &[Vec<Site>],
    embedding: &[f32],
    packed: &[f32],
) -> RowGradients {
    let n = embedding.len() / w.embedding;
    let rows = n.div_ceil(GROUPS).next_multiple_of(CHUNK).max(CHUNK);
    let per_row = PLANES * w.features();
    let mut samples = vec![0.0; n * per_row];
    let mut embedding_gradient = vec![0.0; embedding.len()];
    let groups: Vec<RowValues> = samples
        .par_chunks_mut(rows * per_row)
        .zip(embedding_gradient.par_chunks_mut(rows * w.embedding))
        .zip(embedding.par_chunks(rows * w.embedding))
        .enumerate()
        .map(|(group, ((samples, embedding_gradient), embedding))| {
            let mut chunk = Chunk::new(w, values, packed, n);
            let parts = samples
                .chunks_mut(CHUNK * per_row)
                .zip(embedding_gradient.chunks_mut(CHUNK * w.embedding))
                .zip(embedding.chunks(CHUNK * w.embedding));
            for (i, ((samples, embedding_gradient), embedding)) in parts.enumerate() {
                let first = group * rows + i * CHUNK;
                chunk.backward(planes, sites, first, embedding, embedding_gradient, samples);
            }
            chunk.gradients
        })
        .collect();
    let mut sums = values.zeros();
    groups.into_iter().for_each(|g| sums.add(g));
    let planes = (0..w.sides.len() * PLANES).into_par_iter().map(|plane| {
        let (scale, axes) = (plane / PLANES, plane % PLANES);
        let side = w.sides[scale];
        let mut sum = vec![0.0; side * side * w.channels];
        let part = [per_row, plane * w.channels, w.channels];
        scatter(&mut sum, &sites[scale], axes, side, &samples, part);
        sum
    });
    RowGradients { values: sums, embedding: embedding_gradient, planes: planes.collect() }
}

/// Work space and sums of one group.
struct Chunk<'a> {
    w: &'a Widths,
    values: &'a RowValues,
    packed: &'a [f32],
    n: usize,
    gradients: RowValues,
    trace: Trace,
    inputs: Vec<f32>,
    queries: Vec<f32>,
    out: Vec<f32>,
    query_gradient: Vec<f32>,
    hidden: Vec<f32>,
    rows: Vec<f32>,
    spare: Vec<f32>,
    attention: Vec<f32>,
    driven: Vec<f32>,
}

impl<'a> Chunk<'a> {
    fn new(w: &'a Widths, values: &'a RowValues, packed: &'a [f32], n: usize) -> Self {
        Chunk {
            w,
            values,
            packed,
            n,
            gradients: values.zeros(),
            trace: Trace::default(),
            inputs: vec![],
            queries: vec![],
            out: vec![],
            query_gradient: vec![],
            hidden: vec![],
            rows: vec![],
            spare: vec![],
            attention: vec![],
            driven: vec![],
        }
    }

    /// One chunk in all frames. `samples` first holds the planes' samples and in the end their gradients.
    fn backward(
        &mut self,
        planes: &Planes<'_>,
        sites: &[Vec<Site>],
        first: usize,
        embedding: &[f32],
        embedding_gradient: &mut [f32],
        samples: &mut [f32],
    ) {
        let w = self.w;
        let rows = embedding.len() / w.embedding;
        let (width, features, columns) = (w.features() + w.embedding, w.features(), w.layout.columns);
        self.inputs.resize(rows * width, 0.0);
        gather(w, planes, sites, first, embedding, &mut self.inputs, samples);
        self.queries.resize(rows * w.model, 0.0);
        dense(&mut self.queries, &self.inputs, &self.values.query, rows);
        self.query_gradient.clear();
        self.query_gradient.resize(rows * w.model, 0.0);
        for frame in 0..self.values.frames.len() {
            self.out.resize(rows * columns, 0.0);
            forward(w, self.values, frame, &self.queries, &mut self.out, &mut self.trace);
            // The output is not needed any more; its place takes the gradient.
            self.attention.clear();
            for row in self.out.chunks_exact(columns) {
                self.attention.extend_from_slice(&row[w.layout.attention.clone()]);
            }
            let start = (frame * self.n + first) * columns;
            self.out.copy_from_slice(&self.packed[start..start + rows * columns]);
            self.heads_backward(frame, rows);
            for layer in (0..self.values.layers.len()).rev() {
                self.layer_backward(frame, layer, rows);
            }
            for (q, g) in self.query_gradient.iter_mut().zip(&self.rows) {
                *q += g;
            }
        }
        let gradient = Matrix::new(&self.query_gradient, rows, w.model);
        let query = &mut self.gradients.query;
        multiply(&mut query.weight, 1.0, gradient.t(), Matrix::new(&self.inputs, rows, width));
        add_rows(&mut query.bias, &self.query_gradient);
        multiply(&mut self.inputs, 0.0, gradient, Matrix::new(&self.values.query.weight, w.model, width));
        let per_row = samples.chunks_exact_mut(PLANES * features);
        for ((input, samples), embedding) in
            self.inputs.chunks_exact(width).zip(per_row).zip(embedding_gradient.chunks_exact_mut(w.embedding))
        {
            embedding.copy_from_slice(&input[features..]);
            let scales = samples.chunks_exact_mut(PLANES * w.channels).zip(input.chunks_exact(w.channels));
            scales.for_each(|(samples, gradient)| product_backward(samples, gradient));
        }
    }

    /// From `out` to `rows`, the gradient of the last layer's rows.
    fn heads_backward(&mut self, frame: usize, rows: usize) {
        let (w, columns, stride) = (self.w, self.w.layout.columns, HEADS * self.w.hidden);
        for row in self.out.chunks_exact_mut(columns) {
            row[w.layout.position.clone()].iter_mut().for_each(|v| *v *= w.reach);
        }
        self.hidden.resize(rows * stride, 0.0);
        for (i, (_, range)) in w.layout.heads().into_iter().enumerate() {
            let gradient = Matrix::part(&self.out, rows, columns, range.start, range.len());
            let head = &mut self.gradients.heads[i];
            let hidden = Matrix::part(&self.trace.hidden, rows, stride, i * w.hidden, w.hidden);
            multiply(&mut head.weight, 1.0, gradient.t(), hidden);
            for row in self.out.chunks_exact(columns) {
                for (b, g) in head.bias.iter_mut().zip(&row[range.clone()]) {
                    *b += g;
                }
            }
            let weight = Matrix::new(&self.values.heads[i].weight, range.len(), w.hidden);
            multiply_part(&mut self.hidden, stride, i * w.hidden, 0.0, gradient, weight);
            self.driven_backward(frame, i, range, rows);
        }
        mask(&mut self.hidden, &self.trace.hidden);
        self.rows.resize(rows * w.model, 0.0);
        let (gradient, values) = (&mut self.gradients.hidden, &self.values.hidden);
        dense_backward(gradient, values, &self.hidden, &self.trace.rows, &mut self.rows, 0.0);
        mask(&mut self.rows, &self.trace.rows);
    }

    /// The drives of one head: gradients of their layers, of the hidden layer, and of the attention they are scaled by.
    fn driven_backward(&mut self, frame: usize, head: usize, range: Range<usize>, rows: usize) {
        let (w, columns, stride) = (self.w, self.w.layout.columns, HEADS * self.w.hidden);
        let layers = self.values.frames[frame].heads.iter().enumerate().skip(head * DRIVES.len());
        for ((token, ..), (at, layer)) in DRIVES.iter().zip(layers) {
            let hidden = Matrix::part(&self.trace.hidden, rows, stride, head * w.hidden, w.hidden);
            let layer = Matrix::new(layer, range.len(), w.hidden);
            self.driven.resize(rows * range.len(), 0.0);
            multiply(&mut self.driven, 0.0, hidden, layer.t());
            let attention = self.attention.chunks_exact(TOKENS);
            let per_row = self.out.chunks_exact_mut(columns).zip(self.driven.chunks_exact_mut(range.len()));
            for ((row, driven), attention) in per_row.zip(attention) {
                let gradient = &row[range.clone()];
                let of_share: f32 = gradient.iter().zip(driven.iter()).map(|(g, d)| g * d).sum();
                driven.iter_mut().zip(gradient).for_each(|(d, g)| *d = attention[*token] * g);
                row[w.layout.attention.start + token] += of_share;
            }
            let gradient = Matrix::new(&self.driven, rows, range.len());
            multiply(&mut self.gradients.frames[frame].heads[at], 1.0, gradient.t(), hidden);
            multiply_part(&mut self.hidden, stride, head * w.hidden, 1.0, gradient, layer);
        }
    }

    /// From the gradient of a layer's result to that of its input, both in `rows`.
    fn layer_backward(&mut self, frame: usize, layer: usize, rows: usize) {
        let (w, j) = (self.w, self.w.columns());
        let values = &self.values.layers[layer];
        let gradients = &mut self.gradients.layers[layer];
        let t: &LayerTrace = &self.trace.layers[layer];
        normalise_backward(&mut gradients.norm2, &values.norm2, &t.unit2, &t.rate2, &mut self.rows);
        self.hidden.resize(rows * w.feed, 0.0);
        dense_backward(&mut gradients.feed2, &values.feed2, &self.rows, &t.hidden, &mut self.hidden, 0.0);
        mask(&mut self.hidden, &t.hidden);
        dense_backward(&mut gradients.feed1, &values.feed1, &self.hidden, &t.middle, &mut self.rows, 1.0);
        normalise_backward(&mut gradients.norm1, &values.norm1, &t.unit1, &t.rate1, &mut self.rows);
        add_rows(&mut gradients.answer_bias, &self.rows);

        let folded = &self.values.frames[frame].layers[layer];
        let sums = &mut self.gradients.frames[frame].layers[layer];
        let gradient = Matrix::new(&self.rows, rows, w.model);
        multiply(&mut sums.answer, 1.0, Matrix::new(&t.weights, rows, j).t(), gradient);
        self.spare.resize(rows * j, 0.0);
        multiply(&mut self.spare, 0.0, gradient, Matrix::new(&folded.answer, j, w.model).t());
        let share = 1.0 / (w.heads * self.values.layers.len()) as f32;
        let per_row = self.spare.chunks_exact_mut(j).zip(t.weights.chunks_exact(j));
        for ((gradient, weights), out) in per_row.zip(self.out.chunks_exact(w.layout.columns)) {
            let drawn = &out[w.layout.attention.clone()];
            let heads = gradient.chunks_exact_mut(TOKENS).zip(weights.chunks_exact(TOKENS));
            for (gradient, weights) in heads {
                gradient.iter_mut().zip(drawn).for_each(|(g, d)| *g += share * d);
                let mean: f32 = gradient.iter().zip(weights).map(|(g, a)| g * a).sum();
                gradient.iter_mut().zip(weights).for_each(|(g, a)| *g = a * (*g - mean));
            }
        }
        let score = Matrix::new(&self.spare, rows, j);
        multiply(&mut sums.score, 1.0, score.t(), Matrix::new(&t.input, rows, w.model));
        add_rows(&mut sums.score_bias, &self.spare);
        multiply(&mut self.rows, 1.0, score, Matrix::new(&folded.score, j, w.model));
    }
}

/// y = x·Wᵀ + b: adds to the weights' gradient, and `keep` times what is in `x_gradient` stays.
fn dense_backward(
    gradient: &mut DenseValues,
    values: &DenseValues,
    y_gradient: &[f32],
    x: &[f32],
    x_gradient: &mut [f32],
    keep: f32,
) {
    let outputs = values.bias.len();
    let inputs = values.weight.len() / outputs;
    let rows = y_gradient.len() / outputs;
    let y = Matrix::new(y_gradient, rows, outputs);
    multiply(&mut gradient.weight, 1.0, y.t(), Matrix::new(x, rows, inputs));
    add_rows(&mut gradient.bias, y_gradient);
    multiply(x_gradient, keep, y, Matrix::new(&values.weight, outputs, inputs));
}

/// Where a ReLU gave zero, no gradient passes.
fn mask(gradient: &mut [f32], result: &[f32]) {
    for (g, r) in gradient.iter_mut().zip(result) {
        *g = if *r > 0.0 { *g } else { 0.0 };
    }
}

/// Layer norm, in place of the gradient: with u the unit row and h = g·γ,
/// rate · (h − mean(h) − u·mean(h·u)).
fn normalise_backward(
    gradient: &mut DenseValues,
    values: &DenseValues,
    unit: &[f32],
    rate: &[f32],
    rows: &mut [f32],
) {
    let width = values.weight.len();
    let mut along = vec![0.0; width];
    for ((g, u), rate) in rows.chunks_exact_mut(width).zip(unit.chunks_exact(width)).zip(rate) {
        for k in 0..width {
            gradient.weight[k] += g[k] * u[k];
            gradient.bias[k] += g[k];
            g[k] *= values.weight[k];
            along[k] = g[k] * u[k];
        }
        let (mean, slope) = (sum(g, |v| v) / width as f32, sum(&along, |v| v) / width as f32);
        for k in 0..width {
            g[k] = rate * (g[k] - mean - u[k] * slope);
        }
    }
}
