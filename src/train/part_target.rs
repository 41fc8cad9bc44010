//! What a step compares its drawing with, for each part.

use super::targets::{EdgeBand, target};
use super::torso_target::torso_target;
use crate::Result;
use crate::loss::Target;
use data_utils::dataset::{Dataset, Part};

/// What `part` should look like in frame `index` in front of the colour `background`; see [`target`] and [`torso_target`].
///
/// # Errors
/// Those of reading the frame's files.
pub(super) fn part_target(
    dataset: &Dataset,
    index: usize,
    part: Part,
    background: [f32; 3],
    edge: &EdgeBand,
    has_mouth: bool,
) -> Result<Target> {
    match part {
        Part::Torso => torso_target(dataset, index, background, edge),
        Part::Head | Part::Face | Part::All => target(dataset, index, part, background, edge, has_mouth),
    }
}
