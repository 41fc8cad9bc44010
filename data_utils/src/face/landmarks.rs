//! The 478 landmarks of a face and what is measured on them.

use super::blendshapes;
use super::graph::Graph;
use super::ibug;
use super::roi::{Border, Crop, MARGIN, Roi, wrapped};
use super::shapes::expect_shapes;
use crate::error::Result;
use crate::formats::tflite::Model;
use image::RgbImage;

/// Number of landmarks: 468 of the mesh, then five of each iris.
pub const COUNT: usize = 478;
const SIDE: usize = 256;
/// Least probability of a face, MediaPipe's default.
const MIN_SCORE: f32 = 0.5;
/// Outer corners of the person's right and left eye.
const EYE_CORNERS: [usize; 2] = [33, 263];
/// Middle of the upper and of the lower lip's inner edge.
const INNER_LIPS: [usize; 2] = [13, 14];
/// The lips' outer edge.
const OUTER_LIPS: [usize; 20] =
    [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409];

/// The landmarks of one face.
#[derive(Debug, Clone, PartialEq)]
pub struct Landmarks {
    /// 478 points: x right and y down in pixels, counted from the image's edge (a pixel's centre is at + 0.5);
    /// z in the same scale, smaller is nearer.
    pub points: Vec<[f32; 3]>,
    /// Probability that this is a face, 0..1.
    pub score: f32,
}

impl Landmarks {
    /// The 68 points of the iBUG markup, pixels (see [`ibug`]).
    pub fn ibug68(&self) -> [[f32; 2]; 68] {
        ibug::FROM_MEDIAPIPE.map(|pair| {
            let [a, b] = pair.map(|i| self.xy(usize::from(i)));
            [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0]
        })
    }

    /// The gap between the lips over the distance between the outer eye corners: 0 closed, about 0.3 wide open.
    pub fn mouth_opening(&self) -> f32 {
        let distance = |[a, b]: [usize; 2]| {
            let (a, b) = (self.xy(a), self.xy(b));
            (a[0] - b[0]).hypot(a[1] - b[1])
        };
        let eyes = distance(EYE_CORNERS);
        if eyes > 0.0 { distance(INNER_LIPS) / eyes } else { 0.0 }
    }

    /// The box around the lips: left, top, right, bottom in pixels.
    pub fn lips(&self) -> [f32; 4] {
        bounds(OUTER_LIPS.iter().map(|i| self.xy(*i)))
    }

    /// Where to look for this face in the next image of a video, as MediaPipe does.
    pub fn region(&self) -> Roi {
        let [left, top, right, bottom] = bounds((0..self.points.len()).map(|i| self.xy(i)));
        let side = MARGIN * (right - left).max(bottom - top);
        let [a, b] = EYE_CORNERS.map(|i| self.xy(i));
        Roi {
            center: [(left + right) / 2.0, (top + bottom) / 2.0],
            size: [side, side],
            rotation: wrapped((b[1] - a[1]).atan2(b[0] - a[0])),
        }
    }

    /// What the blendshape network reads: x and y of 146 points.
    pub(super) fn for_blendshapes(&self) -> impl Iterator<Item = f32> {
        blendshapes::LANDMARKS.iter().flat_map(|i| self.xy(*i))
    }

    /// The first two coordinates of a landmark; the origin where there is none.
    fn xy(&self, index: usize) -> [f32; 2] {
        self.points.get(index).map_or([0.0; 2], |p| [p[0], p[1]])
    }
}

fn bounds(points: impl Iterator<Item = [f32; 2]>) -> [f32; 4] {
    let nothing = [f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY];
    points.fold(nothing, |b, [x, y]| [b[0].min(x), b[1].min(y), b[2].max(x), b[3].max(y)])
}

/// The landmark network: a crop of 256×256, values 0..1, to 478 points and a logit.
#[derive(Debug)]
pub(super) struct Mesh {
    graph: Graph,
}

impl Mesh {
    pub(super) fn new(model: &Model, at: &str) -> Result<Self> {
        let graph = Graph::new(model, at)?;
        let outputs: [&[usize]; 3] = [&[1, 1, 1, COUNT * 3], &[1, 1, 1, 1], &[1, 1]];
        expect_shapes(&graph, at, "face landmark network", &[1, SIDE, SIDE, 3], &outputs)?;
        Ok(Mesh { graph })
    }

    /// The face in a region of an image; none when the network sees none there.
    pub(super) fn read(&self, image: &RgbImage, roi: &Roi) -> Option<Landmarks> {
        if !roi.is_valid() {
            return None;
        }
        let crop = Crop { side: SIDE, range: [0.0, 1.0], border: Border::Replicate };
        let outputs = self.graph.run(|input| roi.cut(image, &crop, input));
        let score = 1.0 / (1.0 + (-outputs.get(1)?.first()?).exp());
        let raw = outputs.first()?;
        if score.is_nan() || score <= MIN_SCORE || raw.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let scale = 1.0 / SIDE as f32;
        let points = raw.chunks_exact(3).map(|p| {
            let [x, y] = roi.point(p[0] * scale, p[1] * scale);
            [x, y, p[2] * scale * depth_scale(roi, image)]
        });
        Some(Landmarks { points: points.collect(), score })
    }
}

/// Pixels a unit of depth in a region: MediaPipe scales z by the length, in units of the image's width and
/// height, that the region's width covers, then by the image's width.
fn depth_scale(roi: &Roi, image: &RgbImage) -> f32 {
    let (sin, cos) = roi.rotation.sin_cos();
    let (width, height) = (image.width() as f32, image.height() as f32);
    roi.size[0] * cos.hypot(sin * width / height)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face() -> Landmarks {
        let mut points: Vec<[f32; 3]> = (0..COUNT).map(|i| [i as f32, 2.0 * i as f32, 0.0]).collect();
        points[33] = [100.0, 50.0, 0.0];
        points[263] = [200.0, 50.0, 0.0];
        points[13] = [150.0, 120.0, 0.0];
        points[14] = [150.0, 140.0, 0.0];
        Landmarks { points, score: 1.0 }
    }

    #[test]
    fn the_mouth_opening_is_the_gap_over_the_distance_of_the_eyes() {
        assert!((face().mouth_opening() - 0.2).abs() < 1e-6);
    }

    #[test]
    fn points_between_two_are_their_mean() {
        let points = face().ibug68();
        assert_eq!(points[0], [127.0, 254.0]);
        assert_eq!(points[3], [95.0, 190.0]);
        assert_eq!(points[27], [87.0, 174.0]);
    }

    #[test]
    fn the_next_region_is_square_and_turned_with_the_eyes() {
        let mut face = face();
        face.points.iter_mut().for_each(|p| *p = [100.0 + p[0] / 10.0, 100.0 + p[1] / 10.0, 0.0]);
        face.points[33] = [110.0, 120.0, 0.0];
        face.points[263] = [120.0, 130.0, 0.0];
        let roi = face.region();
        assert_eq!(roi.size[0], roi.size[1]);
        assert!((roi.rotation - std::f32::consts::FRAC_PI_4).abs() < 1e-6);
    }

    #[test]
    fn a_face_of_too_few_points_is_measured_without_a_panic() {
        let none = Landmarks { points: Vec::new(), score: 0.0 };
        assert_eq!(none.mouth_opening(), 0.0);
        assert!(!none.region().is_valid());
    }
}
