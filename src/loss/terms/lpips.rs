//! LPIPS of a patch anywhere on the part.

use crate::loss::target::{Target, square_around};
use crate::loss::term::{Key, Kind, PatchTerm, Phase, Term};

pub(super) const TERM: Term = Term {
    name: "lpips",
    key: Some(Key { name: "lambda_lpips", default: 0.2 }),
    phase: Phase::Perceptual,
    length_power: 0,
    kind: Kind::Patch(PatchTerm { place }),
};

/// Around a pixel of the mask: a row of its box, then a column that is inside in that row.
fn place(target: &Target, side: usize, [width, height]: [usize; 2], [a, b]: [f64; 2]) -> Option<[usize; 2]> {
    let inside = |row: usize, column: usize| target.mask[row * width + column] > 0.0;
    let any = |row: &usize| (0..width).any(|column| inside(*row, column));
    let (first, last) = ((0..height).find(any)?, (0..height).rfind(any)?);
    let pick = |share: f64, count: usize| ((share * count as f64) as usize).min(count - 1);
    let wanted = first + pick(a, last - first + 1);
    // Rows between two parts of the mask may be empty.
    let row = (wanted..=last).find(any)?;
    let columns: Vec<usize> = (0..width).filter(|column| inside(row, *column)).collect();
    Some(square_around([row, columns[pick(b, columns.len())]], side, [width, height]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_lie_in_the_picture_around_the_mask_and_all_over_it() {
        let (width, height, side) = (64, 48, 32);
        let mask = (0..width * height).map(|i| f32::from(u8::from(i % width > 20 && i / width > 10)));
        let target = Target { mask: mask.collect(), ..Target::default() };
        let mut found = Vec::new();
        for i in 0..400 {
            let dice = [f64::from(i % 20) / 20.0, f64::from(i / 20) / 20.0];
            let [row, column] = place(&target, side, [width, height], dice).expect("a patch");
            assert!(row + side <= height && column + side <= width, "{row} {column}");
            found.push([row, column]);
        }
        found.sort_unstable();
        found.dedup();
        assert!(found.len() > 50, "{}", found.len());
        assert_eq!((found[0], found[found.len() - 1]), ([0, 5], [16, 32]));
    }

    #[test]
    fn a_frame_without_a_mask_has_no_patch() {
        let target = Target { mask: vec![0.0; 64 * 64], ..Target::default() };
        assert_eq!(place(&target, 32, [64, 64], [0.5, 0.5]), None);
    }
}
