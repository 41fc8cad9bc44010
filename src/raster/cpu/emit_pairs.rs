//! Stage `emit_pairs`: the list of surfels of every tile, nearest first.

use super::count_tiles::{bands, each_tile};
use rayon::prelude::*;

/// Ranks (places in the depth order) of the surfels of every tile, tile after tile. `rects` are in depth order, so
/// every tile's list ascends.
pub(super) fn emit_pairs(rects: &[[u32; 4]], tiles: [usize; 2], starts: &[usize]) -> Vec<u32> {
    let mut pairs = vec![0; starts.last().copied().unwrap_or(0)];
    let mut parts = Vec::new();
    let mut rest = pairs.as_mut_slice();
    for first_row in (0..tiles[1]).step_by(super::count_tiles::BAND) {
        let first = first_row * tiles[0];
        let end = (first_row + super::count_tiles::BAND).min(tiles[1]) * tiles[0];
        let (part, after) = rest.split_at_mut(starts[end] - starts[first]);
        parts.push((part, &starts[first..end]));
        rest = after;
    }
    parts.into_par_iter().zip(bands(tiles)).for_each(|((part, starts), band)| {
        let base = starts.first().copied().unwrap_or(0);
        let mut cursors: Vec<usize> = starts.iter().map(|s| s - base).collect();
        for (rank, rect) in rects.iter().enumerate() {
            each_tile(rect, band, tiles[0], |tile| {
                part[cursors[tile]] = rank as u32;
                cursors[tile] += 1;
            });
        }
    });
    pairs
}

#[cfg(test)]
mod tests {
    use super::super::{count_tiles::count_tiles, tile_ranges::tile_ranges};
    use super::*;

    #[test]
    fn every_tile_lists_its_surfels_in_depth_order() {
        let tiles = [5, 9];
        let rects: Vec<[u32; 4]> = (0..200_u32)
            .map(|i| {
                let (x, y) = (i * 7 % 5, i * 11 % 9);
                [x, y, (x + 1 + i % 3).min(5), (y + 1 + i % 6).min(9)]
            })
            .collect();
        let starts = tile_ranges(&count_tiles(&rects, tiles));
        let pairs = emit_pairs(&rects, tiles, &starts);
        for y in 0..9 {
            for x in 0..5 {
                let expected: Vec<u32> = (0..200)
                    .filter(|&i| {
                        let r = rects[i as usize];
                        r[0] <= x && x < r[2] && r[1] <= y && y < r[3]
                    })
                    .collect();
                let tile = (y * 5 + x) as usize;
                assert_eq!(pairs[starts[tile]..starts[tile + 1]], expected);
            }
        }
    }
}
