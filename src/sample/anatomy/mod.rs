//! The sample talker's anatomy: each file makes the elements of one part of the body at rest.
//! Millimetres in the head's frame (see [`super::element`]).

pub(super) mod body;
pub(super) mod eyes;
pub(super) mod face;
pub(super) mod hair;
pub(super) mod head;
pub(super) mod mouth;
mod palette;
pub(super) mod surface;

pub(super) use palette::Palette;

use super::curve::Chance;
use super::element::Element;

/// Every element of the talker, back to front parts mixed; the order is fixed for a seed.
pub(super) fn build(seed: u64) -> Vec<Element> {
    let palette = Palette::new(seed);
    let mut out = Vec::new();
    head::build(&palette, &mut Chance::new(seed, 1), &mut out);
    face::build(&palette, &mut Chance::new(seed, 2), &mut out);
    mouth::build(&palette, &mut out);
    eyes::build(&palette, &mut Chance::new(seed, 3), &mut out);
    hair::build(&palette, &mut Chance::new(seed, 4), &mut out);
    body::build(&palette, &mut Chance::new(seed, 5), &mut out);
    out
}
