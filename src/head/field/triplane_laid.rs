//! Tri-planes by tensor operations alone, for devices without a kernel of ours.
//!
//! A sample is a selection of four texels and a product with their weights. On the way back every texel adds up what its
//! surfels pull at it. candle's own scatter does that one row after the other; here the surfels of a cell (the square
//! between four texels) are brought together, eight at a time, and added by products with small matrices, until each
//! cell has one sum for each of its corners; a texel then takes those of the four cells around it. The order is fixed,
//! so the same places give the same bits.

use super::triplane::{PLANES, Prepared, Site, TriPlane, corners};
use crate::Result;
use candle_core::Tensor;
use rayon::prelude::*;

/// Rows that are brought together at a time.
const TOGETHER: usize = 8;
/// Corners of a cell.
const CORNERS: usize = 4;

/// Places laid onto one plane, on its device.
pub(super) struct Laid {
    /// Texels, `[4·rows]`, corner by corner of each row, and their weights, `[rows, 4]`.
    texels: Tensor,
    weights: Tensor,
    /// Rows to bring together, level after level, `[8·groups]` each; the first level's are surfels, the others' groups of
    /// the level before. One more than there are rows stands for nothing.
    levels: Vec<Tensor>,
    /// For every texel and corner which sum it takes, `[4·side²]`: cell·4 + corner, behind the last where there is none.
    taken: Tensor,
}

impl TriPlane {
    /// Finds out, on the host, how places lie on every plane.
    pub(super) fn lists(&self, prepared: &Prepared) -> Vec<Lists> {
        let planes = (0..self.planes.len() * PLANES).into_par_iter();
        planes.map(|i| Lists::of(&prepared.sites[i / PLANES], i % PLANES, self.sides[i / PLANES])).collect()
    }

    /// Lays places onto every plane: `[scales][3]`.
    pub(super) fn lay(&self, prepared: &Prepared) -> Result<Vec<Vec<Laid>>> {
        self.bring(&self.lists(prepared))
    }

    /// Brings lists to the planes' device: `[scales][3]`.
    pub(super) fn bring(&self, lists: &[Lists]) -> Result<Vec<Vec<Laid>>> {
        // One copy to the device for all of them.
        let plane = &self.planes[0][0];
        let numbers: Vec<&[u32]> = lists.iter().flat_map(Lists::numbers).map(Vec::as_slice).collect();
        let weights: Vec<&[f32]> = lists.iter().map(|l| l.weights.as_slice()).collect();
        let (numbers, weights) = (numbers.concat(), weights.concat());
        let (all, rows) = (numbers.len(), weights.len() / CORNERS);
        let numbers = Tensor::from_vec(numbers, all, plane.device())?;
        let weights = Tensor::from_vec(weights, (rows, CORNERS), plane.device())?.to_dtype(plane.dtype())?;
        let (mut at, mut row) = (0, 0);
        let mut next = |count: usize| -> Result<Tensor> {
            at += count;
            Ok(numbers.narrow(0, at - count, count)?)
        };
        let mut laid = Vec::with_capacity(lists.len());
        for list in lists {
            let count = list.weights.len() / CORNERS;
            row += count;
            laid.push(Laid {
                texels: next(list.texels.len())?,
                weights: weights.narrow(0, row - count, count)?,
                levels: list.levels.iter().map(|level| next(level.len())).collect::<Result<_>>()?,
                taken: next(list.taken.len())?,
            });
        }
        let mut laid = laid.into_iter();
        Ok((0..self.planes.len()).map(|_| laid.by_ref().take(PLANES).collect()).collect())
    }

    /// What each plane says of each place, `[scales][3]`, `[rows, channels]` each, in the graph of the planes.
    pub(super) fn samples(&self, laid: &[Vec<Laid>]) -> Result<Vec<Vec<Tensor>>> {
        let sample = |(plane, laid): (&Tensor, &Laid)| -> Result<Tensor> {
            let rows = laid.weights.dim(0)?;
            let texels = plane.reshape(((), self.channels))?.index_select(&laid.texels, 0)?;
            let texels = texels.reshape((rows, CORNERS, self.channels))?;
            Ok(laid.weights.unsqueeze(1)?.matmul(&texels)?.squeeze(1)?)
        };
        let scales = self.planes.iter().zip(laid);
        scales.map(|(planes, laid)| planes.iter().zip(laid).map(sample).collect()).collect()
    }

    /// Features `[rows, scales·channels]` from samples.
    pub(super) fn features(&self, samples: &[Vec<Tensor>]) -> Result<Tensor> {
        let products = samples.iter().map(|s| Ok(((&s[0] * &s[1])? * &s[2])?));
        Ok(Tensor::cat(&products.collect::<Result<Vec<Tensor>>>()?, 1)?)
    }

    /// Gradients of the planes, scale after scale, from that of the features.
    pub(super) fn backward_laid(
        &self,
        laid: &[Vec<Laid>],
        samples: &[Vec<Tensor>],
        gradient: &Tensor,
    ) -> Result<Vec<Tensor>> {
        let mut out = Vec::new();
        for (scale, (laid, samples)) in laid.iter().zip(samples).enumerate() {
            let g = gradient.narrow(1, scale * self.channels, self.channels)?.contiguous()?;
            let [a, b, c] = [&samples[0], &samples[1], &samples[2]].map(Tensor::detach);
            let gradients = [((&b * &c)? * &g)?, ((&a * &c)? * &g)?, ((&a * &b)? * &g)?];
            for (laid, g) in laid.iter().zip(gradients) {
                let side = self.sides[scale];
                out.push(laid.gather(&g)?.reshape((side, side, self.channels))?);
            }
        }
        Ok(out)
    }
}

impl Laid {
    /// What rows `[rows, channels]` pull at each texel, `[side², channels]`.
    fn gather(&self, rows: &Tensor) -> Result<Tensor> {
        let channels = rows.dim(1)?;
        let empty_last = |t: &Tensor| t.pad_with_zeros(0, 0, 1);
        let (mut sums, weights) = (empty_last(rows)?, empty_last(&self.weights)?);
        for (level, index) in self.levels.iter().enumerate() {
            let groups = index.elem_count() / TOGETHER;
            let width = sums.dim(1)?;
            let together = sums.index_select(index, 0)?.reshape((groups, TOGETHER, width))?;
            let factors = if level == 0 {
                let weights = weights.index_select(index, 0)?.reshape((groups, TOGETHER, CORNERS))?;
                weights.transpose(1, 2)?.contiguous()?
            } else {
                Tensor::ones((groups, 1, TOGETHER), rows.dtype(), rows.device())?
            };
            let sum = factors.matmul(&together)?;
            sums = empty_last(&sum.reshape((groups, CORNERS * channels))?)?;
        }
        let cells = sums.dim(0)?;
        let sums = sums.reshape((cells * CORNERS, channels))?;
        let texels = self.taken.elem_count() / CORNERS;
        let taken = sums.index_select(&self.taken, 0)?.reshape((texels, CORNERS, channels))?;
        let ones = Tensor::ones((texels, 1, CORNERS), rows.dtype(), rows.device())?;
        Ok(ones.matmul(&taken)?.squeeze(1)?)
    }
}

/// [`Laid`] as it is made.
pub(super) struct Lists {
    texels: Vec<u32>,
    weights: Vec<f32>,
    levels: Vec<Vec<u32>>,
    taken: Vec<u32>,
}

impl Lists {
    fn of(sites: &[Site], axes: usize, side: usize) -> Self {
        let laid: Vec<_> = sites.iter().map(|site| corners(site, axes, side)).collect();
        let texels = laid.iter().flat_map(|(texels, _)| texels.map(|t| t as u32)).collect();
        let weights = laid.iter().flat_map(|(_, weights)| *weights).collect();
        // Cells are named by their first texel.
        let mut members = Members::by_cell(laid.iter().map(|(texels, _)| texels[0]), side * side);
        let cells = members.cells.clone();
        let mut levels = Vec::new();
        // At least one level, which brings the weights in.
        while levels.is_empty() || members.longest() > 1 {
            let (index, next) = members.together();
            levels.push(index);
            members = next;
        }
        let mut slot = vec![u32::MAX; side * side];
        cells.iter().zip(0..).for_each(|(cell, at)| slot[*cell as usize] = at);
        let none = (cells.len() * CORNERS) as u32;
        let mut taken = Vec::with_capacity(side * side * CORNERS);
        for texel in 0..side * side {
            let (row, column) = (texel / side, texel % side);
            // The texel is a cell's corner (0, 0), next column, next row, both.
            for (k, (up, left)) in [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter().enumerate() {
                let cell = (row >= up && column >= left).then(|| slot[texel - up * side - left]);
                taken.push(cell.filter(|c| *c != u32::MAX).map_or(none, |c| c * CORNERS as u32 + k as u32));
            }
        }
        Lists { texels, weights, levels, taken }
    }

    /// Its whole numbers in the order of [`Laid`].
    fn numbers(&self) -> impl Iterator<Item = &Vec<u32>> {
        std::iter::once(&self.texels).chain(&self.levels).chain([&self.taken])
    }
}

/// Rows of every cell that has any, cell after cell.
struct Members {
    /// Those cells, ascending.
    cells: Vec<u32>,
    /// Where the rows of each start, and the end of the last.
    starts: Vec<usize>,
    rows: Vec<u32>,
}

impl Members {
    /// Row after row, the cell it lies in, below `cells`.
    fn by_cell(cell_of_row: impl ExactSizeIterator<Item = usize> + Clone, cells: usize) -> Self {
        let mut next = vec![0_usize; cells + 1];
        cell_of_row.clone().for_each(|cell| next[cell + 1] += 1);
        let occupied: Vec<u32> = (0..cells).filter(|c| next[c + 1] > 0).map(|c| c as u32).collect();
        for cell in 0..cells {
            next[cell + 1] += next[cell];
        }
        let count = cell_of_row.len();
        let starts = occupied.iter().map(|c| next[*c as usize]).chain([count]).collect();
        let mut rows = vec![0; count];
        cell_of_row.zip(0..).for_each(|(cell, row)| {
            rows[next[cell]] = row;
            next[cell] += 1;
        });
        Members { cells: occupied, starts, rows }
    }

    fn longest(&self) -> usize {
        self.starts.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(0)
    }

    /// Rows in groups of eight of one cell, filled up with the one behind the last row; and the groups of every cell.
    fn together(&self) -> (Vec<u32>, Members) {
        let nothing = self.rows.len() as u32;
        let (mut index, mut starts) = (Vec::new(), vec![0]);
        for window in self.starts.windows(2) {
            for group in self.rows[window[0]..window[1]].chunks(TOGETHER) {
                index.extend_from_slice(group);
                index.resize(index.len().next_multiple_of(TOGETHER), nothing);
            }
            starts.push(index.len() / TOGETHER);
        }
        let rows = (0..(index.len() / TOGETHER) as u32).collect();
        (index, Members { cells: self.cells.clone(), starts, rows })
    }
}
