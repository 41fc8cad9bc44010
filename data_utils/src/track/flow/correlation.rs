//! Correlation of every cell of one picture with every cell of another, at four scales of the other.

use crate::error::Result;
use candle_core::Tensor;
use rayon::prelude::*;

const LEVELS: usize = 4;
/// Radius of the window that is read on every level, cells.
const REACH: usize = 3;
const WINDOW: usize = 2 * REACH + 1;
/// Channels that [`Pyramid::around`] gives.
pub(super) const CHANNELS: usize = LEVELS * WINDOW * WINDOW;

/// One scale: `[cells of the first, rows, columns of the second]`.
struct Level {
    size: [usize; 2],
    values: Vec<f32>,
}

pub(super) struct Pyramid {
    cells: [usize; 2],
    levels: Vec<Level>,
}

impl Pyramid {
    /// Products of features `[channels, cells]` over the root of their number; each further level is the mean of two
    /// by two cells of the one before.
    pub(super) fn new(from: &Tensor, to: &Tensor, cells: [usize; 2]) -> Result<Self> {
        let scale = 1.0 / (from.dim(0)? as f64).sqrt();
        let products = (from.t()?.matmul(to)? * scale)?.flatten_all()?.to_vec1::<f32>()?;
        let mut levels = vec![Level { size: cells, values: products }];
        while levels.len() < LEVELS {
            let Some(finer) = levels.last() else { break };
            levels.push(halved(finer));
        }
        Ok(Pyramid { cells, levels })
    }

    /// `[CHANNELS, rows, columns]`: for each cell of the first picture the correlations in a window around where the flow
    /// leads, level by level, bilinear, 0 outside. The first axis of a window runs along x, as the published weights
    /// expect.
    pub(super) fn around(&self, flow: &[f32]) -> Vec<f32> {
        let [columns, rows] = self.cells;
        let count = columns * rows;
        let cell = |at: usize| -> Vec<f32> {
            let (x, y) = ((at % columns) as f32 + flow[at], (at / columns) as f32 + flow[count + at]);
            let mut found = Vec::with_capacity(CHANNELS);
            for (number, level) in self.levels.iter().enumerate() {
                let shrink = 1.0 / (1usize << number) as f32;
                level.window(at, x * shrink, y * shrink, &mut found);
            }
            found
        };
        let cells: Vec<Vec<f32>> = (0..count).into_par_iter().map(cell).collect();
        let mut out = vec![0f32; CHANNELS * count];
        for (at, values) in cells.iter().enumerate() {
            values.iter().enumerate().for_each(|(channel, v)| out[channel * count + at] = *v);
        }
        out
    }
}

impl Level {
    /// The window around (x, y) in the map of cell `at`.
    fn window(&self, at: usize, x: f32, y: f32, found: &mut Vec<f32>) {
        let [columns, rows] = self.size;
        let map = &self.values[at * columns * rows..(at + 1) * columns * rows];
        if !x.is_finite() || !y.is_finite() {
            found.extend([0f32; WINDOW * WINDOW]);
            return;
        }
        let value = |x: i64, y: i64| -> f32 {
            let inside = (0..columns as i64).contains(&x) && (0..rows as i64).contains(&y);
            if inside { map[y as usize * columns + x as usize] } else { 0.0 }
        };
        let (left, top) = (x.floor(), y.floor());
        let (fx, fy) = (x - left, y - top);
        let (left, top) = (left as i64, top as i64);
        for dx in 0..WINDOW as i64 {
            for dy in 0..WINDOW as i64 {
                let x = left.saturating_add(dx - REACH as i64);
                let y = top.saturating_add(dy - REACH as i64);
                let (right, down) = (x.saturating_add(1), y.saturating_add(1));
                let above = value(x, y) * (1.0 - fx) + value(right, y) * fx;
                let below = value(x, down) * (1.0 - fx) + value(right, down) * fx;
                found.push(above * (1.0 - fy) + below * fy);
            }
        }
    }
}

/// Means of two by two cells; a last odd column or row is dropped.
fn halved(level: &Level) -> Level {
    let [columns, rows] = level.size;
    let size = [columns / 2, rows / 2];
    let maps = level.values.par_chunks_exact(columns * rows);
    let half = |map: &[f32]| -> Vec<f32> {
        let pixel = |at: usize| {
            let (x, y) = (2 * (at % size[0]), 2 * (at / size[0]));
            let cell = |dx: usize, dy: usize| map[(y + dy) * columns + x + dx];
            0.25 * (cell(0, 0) + cell(1, 0) + cell(0, 1) + cell(1, 1))
        };
        (0..size[0] * size[1]).map(pixel).collect()
    };
    let values: Vec<Vec<f32>> = maps.map(half).collect();
    Level { size, values: values.concat() }
}
