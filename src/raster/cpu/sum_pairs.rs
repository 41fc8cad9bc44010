//! Stage `sum_pairs`: the gradients of a surfel's pairs, added tile after tile, so the sum does not depend on which
//! thread drew which tile.

use crate::raster::Real;
use rayon::prelude::*;

/// Surfels that one task sums.
const CHUNK: usize = 2048;

/// Pairs of consecutive tiles and their gradients.
pub(super) struct Section<'a, R> {
    /// Where each tile's list starts in [`Section::pairs`], and where the last ends; counted from the first tile's.
    pub(super) starts: &'a [usize],
    /// Ranks, tile after tile, ascending in each.
    pub(super) pairs: &'a [u32],
    /// `[pairs, width]`.
    pub(super) gradients: &'a [R],
    /// Numbers per pair.
    pub(super) width: usize,
}

impl<R: Real> Section<'_, R> {
    /// Adds the gradients to those of the surfels, `[ranks, width]`.
    pub(super) fn sum_pairs(&self, surfels: &mut [R]) {
        let width = self.width;
        let base = self.starts.first().copied().unwrap_or(0);
        surfels.par_chunks_mut(CHUNK * width).enumerate().for_each(|(chunk, sums)| {
            let first = (chunk * CHUNK) as u32;
            let end = first + (sums.len() / width) as u32;
            for bounds in self.starts.windows(2) {
                let list = &self.pairs[bounds[0] - base..bounds[1] - base];
                let from = list.partition_point(|&rank| rank < first);
                for (i, &rank) in list.iter().enumerate().skip(from).take_while(|&(_, &rank)| rank < end) {
                    let pair = bounds[0] - base + i;
                    let gradient = &self.gradients[pair * width..(pair + 1) * width];
                    let sum = &mut sums[(rank - first) as usize * width..][..width];
                    for (s, g) in sum.iter_mut().zip(gradient) {
                        *s += *g;
                    }
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_surfel_gets_the_sum_over_its_tiles() {
        let starts = [10, 13, 13, 15];
        let pairs = [0, 2, 3, 2, 5000];
        let gradients = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 4.0, 40.0, 5.0, 50.0];
        let mut sums = vec![0.0_f64; 2 * 5001];
        Section { starts: &starts, pairs: &pairs, gradients: &gradients, width: 2 }.sum_pairs(&mut sums);
        assert_eq!(sums[..8], [1.0, 10.0, 0.0, 0.0, 6.0, 60.0, 3.0, 30.0]);
        assert_eq!(sums[10_000..], [5.0, 50.0]);
        assert!(sums[8..10_000].iter().all(|&v| v == 0.0));
    }
}
