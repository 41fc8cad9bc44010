//! Regions of an image that a network looks at: turned rectangles, cut out as MediaPipe cuts them.
//!
//! Coordinates are MediaPipe's: x · width and y · height count from the image's edge, and pixel `i` of an image
//! or of a crop is sampled at coordinate `i`. Angles turn x towards y (clockwise on the screen), in radians.
//! Follows `image_to_tensor_converter_opencv.cc` and OpenCV's `warpPerspective` with bilinear samples: source
//! coordinates are rounded to 1/32 of a pixel and samples to whole levels.

use image::RgbImage;
use pulp::{Arch, Simd, WithSimd};
use std::f32::consts::TAU;

/// How much wider than the face a region is, in detection and in tracking.
pub(crate) const MARGIN: f32 = 1.5;
/// Fractions of a pixel in which OpenCV's bilinear sampling steps.
const FRACTIONS: f64 = 32.0;

/// A turned rectangle, pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Roi {
    /// Its centre, x and y.
    pub center: [f32; 2],
    /// Its extent along its own x and y.
    pub size: [f32; 2],
    /// How far its x axis is turned from the image's, radians.
    pub rotation: f32,
}

/// What lies outside the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Border {
    /// Black.
    Zero,
    /// The nearest pixel of the image.
    Replicate,
}

/// A crop wanted by a network: a square of `side` pixels, levels 0..255 mapped onto `range`.
#[derive(Debug, Clone, Copy)]
pub struct Crop {
    /// Width and height.
    pub side: usize,
    /// Values of level 0 and of level 255.
    pub range: [f32; 2],
    /// What lies outside the image.
    pub border: Border,
}

impl Roi {
    /// The smallest unturned square around a whole image.
    pub fn around_image(width: u32, height: u32) -> Roi {
        let side = width.max(height) as f32;
        Roi { center: [0.5 * width as f32, 0.5 * height as f32], size: [side, side], rotation: 0.0 }
    }

    /// Whether it is a rectangle of numbers with an area.
    pub fn is_valid(&self) -> bool {
        let all = [self.center[0], self.center[1], self.size[0], self.size[1], self.rotation];
        all.iter().all(|v| v.is_finite() && v.abs() < 1e6) && self.size.iter().all(|s| *s > 0.0)
    }

    /// The image point of relative coordinates (0..1 along its own axes).
    pub fn point(&self, x: f32, y: f32) -> [f32; 2] {
        let (sin, cos) = self.rotation.sin_cos();
        let (x, y) = ((x - 0.5) * self.size[0], (y - 0.5) * self.size[1]);
        [self.center[0] + x * cos - y * sin, self.center[1] + x * sin + y * cos]
    }

    /// Cuts it out of an image into `out` `[side, side, 3]`.
    pub fn cut(&self, image: &RgbImage, crop: &Crop, out: &mut [f32]) {
        let [low, high] = crop.range;
        let scale = (high - low) / 255.0;
        let levels: [f32; 256] = std::array::from_fn(|v| v as f32 * scale + low);
        let affine = self.affine(crop.side);
        let source = Source {
            pixels: image.as_raw(),
            width: i64::from(image.width()),
            height: i64::from(image.height()),
            border: crop.border,
        };
        Arch::new().dispatch(Cut { source, affine, levels, side: crop.side, out });
    }

    /// Rows (d/dx, d/dy, start) that take crop pixels to image coordinates. Corners are rounded to f32 as
    /// `cv::RotatedRect::points` does.
    fn affine(&self, side: usize) -> [[f64; 3]; 2] {
        let angle = f64::from(self.rotation);
        let (a, b) = (angle.sin() as f32 * 0.5, angle.cos() as f32 * 0.5);
        let ([cx, cy], [w, h]) = (self.center, self.size);
        let bottom_left = [cx - a * h - b * w, cy + b * h - a * w];
        let top_left = [cx + a * h - b * w, cy - b * h - a * w];
        let top_right = [2.0 * cx - bottom_left[0], 2.0 * cy - bottom_left[1]];
        std::array::from_fn(|k| {
            let start = f64::from(top_left[k]);
            let step = |to: f32| (f64::from(to) - start) / side as f64;
            [step(top_right[k]), step(bottom_left[k]), start]
        })
    }
}

/// A cut, compiled for each width of vectors; a closure would not be inlined into it.
struct Cut<'a> {
    source: Source<'a>,
    affine: [[f64; 3]; 2],
    /// What each of 256 levels becomes.
    levels: [f32; 256],
    side: usize,
    out: &'a mut [f32],
}

impl WithSimd for Cut<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (y, row) in self.out.chunks_exact_mut(self.side * 3).enumerate() {
            for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                let at = self.affine.map(|[dx, dy, start]| {
                    let coordinate = dx * x as f64 + dy * y as f64 + start;
                    (coordinate * FRACTIONS).round_ties_even() as i64
                });
                let sample = self.source.sample(at);
                pixel.iter_mut().zip(sample).for_each(|(p, v)| *p = self.levels[usize::from(v)]);
            }
        }
    }
}

struct Source<'a> {
    pixels: &'a [u8],
    width: i64,
    height: i64,
    border: Border,
}

impl Source<'_> {
    /// The colour at a coordinate in 1/32 pixels.
    #[inline(always)]
    fn sample(&self, [x, y]: [i64; 2]) -> [u8; 3] {
        let (column, row) = (x >> 5, y >> 5);
        let (fx, fy) = ((x & 31) as u32, (y & 31) as u32);
        let weights = [(32 - fx) * (32 - fy), fx * (32 - fy), (32 - fx) * fy, fx * fy];
        let taps = [
            self.pixel(column, row),
            self.pixel(column + 1, row),
            self.pixel(column, row + 1),
            self.pixel(column + 1, row + 1),
        ];
        std::array::from_fn(|k| {
            let sum: u32 = taps.iter().zip(weights).map(|(tap, w)| u32::from(tap[k]) * w).sum();
            ((sum + 512) >> 10) as u8
        })
    }

    #[inline(always)]
    fn pixel(&self, column: i64, row: i64) -> [u8; 3] {
        let inside = (0..self.width).contains(&column) && (0..self.height).contains(&row);
        if !inside && self.border == Border::Zero {
            return [0; 3];
        }
        let (column, row) = (column.clamp(0, self.width - 1), row.clamp(0, self.height - 1));
        let at = ((row * self.width + column) * 3) as usize;
        match self.pixels.get(at..at + 3) {
            Some(p) => [p[0], p[1], p[2]],
            None => [0; 3],
        }
    }
}

/// The angle from −π to π.
pub(crate) fn wrapped(angle: f32) -> f32 {
    angle - TAU * ((angle + TAU / 2.0) / TAU).floor()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> RgbImage {
        RgbImage::from_fn(16, 16, |x, y| image::Rgb([(x * 10) as u8, (y * 10) as u8, 7]))
    }

    #[test]
    fn a_crop_of_the_image_itself_is_the_image() {
        let mut out = vec![0.0; 16 * 16 * 3];
        let crop = Crop { side: 16, range: [0.0, 255.0], border: Border::Zero };
        Roi::around_image(16, 16).cut(&ramp(), &crop, &mut out);
        let levels: Vec<f32> = ramp().as_raw().iter().map(|v| f32::from(*v)).collect();
        assert_eq!(out, levels);
    }

    #[test]
    fn a_quarter_turn_brings_columns_to_rows() {
        let mut out = vec![0.0; 8 * 8 * 3];
        let roi = Roi { center: [8.0, 8.0], size: [8.0, 8.0], rotation: TAU / 4.0 };
        roi.cut(&ramp(), &Crop { side: 8, range: [0.0, 255.0], border: Border::Zero }, &mut out);
        // The crop's x runs down the image, its y runs to the left: pixel (x, y) is image (12 − y, 4 + x).
        for (i, pixel) in out.chunks_exact(3).enumerate() {
            let (x, y) = (i % 8, i / 8);
            assert_eq!(pixel, [(12 - y) as f32 * 10.0, (4 + x) as f32 * 10.0, 7.0], "{x} {y}");
        }
    }

    #[test]
    fn outside_is_black_or_the_nearest_pixel() {
        let roi = Roi { center: [-20.0, 8.0], size: [8.0, 8.0], rotation: 0.0 };
        for (border, level) in [(Border::Zero, 0.0), (Border::Replicate, 7.0)] {
            let mut out = vec![1.0; 4 * 4 * 3];
            roi.cut(&ramp(), &Crop { side: 4, range: [0.0, 255.0], border }, &mut out);
            assert!(out.chunks_exact(3).all(|p| p[0] == 0.0 && p[2] == level), "{border:?}");
        }
    }

    #[test]
    fn values_between_pixels_are_bilinear() {
        let mut out = vec![0.0; 3];
        let roi = Roi { center: [4.25, 6.75], size: [1.0, 1.0], rotation: 0.0 };
        roi.cut(&ramp(), &Crop { side: 1, range: [0.0, 255.0], border: Border::Zero }, &mut out);
        assert_eq!(out, [38.0, 63.0, 7.0]); // 37.5 and 62.5 to whole levels
    }

    #[test]
    fn a_relative_point_goes_where_the_crop_took_it_from() {
        let roi = Roi { center: [5.0, 6.0], size: [4.0, 2.0], rotation: TAU / 4.0 };
        let [x, y] = roi.point(1.0, 0.5);
        assert!((x - 5.0).abs() < 1e-5 && (y - 8.0).abs() < 1e-5);
    }

    #[test]
    fn angles_are_wrapped_into_one_turn() {
        for (angle, expected) in [(0.0, 0.0), (4.0, 4.0 - TAU), (-4.0, TAU - 4.0), (7.0, 7.0 - TAU)] {
            assert!((wrapped(angle) - expected).abs() < 1e-5);
        }
    }
}
