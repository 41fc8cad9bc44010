//! Which part of the person a pixel shows: colours of `parsing/*.png`, label bits, and the masks of `--part`.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// Bits of a label; a pixel of the background has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label;

impl Label {
    /// Head with hair and inner mouth.
    pub const HEAD: u8 = 1;
    /// Neck.
    pub const NECK: u8 = 2;
    /// Torso and clothes.
    pub const TORSO: u8 = 4;
    /// Face without hair (`*_face.png`, or what stands in for it).
    pub const FACE: u8 = 8;
    /// Inside of the mouth, where the parsing tells it apart (TalkingGaussian), or teeth.
    pub const MOUTH: u8 = 16;
    /// Hair, where the parsing tells it apart (TalkingGaussian, DEGSTalk).
    pub const HAIR: u8 = 32;

    /// The label of a colour of the parsing; nothing for a colour that has no meaning.
    pub fn of_color(rgb: [u8; 3]) -> Option<u8> {
        match rgb {
            [0, 0, 255] => Some(Self::HEAD),
            [0, 255, 0] => Some(Self::NECK),
            [255, 0, 0] => Some(Self::TORSO),
            [255, 255, 255] => Some(0),
            [100, 100, 100] => Some(Self::HEAD | Self::MOUTH),
            [0, 0, 0] => Some(Self::HEAD | Self::HAIR),
            _ => None,
        }
    }

    /// The colour of a label in the parsing. FACE is not in there.
    pub fn to_color(label: u8) -> [u8; 3] {
        match label {
            l if l & Self::HAIR != 0 => [0, 0, 0],
            l if l & Self::MOUTH != 0 => [100, 100, 100],
            l if l & Self::HEAD != 0 => [0, 0, 255],
            l if l & Self::NECK != 0 => [0, 255, 0],
            l if l & Self::TORSO != 0 => [255, 0, 0],
            _ => [255, 255, 255],
        }
    }
}

/// What is trained and drawn, `--part`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Head with hair, and neck.
    #[default]
    Head,
    /// Face and the neck that adjoins it, no hair.
    Face,
    /// Head, neck and torso.
    All,
    /// Neck and torso, which follow the head.
    Torso,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Head => "head",
            Part::Face => "face",
            Part::All => "all",
            Part::Torso => "torso",
        })
    }
}

impl FromStr for Part {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "head" => Ok(Part::Head),
            "face" => Ok(Part::Face),
            "all" => Ok(Part::All),
            "torso" => Ok(Part::Torso),
            _ => Err(Error::input("--part", "head, face, all or torso", text, "choose one of these")),
        }
    }
}

/// The training mask of a part, `[height, width]` (SyncGaussianTalker's `gt_mask`).
///
/// head = head ∪ neck; all = head ∪ neck ∪ torso; torso = neck ∪ torso; face = grow₁₃(face) ∩ (head ∪ neck), then ∪ (grow₂₇(that) ∩ neck).
/// The two windows are for a picture of 512 pixels and scale with its longer side.
pub fn part_mask(labels: &[u8], width: usize, height: usize, part: Part) -> Vec<bool> {
    let any = |bits: u8| labels.iter().map(|l| l & bits != 0).collect::<Vec<bool>>();
    match part {
        Part::Head => any(Label::HEAD | Label::NECK),
        Part::All => any(Label::HEAD | Label::NECK | Label::TORSO),
        Part::Torso => any(Label::NECK | Label::TORSO),
        Part::Face => {
            let radius = |at_512: f64| ((at_512 * width.max(height) as f64 / 512.0).round() as usize).max(1);
            let mut mask = grow(&any(Label::FACE), width, radius(6.0));
            mask.iter_mut().zip(labels).for_each(|(m, l)| *m &= l & (Label::HEAD | Label::NECK) != 0);
            let near = grow(&mask, width, radius(13.0));
            for ((m, near), l) in mask.iter_mut().zip(near).zip(labels) {
                *m |= near && l & Label::NECK != 0;
            }
            mask
        }
    }
}

/// A mask grown by `radius` pixels in a square window (a max-pool of 2·radius + 1).
pub fn grow(mask: &[bool], width: usize, radius: usize) -> Vec<bool> {
    if width == 0 {
        return Vec::new();
    }
    let height = mask.len() / width;
    let mut rows = vec![false; mask.len()];
    for row in 0..height {
        let at = row * width;
        sweep(width, radius, |i| mask[at + i], |i| rows[at + i] = true);
    }
    let mut out = vec![false; mask.len()];
    for column in 0..width {
        sweep(height, radius, |i| rows[i * width + column], |i| out[i * width + column] = true);
    }
    out
}

/// Calls `set` for every index that has a set one within `radius`.
fn sweep(length: usize, radius: usize, get: impl Fn(usize) -> bool, mut set: impl FnMut(usize)) {
    let mut filled = 0;
    for i in 0..length {
        if get(i) {
            let end = (i + radius + 1).min(length);
            (filled.max(i.saturating_sub(radius))..end).for_each(&mut set);
            filled = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_goes_to_its_label_and_back() {
        for rgb in [[0, 0, 255], [0, 255, 0], [255, 0, 0], [255, 255, 255], [100, 100, 100], [0, 0, 0]] {
            assert_eq!(Label::of_color(rgb).map(Label::to_color), Some(rgb));
        }
        assert_eq!(Label::of_color([0, 0, 254]), None);
    }

    #[test]
    fn hair_and_mouth_belong_to_the_head() {
        for rgb in [[100, 100, 100], [0, 0, 0]] {
            assert_ne!(Label::of_color(rgb).expect("a label") & Label::HEAD, 0);
        }
    }

    #[test]
    fn growing_fills_the_square_around_and_stops_at_the_edge() {
        let mut mask = vec![false; 7 * 5];
        mask[2 * 7 + 6] = true;
        let grown = grow(&mask, 7, 2);
        for (i, &g) in grown.iter().enumerate() {
            assert_eq!(g, i % 7 >= 4, "pixel {i}");
        }
        assert_eq!(grow(&mask, 7, 0), mask);
    }

    #[test]
    fn the_face_takes_the_neck_below_it_and_no_hair_above() {
        // One column of 60 pixels, from the top: hair 20, face 20 (its lowest 5 not marked), neck 20.
        let labels: Vec<u8> = (0..60)
            .map(|row| match row {
                0..20 => Label::HEAD,
                20..35 => Label::HEAD | Label::FACE,
                35..40 => Label::HEAD,
                _ => Label::NECK,
            })
            .collect();
        // Radii for a side of 60: round(6·60/512) = 1 and round(13·60/512) = 2.
        let face: Vec<usize> = indices(&part_mask(&labels, 1, 60, Part::Face));
        assert_eq!(face, (19..36).collect::<Vec<_>>());
        let touching: Vec<u8> =
            labels.iter().map(|l| if *l == Label::HEAD { Label::HEAD | Label::FACE } else { *l }).collect();
        assert_eq!(indices(&part_mask(&touching, 1, 60, Part::Face)), (0..43).collect::<Vec<_>>());
        assert_eq!(indices(&part_mask(&labels, 1, 60, Part::Head)).len(), 60);
    }

    fn indices(mask: &[bool]) -> Vec<usize> {
        mask.iter().enumerate().filter(|(_, m)| **m).map(|(i, _)| i).collect()
    }

    #[test]
    fn parts_have_names() {
        for part in [Part::Head, Part::Face, Part::All, Part::Torso] {
            assert_eq!(part.to_string().parse::<Part>().expect("a part"), part);
        }
        assert!("mouth".parse::<Part>().is_err());
    }
}
