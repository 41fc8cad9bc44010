//! The network's layers, each taking one row of time after the other.
//!
//! A row is `[frequency, channels]`. Time is never padded: a layer with three taps in time gives its first row with the third that
//! it gets. Frequency has one zero on either side. After each convolution: `max(leaky_relu(x, 0.2), −0.4)`.

use pulp::{Arch, Simd, WithSimd};

/// Outputs, inputs, taps in time, taps in frequency.
pub(super) type Shape = [usize; 4];

/// The convolutions in their order.
pub(super) const CONVOLUTIONS: [Shape; 15] = [
    [24, 1, 3, 3],
    [24, 24, 1, 3],
    [24, 24, 3, 1],
    [48, 24, 1, 3],
    [48, 48, 3, 1],
    [48, 48, 1, 3],
    [48, 48, 3, 1],
    [72, 48, 1, 3],
    [72, 72, 3, 1],
    [72, 72, 1, 3],
    [72, 72, 3, 1],
    [96, 72, 1, 3],
    [96, 96, 3, 1],
    [96, 96, 1, 3],
    [96, 96, 3, 1],
];

/// Values computed together; every number of channels is a multiple.
const LANES: usize = 8;
/// Frequencies computed together; every convolution has a multiple of the smaller one.
const MANY: usize = 8;
const FEW: usize = 4;
const SLOPE: f32 = 0.2;
const LEAST: f32 = -0.4;

/// A convolution and the rows it still needs.
pub(super) struct Convolution {
    shape: Shape,
    /// `[outputs / LANES, time, frequency · inputs, LANES]`.
    panels: Vec<f32>,
    bias: Vec<f32>,
    /// The last rows with their zeros on both sides, oldest first; as many as taps in time once filled.
    rows: Vec<Vec<f32>>,
}

impl Convolution {
    /// From a kernel `[outputs, inputs, time, frequency]`.
    pub(super) fn new(shape: Shape, kernel: &[f32], bias: &[f32]) -> Self {
        let [outputs, inputs, time, frequency] = shape;
        let mut panels = Vec::with_capacity(kernel.len());
        for group in 0..outputs / LANES {
            for (t, f, i, lane) in each([time, frequency, inputs, LANES]) {
                let output = group * LANES + lane;
                panels.push(kernel[((output * inputs + i) * time + t) * frequency + f]);
            }
        }
        Convolution { shape, panels, bias: bias.to_vec(), rows: Vec::new() }
    }

    /// Forgets the rows that came.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
    }

    /// Takes the next row; none comes out until there are as many as taps in time.
    pub(super) fn push(&mut self, row: &[f32]) -> Option<Vec<f32>> {
        let [outputs, inputs, time, frequency] = self.shape;
        let beside = frequency / 2 * inputs;
        let mut padded = if self.rows.len() == time { self.rows.remove(0) } else { Vec::new() };
        padded.resize(row.len() + 2 * beside, 0.0);
        padded[beside..beside + row.len()].copy_from_slice(row);
        self.rows.push(padded);
        if self.rows.len() < time {
            return None;
        }
        let mut out = vec![0.0; row.len() / inputs * outputs];
        Arch::new().dispatch(Apply { convolution: self, out: &mut out });
        Some(out)
    }

    /// `M` frequencies from `first` on.
    #[inline(always)]
    fn frequencies<const M: usize>(&self, first: usize, out: &mut [f32]) {
        let [outputs, inputs, time, frequency] = self.shape;
        let depth = frequency * inputs;
        for (group, panel) in self.panels.chunks_exact(time * depth * LANES).enumerate() {
            let mut sums = [[0.0f32; LANES]; M];
            for (row, panel) in self.rows.iter().zip(panel.chunks_exact(depth * LANES)) {
                let from: [&[f32]; M] = std::array::from_fn(|m| &row[(first + m) * inputs..][..depth]);
                for k in 0..depth {
                    let weights = &panel[k * LANES..][..LANES];
                    for m in 0..M {
                        let value = from[m][k];
                        for lane in 0..LANES {
                            sums[m][lane] += value * weights[lane];
                        }
                    }
                }
            }
            let bias = &self.bias[group * LANES..][..LANES];
            for (m, sums) in sums.iter().enumerate() {
                let out = &mut out[(first + m) * outputs + group * LANES..][..LANES];
                for ((out, sum), bias) in out.iter_mut().zip(sums).zip(bias) {
                    let x = sum + bias;
                    *out = x.max(SLOPE * x).max(LEAST);
                }
            }
        }
    }
}

struct Apply<'a> {
    convolution: &'a Convolution,
    out: &'a mut [f32],
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let count = self.out.len() / self.convolution.shape[0];
        let mut first = 0;
        while first + MANY <= count {
            self.convolution.frequencies::<MANY>(first, self.out);
            first += MANY;
        }
        while first + FEW <= count {
            self.convolution.frequencies::<FEW>(first, self.out);
            first += FEW;
        }
    }
}

/// All indices below these, the last one fastest.
fn each([a, b, c, d]: [usize; 4]) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (0..a * b * c * d).map(move |i| (i / (b * c * d), i / (c * d) % b, i / d % c, i % d))
}

/// The larger of two neighbours in frequency, and of two rows where it halves time too.
pub(super) struct Pool {
    channels: usize,
    halves_time: bool,
    held: Option<Vec<f32>>,
}

impl Pool {
    pub(super) fn new(channels: usize, halves_time: bool) -> Self {
        Pool { channels, halves_time, held: None }
    }

    /// Forgets the row that came.
    pub(super) fn clear(&mut self) {
        self.held = None;
    }

    /// Takes the next row; where it halves time every second one gives a row.
    pub(super) fn push(&mut self, row: &[f32]) -> Option<Vec<f32>> {
        let mut out = Vec::with_capacity(row.len() / 2);
        for pair in row.chunks_exact(2 * self.channels) {
            let (low, high) = pair.split_at(self.channels);
            out.extend(low.iter().zip(high).map(|(a, b)| a.max(*b)));
        }
        if !self.halves_time {
            return Some(out);
        }
        let Some(held) = self.held.take() else {
            self.held = Some(out);
            return None;
        };
        out.iter_mut().zip(held).for_each(|(a, b)| *a = a.max(b));
        Some(out)
    }
}
