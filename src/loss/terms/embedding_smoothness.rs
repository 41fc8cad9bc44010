//! Neighbours' embeddings agree: the mean over surfels and their nearest neighbours of w · ‖e_i − e_j‖², w smaller the longer
//! the pair is (ET; see [`NeighborGraph`]).

use crate::loss::neighbors::NeighborGraph;
use crate::loss::term::{EmbeddingTerm, Key, Kind, Phase, Term};

pub(super) const TERM: Term = Term {
    name: "embedding",
    key: Some(Key { name: "lambda_embedding", default: 0.0 }),
    phase: Phase::Field,
    length_power: 0,
    kind: Kind::Embedding(EmbeddingTerm { cpu: value_and_gradient, stage: "embedding_smoothness" }),
};

/// `embedding` is `[surfels, width]`, as is the gradient.
fn value_and_gradient(
    graph: &NeighborGraph,
    embedding: &[f32],
    width: usize,
    weight: f32,
    gradient: &mut [f32],
) -> f64 {
    let mut sum = 0.0;
    for (own, (e, g)) in embedding.chunks_exact(width).zip(gradient.chunks_exact_mut(width)).enumerate() {
        for (other, pair_weight) in graph.of(own) {
            let f = &embedding[other * width..(other + 1) * width];
            let mut square = 0.0;
            for ((e, f), g) in e.iter().zip(f).zip(&mut *g) {
                let difference = e - f;
                square += difference * difference;
                *g += weight * 2.0 * pair_weight * difference;
            }
            // Each pair is there from both ends.
            sum += 0.5 * f64::from(pair_weight * square);
        }
    }
    sum
}
