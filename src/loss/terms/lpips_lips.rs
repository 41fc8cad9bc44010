//! LPIPS of the patch around the lips, where they are known.

use crate::loss::target::{Target, crop_inside, square_around};
use crate::loss::term::{Key, Kind, PatchTerm, Phase, Term};

pub(super) const TERM: Term = Term {
    name: "lpips_lips",
    key: Some(Key { name: "lambda_lpips_lips", default: 0.01 }),
    phase: Phase::Perceptual,
    length_power: 0,
    kind: Kind::Patch(PatchTerm { place }),
};

fn place(target: &Target, side: usize, size: [usize; 2], _: [f64; 2]) -> Option<[usize; 2]> {
    let lips = crop_inside(Some(target.lips?), size);
    Some(square_around([(lips.row0 + lips.row1) / 2, (lips.col0 + lips.col1) / 2], side, size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_utils::dataset::Rect;

    #[test]
    fn the_patch_is_centred_on_the_lips_and_stays_in_the_picture() {
        let with = |lips| Target { lips, ..Target::default() };
        let at = |lips| place(&with(lips), 32, [64, 48], [0.3, 0.9]);
        assert_eq!(at(Some(Rect { row0: 20, row1: 30, col0: 30, col1: 40 })), Some([9, 19]));
        assert_eq!(at(Some(Rect { row0: 40, row1: 60, col0: 0, col1: 8 })), Some([16, 0]));
        assert_eq!(at(None), None);
    }
}
