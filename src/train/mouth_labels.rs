//! Which pixels show the inside of the mouth, by the inner edge of the lips.

use crate::loss::MouthLabel;
use data_utils::dataset::{FramePixels, Label, Points68, Rect};

/// The inner edge of the lips among the 68 landmarks of iBUG 300-W.
pub(super) const INNER_LIPS: std::ops::Range<usize> = 60..68;
/// How near the edge of the lips a label cannot be told, as a part of the longer side of the image: 1.2 pixels of 512.
const MARGIN: f32 = 1.2 / 512.0;

/// The labels of a frame, `[rows, columns]`. Pixels that the parsing calls mouth are inside; elsewhere the polygon of the inner
/// lips decides. Outside `crop`, that of the lips, nothing is told.
pub(super) fn mouth_labels(pixels: &FramePixels, landmarks: &Points68, crop: Rect) -> Vec<MouthLabel> {
    let (width, height) = (pixels.width as usize, pixels.height as usize);
    let margin = MARGIN * width.max(height) as f32;
    let lips = &landmarks[INNER_LIPS];
    let mut labels = vec![MouthLabel::Unknown; width * height];
    for row in crop.row0..crop.row1.min(height) {
        for column in crop.col0..crop.col1.min(width) {
            let at = row * width + column;
            let point = [column as f32, row as f32];
            labels[at] = match () {
                () if pixels.labels[at] & Label::MOUTH != 0 => MouthLabel::Inside,
                () if distance_to_edge(lips, point) < margin => MouthLabel::Unknown,
                () if is_inside(lips, point) => MouthLabel::Inside,
                () => MouthLabel::Outside,
            };
        }
    }
    labels
}

/// Area of the polygon of the inner lips, pixels.
pub(super) fn opening_area(landmarks: &Points68) -> f32 {
    let lips = &landmarks[INNER_LIPS];
    let sides = lips.iter().zip(lips.iter().cycle().skip(1));
    sides.map(|(a, b)| a[0] * b[1] - a[1] * b[0]).sum::<f32>().abs() / 2.0
}

/// Whether a point lies inside a polygon (even-odd rule).
pub(super) fn is_inside(polygon: &[[f32; 2]], [x, y]: [f32; 2]) -> bool {
    let sides = polygon.iter().zip(polygon.iter().cycle().skip(1));
    let crossed = sides
        .filter(|(a, b)| (a[1] > y) != (b[1] > y) && x < a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]));
    crossed.count() % 2 == 1
}

/// Distance of a point to the nearest side of a polygon.
fn distance_to_edge(polygon: &[[f32; 2]], point: [f32; 2]) -> f32 {
    let sides = polygon.iter().zip(polygon.iter().cycle().skip(1));
    let distances = sides.map(|(a, b)| {
        let (along, to) = ([b[0] - a[0], b[1] - a[1]], [point[0] - a[0], point[1] - a[1]]);
        let squared = along[0] * along[0] + along[1] * along[1];
        let t = match squared > 0.0 {
            true => ((to[0] * along[0] + to[1] * along[1]) / squared).clamp(0.0, 1.0),
            false => 0.0,
        };
        (to[0] - t * along[0]).hypot(to[1] - t * along[1])
    });
    distances.fold(f32::INFINITY, f32::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mouth 20 columns wide and `open` rows high around column 32, row 32.
    fn landmarks(open: f32) -> Points68 {
        let mut points = [[0.0; 2]; 68];
        for (k, point) in points[INNER_LIPS].iter_mut().enumerate() {
            let angle = k as f32 / 8.0 * std::f32::consts::TAU;
            *point = [32.0 + 10.0 * angle.cos(), 32.0 + open / 2.0 * angle.sin()];
        }
        points
    }

    fn labels(open: f32, parsing: u8) -> Vec<MouthLabel> {
        let pixels =
            FramePixels { width: 64, height: 64, rgb: vec![0; 3 << 12], labels: vec![parsing; 1 << 12] };
        mouth_labels(&pixels, &landmarks(open), Rect { row0: 16, row1: 48, col0: 16, col1: 48 })
    }

    #[test]
    fn an_open_mouth_is_seen_inside_and_skin_outside() {
        let labels = labels(12.0, Label::HEAD);
        assert_eq!(labels[32 * 64 + 32], MouthLabel::Inside);
        assert_eq!(labels[20 * 64 + 32], MouthLabel::Outside);
        assert_eq!(labels[5 * 64 + 32], MouthLabel::Unknown, "outside the crop");
        let inside = labels.iter().filter(|label| **label == MouthLabel::Inside).count() as f32;
        assert!((inside - opening_area(&landmarks(12.0))).abs() < 20.0, "{inside}");
    }

    #[test]
    fn a_closed_mouth_shows_nothing_inside() {
        assert!(labels(0.0, Label::HEAD).iter().all(|label| *label != MouthLabel::Inside));
    }

    #[test]
    fn teeth_of_the_parsing_are_inside() {
        let labels = labels(0.0, Label::HEAD | Label::MOUTH);
        assert_eq!(labels[20 * 64 + 20], MouthLabel::Inside);
    }
}
