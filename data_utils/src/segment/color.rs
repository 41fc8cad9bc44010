//! Colours as CIE L*a*b* (D65), where distances follow the eye, and histograms of them.

use image::RgbImage;

/// Cells of a histogram along L, a and b.
const CELLS: [usize; 3] = [25, 32, 32];
/// Width of a cell: L runs 0..100, a and b are counted within ±64.
const WIDTH: [f32; 3] = [4.0, 4.0, 4.0];
/// Share of the probability that is spread over all cells, so that a colour that was never seen has some.
const UNSEEN: f64 = 0.02;

/// Largest L* of black bars.
const BAR: f32 = 1.0;

/// A picture in L*a*b*, `[height, width]`: L 0..100, a and b about ±100.
#[derive(Debug, Clone, PartialEq)]
pub struct Lab {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// One colour a pixel, row after row.
    pub pixels: Vec<[f32; 3]>,
}

impl Lab {
    /// Converts an sRGB picture (IEC 61966-2-1, CIE 15:2004).
    pub fn of(picture: &RgbImage) -> Lab {
        let linear: [f32; 256] = std::array::from_fn(|v| {
            let c = v as f32 / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        });
        let pixels = picture.pixels().map(|p| lab(p.0.map(|v| linear[usize::from(v)]))).collect();
        Lab { width: picture.width() as usize, height: picture.height() as usize, pixels }
    }
}

fn lab([r, g, b]: [f32; 3]) -> [f32; 3] {
    let xyz = [
        (0.412_456_4 * r + 0.357_576_1 * g + 0.180_437_5 * b) / 0.950_47,
        0.212_672_9 * r + 0.715_152_2 * g + 0.072_175 * b,
        (0.019_333_9 * r + 0.119_192 * g + 0.950_304_1 * b) / 1.088_83,
    ];
    let [x, y, z] = xyz.map(|t| if t > 0.008_856_452 { t.cbrt() } else { 7.787_037 * t + 16.0 / 116.0 });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// Squared distance of two colours.
pub fn distance2(a: [f32; 3], b: [f32; 3]) -> f32 {
    (0..3).map(|k| (a[k] - b[k]) * (a[k] - b[k])).sum()
}

/// Whether a colour is that of the black bars that fill a frame of another shape. They say nothing about the room.
pub fn is_bar([lightness, ..]: [f32; 3]) -> bool {
    lightness < BAR
}

/// A smoothed histogram of colours: the model of one part of the person or of the background.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<f64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: vec![0.0; CELLS.iter().product()] }
    }
}

impl Histogram {
    /// Counts one colour.
    pub fn add(&mut self, color: [f32; 3], weight: f64) {
        self.counts[cell(color)] += weight;
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
    }

    /// Sum of all counts.
    pub fn total(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// Smooths the counts (¼ ½ ¼ along each axis, twice) and turns them into costs.
    pub fn costs(&self) -> Costs {
        let mut counts = self.counts.clone();
        let strides = [CELLS[1] * CELLS[2], CELLS[2], 1];
        for _ in 0..2 {
            for axis in 0..3 {
                let from = counts.clone();
                let (stride, length) = (strides[axis], CELLS[axis]);
                for (i, to) in counts.iter_mut().enumerate() {
                    let at = i / stride % length;
                    let below = if at > 0 { from[i - stride] } else { from[i] };
                    let above = if at + 1 < length { from[i + stride] } else { from[i] };
                    *to = 0.5 * from[i] + 0.25 * (below + above);
                }
            }
        }
        let total: f64 = counts.iter().sum();
        let even = 1.0 / counts.len() as f64;
        let share = |count: f64| if total > 0.0 { count / total } else { even };
        // Costs are relative to a uniform distribution: 0 for a colour that is as likely as under that.
        let cost = |count: f64| -(((1.0 - UNSEEN) * share(count) + UNSEEN * even) / even).ln() as f32;
        Costs { costs: counts.into_iter().map(cost).collect() }
    }
}

/// −ln(p / uniform p) of each colour under a model.
#[derive(Debug, Clone)]
pub struct Costs {
    costs: Vec<f32>,
}

impl Costs {
    /// The cost of a colour: below 0 where the model expects it, at most −ln 0.02 where it never occurred.
    pub fn of(&self, color: [f32; 3]) -> f32 {
        self.costs[cell(color)]
    }
}

fn cell(color: [f32; 3]) -> usize {
    let at = |axis: usize| {
        let value = if axis == 0 { color[0] } else { color[axis] + 64.0 };
        // Casting saturates, and a NaN becomes 0.
        ((value / WIDTH[axis]) as usize).min(CELLS[axis] - 1)
    };
    (at(0) * CELLS[1] + at(1)) * CELLS[2] + at(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_colours_have_their_published_coordinates() {
        // sRGB primaries and white under D65.
        for (rgb, expected) in [
            ([255, 255, 255], [100.0, 0.0, 0.0]),
            ([255, 0, 0], [53.24, 80.09, 67.20]),
            ([0, 255, 0], [87.73, -86.18, 83.18]),
            ([0, 0, 255], [32.30, 79.19, -107.86]),
            ([0, 0, 0], [0.0, 0.0, 0.0]),
        ] {
            let lab = Lab::of(&RgbImage::from_pixel(1, 1, image::Rgb(rgb))).pixels[0];
            assert!(distance2(lab, expected) < 0.01, "{rgb:?} is {lab:?}");
        }
    }

    #[test]
    fn a_colour_seen_is_cheaper_than_one_near_it_and_than_one_never_seen() {
        let mut histogram = Histogram::default();
        (0..100).for_each(|_| histogram.add([50.0, 10.0, 10.0], 1.0));
        let costs = histogram.costs();
        let (seen, near, never) =
            (costs.of([50.0, 10.0, 10.0]), costs.of([55.0, 10.0, 10.0]), costs.of([50.0, -50.0, 10.0]));
        assert!(seen < near && near < never && seen < -3.0 && never > 3.0, "{seen} {near} {never}");
    }

    #[test]
    fn colours_beyond_the_histogram_do_not_panic() {
        let mut histogram = Histogram::default();
        for v in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1e9, 1e9] {
            histogram.add([v, v, v], 1.0);
        }
        assert_eq!(histogram.total(), 5.0);
    }
}
