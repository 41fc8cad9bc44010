//! Stage `blend`: the surfels of a tile over each other, nearest first (2DGS §4.2; distortion: eq. 13).
//!
//! The distortion's m = far/(far−near)·(1 − near/z) is taken relative to the pixel's first surfel: its sums then do not
//! cancel, which in f32 they otherwise do to the point of noise. The value is the same.

use super::intersect::{Column, intersect};
use super::lanes::*;
use super::project::Splat;
use crate::raster::constants::*;
use crate::raster::{Outputs, RasterSettings, Real};

/// A tile of the image and the surfels it shows.
pub(super) struct Tile<'a, R> {
    /// All splats, by rank.
    pub(super) splats: &'a [Splat<R>],
    /// Ranks of this tile's surfels, nearest first.
    pub(super) pairs: &'a [u32],
    /// First column and row, pixels.
    pub(super) origin: [usize; 2],
    /// Columns and rows of the image.
    pub(super) size: [usize; 2],
}

/// What the backward pass needs of a tile's pixels.
pub(super) struct Saved<R> {
    /// Transmittance behind everything.
    pub(super) transmittance: Plane<R>,
    /// Place in the tile's list after that of the last surfel drawn.
    pub(super) last: Plane<u32>,
    /// Place in the tile's list after that of the median surfel; 0 where there is none.
    pub(super) median: Option<Box<Plane<u32>>>,
    /// Sums of the distortion.
    pub(super) moments: Option<Box<Moments<R>>>,
}

/// Σ w·m and Σ w·m², and 1/z of the pixel's first surfel, from which m counts.
pub(super) struct Moments<R> {
    pub(super) first: Plane<R>,
    pub(super) m1: Plane<R>,
    pub(super) m2: Plane<R>,
}

/// A tile as drawn.
pub(super) struct Blended<R> {
    /// Channels in the order of [`channel_count`], each 256 pixels row by row.
    pub(super) image: Vec<R>,
    /// For the backward pass.
    pub(super) saved: Saved<R>,
}

/// Channels of [`Blended::image`]: colour 3, attention 4, alpha 1, depth 1, median 1, normal 3, distortion 1, those
/// that were asked for.
pub(super) fn channel_count(outputs: &Outputs) -> usize {
    let Outputs { attention, depth, median, normal, distortion } = *outputs;
    4 + [(attention, 4), (depth, 1), (median, 1), (normal, 3), (distortion, 1)]
        .iter()
        .map(|&(wanted, count)| if wanted { count } else { 0 })
        .sum::<usize>()
}

/// Slope of m in 1/z, negated.
pub(super) fn distortion_slope<R: Real>() -> R {
    R::from_f64(FAR * NEAR / (FAR - NEAR))
}

impl<R: Real> Tile<'_, R> {
    /// Granules that the splat can reach: rows as bits, for each column; and the tile's corner from the anchor.
    #[inline(always)]
    pub(super) fn reached(&self, splat: &Splat<R>) -> ([bool; COLUMNS], u8, [R; 2]) {
        let [left, top] = self.origin.map(|v| v as i32);
        let columns = granule_mask(splat.reach[0] - left, splat.reach[2] - left, GRANULE_WIDTH);
        let rows = granule_mask(splat.reach[1] - top, splat.reach[3] - top, GRANULE_HEIGHT);
        let corner = [left - splat.anchor[0], top - splat.anchor[1]].map(|v| R::from_f64(f64::from(v)));
        (std::array::from_fn(|c| columns >> c & 1 == 1), rows, corner)
    }

    /// Whether the pixel of the tile is inside the image.
    pub(super) fn inside(&self, row: usize, column: usize) -> bool {
        self.origin[0] + column < self.size[0] && self.origin[1] + row < self.size[1]
    }
}

/// Everything that is summed per pixel.
struct Sums<R, const C: usize> {
    transmittance: Plane<R>,
    /// 1 where the ray goes on, else 0.
    live: Plane<R>,
    last: Plane<u32>,
    channels: [Plane<R>; C],
    depth: Plane<R>,
    median: Plane<R>,
    median_place: Plane<u32>,
    normal: [Plane<R>; 3],
    distortion: Plane<R>,
    moments: Moments<R>,
}

/// Draws a tile. `C` is 3, or 7 with attention.
#[inline(always)]
pub(super) fn blend<R: Real, const C: usize>(tile: &Tile<'_, R>, settings: &RasterSettings<R>) -> Blended<R> {
    let outputs = &settings.outputs;
    let zeros = || [[R::ZERO; LANES]; GRANULES];
    let mut sums = Sums::<R, C> {
        transmittance: [[R::ONE; LANES]; GRANULES],
        live: std::array::from_fn(|g| {
            std::array::from_fn(|lane| {
                let (row, column) = pixel(g, lane);
                if tile.inside(row, column) { R::ONE } else { R::ZERO }
            })
        }),
        last: [[0; LANES]; GRANULES],
        channels: [zeros(); C],
        depth: zeros(),
        median: zeros(),
        median_place: [[0; LANES]; GRANULES],
        normal: [zeros(); 3],
        distortion: zeros(),
        moments: Moments { first: zeros(), m1: zeros(), m2: zeros() },
    };
    // Granules with a ray that goes on, rows as bits, for each column.
    let mut live: [u8; COLUMNS] = std::array::from_fn(|c| {
        (0..ROWS).filter(|&r| sums.live[c * ROWS + r].iter().any(|&v| v > R::ZERO)).map(|r| 1 << r).sum()
    });
    let pixel_columns: [Lanes<R>; COLUMNS] = std::array::from_fn(pixel_columns);
    let pixel_rows: [Lanes<R>; ROWS] = std::array::from_fn(pixel_rows);
    for (place, &rank) in tile.pairs.iter().enumerate() {
        if live == [0; COLUMNS] {
            break;
        }
        let splat = &tile.splats[rank as usize];
        let (columns, rows, corner) = tile.reached(splat);
        for c in 0..COLUMNS {
            let mut rows = if columns[c] { rows & live[c] } else { 0 };
            if rows == 0 {
                continue;
            }
            let column = Column::new(splat, &pixel_columns[c], corner[0]);
            while rows != 0 {
                let row = rows.trailing_zeros() as usize;
                rows &= rows - 1;
                let y: Lanes<R> = std::array::from_fn(|i| pixel_rows[row][i] + corner[1]);
                if !sums.add(c * ROWS + row, splat, &column, &y, place as u32 + 1, outputs) {
                    live[c] &= !(1 << row);
                }
            }
        }
    }
    sums.finish(settings)
}

impl<R: Real, const C: usize> Sums<R, C> {
    /// Adds a splat to granule `g`; whether a ray of the granule goes on.
    #[inline(always)]
    fn add(
        &mut self,
        g: usize,
        splat: &Splat<R>,
        column: &Column<R>,
        y: &Lanes<R>,
        place: u32,
        outputs: &Outputs,
    ) -> bool {
        let hit = intersect(splat, column, y);
        let stop = R::from_f64(TRANSMITTANCE_MIN);
        let mut alpha = hit.alpha;
        let mut weight = [R::ZERO; LANES];
        let before = self.transmittance[g];
        let live = &mut self.live[g];
        for i in 0..LANES {
            alpha[i] *= live[i];
        }
        if sum(&alpha) == R::ZERO {
            return true;
        }
        let transmittance = &mut self.transmittance[g];
        let last = &mut self.last[g];
        for i in 0..LANES {
            let after = before[i] * (R::ONE - alpha[i]);
            let ends = after < stop;
            live[i] = if ends { R::ZERO } else { live[i] };
            alpha[i] = if ends { R::ZERO } else { alpha[i] };
            transmittance[i] = if ends { before[i] } else { after };
            weight[i] = alpha[i] * before[i];
            last[i] = if alpha[i] > R::ZERO { place } else { last[i] };
        }
        let goes_on = sum(live) > R::ZERO;
        for (channel, &value) in self.channels.iter_mut().zip(&splat.channels) {
            accumulate(&mut channel[g], &weight, value);
        }
        if outputs.normal {
            for (channel, &value) in self.normal.iter_mut().zip(&splat.normal) {
                accumulate(&mut channel[g], &weight, value);
            }
        }
        if outputs.depth {
            for i in 0..LANES {
                self.depth[g][i] += weight[i] * hit.depth[i];
            }
        }
        if outputs.median {
            let half = R::from_f64(MEDIAN_TRANSMITTANCE);
            for i in 0..LANES {
                let moves = (alpha[i] > R::ZERO) & (before[i] > half);
                self.median[g][i] = if moves { hit.depth[i] } else { self.median[g][i] };
                self.median_place[g][i] = if moves { place } else { self.median_place[g][i] };
            }
        }
        if outputs.distortion {
            let Moments { first, m1, m2 } = &mut self.moments;
            let slope = distortion_slope::<R>();
            let two = R::ONE + R::ONE;
            for i in 0..LANES {
                let inverse_depth = R::ONE / hit.depth[i];
                // Only an untouched ray has all its transmittance.
                let starts = (before[i] == R::ONE) & (alpha[i] > R::ZERO);
                first[g][i] = if starts { inverse_depth } else { first[g][i] };
                let m = slope * (first[g][i] - inverse_depth);
                let behind = m * m * (R::ONE - before[i]) + m2[g][i] - two * m * m1[g][i];
                self.distortion[g][i] += weight[i] * behind;
                m1[g][i] += weight[i] * m;
                m2[g][i] += weight[i] * m * m;
            }
        }
        goes_on
    }

    /// Puts the background behind and the pixels in rows.
    #[inline(always)]
    fn finish(mut self, settings: &RasterSettings<R>) -> Blended<R> {
        let outputs = settings.outputs;
        for (channel, &background) in self.channels.iter_mut().zip(&settings.background) {
            for (sums, transmittance) in channel.iter_mut().zip(&self.transmittance) {
                accumulate(sums, transmittance, background);
            }
        }
        let mut image = Vec::with_capacity(channel_count(&outputs) * PIXELS);
        self.channels.iter().for_each(|channel| push_rows(&mut image, channel));
        let alpha = self.transmittance.map(|t| t.map(|t| R::ONE - t));
        push_rows(&mut image, &alpha);
        if outputs.depth {
            push_rows(&mut image, &self.depth);
        }
        if outputs.median {
            push_rows(&mut image, &self.median);
        }
        if outputs.normal {
            self.normal.iter().for_each(|channel| push_rows(&mut image, channel));
        }
        if outputs.distortion {
            push_rows(&mut image, &self.distortion);
        }
        let saved = Saved {
            transmittance: self.transmittance,
            last: self.last,
            median: outputs.median.then(|| Box::new(self.median_place)),
            moments: outputs.distortion.then(|| Box::new(self.moments)),
        };
        Blended { image, saved }
    }
}

#[inline(always)]
fn accumulate<R: Real>(sums: &mut Lanes<R>, weight: &Lanes<R>, value: R) {
    for i in 0..LANES {
        sums[i] += weight[i] * value;
    }
}

/// Appends a plane row by row.
#[inline(always)]
fn push_rows<R: Real>(image: &mut Vec<R>, plane: &Plane<R>) {
    let start = image.len();
    image.resize(start + PIXELS, R::ZERO);
    for (g, lanes) in plane.iter().enumerate() {
        for (lane, &value) in lanes.iter().enumerate() {
            let (row, column) = pixel(g, lane);
            image[start + row * TILE + column] = value;
        }
    }
}
