//! How a tile is cut for vector instructions: 4 × 2 pixels side by side, one arithmetic lane each.
//!
//! A tile is four columns of eight granules. Everything per pixel is kept granule after granule, top to bottom, then
//! column after column: one tile is `[Lanes; GRANULES]` with lane = row·4 + column inside the granule.
//!
//! Arithmetic is written as loops over lanes whose bodies have no branch and which write to local variables only; such
//! loops become vector instructions. (Operators on whole [`Lanes`] read better, but compilers lose the vectors in long
//! expressions of them.) Nothing here names an instruction set.

use crate::raster::Real;
use crate::raster::constants::TILE;
use std::ops::{Index, IndexMut};

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

/// One number per pixel of a granule, placed as vector registers like it.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
pub(super) struct Lanes<T>(pub(super) [T; LANES]);

/// One number per pixel of a tile.
pub(super) type Plane<T> = [Lanes<T>; GRANULES];

/// A plane of one number.
#[inline(always)]
pub(super) fn plane<T: Copy>(value: T) -> Plane<T> {
    [Lanes::all(value); GRANULES]
}

impl<T: Copy> Lanes<T> {
    /// The same number in every lane.
    #[inline(always)]
    pub(super) fn all(value: T) -> Self {
        Lanes([value; LANES])
    }
}

impl<R: Real> Lanes<R> {
    /// Every lane moved by the same number.
    #[inline(always)]
    pub(super) fn shifted(mut self, by: R) -> Self {
        for i in 0..LANES {
            self[i] += by;
        }
        self
    }

    /// Adds `other`, each lane times the same number.
    #[inline(always)]
    pub(super) fn add_scaled(&mut self, other: &Self, factor: R) {
        let mut sum = *self;
        for i in 0..LANES {
            sum[i] += other[i] * factor;
        }
        *self = sum;
    }

    /// Adds the products of the lanes.
    #[inline(always)]
    pub(super) fn add_product(&mut self, a: &Self, b: &Self) {
        let mut sum = *self;
        for i in 0..LANES {
            sum[i] += a[i] * b[i];
        }
        *self = sum;
    }

    /// Whether a lane is above zero.
    #[inline(always)]
    pub(super) fn any_positive(&self) -> bool {
        self.0.iter().fold(false, |any, &v| any | (v > R::ZERO))
    }

    /// Sum over lanes, always in the same tree.
    #[inline(always)]
    pub(super) fn sum(&self) -> R {
        let v = self.0;
        ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]))
    }
}

impl<T> Index<usize> for Lanes<T> {
    type Output = T;

    #[inline(always)]
    fn index(&self, lane: usize) -> &T {
        &self.0[lane]
    }
}

impl<T> IndexMut<usize> for Lanes<T> {
    #[inline(always)]
    fn index_mut(&mut self, lane: usize) -> &mut T {
        &mut self.0[lane]
    }
}

/// Column of each lane's pixel in the tile, for every column of granules.
#[inline(always)]
pub(super) fn pixel_columns<R: Real>() -> [Lanes<R>; COLUMNS] {
    std::array::from_fn(|column| {
        Lanes(std::array::from_fn(|lane| R::from_f64(pixel(column * ROWS, lane).1 as f64)))
    })
}

/// Row of each lane's pixel in the tile, for every row of granules.
#[inline(always)]
pub(super) fn pixel_rows<R: Real>() -> [Lanes<R>; ROWS] {
    std::array::from_fn(|row| Lanes(std::array::from_fn(|lane| R::from_f64(pixel(row, lane).0 as f64))))
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
