//! The background without the person: the median of each pixel over the frames in which no person covers it, and how
//! much the pixel varies.

use super::color::Lab;
use super::shapes;
use image::RgbImage;
use rayon::prelude::*;

/// A pixel is known when it was free in at least this many sampled frames, and in at least this share of them.
const FEWEST: usize = 4;
const LEAST_SHARE: f32 = 0.06;
/// Least standard deviation of a pixel in L, a and b: the noise of compressed video.
const LEAST_SPREAD: [f32; 3] = [2.0, 1.4, 1.4];
/// Median absolute deviation to standard deviation of a normal distribution.
const FROM_MAD: f32 = 1.4826;
/// Standard deviation assumed for a pixel that was never free, whose colour is extrapolated: of L beside a known pixel,
/// its increase for each pixel of distance, and the share of both for a and b.
const GUESSED: [f32; 3] = [5.0, 0.25, 0.6];

/// A background.
#[derive(Debug, Clone)]
pub struct Plate {
    /// The picture; extrapolated smoothly where the background was never seen.
    pub picture: RgbImage,
    /// The same in L*a*b*.
    pub lab: Lab,
    /// Standard deviations of L, a and b of each pixel.
    pub spread: Vec<[f32; 3]>,
    /// True where the background was seen, `[height, width]`.
    pub known: Vec<bool>,
    /// Distance to the nearest pixel that was seen, pixels.
    pub away: Vec<f32>,
}

impl Plate {
    /// Learns the background from frames and, for each, a mask of the pixels that are free, `[height, width]`; all of one
    /// size.
    pub fn learn(frames: &[RgbImage], free: &[Vec<bool>], width: u32, height: u32) -> Plate {
        let count = width as usize * height as usize;
        let fewest = FEWEST.max((LEAST_SHARE * frames.len() as f32) as usize);
        let learned: Vec<Option<([u8; 3], [f32; 3])>> = (0..count)
            .into_par_iter()
            .map(|at| {
                let seen = frames.iter().zip(free).filter(|(_, free)| free.get(at).copied().unwrap_or(false));
                let mut values: [Vec<u8>; 3] = Default::default();
                for (frame, _) in seen {
                    if let Some(p) = frame.as_raw().get(3 * at..3 * at + 3) {
                        values.iter_mut().zip(p).for_each(|(v, p)| v.push(*p));
                    }
                }
                (values[0].len() >= fewest).then(|| summary(values))
            })
            .collect();
        let known: Vec<bool> = learned.iter().map(Option::is_some).collect();
        let colors: Vec<[f32; 3]> =
            learned.iter().map(|l| l.map_or([0.0; 3], |(c, _)| c.map(f32::from))).collect();
        let colors = continued(&colors, &known, width as usize);
        let mut picture = RgbImage::new(width, height);
        for (pixel, color) in picture.pixels_mut().zip(&colors) {
            pixel.0 = color.map(|v| v.round().clamp(0.0, 255.0) as u8);
        }
        let lab = Lab::of(&picture);
        let away = shapes::distances(&known, width as usize);
        let spread = learned
            .iter()
            .zip(&away)
            .map(|(l, away)| {
                let guessed = GUESSED[0] + GUESSED[1] * away.min(1e4);
                l.map_or([guessed, GUESSED[2] * guessed, GUESSED[2] * guessed], |(_, mad)| {
                    // One grey level is about 0.4 of L; a and b vary less than L.
                    let mean = (mad[0] + mad[1] + mad[2]) / 3.0 * 0.4 * FROM_MAD;
                    LEAST_SPREAD.map(|least| least.max(mean))
                })
            })
            .collect();
        Plate { picture, lab, spread, known, away }
    }

    /// Squared distance of a pixel's colour from the background's, in standard deviations.
    pub fn distance2(&self, at: usize, color: [f32; 3]) -> f32 {
        let (plate, spread) = (self.lab.pixels[at], self.spread[at]);
        (0..3).map(|k| ((color[k] - plate[k]) / spread[k]).powi(2)).sum()
    }
}

/// Median and median absolute deviation of each channel.
fn summary(mut values: [Vec<u8>; 3]) -> ([u8; 3], [f32; 3]) {
    let medians = [0, 1, 2].map(|k: usize| median(&mut values[k]));
    let deviations = [0, 1, 2].map(|k: usize| {
        let mut off: Vec<u8> = values[k].iter().map(|v| v.abs_diff(medians[k])).collect();
        f32::from(median(&mut off))
    });
    (medians, deviations)
}

fn median(values: &mut [u8]) -> u8 {
    let middle = values.len() / 2;
    if values.is_empty() { 0 } else { *values.select_nth_unstable(middle).1 }
}

/// Fills unknown pixels smoothly from the known ones: averages on coarser and coarser grids, then interpolation back
/// (push-pull, Gortler et al., "The Lumigraph", 1996). Grey where no pixel is known.
pub fn continued(colors: &[[f32; 3]], known: &[bool], width: usize) -> Vec<[f32; 3]> {
    let height = colors.len().checked_div(width).unwrap_or(0);
    let weights: Vec<f32> = known.iter().map(|k| f32::from(u8::from(*k))).collect();
    if width <= 1 && height <= 1 {
        return colors.iter().zip(known).map(|(c, k)| if *k { *c } else { [128.0; 3] }).collect();
    }
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    let mut sums = vec![([0.0f32; 3], 0.0f32); half_width * half_height];
    for (i, (color, weight)) in colors.iter().zip(&weights).enumerate() {
        let (sum, total) = &mut sums[i / width / 2 * half_width + i % width / 2];
        sum.iter_mut().zip(color).for_each(|(s, c)| *s += weight * c);
        *total += weight;
    }
    let coarse_known: Vec<bool> = sums.iter().map(|(_, total)| *total > 0.0).collect();
    let coarse: Vec<[f32; 3]> = sums.iter().map(|(sum, total)| sum.map(|s| s / total.max(1.0))).collect();
    let coarse = continued(&coarse, &coarse_known, half_width);
    let at = |x: isize, y: isize| {
        let (x, y) = (x.clamp(0, half_width as isize - 1), y.clamp(0, half_height as isize - 1));
        coarse[y as usize * half_width + x as usize]
    };
    (0..colors.len())
        .map(|i| {
            if known[i] {
                return colors[i];
            }
            // Bilinear between the four coarse pixels around it.
            let (x, y) = ((i % width) as isize, (i / width) as isize);
            let (nx, ny) = (x / 2 + if x % 2 == 0 { -1 } else { 1 }, y / 2 + if y % 2 == 0 { -1 } else { 1 });
            let (a, b, c, d) = (at(x / 2, y / 2), at(nx, y / 2), at(x / 2, ny), at(nx, ny));
            std::array::from_fn(|k| 0.5625 * a[k] + 0.1875 * (b[k] + c[k]) + 0.0625 * d[k])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_free_frames_is_the_background_whatever_stands_before_it() {
        let (width, height) = (20, 10);
        // A white bar moves over a ramp.
        let frames: Vec<RgbImage> = (0..20)
            .map(|t| {
                RgbImage::from_fn(width, height, |x, _| {
                    image::Rgb(if x.abs_diff(t) < 4 { [255; 3] } else { [10 * x as u8, 50, 90] })
                })
            })
            .collect();
        let free: Vec<Vec<bool>> =
            (0..20u32).map(|t| (0..200u32).map(|i| (i % 20).abs_diff(t) >= 4).collect()).collect();
        let plate = Plate::learn(&frames, &free, width, height);
        assert!(plate.known.iter().all(|k| *k));
        for (x, _, pixel) in plate.picture.enumerate_pixels() {
            assert_eq!(pixel.0, [10 * x as u8, 50, 90]);
        }
        let bar = Lab::of(&frames[0]).pixels[0];
        assert!(plate.distance2(0, bar) > 50.0 && plate.distance2(0, plate.lab.pixels[0]) == 0.0);
    }

    #[test]
    fn what_was_never_seen_lies_between_its_neighbours() {
        let (width, height) = (33, 9);
        let colors: Vec<[f32; 3]> = (0..width * height).map(|i| [(i % width) as f32 * 4.0; 3]).collect();
        let known: Vec<bool> = (0..width * height).map(|i| !(10..20).contains(&(i % width))).collect();
        let filled = continued(&colors, &known, width);
        for (i, color) in filled.iter().enumerate() {
            let x = i % width;
            let bounds = if known[i] { colors[i][0]..=colors[i][0] } else { 20.0..=100.0 };
            assert!(bounds.contains(&color[0]), "column {x} is {}", color[0]);
        }
        assert_eq!(continued(&[[7.0; 3]; 4], &[false; 4], 2), [[128.0; 3]; 4]);
    }
}
