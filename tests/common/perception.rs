//! How different two pictures look: distances in OkLab (Ottosson 2020) after a small blur, as an eye sees no single
//! pixels.

use image::{Rgb, RgbImage};

/// Distances in OkLab, where the way from black to white is 100.
#[derive(Debug, Clone, Copy)]
pub struct Difference {
    pub largest: f32,
    pub mean: f32,
}

impl Difference {
    pub fn within(self, bound: Difference) -> bool {
        self.largest <= bound.largest && self.mean <= bound.mean
    }
}

fn oklab(pixel: Rgb<u8>) -> [f32; 3] {
    let [r, g, b] = pixel.0.map(|v| {
        let v = f32::from(v) / 255.0;
        if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    });
    let l = (0.412_221_46 * r + 0.536_332_55 * g + 0.051_445_995 * b).cbrt();
    let m = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
    let s = (0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b).cbrt();
    [
        0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s,
        1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s,
        0.025_904_037 * l + 0.782_771_77 * m - 0.808_675_77 * s,
    ]
}

/// Weights of a binomial blur of five pixels, about a Gaussian of σ = 1.
const BLUR: [f32; 5] = [1.0 / 16.0, 4.0 / 16.0, 6.0 / 16.0, 4.0 / 16.0, 1.0 / 16.0];

/// How different two pictures of one size look, and a picture of where: white is 10 and more.
pub fn perceived(a: &RgbImage, b: &RgbImage) -> (Difference, RgbImage) {
    assert_eq!(a.dimensions(), b.dimensions(), "pictures of one size");
    let (width, height) = a.dimensions();
    let off: Vec<[f32; 3]> = (a.pixels().zip(b.pixels()))
        .map(|(a, b)| {
            let (a, b) = (oklab(*a), oklab(*b));
            std::array::from_fn(|k| a[k] - b[k])
        })
        .collect();
    let at = |x: i64, y: i64| {
        let (x, y) = (x.clamp(0, i64::from(width) - 1), y.clamp(0, i64::from(height) - 1));
        off[y as usize * width as usize + x as usize]
    };
    let mut distances = Vec::with_capacity(off.len());
    for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (i64::from(x), i64::from(y)))) {
        let mut sum = [0.0; 3];
        for (j, row) in (-2..=2).zip(BLUR) {
            for (i, column) in (-2..=2).zip(BLUR) {
                let value = at(x + i, y + j);
                (0..3).for_each(|k| sum[k] += row * column * value[k]);
            }
        }
        distances.push(100.0 * sum.iter().map(|v| v * v).sum::<f32>().sqrt());
    }
    let largest = distances.iter().copied().fold(0.0, f32::max);
    let mean = distances.iter().sum::<f32>() / distances.len() as f32;
    let map = RgbImage::from_fn(width, height, |x, y| {
        Rgb([(25.5 * distances[(y * width + x) as usize]).min(255.0) as u8; 3])
    });
    (Difference { largest, mean }, map)
}
