//! The terms over the embeddings of neighbouring surfels on the CPU.

use super::neighbors::NeighborGraph;
use super::terms::Weights;

/// The values, with their numbers in [`super::TERMS`], of the terms that have a weight, for an embedding `[surfels, width]`; adds
/// their weighted gradients to `gradient`, of the same shape.
pub fn embedding_loss(
    graph: &NeighborGraph,
    embedding: &[f32],
    width: usize,
    weights: &Weights,
    gradient: &mut [f32],
) -> Vec<(usize, f32)> {
    weights
        .embedding_terms()
        .map(|(number, weight, term)| {
            let value = (term.cpu)(graph, embedding, width, weight, gradient);
            (number, value as f32)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Embeddings of width 3 of surfels in a cube, and their neighbours.
    fn case() -> (NeighborGraph, Vec<f32>) {
        let noise = |k: u32| (k.wrapping_mul(2_654_435_761) >> 8) as f32 / (1u32 << 24) as f32;
        let positions: Vec<f32> = (0..3 * 50).map(noise).collect();
        let graph = NeighborGraph::new(&positions, 0.5).expect("neighbours");
        (graph, (1000..1000 + 3 * 50).map(noise).collect())
    }

    #[test]
    fn the_gradient_agrees_with_central_differences_and_a_wrong_one_does_not() {
        let (graph, mut embedding) = case();
        let weights = Weights { embedding: 2.0, ..Weights::ZERO };
        let mut gradient = vec![0.0; embedding.len()];
        let values = embedding_loss(&graph, &embedding, 3, &weights, &mut gradient);
        assert!(values.len() == 1 && values[0].1 > 0.0);
        let term = weights.embedding_terms().next().expect("the term").2;
        let mut noticed = 0;
        for at in 0..embedding.len() {
            let (h, before) = (1e-2, embedding[at]);
            let mut value = |v: f32| {
                embedding[at] = v;
                (term.cpu)(&graph, &embedding, 3, 0.0, &mut vec![0.0; embedding.len()])
            };
            let slope = (2.0 * (value(before + h) - value(before - h)) / f64::from(2.0 * h)) as f32;
            value(before);
            let agrees = |g: f32| (g - slope).abs() < 0.02 * slope.abs() + 1e-6;
            assert!(agrees(gradient[at]), "{at}: {} against {slope}", gradient[at]);
            noticed += usize::from(!agrees(1.2 * gradient[at]));
        }
        assert!(noticed > 100, "{noticed}");
    }

    #[test]
    fn equal_embeddings_cost_nothing() {
        let (graph, embedding) = case();
        let weights = Weights { embedding: 1.0, ..Weights::ZERO };
        let mut gradient = vec![0.0; embedding.len()];
        let values = embedding_loss(&graph, &vec![0.7; embedding.len()], 3, &weights, &mut gradient);
        assert!(values[0].1 == 0.0 && gradient.iter().all(|g| *g == 0.0));
        assert!(embedding_loss(&graph, &embedding, 3, &Weights::ZERO, &mut gradient).is_empty());
    }
}
