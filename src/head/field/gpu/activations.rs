//! Buffers of the rows of some frames, and how many frames go together. They are lent until everything that uses them is
//! submitted, since whoever borrows them next may write to them at once.

use super::record::Shape;
use super::weights::{heads_parts, outputs};
use crate::gpu::Gpu;
use crate::gpu::{PooledBuffer, size_class};
use crate::head::field::TOKENS;
use crate::head::field::heads::{DRIVES, HEADS};
use crate::head::field::rows::Widths;

/// Bytes of all rows that are at hand at once, at most, where more than one frame is.
const TOGETHER: u64 = 2 << 30;

/// What the way back needs of a layer, and room for its gradients.
pub(super) struct LayerTrace {
    /// `[rows, model]`; none for the first layer, whose rows are the same in all frames.
    pub(super) input: Option<PooledBuffer>,
    /// `[rows, J]`.
    pub(super) weights: PooledBuffer,
    /// Of either norm.
    pub(super) units: [PooledBuffer; 2],
    pub(super) rates: [PooledBuffer; 2],
    pub(super) middle: PooledBuffer,
    /// `[rows, feed]`, then its gradient.
    pub(super) hidden: PooledBuffer,
}

/// Activations of some frames.
pub(super) struct Activations {
    pub(super) layers: Vec<LayerTrace>,
    /// What is to be normalised; on the way back the gradient of the rows.
    pub(super) rows: PooledBuffer,
    /// The last layer's rows, negative numbers cut off.
    pub(super) top: PooledBuffer,
    /// Of all heads, `[rows, 5·hidden]`, then its gradient.
    pub(super) hidden: PooledBuffer,
    /// `[rows, 2, outputs]`.
    pub(super) said: PooledBuffer,
}

impl Activations {
    pub(super) fn new(gpu: &Gpu, w: &Widths, layers: usize, shape: Shape) -> Self {
        let rows = |width: usize| gpu.storage(4 * (shape.all() * width) as u64);
        let layer = |l: usize| LayerTrace {
            input: (l > 0).then(|| rows(w.model)),
            weights: rows(w.columns()),
            units: [rows(w.model), rows(w.model)],
            rates: [rows(1), rows(1)],
            middle: rows(w.model),
            hidden: rows(w.feed),
        };
        Activations {
            layers: (0..layers).map(layer).collect(),
            rows: rows(w.model),
            top: rows(w.model),
            hidden: rows(HEADS * w.hidden),
            said: rows(DRIVES.len() * outputs(w)),
        }
    }
}

/// What only the way back has.
pub(super) struct GradientBuffers {
    /// `[rows, 3, outputs]`.
    pub(super) heard: PooledBuffer,
    /// `[rows, 4]`.
    pub(super) of_attention: PooledBuffer,
    /// `[rows, J]`.
    pub(super) of_weights: PooledBuffer,
    /// Pieces of one matrix's gradient.
    pub(super) pieces: PooledBuffer,
}

impl GradientBuffers {
    pub(super) fn new(gpu: &Gpu, w: &Widths, shape: Shape) -> Self {
        let rows = |width: usize| gpu.storage(4 * (shape.all() * width) as u64);
        GradientBuffers {
            heard: rows((1 + DRIVES.len()) * outputs(w)),
            of_attention: rows(TOKENS),
            of_weights: rows(w.columns()),
            pieces: gpu.storage(4 * (Shape::most_pieces(shape.frames) * largest_matrix(w)) as u64),
        }
    }
}

impl GradientBuffers {
    /// In the order of the members.
    pub(super) fn buffers(&self) -> [&wgpu::Buffer; 4] {
        [&self.heard, &self.of_attention, &self.of_weights, &self.pieces]
    }
}

/// Numbers of the largest matrix that has a gradient, with its bias.
fn largest_matrix(w: &Widths) -> usize {
    let query = (w.features() + w.embedding + 1) * w.model;
    let feed = ((w.model + 1) * w.feed).max((w.feed + 1) * w.model);
    let heads = heads_parts(w).map(|p| (p.hidden.len() + 1) * p.heard.len()).into_iter().max().unwrap_or(0);
    let hidden = (w.model + 1) * HEADS * w.hidden;
    let attention = (w.model + 1) * (w.columns() + 1);
    query.max(feed).max(heads).max(hidden).max(attention)
}

/// How many frames go together on a device whose kernels use `limit` bytes of a buffer; none where not even one fits.
pub(super) fn frames_together(
    w: &Widths,
    layers: usize,
    rows: usize,
    frames: usize,
    limit: u64,
) -> Option<usize> {
    let heard = (1 + DRIVES.len()) * outputs(w);
    let widest = [w.model, w.feed, w.columns(), HEADS * w.hidden, heard].into_iter().max().unwrap_or(1);
    let of_layer = 5 * w.model + w.columns() + w.feed + 2;
    let in_all = layers * of_layer + 2 * w.model + HEADS * w.hidden + 2 * heard + w.columns() + TOKENS;
    let fits = |frames: usize| {
        let rows = (rows * frames) as u64;
        let pieces = 4 * (Shape::most_pieces(frames) * largest_matrix(w)) as u64;
        size_class(4 * rows * widest as u64).max(size_class(pieces)) <= limit
            && (frames == 1 || 4 * rows * in_all as u64 <= TOGETHER)
    };
    let most = (1..=frames).rev().find(|&f| fits(f))?;
    // As even as can be.
    Some(frames.div_ceil(frames.div_ceil(most)))
}
