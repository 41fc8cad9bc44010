//! Which surfels lie close together, for terms that make neighbours agree.

use crate::{Error, Result};
use kiddo::{ImmutableKdTree, SquaredEuclidean};
use rayon::prelude::*;
use std::num::NonZero;

/// Neighbours of each surfel (ET, see the term; 20 there too).
const NEIGHBORS: usize = 20;
/// Distance, in extents, at which a pair's weight is 1/e. On a head of 22 cm this is the exp(−2000 d²) of ET, d in metres.
const REACH: f32 = 0.2;

/// Pairs of neighbouring surfels and their weights. Pair (i, j) is there from i and from j, so that the gradient of each
/// surfel is a sum over its own row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NeighborGraph {
    /// Where the row of each surfel starts in the other two, and the end of the last, `[surfels + 1]`.
    pub starts: Vec<u32>,
    /// The other surfel of each pair.
    pub neighbors: Vec<u32>,
    /// Weights of the pairs over the number of surfels and neighbours, so that a sum over the pairs is a mean.
    pub weights: Vec<f32>,
}

impl NeighborGraph {
    /// The graph of the 20 nearest neighbours of each surfel: pair (i, j) weighs exp(−(d / 0.2 extents)²) for each of the two
    /// that has the other among its nearest. `positions` are `[surfels, 3]`, `extent` is half the size of the cloud.
    ///
    /// # Errors
    /// [`Error::Internal`] when a position is not finite or the extent not positive.
    pub fn new(positions: &[f32], extent: f32) -> Result<Self> {
        let (points, _) = positions.as_chunks::<3>();
        if !positions.iter().all(|p| p.is_finite())
            || !extent.is_finite()
            || extent <= 0.0
            || u32::try_from(points.len()).is_err()
        {
            let found = format!("{} positions within {extent}", points.len());
            return Err(Error::Internal(format!("neighbours of {found}, not all of them finite")));
        }
        if points.len() < 2 {
            return Ok(NeighborGraph { starts: vec![0; points.len() + 1], ..Self::default() });
        }
        let tree: ImmutableKdTree<f32, 3> = ImmutableKdTree::new_from_slice(points)
            .map_err(|e| Error::Internal(format!("k-d tree of the surfels: {e}")))?;
        // One more, since each surfel is its own nearest.
        let count = NonZero::new(points.len().min(NEIGHBORS + 1)).unwrap_or(NonZero::<usize>::MIN);
        let scale = (REACH * extent).powi(2);
        let nearest: Vec<Vec<(u32, f32)>> = points
            .par_iter()
            .enumerate()
            .map(|(own, point)| {
                let found = tree.query(point).nearest_n::<SquaredEuclidean<f32>>(count).execute();
                let others = found.into_iter().filter(|other| other.item as usize != own).take(NEIGHBORS);
                others.map(|other| (other.item, (-other.distance / scale).exp())).collect()
            })
            .collect();
        Ok(Self::both_ways(&nearest))
    }

    /// From each surfel's neighbours, the pairs from both ends, in order of surfels.
    fn both_ways(nearest: &[Vec<(u32, f32)>]) -> Self {
        let mut rows: Vec<Vec<(u32, f32)>> = nearest.to_vec();
        for (own, others) in nearest.iter().enumerate() {
            for (other, weight) in others {
                rows[*other as usize].push((own as u32, *weight));
            }
        }
        let scale = 1.0 / nearest.iter().map(Vec::len).sum::<usize>().max(1) as f32;
        let mut graph = NeighborGraph { starts: vec![0], ..Self::default() };
        for mut row in rows {
            row.sort_by_key(|(other, _)| *other);
            graph.neighbors.extend(row.iter().map(|(other, _)| *other));
            graph.weights.extend(row.iter().map(|(_, weight)| scale * weight));
            graph.starts.push(graph.neighbors.len() as u32);
        }
        graph
    }

    /// The pairs of a surfel: the other one, and the weight.
    pub fn of(&self, surfel: usize) -> impl Iterator<Item = (usize, f32)> {
        let row = self.starts[surfel] as usize..self.starts[surfel + 1] as usize;
        self.neighbors[row.clone()].iter().map(|other| *other as usize).zip(self.weights[row].iter().copied())
    }

    /// Surfels.
    pub fn surfels(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_there_from_both_ends_and_weighs_less_the_longer_it_is() {
        // On a line, far more than there are neighbours.
        let positions: Vec<f32> = (0..60).flat_map(|k| [0.01 * (k * k) as f32, 0.0, 1.0]).collect();
        let graph = NeighborGraph::new(&positions, 2.0).expect("a graph");
        assert_eq!(graph.surfels(), 60);
        assert_eq!(graph.weights.len(), 2 * 60 * NEIGHBORS);
        assert!(graph.weights.iter().all(|w| (0.0..=1.0 / (60 * NEIGHBORS) as f32).contains(w)));
        for own in 0..60 {
            assert!(graph.of(own).count() >= NEIGHBORS && graph.of(own).all(|(other, _)| other != own));
            for (other, weight) in graph.of(own) {
                assert!(graph.of(other).any(|(back, w)| back == own && w == weight));
            }
        }
        let weight =
            |a: usize, b: usize| graph.of(a).filter(|(other, _)| *other == b).map(|(_, w)| w).sum::<f32>();
        assert!(weight(0, 1) > weight(0, 3) && weight(0, 3) > 0.0 && weight(0, 59) == 0.0);
    }

    #[test]
    fn few_surfels_and_bad_positions_are_no_panic() {
        for count in 0..3 {
            let graph = NeighborGraph::new(&vec![0.5; 3 * count], 1.0).expect("a graph");
            assert_eq!(graph.surfels(), count);
        }
        assert!(NeighborGraph::new(&[f32::NAN, 0.0, 0.0], 1.0).is_err());
        assert!(NeighborGraph::new(&[0.0; 6], 0.0).is_err());
    }
}
