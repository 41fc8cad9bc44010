//! The way there: rows of some frames to the packed deformation.

use super::record::{Recording, Shape, Then};
use super::uniforms::{ABSENT, FieldUniform, NormUniform};
use super::{DeviceField, ForwardState};
use crate::head::field::heads::HEADS;
use std::ops::Range;
use wgpu::Buffer;

impl DeviceField {
    /// Constants for frames `range` of a step.
    pub(super) fn words(&self, forward_state: &ForwardState, range: &Range<usize>) -> FieldUniform {
        let w = &self.widths;
        let side = |scale: usize| w.sides.get(scale).copied().unwrap_or(0) as u32;
        let frame = range.start * forward_state.places.frame;
        FieldUniform {
            surfels: self.surfels as u32,
            frames: range.len() as u32,
            first_frame: range.start as u32,
            channels: w.channels as u32,
            scales: w.sides.len() as u32,
            side_0: side(0),
            side_1: side(1),
            side_2: side(2),
            side_3: side(3),
            embedding: w.embedding as u32,
            heads: w.heads as u32,
            share: 1.0 / (w.heads * forward_state.places.layers.len()) as f32,
            fresh: 1,
            hidden: w.hidden as u32,
            outputs: w.layout.attention.start as u32,
            columns: w.layout.columns as u32,
            last: forward_state.places.last as u32,
            last_bias: forward_state.places.last_bias as u32,
            drives: forward_state.places.drives.map_or(ABSENT, |[there, _]| (there + frame) as u32),
            last_back: forward_state.places.last_back as u32,
            drives_back: forward_state.places.drives.map_or(ABSENT, |[_, back]| (back + frame) as u32),
            frame: forward_state.places.frame as u32,
            reach: w.reach,
            low_0: self.bounds.min[0],
            low_1: self.bounds.min[1],
            low_2: self.bounds.min[2],
            high_0: self.bounds.max[0],
            high_1: self.bounds.max[1],
            high_2: self.bounds.max[2],
        }
    }

    /// Constants of a layer's norm.
    pub(super) fn norm(&self, shape: Shape, [scale, shift]: [usize; 2], relu: bool) -> NormUniform {
        NormUniform {
            rows: shape.all() as u32,
            width: self.widths.model as u32,
            scale: scale as u32,
            shift: shift as u32,
            relu: relu.into(),
        }
    }

    /// What the planes and the embedding know of every surfel, and the rows that ask.
    pub(super) fn ask_planes(&self, recording: &mut Recording<'_>, forward_state: &ForwardState) {
        let w = &self.widths;
        let words = self.words(forward_state, &(0..1)).words();
        let buffers: [&Buffer; 4] =
            [&forward_state.positions, &self.planes[0], &self.embedding[0], &forward_state.inputs];
        let numbers = self.surfels * (w.features() + w.embedding);
        recording.each("sample_planes", &words, &buffers, numbers);
        let shape = Shape { frames: 1, rows: self.surfels };
        recording.dense(
            shape,
            (&forward_state.inputs, false),
            &forward_state.weights,
            forward_state.places.query,
            Then::Nothing,
            &forward_state.rows,
        );
    }

    /// Frames `range`, whose activations are kept.
    pub(super) fn frames_there(
        &self,
        recording: &mut Recording<'_>,
        forward_state: &ForwardState,
        range: &Range<usize>,
        packed: &Buffer,
    ) {
        let w = &self.widths;
        let shape = Shape { frames: range.len(), rows: self.surfels };
        let activations = &forward_state.activations;
        let words = self.words(forward_state, range);
        let weights: &Buffer = &forward_state.weights;
        let rows: &Buffer = &activations.rows;
        for (l, (place, t)) in forward_state.places.layers.iter().zip(&activations.layers).enumerate() {
            let input = t.input.as_deref().unwrap_or(&forward_state.rows);
            let same = t.input.is_none();
            let score = place.score.of_frame(range.start);
            recording.dense(shape, (input, same), weights, score, Then::Nothing, &t.weights);
            let attend = FieldUniform { fresh: u32::from(l == 0), ..words };
            recording.each("attend", &attend.words(), &[&t.weights, packed], shape.all());
            let answer = place.answer.of_frame(range.start);
            recording.dense(shape, (&t.weights, false), weights, answer, Then::Add(input, same), rows);
            let to = [&*t.units[0], &*t.rates[0], &*t.middle];
            recording.normalise(self.norm(shape, place.norms[0], false), weights, rows, to);
            recording.dense(shape, (&t.middle, false), weights, place.feed1, Then::Relu, &t.hidden);
            let add = Then::Add(&t.middle, false);
            recording.dense(shape, (&t.hidden, false), weights, place.feed2, add, rows);
            let next = activations.layers.get(l + 1).and_then(|next| next.input.as_deref());
            let to = [&*t.units[1], &*t.rates[1], next.unwrap_or(&activations.top)];
            recording.normalise(self.norm(shape, place.norms[1], next.is_none()), weights, rows, to);
        }
        let hidden = forward_state.places.hidden;
        recording.dense(shape, (&activations.top, false), weights, hidden, Then::Relu, &activations.hidden);
        debug_assert_eq!(hidden.outputs, HEADS * w.hidden);
        let buffers: [&Buffer; 4] = [weights, &activations.hidden, &activations.said, packed];
        recording.each("heads", &words.words(), &buffers, shape.all() * w.layout.attention.start);
    }
}
