//! Stage `count_tiles`: how many surfels each tile has.
//!
//! Tiles are shared out in bands of whole tile rows. A band looks through all surfels and keeps those that touch it,
//! so bands write to separate places and the outcome does not depend on who ran which.

use rayon::prelude::*;

/// Tile rows of a band.
pub(super) const BAND: usize = 4;

/// Tile rows `first..end` of each band.
pub(super) fn bands(tiles: [usize; 2]) -> impl IndexedParallelIterator<Item = (u32, u32)> {
    let [_, down] = tiles;
    (0..down.div_ceil(BAND)).into_par_iter().map(move |band| {
        let first = band * BAND;
        (first as u32, (first + BAND).min(down) as u32)
    })
}

/// Calls `visit` with each tile (numbered inside the band) that the rectangle shares with the band.
#[inline(always)]
pub(super) fn each_tile(rect: &[u32; 4], band: (u32, u32), across: usize, mut visit: impl FnMut(usize)) {
    for row in rect[1].max(band.0)..rect[3].min(band.1) {
        let start = (row - band.0) as usize * across;
        for column in rect[0]..rect[2] {
            visit(start + column as usize);
        }
    }
}

/// Surfels per tile, one list per band, tiles row by row. `rects` are tile rectangles as in
/// [`super::project::Seen::tiles`].
pub(super) fn count_tiles(rects: &[[u32; 4]], tiles: [usize; 2]) -> Vec<Vec<u32>> {
    bands(tiles)
        .map(|band| {
            let mut counts = vec![0; (band.1 - band.0) as usize * tiles[0]];
            for rect in rects {
                each_tile(rect, band, tiles[0], |tile| counts[tile] += 1);
            }
            counts
        })
        .collect()
}
