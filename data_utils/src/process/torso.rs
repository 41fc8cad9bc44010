//! Neck and torso alone, extended upwards behind the head, by SyncTalk's rules (`data_utils/process.py`,
//! `extract_torso_and_gt`), so that a moving head leaves no holes.

use crate::dataset::Label;
use image::{Rgb, RgbImage, Rgba, RgbaImage};

/// Rows by which the torso is extended upwards, and the factor by which each row is darker.
const TORSO_UP: usize = 9;
const DARKER: f32 = 0.98;
/// Rows by which the neck is dilated, up and down.
const NECK_GROWS: usize = 3;
/// Rows below the top of the neck at which its colour is taken, and rows by which it is extended upwards from there.
const PUSH_DOWN: usize = 4;
const NECK_UP: usize = 48 + PUSH_DOWN + 1;
/// Blur of the extended neck: half its window, and its standard deviation (upstream passes `BORDER_DEFAULT` = 4 where
/// OpenCV expects it).
const BLUR: (isize, f32) = (2, 4.0);

/// The picture of neck and torso with straight alpha, 0 or 255; colours are 0 where alpha is. `picture` has its
/// background replaced by `plate`; `labels` are bits of [`Label`], all of one size.
pub fn torso(picture: &RgbImage, plate: &RgbImage, labels: &[u8]) -> RgbaImage {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let is = |at: usize, label: u8| labels.get(at).is_some_and(|l| l & label != 0);
    let color = |at: usize| picture.get_pixel((at % width) as u32, (at / width) as u32).0;
    let mut colors: Vec<[u8; 3]> = (0..width * height)
        .map(|at| {
            if is(at, Label::HEAD) {
                plate.get_pixel((at % width) as u32, (at / width) as u32).0
            } else {
                color(at)
            }
        })
        .collect();
    let mut shown: Vec<bool> = (0..colors.len()).map(|at| is(at, Label::TORSO)).collect();
    for x in 0..width {
        let column = (0..height).map(|y| y * width + x);
        let Some(top) = column.clone().find(|at| is(*at, Label::TORSO)) else { continue };
        if top < width || !is(top - width, Label::HEAD) {
            continue;
        }
        let from = color(top).map(f32::from);
        for k in 0..TORSO_UP {
            let Some(at) = top.checked_sub(k * width) else { break };
            colors[at] = from.map(|c| (c * DARKER.powi(k as i32)) as u8);
            shown[at] = true;
        }
    }
    let neck: Vec<bool> = (0..colors.len())
        .map(|at| {
            let (x, y) = (at % width, at / width);
            (y.saturating_sub(NECK_GROWS)..(y + NECK_GROWS + 1).min(height))
                .any(|r| is(r * width + x, Label::NECK))
        })
        .collect();
    let continued = continue_neck(&mut colors, &neck, width, &color, |at| is(at, Label::HEAD));
    let blurred: Vec<(usize, [u8; 3])> = (0..colors.len())
        .filter(|at| continued[*at])
        .map(|at| (at, blur(&colors, width, height, at)))
        .collect();
    blurred.into_iter().for_each(|(at, c)| colors[at] = c);
    let mut out = RgbaImage::new(width as u32, height as u32);
    for (at, pixel) in out.pixels_mut().enumerate() {
        if shown[at] || neck[at] || continued[at] {
            let Rgb([r, g, b]) = Rgb(colors[at]);
            *pixel = Rgba([r, g, b, 255]);
        }
    }
    out
}

/// Extends the neck upwards, blending from its colour to its mean colour. Returns the pixels that were painted.
fn continue_neck(
    colors: &mut [[u8; 3]],
    neck: &[bool],
    width: usize,
    color: &impl Fn(usize) -> [u8; 3],
    is_head: impl Fn(usize) -> bool,
) -> Vec<bool> {
    let mut painted = vec![false; colors.len()];
    let (mut sum, mut count) = ([0.0f64; 3], 0.0f64);
    for at in (0..neck.len()).filter(|at| neck[*at]) {
        sum.iter_mut().zip(color(at)).for_each(|(s, c)| *s += f64::from(c));
        count += 1.0;
    }
    let mean = sum.map(|s| (s / count.max(1.0)) as f32);
    for x in 0..width {
        let column: Vec<usize> = (x..neck.len()).step_by(width).filter(|at| neck[*at]).collect();
        let Some(&top) = column.first() else { continue };
        if top < width || !is_head(top - width) {
            continue;
        }
        // The topmost rows lie in the shadow of the chin.
        let start = top + (column.len() - 1).min(PUSH_DOWN) * width;
        if start >= colors.len() {
            continue;
        }
        let from = color(start).map(f32::from);
        for k in 0..NECK_UP {
            let Some(at) = start.checked_sub(k * width) else { break };
            let share = k as f32 / (NECK_UP - 1) as f32;
            colors[at] = std::array::from_fn(|c| (from[c] * (1.0 - share) + mean[c] * share) as u8);
            painted[at] = true;
        }
    }
    painted
}

/// A Gaussian blur at one pixel, borders mirrored about the edge pixels.
fn blur(colors: &[[u8; 3]], width: usize, height: usize, at: usize) -> [u8; 3] {
    let (radius, deviation) = BLUR;
    let mirrored = |i: isize, length: usize| {
        let last = length as isize - 1;
        let i = if i < 0 { -i } else { i };
        (if i > last { 2 * last - i } else { i }).clamp(0, last) as usize
    };
    let (x, y) = ((at % width) as isize, (at / width) as isize);
    let (mut sum, mut total) = ([0.0f32; 3], 0.0f32);
    for dy in -radius..=radius {
        for dx in -radius..=radius {
            let weight = (-((dx * dx + dy * dy) as f32) / (2.0 * deviation * deviation)).exp();
            let from = colors[mirrored(y + dy, height) * width + mirrored(x + dx, width)];
            sum.iter_mut().zip(from).for_each(|(s, c)| *s += weight * f32::from(c));
            total += weight;
        }
    }
    sum.map(|s| (s / total).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Head over neck over torso in columns 10..30 of a 40×120 picture.
    fn made() -> (RgbImage, RgbImage, Vec<u8>) {
        let label = |x: usize, y: usize| match y {
            _ if !(10..30).contains(&x) => 0,
            0..70 => Label::HEAD,
            70..80 if (15..25).contains(&x) => Label::NECK,
            _ => Label::TORSO,
        };
        let labels: Vec<u8> = (0..40 * 120).map(|i| label(i % 40, i / 40)).collect();
        let picture = RgbImage::from_fn(40, 120, |x, y| {
            Rgb(match label(x as usize, y as usize) {
                Label::HEAD => [200, 0, 0],
                Label::NECK => [150, 100, 100],
                Label::TORSO => [0, 0, 100],
                _ => [9, 99, 9],
            })
        });
        (picture, RgbImage::from_pixel(40, 120, Rgb([9, 99, 9])), labels)
    }

    #[test]
    fn neck_and_torso_go_on_under_the_head_and_nothing_else_is_shown() {
        let (picture, plate, labels) = made();
        let out = torso(&picture, &plate, &labels);
        // The torso beside the neck touches the head at row 70: nine rows from its own top pixel on.
        assert_eq!(out.get_pixel(12, 62).0[3], 255);
        assert_eq!(out.get_pixel(12, 61).0[3], 0);
        assert_eq!(out.get_pixel(12, 62).0[2], (100.0 * 0.98f32.powi(8)) as u8);
        // The grown neck begins at row 67, its colour is taken at 71 and goes on to 71 − 52 = 19.
        assert_eq!((out.get_pixel(20, 19).0[3], out.get_pixel(20, 18).0[3]), (255, 0));
        let [r, g, b, a] = out.get_pixel(20, 40).0;
        // There it is 31/52 of the way to the grown neck's mean, (131, 62, 81).
        assert_eq!([r, g, b, a], [138, 77, 88, 255]);
        for (x, y, p) in out.enumerate_pixels() {
            let inside = (10..30).contains(&x);
            assert!(p.0[3] == 255 || p.0 == [0; 4], "{x} {y}");
            assert!(inside || p.0[3] == 0, "{x} {y}");
        }
        assert_eq!(out.get_pixel(20, 100).0, [0, 0, 100, 255]);
    }

    #[test]
    fn a_frame_without_a_person_is_empty() {
        let picture = RgbImage::from_pixel(8, 8, Rgb([7; 3]));
        assert!(torso(&picture, &picture, &[0; 64]).pixels().all(|p| p.0 == [0; 4]));
    }
}
