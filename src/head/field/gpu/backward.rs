//! The way back: from the gradient of the packed deformation to those of weights, planes and embedding.

use super::activations::GradientBuffers;
use super::record::{Recording, Shape, Side, Then, To};
use super::state::{DeviceField, ForwardState};
use super::weights::{SumPlaces, heads_parts};
use crate::head::field::TOKENS;
use crate::head::field::heads::{DRIVES, HEADS};
use std::ops::Range;
use wgpu::Buffer;

/// Where the way back of some frames starts, and where it adds up.
pub(super) struct BackwardIo<'a> {
    pub(super) packed: &'a Buffer,
    pub(super) of_packed: &'a Buffer,
    pub(super) sums: &'a Buffer,
    pub(super) places: &'a SumPlaces,
    /// Gradient of the rows that ask, `[surfels, model]`.
    pub(super) of_rows: &'a Buffer,
    pub(super) back: &'a GradientBuffers,
}

impl DeviceField {
    /// Frames `range`, which went there last.
    pub(super) fn frames_back(
        &self,
        recording: &mut Recording<'_>,
        forward_state: &ForwardState,
        range: &Range<usize>,
        ways: &BackwardIo<'_>,
    ) {
        let w = &self.widths;
        let (model, columns, outputs) = (w.model, w.columns(), w.layout.attention.start);
        let shape = Shape { frames: range.len(), rows: self.surfels };
        let fresh = range.start == 0;
        let activations = &forward_state.activations;
        let words = self.words(forward_state, range).words();
        let weights: &Buffer = &forward_state.weights;
        let (places, sums) = (ways.places, ways.sums);
        let shared = |first: usize| To { first, frame: None, fresh };
        let own = |first: usize| To {
            first: first + range.start * places.frame,
            frame: Some(places.frame),
            fresh: true,
        };
        let [heard, of_attention, of_weights, pieces] = ways.back.buffers();
        let (hidden, rows): (&Buffer, &Buffer) = (&activations.hidden, &activations.rows);

        let buffers = [ways.packed, ways.of_packed, &activations.said, heard, of_attention];
        recording.each("heads_backward", &words, &buffers, shape.all() * (outputs + TOKENS));
        for (part, to) in heads_parts(w).into_iter().zip(places.heads) {
            let left = Side::part(hidden, part.hidden, HEADS * w.hidden);
            let right = Side::part(heard, part.heard, (1 + DRIVES.len()) * outputs);
            recording.matrix_back(shape, left, right, pieces, sums, own(to));
        }
        let numbers = shape.all() * HEADS * w.hidden;
        recording.each("hidden_backward", &words, &[weights, heard, hidden], numbers);
        let (left, right) = (Side::whole(&activations.top, model), Side::whole(hidden, HEADS * w.hidden));
        recording.matrix_back(shape, left, right, pieces, sums, shared(places.hidden));
        recording.dense_back(
            shape,
            hidden,
            weights,
            forward_state.places.hidden,
            Then::Mask(&activations.top),
            rows,
        );

        for (l, (place, t)) in forward_state.places.layers.iter().zip(&activations.layers).enumerate().rev() {
            let [norm1, norm2, feed1, feed2] = places.layers[l];
            let [score, answer] = places.frame_layers[l];
            let (units, rates) = (&t.units, &t.rates);
            let norm = self.norm(shape, place.norms[1], false);
            let at = [&*units[1], &*rates[1], rows];
            recording.normalise_back(norm, weights, at, pieces, sums, shared(norm2));
            let left = Side::whole(&t.hidden, w.feed);
            recording.matrix_back(shape, left, Side::whole(rows, model), pieces, sums, shared(feed2));
            recording.dense_back(shape, rows, weights, place.feed2, Then::MaskKept, &t.hidden);
            let (left, right) = (Side::whole(&t.middle, model), Side::whole(&t.hidden, w.feed));
            recording.matrix_back(shape, left, right, pieces, sums, shared(feed1));
            recording.dense_back(shape, &t.hidden, weights, place.feed1, Then::Keep, rows);
            let norm = self.norm(shape, place.norms[0], false);
            let at = [&*units[0], &*rates[0], rows];
            recording.normalise_back(norm, weights, at, pieces, sums, shared(norm1));

            let left = Side::whole(&t.weights, columns);
            recording.matrix_back(shape, left, Side::whole(rows, model), pieces, sums, own(answer));
            let folded = place.answer.of_frame(range.start);
            recording.dense_back(shape, rows, weights, folded, Then::Nothing, of_weights);
            let buffers = [&*t.weights, of_attention, of_weights];
            recording.each("attend_backward", &words, &buffers, shape.all() * w.heads);
            let input = t.input.as_deref().unwrap_or(&forward_state.rows);
            let left = Side::whole(input, model).same(t.input.is_none());
            recording.matrix_back(shape, left, Side::whole(of_weights, columns), pieces, sums, own(score));
            let folded = place.score.of_frame(range.start);
            recording.dense_back(shape, of_weights, weights, folded, Then::Keep, rows);
        }
        recording.sum_frames(shape, model, rows, ways.of_rows, fresh);
    }

    /// From the gradient of the rows that ask to those of their weights, of the planes and of the embedding.
    pub(super) fn planes_back(
        &self,
        recording: &mut Recording<'_>,
        forward_state: &ForwardState,
        ways: &BackwardIo<'_>,
    ) {
        let w = &self.widths;
        let shape = Shape { frames: 1, rows: self.surfels };
        let width = w.features() + w.embedding;
        let pieces = &ways.back.pieces;
        let to = To { first: ways.places.query, frame: None, fresh: true };
        let left = Side::whole(&forward_state.inputs, width);
        recording.matrix_back(shape, left, Side::whole(ways.of_rows, w.model), pieces, ways.sums, to);
        let query = forward_state.places.query;
        recording.dense_back(
            shape,
            ways.of_rows,
            &forward_state.weights,
            query,
            Then::Nothing,
            &self.of_inputs,
        );
        recording.clear(&self.plane_sums, 8 * self.plane_numbers as u64);
        let words = self.words(forward_state, &(0..1)).words();
        let buffers: [&Buffer; 4] =
            [&forward_state.positions, &self.planes[0], &self.of_inputs, &self.plane_sums];
        recording.each("sample_planes_backward", &words, &buffers, self.surfels * w.features());
    }
}
