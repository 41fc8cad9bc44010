//! The rows' weights in one list for the device, every matrix the way round that a stage reads it; and gradients out of the
//! list that comes back.

use crate::head::field::heads::{DRIVES, HEADS};
use crate::head::field::rows::{DenseValues, RowValues, Widths};
use std::ops::Range;

/// Where a dense layer lies: `[inputs, outputs]` for the way there, `[outputs, inputs]` for the way back, and its bias.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DensePlace {
    pub(super) there: usize,
    pub(super) back: usize,
    pub(super) bias: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// From one frame's matrix to the next, 0 where all frames have the same; the same of the bias.
    pub(super) frame: usize,
    pub(super) bias_frame: usize,
}

impl DensePlace {
    /// The same layer as frame `frame` has it.
    pub(super) fn of_frame(self, frame: usize) -> Self {
        let there = frame * self.frame;
        let bias = self.bias + frame * self.bias_frame;
        DensePlace { there: self.there + there, back: self.back + there, bias, ..self }
    }
}

/// Where a layer's weights lie.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LayerPlace {
    pub(super) answer_bias: usize,
    /// Scale and shift.
    pub(super) norms: [[usize; 2]; 2],
    pub(super) feed1: DensePlace,
    pub(super) feed2: DensePlace,
    /// Of the first frame.
    pub(super) score: DensePlace,
    /// Of the first frame; its inputs are the attention columns, and its bias is that above.
    pub(super) answer: DensePlace,
}

/// Where everything lies.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    pub(super) query: DensePlace,
    pub(super) layers: Vec<LayerPlace>,
    pub(super) hidden: DensePlace,
    /// The last layers of all heads, `[hidden, outputs]` and `[outputs, hidden]`, and their biases.
    pub(super) last: usize,
    pub(super) last_back: usize,
    pub(super) last_bias: usize,
    /// `[2, hidden, outputs]` and `[2, outputs, hidden]` of the first frame, where heads are driven.
    pub(super) drives: Option<[usize; 2]>,
    /// From one frame to the next.
    pub(super) frame: usize,
}

struct Writer(Vec<f32>);

impl Writer {
    fn put(&mut self, values: &[f32]) -> usize {
        let at = self.0.len();
        self.0.extend_from_slice(values);
        at
    }

    /// The other way round.
    fn put_turned(&mut self, values: &[f32], rows: usize, columns: usize) -> usize {
        let at = self.0.len();
        self.0.extend((0..rows * columns).map(|i| values[i % rows * columns + i / rows]));
        at
    }

    fn dense(&mut self, values: &DenseValues) -> DensePlace {
        let outputs = values.bias.len();
        let inputs = values.weight.len() / outputs;
        DensePlace {
            there: self.put_turned(&values.weight, outputs, inputs),
            back: self.put(&values.weight),
            bias: self.put(&values.bias),
            inputs,
            outputs,
            frame: 0,
            bias_frame: 0,
        }
    }
}

/// The list, and where things lie in it.
pub(super) fn lay(w: &Widths, values: &RowValues) -> (Places, Vec<f32>) {
    let mut to = Writer(Vec::new());
    let mut places = Places { query: to.dense(&values.query), ..Places::default() };
    for layer in &values.layers {
        let norms = [&layer.norm1, &layer.norm2].map(|n| [to.put(&n.weight), to.put(&n.bias)]);
        places.layers.push(LayerPlace {
            answer_bias: to.put(&layer.answer_bias),
            norms,
            feed1: to.dense(&layer.feed1),
            feed2: to.dense(&layer.feed2),
            ..LayerPlace::default()
        });
    }
    places.hidden = to.dense(&values.hidden);
    let last: Vec<&[f32]> = values.heads.iter().map(|h| h.weight.as_slice()).collect();
    let last = last.concat();
    places.last = to.put_turned(&last, outputs(w), w.hidden);
    places.last_back = to.put(&last);
    let biases: Vec<&[f32]> = values.heads.iter().map(|h| h.bias.as_slice()).collect();
    places.last_bias = to.put(&biases.concat());
    let (columns, model) = (w.columns(), w.model);
    for (f, frame) in values.frames.iter().enumerate() {
        let start = to.0.len();
        for (place, layer) in places.layers.iter_mut().zip(&frame.layers) {
            let score = DensePlace {
                there: to.put_turned(&layer.score, columns, model),
                back: to.put(&layer.score),
                bias: to.put(&layer.score_bias),
                inputs: model,
                outputs: columns,
                ..DensePlace::default()
            };
            let answer = DensePlace {
                there: to.put(&layer.answer),
                back: to.put_turned(&layer.answer, columns, model),
                bias: place.answer_bias,
                inputs: columns,
                outputs: model,
                ..DensePlace::default()
            };
            if f == 0 {
                (place.score, place.answer) = (score, answer);
            }
        }
        if !frame.heads.is_empty() {
            let drives = [0, 1].map(|drive| {
                let heads = frame.heads.iter().skip(drive).step_by(DRIVES.len());
                heads.flatten().copied().collect::<Vec<f32>>()
            });
            let there = drives.each_ref().map(|layer| to.put_turned(layer, outputs(w), w.hidden));
            let back = drives.each_ref().map(|layer| to.put(layer));
            if f == 0 {
                places.drives = Some([there[0], back[0]]);
            }
        }
        places.frame = to.0.len() - start;
    }
    for layer in &mut places.layers {
        (layer.score.frame, layer.score.bias_frame) = (places.frame, places.frame);
        layer.answer.frame = places.frame;
    }
    (places, to.0)
}

/// Where gradients lie that the device sums up: `[inputs + 1, outputs]` for dense layers, the last row that of the bias.
#[derive(Debug, Clone, Default)]
pub(super) struct SumPlaces {
    pub(super) query: usize,
    /// norm 1 and norm 2 (`[2, width]`: scale, shift), feed 1, feed 2.
    pub(super) layers: Vec<[usize; 4]>,
    pub(super) hidden: usize,
    /// Of the first frame: score `[model + 1, J]` and answer `[J + 1, model]` of each layer.
    pub(super) frame_layers: Vec<[usize; 2]>,
    /// Of the first frame, for each of [`heads_parts`] `[hidden + 1, 3, outputs]`.
    pub(super) heads: [usize; 2],
    /// From one frame to the next, and everything.
    pub(super) frame: usize,
    pub(super) count: usize,
}

/// Numbers that all heads give.
pub(super) fn outputs(w: &Widths) -> usize {
    w.layout.attention.start
}

/// Heads whose gradients are products of their own: hidden numbers, columns, and where what reaches them lies in a row.
pub(super) struct HeadsPart {
    pub(super) hidden: Range<usize>,
    pub(super) outputs: Range<usize>,
    pub(super) heard: Range<usize>,
}

/// Those of the geometry together, and that of the harmonics, which is as wide.
pub(super) fn heads_parts(w: &Widths) -> [HeadsPart; 2] {
    let (first, all, each) = (w.layout.harmonics.start, outputs(w), 1 + DRIVES.len());
    let last = (HEADS - 1) * w.hidden;
    [
        HeadsPart { hidden: 0..last, outputs: 0..first, heard: 0..each * first },
        HeadsPart { hidden: last..HEADS * w.hidden, outputs: first..all, heard: each * first..each * all },
    ]
}

impl SumPlaces {
    pub(super) fn new(w: &Widths, layers: usize, frames: usize) -> Self {
        let mut at = 0;
        let mut next = |count: usize| {
            at += count;
            at - count
        };
        let (model, columns) = (w.model, w.columns());
        let query = next((w.features() + w.embedding + 1) * model);
        let of_layer =
            |_| [next(2 * model), next(2 * model), next((model + 1) * w.feed), next((w.feed + 1) * model)];
        let layers_at: Vec<[usize; 4]> = (0..layers).map(of_layer).collect();
        let hidden = next((model + 1) * HEADS * w.hidden);
        let first_frame = next(0);
        let frame_layers =
            (0..layers).map(|_| [next((model + 1) * columns), next((columns + 1) * model)]).collect();
        let heads = heads_parts(w).map(|part| next((part.hidden.len() + 1) * part.heard.len()));
        let frame = next(0) - first_frame;
        let count = first_frame + frames * frame;
        SumPlaces { query, layers: layers_at, hidden, frame_layers, heads, frame, count }
    }

    /// The gradients in the shapes of `values`.
    pub(super) fn gradients(&self, w: &Widths, values: &RowValues, sums: &[f32]) -> RowValues {
        let mut out = values.zeros();
        take_dense(&mut out.query, &sums[self.query..]);
        for (layer, [norm1, norm2, feed1, feed2]) in out.layers.iter_mut().zip(&self.layers) {
            for (norm, at) in [(&mut layer.norm1, norm1), (&mut layer.norm2, norm2)] {
                norm.weight.copy_from_slice(&sums[*at..at + w.model]);
                norm.bias.copy_from_slice(&sums[at + w.model..at + 2 * w.model]);
            }
            take_dense(&mut layer.feed1, &sums[*feed1..]);
            take_dense(&mut layer.feed2, &sums[*feed2..]);
        }
        take_dense(&mut out.hidden, &sums[self.hidden..]);
        let (columns, model) = (w.columns(), w.model);
        for (f, frame) in out.frames.iter_mut().enumerate() {
            let at = f * self.frame;
            for ((to, shared), [score, answer]) in
                frame.layers.iter_mut().zip(&mut out.layers).zip(&self.frame_layers)
            {
                let (score, answer) = (&sums[at + score..], &sums[at + answer..]);
                turn(&mut to.score, score, columns, model);
                to.score_bias.copy_from_slice(&score[model * columns..][..columns]);
                to.answer.copy_from_slice(&answer[..columns * model]);
                let ones = &answer[columns * model..][..model];
                shared.answer_bias.iter_mut().zip(ones).for_each(|(b, g)| *b += g);
            }
            for (i, (_, range)) in w.layout.heads().into_iter().enumerate() {
                let [geometry, harmonics] = heads_parts(w);
                let (part, start) =
                    if i + 1 < HEADS { (geometry, self.heads[0]) } else { (harmonics, self.heads[1]) };
                let (heads, row) = (&sums[at + start..], part.heard.len());
                let columns = row / (1 + DRIVES.len());
                // Number `k` of the part's hidden layer, column `p`, and which of the layers: the last one, then the drives.
                let number = |layer: usize, k: usize, p: usize| {
                    heads[k * row + layer * columns + p - part.outputs.start]
                };
                let hidden = i * w.hidden - part.hidden.start;
                let shared = &mut out.heads[i];
                for (c, p) in range.clone().enumerate() {
                    shared.bias[c] += number(0, part.hidden.len(), p);
                    for k in 0..w.hidden {
                        shared.weight[c * w.hidden + k] += number(0, hidden + k, p);
                    }
                }
                let driven = frame.heads.iter_mut().skip(i * DRIVES.len()).take(DRIVES.len());
                for (drive, to) in driven.enumerate() {
                    for (c, p) in range.clone().enumerate() {
                        for k in 0..w.hidden {
                            to[c * w.hidden + k] = number(1 + drive, hidden + k, p);
                        }
                    }
                }
            }
        }
        out
    }
}

/// `to` `[rows, columns]` from its transpose.
fn turn(to: &mut [f32], from: &[f32], rows: usize, columns: usize) {
    for (i, to) in to.iter_mut().enumerate().take(rows * columns) {
        *to = from[i % columns * rows + i / columns];
    }
}

/// A layer from `[inputs + 1, outputs]`.
fn take_dense(to: &mut DenseValues, from: &[f32]) {
    let outputs = to.bias.len();
    let inputs = to.weight.len() / outputs;
    turn(&mut to.weight, from, outputs, inputs);
    to.bias.copy_from_slice(&from[inputs * outputs..][..outputs]);
}
