//! The colours of a drawn face agree with the frame it is laid into: what they differ by along the mask's edge is taken away
//! there, and less and less towards the middle of the face. Smooth, so that texture and shape stay as they were drawn; what
//! gradient-domain blending does (Pérez et al., Poisson Image Editing, 2003), without its equations, whose solution would carry
//! a difference at the edge through the whole face.

use super::portrait_mask::blur;
use rayon::prelude::*;
use std::ops::RangeInclusive;

/// Side that the lengths below are for, pixels.
const SIDE: f32 = 512.0;
/// Side of a square whose differences are averaged, pixels.
const CELL: f32 = 4.0;
/// Deviation of the blur that spreads the difference along the edge and inwards, in cells.
const SPREAD: f32 = 1.5;
/// Share of the drawing, of 255, from which a pixel tells how far its colour is off, and up to which it lies at the edge.
const AT_EDGE: RangeInclusive<u8> = 64..=250;
/// A pixel that is farther off shows another shape, not another colour; grey levels.
const FARTHEST: f32 = 40.0;
/// Share of a cell's pixels at the edge, blurred, from which all of the difference is taken away.
const NEAR: f32 = 0.08;

/// Changes the colours of `picture` (RGB, `width` and any height), which shows a drawing over `filmed` as far as `mask`, 0..255,
/// says. Where the mask is 0 nothing changes; pictures of different sizes stay as they are.
pub(super) fn match_edge(picture: &mut [u8], filmed: &[u8], mask: &[u8], width: usize) {
    if width == 0 || picture.len() != 3 * mask.len() || filmed.len() != picture.len() {
        return;
    }
    let height = mask.len() / width;
    let cell = ((width.max(height) as f32 / SIDE * CELL).round() as usize).max(1);
    let columns = width.div_ceil(cell);
    let cells = columns * height.div_ceil(cell);
    // Differences of the drawing by channels, and how many pixels they are of; both over the pixels of a cell.
    let mut sums = [(); 4].map(|()| vec![0.0; cells]);
    let one = 1.0 / (cell * cell) as f32;
    for (at, share) in mask.iter().enumerate().filter(|(_, share)| AT_EDGE.contains(*share)) {
        let share = f32::from(*share) / 255.0;
        let pixel = |rgb: &[u8]| -> [f32; 3] { std::array::from_fn(|k| f32::from(rgb[3 * at + k])) };
        let (found, wanted) = (pixel(picture), pixel(filmed));
        // The rest of the picture is the frame already: the drawing is off by more.
        let off: [f32; 3] = std::array::from_fn(|k| (wanted[k] - found[k]) / share);
        if off.iter().all(|off| off.abs() <= FARTHEST) {
            let to = at / width / cell * columns + at % width / cell;
            (0..3).for_each(|k| sums[k][to] += share * one * off[k]);
            sums[3][to] += share * one;
        }
    }
    let radius = (3.0 * SPREAD).ceil() as isize;
    let sums = sums.map(|sums| blur(&sums, columns, radius, SPREAD));
    picture.par_chunks_exact_mut(3 * width).zip(mask.par_chunks_exact(width)).enumerate().for_each(
        |(y, (row, mask))| {
            for (x, share) in mask.iter().enumerate().filter(|(_, share)| **share > 0) {
                let place = [x, y].map(|v| (v as f32 + 0.5) / cell as f32 - 0.5);
                let [r, g, b, near] = sampled(&sums, columns, place);
                let strength = f32::from(*share) / 255.0 / near.max(NEAR);
                for (value, off) in row[3 * x..][..3].iter_mut().zip([r, g, b]) {
                    *value = (f32::from(*value) + strength * off).round().clamp(0.0, 255.0) as u8;
                }
            }
        },
    );
}

/// Four images of `columns` at a place between the centres of their cells.
fn sampled(images: &[Vec<f32>; 4], columns: usize, [x, y]: [f32; 2]) -> [f32; 4] {
    let rows = images[0].len() / columns;
    let between = |v: f32, count: usize| {
        let v = v.clamp(0.0, (count - 1) as f32);
        (v as usize, (v as usize + 1).min(count - 1), v.fract())
    };
    let ((left, right, u), (top, bottom, v)) = (between(x, columns), between(y, rows));
    std::array::from_fn(|k| {
        let at = |x: usize, y: usize| images[k][y * columns + x];
        let row = |y: usize| at(left, y) * (1.0 - u) + at(right, y) * u;
        row(top) * (1.0 - v) + row(bottom) * v
    })
}

#[cfg(test)]
mod tests {
    use super::super::portrait_mask::blur;
    use super::*;
    use crate::metrics::seam::seam_error;

    const SIDE: usize = 256;

    /// A soft disc, texture below it, and that texture under a drawing that is off by `levels` in red, and by a bright mouth.
    fn drawn(levels: i32) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let inside =
            |at: usize| (at % SIDE).abs_diff(128).pow(2) + (at / SIDE).abs_diff(128).pow(2) < 80 * 80;
        let hard: Vec<f32> = (0..SIDE * SIDE).map(|at| f32::from(u8::from(inside(at)))).collect();
        let mask: Vec<u8> = blur(&hard, SIDE, 4, 2.0).iter().map(|v| (255.0 * v).round() as u8).collect();
        let film: Vec<u8> = (0..3 * SIDE * SIDE).map(|i| 90 + (i * 31 % 17) as u8).collect();
        let picture = film.iter().enumerate().map(|(i, v)| {
            let (at, red) = (i / 3, i % 3 == 0);
            let mouth = (118..138).contains(&(at % SIDE)) && (160..170).contains(&(at / SIDE));
            let off = if mouth {
                60
            } else if red {
                levels
            } else {
                0
            };
            (f32::from(*v) + f32::from(mask[at]) / 255.0 * off as f32).round() as u8
        });
        (picture.collect(), film.clone(), mask)
    }

    #[test]
    fn a_redder_face_meets_the_frame_and_its_middle_stays() {
        let (mut picture, film, mask) = drawn(12);
        let before = picture.clone();
        match_edge(&mut picture, &film, &mask, SIDE);
        let edge: Vec<bool> = mask.iter().map(|share| *share >= 128).collect();
        let step = |picture: &[u8]| seam_error(picture, &film, &edge, SIDE).step.expect("a step");
        assert!(step(&before) > 2.0 && step(&picture) < 0.5, "{} {}", step(&before), step(&picture));
        let changed = |x: usize, y: usize| {
            let at = 3 * (y * SIDE + x);
            picture[at..at + 3] != before[at..at + 3]
        };
        assert!(!changed(128, 128) && !changed(128, 165), "mouth and nose are as they were drawn");
        assert!((0..mask.len()).filter(|at| mask[*at] == 0).all(|at| !changed(at % SIDE, at / SIDE)));
    }

    #[test]
    fn another_shape_at_the_edge_is_not_taken_for_another_colour() {
        // A dark contour, as of a lower jaw.
        let (mut picture, film, mask) = drawn(0);
        for at in (0..mask.len()).filter(|at| (200..212).contains(&(at / SIDE)) && mask[*at] > 0) {
            picture[3 * at..][..3].fill(10);
        }
        let before = picture.clone();
        match_edge(&mut picture, &film, &mask, SIDE);
        let most = picture.iter().zip(&before).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(most <= Some(2), "{most:?}");
    }

    #[test]
    fn pictures_of_other_sizes_stay() {
        let mut picture = vec![7; 12];
        match_edge(&mut picture, &[9; 12], &[128; 3], 2);
        match_edge(&mut picture, &[9; 9], &[128; 4], 2);
        match_edge(&mut picture, &[9; 12], &[128; 4], 0);
        assert_eq!(picture, [7; 12]);
    }
}
