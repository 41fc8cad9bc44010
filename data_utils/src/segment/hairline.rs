//! Where hair begins above the forehead. The highest landmark of the forehead may lie well below it.

use super::color::{Lab, distance2};
use super::regions::FaceFrame;

/// Part of the forehead whose colour is that of its skin: heights from the middle of the face, and half the width.
const FOREHEAD: [f32; 2] = [0.3, 0.45];
const ASIDE: f32 = 0.15;
/// Half the width in which hair is looked for.
const WIDE: f32 = 0.2;
/// Heights between which skin ends at the hairline; a skull ends little higher.
const SKIN_ENDS: [f32; 2] = [0.5, 0.8];
/// Least difference of what is no skin, L*a*b*, and pixels in a row that must differ.
const OTHER: f32 = 14.0;
const IN_A_ROW: usize = 3;
/// Where hair is certain: from this much above the end of the skin to that much, face heights.
const HAIR: [f32; 2] = [0.02, 0.08];

/// Pixels just above the hairline, `[height, width]` indices.
pub fn above_hairline(picture: &Lab, frame: &FaceFrame) -> Vec<usize> {
    let Some(skin) = forehead(picture, frame) else { return Vec::new() };
    let step = 1.0 / frame.height.max(1.0);
    let columns = (WIDE * frame.width).max(0.0) as i32;
    let mut found = Vec::new();
    for column in -columns..=columns {
        let right = column as f32 / frame.width.max(1.0);
        let heights = |from: f32, to: f32| {
            let count = ((to - from) / step) as usize;
            (0..count).map(move |k| from + k as f32 * step)
        };
        let mut others = 0;
        let end = heights(SKIN_ENDS[0], SKIN_ENDS[1]).find(|up| {
            let other = pixel(picture, frame, [right, *up])
                .is_some_and(|at| distance2(picture.pixels[at], skin) > OTHER * OTHER);
            others = if other { others + 1 } else { 0 };
            others >= IN_A_ROW
        });
        if let Some(end) = end {
            found.extend(
                heights(end + HAIR[0], end + HAIR[1]).filter_map(|up| pixel(picture, frame, [right, up])),
            );
        }
    }
    found
}

/// The median colour of the forehead.
fn forehead(picture: &Lab, frame: &FaceFrame) -> Option<[f32; 3]> {
    let (rows, columns) = (12, 12);
    let place = |k: usize| {
        let [across, up] = [(k % columns) as f32 / columns as f32, (k / columns) as f32 / rows as f32];
        [(2.0 * across - 1.0) * ASIDE, FOREHEAD[0] + up * (FOREHEAD[1] - FOREHEAD[0])]
    };
    let colors: Vec<[f32; 3]> = (0..rows * columns)
        .filter_map(|k| pixel(picture, frame, place(k)).map(|at| picture.pixels[at]))
        .collect();
    let median = |k: usize| {
        let mut values: Vec<f32> = colors.iter().map(|c| c[k]).collect();
        values.sort_by(f32::total_cmp);
        values.get(values.len() / 2).copied()
    };
    Some([median(0)?, median(1)?, median(2)?])
}

/// The pixel at a place of the face; none outside of the picture.
fn pixel(picture: &Lab, frame: &FaceFrame, place: [f32; 2]) -> Option<usize> {
    let [x, y] = frame.pixel(place);
    let is_inside = x >= 0.0 && y >= 0.0 && x < picture.width as f32 && y < picture.height as f32;
    is_inside.then(|| y as usize * picture.width + x as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;

    /// A face 100 pixels high around row 120; skin up to `hairline`, hair above, up to row 20.
    fn head(hairline: u32) -> (Lab, FaceFrame) {
        let picture = RgbImage::from_fn(200, 200, |_, y| {
            image::Rgb(if y >= hairline {
                [220, 180, 160]
            } else if y >= 20 {
                [30, 25, 25]
            } else {
                [90, 120, 160]
            })
        });
        let frame = FaceFrame { center: [100.0, 120.0], up: [0.0, -1.0], width: 80.0, height: 100.0 };
        (Lab::of(&picture), frame)
    }

    #[test]
    fn hair_is_found_above_a_low_and_a_high_hairline() {
        for hairline in [66, 46] {
            let (picture, frame) = head(hairline);
            let rows: Vec<usize> = above_hairline(&picture, &frame).iter().map(|at| at / 200).collect();
            assert!(rows.len() > 100, "{hairline}: {}", rows.len());
            assert!(rows.iter().all(|row| (20..hairline as usize).contains(row)), "{hairline}: {rows:?}");
        }
    }

    #[test]
    fn skin_without_an_end_has_no_hair_above_it() {
        let (picture, frame) = head(0);
        assert!(above_hairline(&picture, &frame).is_empty());
        // A face at the upper edge of the picture.
        let frame = FaceFrame { center: [100.0, 10.0], ..frame };
        assert!(above_hairline(&picture, &frame).is_empty());
    }
}
