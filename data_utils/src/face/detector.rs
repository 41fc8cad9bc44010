//! Finds the face: MediaPipe's short-range detector (BlazeFace, Bazarevsky et al. 2019, arXiv:1907.05047), its
//! anchors, and the weighted merging of overlapping boxes.
//!
//! The network sees the whole image, letterboxed into 128×128 with values −1..1, and gives for each of 896
//! anchors a box, six key points (right eye, left eye, nose, mouth, ears; "right" is the person's) and a logit.

use super::graph::Graph;
use super::roi::{Border, Crop, MARGIN, Roi, wrapped};
use super::shapes::expect_shapes;
use crate::error::Result;
use crate::formats::tflite::Model;
use image::RgbImage;

const SIDE: usize = 128;
const ANCHORS: usize = 896;
/// Values of each anchor: x, y, width, height, and x and y of six points.
const COORDINATES: usize = 16;
/// Least probability of a face, MediaPipe's default.
const MIN_SCORE: f32 = 0.5;
/// Boxes that share more than this (intersection over union) are one face.
const MIN_OVERLAP: f32 = 0.5;
/// Boxes that share less than this are two people.
const SAME_FACE: f32 = 0.1;
/// Beyond this a logit counts as this.
const MAX_LOGIT: f32 = 100.0;

/// The detector network with its anchors.
#[derive(Debug)]
pub(super) struct Detector {
    graph: Graph,
    /// Centres, 0..1 of the letterboxed square.
    anchors: Vec<[f32; 2]>,
}

/// A face in the letterboxed square, 0..1.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Detection {
    score: f32,
    /// Left, top, right, bottom.
    bounds: [f32; 4],
    /// The person's right eye and left eye.
    eyes: [[f32; 2]; 2],
}

impl Detector {
    pub(super) fn new(model: &Model, at: &str) -> Result<Self> {
        let graph = Graph::new(model, at)?;
        expect_shapes(
            &graph,
            at,
            "face detector",
            &[1, SIDE, SIDE, 3],
            &[&[1, ANCHORS, COORDINATES], &[1, ANCHORS, 1]],
        )?;
        Ok(Detector { graph, anchors: anchors() })
    }

    /// The faces of an image, from one run of the network.
    pub(super) fn detect(&self, image: &RgbImage) -> Detections {
        let whole = Roi::around_image(image.width(), image.height());
        Detections { found: self.detections(image, &whole), whole }
    }

    /// What is probably a face, most certain first.
    fn detections(&self, image: &RgbImage, whole: &Roi) -> Vec<Detection> {
        let crop = Crop { side: SIDE, range: [-1.0, 1.0], border: Border::Zero };
        let outputs = self.graph.run(|input| whole.cut(image, &crop, input));
        match outputs.as_slice() {
            [boxes, logits] => decoded(boxes, logits, &self.anchors),
            _ => Vec::new(),
        }
    }
}

/// Everything in an image that is probably a face.
pub(super) struct Detections {
    /// The most certain first.
    found: Vec<Detection>,
    whole: Roi,
}

impl Detections {
    /// The region of the most certain face, wide enough for its landmarks.
    pub(super) fn region(&self) -> Option<Roi> {
        let roi = region(&merged(&self.found)?, &self.whole);
        roi.is_valid().then_some(roi)
    }

    /// The boxes of all faces that do not overlap a more certain one: left, top, right and bottom in pixels.
    pub(super) fn boxes(&self) -> Vec<[f32; 4]> {
        let mut kept: Vec<&Detection> = Vec::new();
        for face in &self.found {
            if kept.iter().all(|k| overlap(&k.bounds, &face.bounds) <= SAME_FACE) {
                kept.push(face);
            }
        }
        let corners = |d: &&Detection| {
            let [left, top] = self.whole.point(d.bounds[0], d.bounds[1]);
            let [right, bottom] = self.whole.point(d.bounds[2], d.bounds[3]);
            [left, top, right, bottom]
        };
        kept.iter().map(corners).collect()
    }
}

/// Two anchors at each of 16×16 places, then six at each of 8×8; all have size 1.
fn anchors() -> Vec<[f32; 2]> {
    let mut anchors = Vec::with_capacity(ANCHORS);
    for (cells, each) in [(16, 2), (8, 6)] {
        for cell in 0..cells * cells {
            let center = |i: usize| (i as f32 + 0.5) / cells as f32;
            anchors.extend(std::iter::repeat_n([center(cell % cells), center(cell / cells)], each));
        }
    }
    anchors
}

/// The boxes that are probably faces, most certain first.
fn decoded(boxes: &[f32], logits: &[f32], anchors: &[[f32; 2]]) -> Vec<Detection> {
    let mut found = Vec::new();
    for ((raw, &logit), &[ax, ay]) in boxes.chunks_exact(COORDINATES).zip(logits).zip(anchors) {
        let score = 1.0 / (1.0 + (-logit.clamp(-MAX_LOGIT, MAX_LOGIT)).exp());
        let at = |i: usize| [raw[i] / SIDE as f32 + ax, raw[i + 1] / SIDE as f32 + ay];
        let ([x, y], w, h) = (at(0), raw[2] / SIDE as f32, raw[3] / SIDE as f32);
        if score >= MIN_SCORE && w >= 0.0 && h >= 0.0 {
            let bounds = [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0];
            found.push(Detection { score, bounds, eyes: [at(4), at(6)] });
        }
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found
}

/// The most certain box, averaged by score with all that overlap it.
fn merged(found: &[Detection]) -> Option<Detection> {
    let best = *found.first()?;
    let mut sum = Detection { score: 0.0, bounds: [0.0; 4], eyes: [[0.0; 2]; 2] };
    for d in found.iter().filter(|d| overlap(&d.bounds, &best.bounds) > MIN_OVERLAP) {
        sum.score += d.score;
        sum.bounds.iter_mut().zip(d.bounds).for_each(|(s, v)| *s += v * d.score);
        let eyes = d.eyes.as_flattened();
        sum.eyes.as_flattened_mut().iter_mut().zip(eyes).for_each(|(s, v)| *s += v * d.score);
    }
    if sum.score <= 0.0 {
        return Some(best); // a box without area overlaps nothing, itself included
    }
    sum.bounds.iter_mut().for_each(|v| *v /= sum.score);
    sum.eyes.as_flattened_mut().iter_mut().for_each(|v| *v /= sum.score);
    Some(Detection { score: best.score, ..sum })
}

/// Intersection over union.
fn overlap(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let area = |r: [f32; 4]| (r[2] - r[0]).max(0.0) * (r[3] - r[1]).max(0.0);
    let shared = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    let union = area(*a) + area(*b) - shared;
    if union > 0.0 { shared / union } else { 0.0 }
}

/// The box widened and turned with the line of the eyes.
fn region(face: &Detection, whole: &Roi) -> Roi {
    let [left, top, right, bottom] = face.bounds;
    let eyes = face.eyes.map(|[x, y]| whole.point(x, y));
    Roi {
        center: whole.point((left + right) / 2.0, (top + bottom) / 2.0),
        size: [MARGIN * (right - left) * whole.size[0], MARGIN * (bottom - top) * whole.size[1]],
        rotation: wrapped((eyes[1][1] - eyes[0][1]).atan2(eyes[1][0] - eyes[0][0])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_those_of_the_short_range_model() {
        let anchors = anchors();
        assert_eq!(anchors.len(), ANCHORS);
        assert_eq!(anchors[0], [0.03125, 0.03125]);
        assert_eq!(anchors[2], [0.09375, 0.03125]);
        assert_eq!(anchors[512], [0.0625, 0.0625]);
        assert_eq!(anchors[895], [0.9375, 0.9375]);
    }

    fn face(score: f32, x: f32) -> Detection {
        Detection { score, bounds: [x, 0.0, x + 0.4, 0.4], eyes: [[x, 0.1], [x + 0.2, 0.1]] }
    }

    #[test]
    fn overlapping_boxes_are_averaged_by_score_and_others_left_out() {
        let merged = merged(&[face(0.9, 0.1), face(0.6, 0.2), face(0.8, 0.6)]).expect("a face");
        let x = (0.9 * 0.1 + 0.6 * 0.2) / 1.5;
        assert!((merged.bounds[0] - x).abs() < 1e-6 && (merged.eyes[0][0] - x).abs() < 1e-6);
        assert_eq!(merged.score, 0.9);
    }

    #[test]
    fn no_box_is_no_face() {
        let logits = vec![-5.0; ANCHORS];
        assert!(merged(&decoded(&[0.0; ANCHORS * COORDINATES], &logits, &anchors())).is_none());
    }

    #[test]
    fn values_that_are_not_numbers_make_no_face() {
        let found = decoded(&[f32::NAN; ANCHORS * COORDINATES], &[f32::NAN; ANCHORS], &anchors());
        assert!(found.is_empty());
    }

    #[test]
    fn a_wide_image_is_looked_at_in_a_square_around_it() {
        let whole = Roi::around_image(200, 100);
        let roi = region(&face(0.9, 0.3), &whole);
        assert!((roi.center[0] - 100.0).abs() < 1e-3 && (roi.center[1] + 10.0).abs() < 1e-3);
        assert!((roi.size[0] - 120.0).abs() < 1e-3 && roi.rotation == 0.0);
    }
}
