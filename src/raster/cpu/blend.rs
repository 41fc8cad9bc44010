//! Stage `blend`: the surfels of a tile over each other, nearest first (2DGS §4.2; distortion: eq. 13).
//!
//! The distortion's m = far/(far−near)·(1 − near/z) is taken relative to the pixel's first surfel: its sums then do not
//! cancel, which in f32 they otherwise do to the point of noise. The value is the same.

use super::intersect::{Column, intersect};
use super::lanes::*;
use super::project::{Seen, Splat};
use crate::raster::constants::*;
use crate::raster::{Outputs, RasterSettings, Real};

/// A tile of the image and the surfels it shows.
pub(super) struct Tile<'a, R> {
    /// All surfels.
    pub(super) seen: &'a [Seen<R>],
    /// Which surfel each rank is.
    pub(super) order: &'a [u32],
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
    /// Place in the tile's list where the ray ended; the list's length where it did not.
    pub(super) end: Plane<u32>,
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
    /// For the backward pass; nothing where the tile shows no surfel.
    pub(super) saved: Option<Box<Saved<R>>>,
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

/// Splats that are fetched together, so that the waits for memory overlap.
pub(super) const STAGE: usize = 16;

impl<R: Real> Tile<'_, R> {
    /// The splats of up to [`STAGE`] ranks, at least one; the first fills what is left.
    #[inline(always)]
    pub(super) fn stage(&self, ranks: &[u32]) -> [Splat<R>; STAGE] {
        let splat = |rank: u32| self.seen[self.order[rank as usize] as usize].splat;
        let mut staged = [splat(ranks[0]); STAGE];
        for (place, &rank) in staged.iter_mut().zip(ranks) {
            *place = splat(rank);
        }
        staged
    }

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
    end: Plane<u32>,
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
    if tile.pairs.is_empty() {
        return background::<R, C>(settings);
    }
    let mut sums = Sums::<R, C>::new(tile);
    // Granules with a ray that goes on, rows as bits, for each column.
    let mut live: [u8; COLUMNS] = std::array::from_fn(|c| {
        (0..ROWS).filter(|&r| sums.live[c * ROWS + r].any_positive()).map(|r| 1 << r).sum()
    });
    let (pixel_columns, pixel_rows) = (pixel_columns::<R>(), pixel_rows::<R>());
    let (mut alphas, mut depths) = (plane(R::ZERO), plane(R::ONE));
    'tile: for (block, ranks) in tile.pairs.chunks(STAGE).enumerate() {
        let staged = tile.stage(ranks);
        for (i, splat) in staged[..ranks.len()].iter().enumerate() {
            if live == [0; COLUMNS] {
                break 'tile;
            }
            let (columns, reached, corner) = tile.reached(splat);
            // First all that the rays meet, then what they make of it: the long chains of the first part overlap when
            // no branch depends on them.
            let mut drawn = 0_u32;
            for c in 0..COLUMNS {
                let mut rows = if columns[c] { reached & live[c] } else { 0 };
                if rows == 0 {
                    continue;
                }
                let column = Column::new(splat, &pixel_columns[c].shifted(corner[0]));
                while rows != 0 {
                    let row = rows.trailing_zeros() as usize;
                    rows &= rows - 1;
                    let g = c * ROWS + row;
                    let hit = intersect(splat, &column, &pixel_rows[row].shifted(corner[1]));
                    let (mut alpha, live) = (hit.alpha, &sums.live[g]);
                    for i in 0..LANES {
                        alpha[i] *= live[i];
                    }
                    drawn |= u32::from(alpha.any_positive()) << g;
                    alphas[g] = alpha;
                    depths[g] = hit.depth;
                }
            }
            let place = (block * STAGE + i) as u32;
            while drawn != 0 {
                let g = drawn.trailing_zeros() as usize;
                drawn &= drawn - 1;
                if !sums.add(g, splat, alphas[g], depths[g], place, &settings.outputs) {
                    live[g / ROWS] &= !(1 << (g % ROWS));
                }
            }
        }
    }
    sums.finish(settings)
}

impl<R: Real, const C: usize> Sums<R, C> {
    /// Before the first splat.
    #[inline(always)]
    fn new(tile: &Tile<'_, R>) -> Self {
        let zeros = plane(R::ZERO);
        Sums {
            transmittance: plane(R::ONE),
            live: std::array::from_fn(|g| {
                Lanes(std::array::from_fn(|lane| {
                    let (row, column) = pixel(g, lane);
                    if tile.inside(row, column) { R::ONE } else { R::ZERO }
                }))
            }),
            end: plane(tile.pairs.len() as u32),
            channels: [zeros; C],
            depth: zeros,
            median: zeros,
            median_place: plane(0),
            normal: [zeros; 3],
            distortion: zeros,
            moments: Moments { first: zeros, m1: zeros, m2: zeros },
        }
    }

    /// Adds a splat to granule `g`; whether a ray of the granule goes on.
    #[inline(always)]
    fn add(
        &mut self,
        g: usize,
        splat: &Splat<R>,
        mut alpha: Lanes<R>,
        depth: Lanes<R>,
        place: u32,
        outputs: &Outputs,
    ) -> bool {
        let before = self.transmittance[g];
        let stop = R::from_f64(TRANSMITTANCE_MIN);
        let (mut after, mut short) = (before, before);
        for i in 0..LANES {
            after[i] = before[i] * (R::ONE - alpha[i]);
            short[i] = stop - after[i];
        }
        let mut goes_on = true;
        if short.any_positive() {
            for i in 0..LANES {
                if short[i] > R::ZERO {
                    (alpha[i], after[i]) = (R::ZERO, before[i]);
                    (self.live[g][i], self.end[g][i]) = (R::ZERO, place);
                }
            }
            goes_on = self.live[g].any_positive();
        }
        self.transmittance[g] = after;
        let mut weight = alpha;
        for i in 0..LANES {
            weight[i] *= before[i];
        }
        for (channel, &value) in self.channels.iter_mut().zip(&splat.channels) {
            channel[g].add_scaled(&weight, value);
        }
        if outputs.normal {
            for (channel, &value) in self.normal.iter_mut().zip(&splat.normal) {
                channel[g].add_scaled(&weight, value);
            }
        }
        if outputs.depth {
            self.depth[g].add_product(&weight, &depth);
        }
        if outputs.median {
            let half = R::from_f64(MEDIAN_TRANSMITTANCE);
            let (mut median, mut median_place) = (self.median[g], self.median_place[g]);
            for i in 0..LANES {
                let moves = (alpha[i] > R::ZERO) & (before[i] > half);
                median[i] = if moves { depth[i] } else { median[i] };
                median_place[i] = if moves { place + 1 } else { median_place[i] };
            }
            (self.median[g], self.median_place[g]) = (median, median_place);
        }
        if outputs.distortion {
            self.add_distortion(g, &before, &weight, &depth);
        }
        goes_on
    }

    /// Adds a splat's share of the distortion to granule `g`.
    #[inline(always)]
    fn add_distortion(&mut self, g: usize, before: &Lanes<R>, weight: &Lanes<R>, depth: &Lanes<R>) {
        let slope = distortion_slope::<R>();
        let moments = &mut self.moments;
        let (mut first, mut m1, mut m2) = (moments.first[g], moments.m1[g], moments.m2[g]);
        let mut distortion = self.distortion[g];
        for i in 0..LANES {
            let inverse_depth = R::ONE / depth[i];
            // Only an untouched ray has all its transmittance.
            first[i] = if before[i] == R::ONE { inverse_depth } else { first[i] };
            let m = slope * (first[i] - inverse_depth);
            let in_front = m * m * (R::ONE - before[i]) + m2[i] - (m + m) * m1[i];
            distortion[i] += weight[i] * in_front;
            m1[i] += weight[i] * m;
            m2[i] += weight[i] * m * m;
        }
        (moments.first[g], moments.m1[g], moments.m2[g]) = (first, m1, m2);
        self.distortion[g] = distortion;
    }

    /// Puts the background behind and the pixels in rows.
    #[inline(always)]
    fn finish(mut self, settings: &RasterSettings<R>) -> Blended<R> {
        let outputs = settings.outputs;
        for (channel, &background) in self.channels.iter_mut().zip(&settings.background) {
            for (sums, transmittance) in channel.iter_mut().zip(&self.transmittance) {
                sums.add_scaled(transmittance, background);
            }
        }
        let mut image = Vec::with_capacity(channel_count(&outputs) * PIXELS);
        self.channels.iter().for_each(|channel| push_rows(&mut image, channel));
        let mut alpha = self.transmittance;
        for alpha in alpha.iter_mut().flat_map(|lanes| &mut lanes.0) {
            *alpha = R::ONE - *alpha;
        }
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
        let saved = Box::new(Saved {
            transmittance: self.transmittance,
            end: self.end,
            median: outputs.median.then(|| Box::new(self.median_place)),
            moments: outputs.distortion.then(|| Box::new(self.moments)),
        });
        Blended { image, saved: Some(saved) }
    }
}

/// A tile that shows nothing.
fn background<R: Real, const C: usize>(settings: &RasterSettings<R>) -> Blended<R> {
    let mut image = vec![R::ZERO; channel_count(&settings.outputs) * PIXELS];
    for (channel, &background) in image.chunks_mut(PIXELS).zip(&settings.background[..C]) {
        channel.fill(background);
    }
    Blended { image, saved: None }
}

/// Appends a plane row by row.
#[inline(always)]
fn push_rows<R: Real>(image: &mut Vec<R>, plane: &Plane<R>) {
    let start = image.len();
    image.resize(start + PIXELS, R::ZERO);
    for (g, lanes) in plane.iter().enumerate() {
        for (lane, &value) in lanes.0.iter().enumerate() {
            let (row, column) = pixel(g, lane);
            image[start + row * TILE + column] = value;
        }
    }
}
