//! How a tile is cut for vector instructions: 4 × 2 pixels side by side, one arithmetic lane each.
//!
//! A tile is four columns of eight granules. Everything per pixel is kept granule after granule, top to bottom, then
//! column after column, so one tile is `[[R; LANES]; GRANULES]` with lane = row·4 + column inside the granule.
//! Plain loops over lanes become vector instructions; nothing here names an instruction set.

use super::super::constants::TILE;
use crate::raster::Real;

/// Pixels across a granule.
pub(super) const GRANULE_WIDTH: usize = 4;
/// Pixels down a granule.
pub(super) const GRANULE_HEIGHT: usize = 2;
/// Pixels of a granule.
pub(super) const LANES: usize = GRANULE_WIDTH * GRANULE_HEIGHT;
/// Granules across a tile.
pub(super) const COLUMNS: usize = TILE / GRANULE_WIDTH;
/// Granules down a tile.
pub(super) const ROWS: usize = TILE / GRANULE_HEIGHT;
/// Granules of a tile.
pub(super) const GRANULES: usize = COLUMNS * ROWS;
/// Pixels of a tile.
pub(super) const PIXELS: usize = TILE * TILE;

/// One number per pixel of a granule.
pub(super) type Lanes<R> = [R; LANES];
/// One number per pixel of a tile.
pub(super) type Plane<R> = [Lanes<R>; GRANULES];

/// Sum over lanes, always in the same tree.
#[inline(always)]
pub(super) fn sum<R: Real>(v: &Lanes<R>) -> R {
    ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]))
}

/// Column of each lane's pixel in the tile, for one column of granules.
#[inline(always)]
pub(super) fn pixel_columns<R: Real>(column: usize) -> Lanes<R> {
    std::array::from_fn(|lane| R::from_f64((column * GRANULE_WIDTH + lane % GRANULE_WIDTH) as f64))
}

/// Row of each lane's pixel in the tile, for one row of granules.
#[inline(always)]
pub(super) fn pixel_rows<R: Real>(row: usize) -> Lanes<R> {
    std::array::from_fn(|lane| R::from_f64((row * GRANULE_HEIGHT + lane / GRANULE_WIDTH) as f64))
}

/// Row and column in the tile of a lane of a granule.
#[inline(always)]
pub(super) fn pixel(granule: usize, lane: usize) -> (usize, usize) {
    let (column, row) = (granule / ROWS, granule % ROWS);
    (row * GRANULE_HEIGHT + lane / GRANULE_WIDTH, column * GRANULE_WIDTH + lane % GRANULE_WIDTH)
}

/// Granules of one axis that a pixel interval (inclusive, tile coordinates) touches, as a bit mask.
#[inline(always)]
pub(super) fn granule_mask(first: i32, last: i32, size: usize) -> u8 {
    let (first, last) = (first.max(0), last.min(TILE as i32 - 1));
    if first > last {
        return 0;
    }
    let (a, b) = (first as usize / size, last as usize / size);
    ((1u32 << (b + 1)) - (1u32 << a)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pixel_of_a_tile_has_one_lane() {
        let mut seen = [false; PIXELS];
        for granule in 0..GRANULES {
            for lane in 0..LANES {
                let (row, column) = pixel(granule, lane);
                assert!(!std::mem::replace(&mut seen[row * TILE + column], true));
            }
        }
    }

    #[test]
    fn masks_cover_exactly_the_touched_granules() {
        assert_eq!(granule_mask(-5, 3, 4), 0b0001);
        assert_eq!(granule_mask(3, 4, 4), 0b0011);
        assert_eq!(granule_mask(15, 99, 4), 0b1000);
        assert_eq!(granule_mask(-9, 40, 2), 0xff);
        assert_eq!(granule_mask(16, 40, 2), 0);
        assert_eq!(granule_mask(4, 2, 2), 0);
    }
}
