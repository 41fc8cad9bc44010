//! A clip out of the dataset that a head is trained on.

use super::frames::{Clip, ClipFrame};
use super::plates::{Compressed, Plate, Plates};
use crate::Result;
use crate::head::motion::Motion;
use crate::head::voice_statistics::VoiceStatistics;
use data_utils::dataset::{Dataset, FrameMeta, FramePixels, Label, Part, Split};
use rayon::prelude::*;

impl Clip {
    /// What a head of `part` needs of its dataset. Decodes every frame once.
    ///
    /// # Errors
    /// [`crate::Error::Input`] for a file of the dataset that cannot be decoded.
    pub fn of(dataset: &Dataset, part: Part) -> Result<Self> {
        let compressed: Vec<Compressed> = (0..dataset.frames.len())
            .into_par_iter()
            .map(|index| Compressed::new(&Plate::of(dataset, index, part)?))
            .collect::<Result<_>>()?;
        let mut plates = Plates::default();
        compressed.iter().for_each(|plate| plates.push(plate));
        let background = match dataset.has_background() {
            true => data_utils::media::files::png(&dataset.background()?)?,
            false => Vec::new(),
        };
        Ok(Clip {
            size: dataset.size,
            frames: Clip::frames_of(dataset),
            voice: VoiceStatistics::of(&dataset.audio),
            motion: Motion::of(dataset, None)?,
            background,
            plates,
        })
    }

    /// The frames of a dataset, without their pictures.
    pub fn frames_of(dataset: &Dataset) -> Vec<ClipFrame> {
        let frame = |frame: &FrameMeta| ClipFrame {
            img_id: frame.img_id,
            audio_row: frame.aud_id,
            held_out: frame.split == Split::Val,
            camera: frame.camera,
            expression: frame.expression,
        };
        dataset.frames.iter().map(frame).collect()
    }
}

impl Plate {
    /// Torso and clothes of a dataset's frame, for a head of `part`: one that has learned its clothes is not hidden by those
    /// that were filmed.
    ///
    /// # Errors
    /// As [`Clip::of`].
    pub fn of(dataset: &Dataset, index: usize, part: Part) -> Result<Self> {
        let torso = dataset.torso(index)?;
        let clothes = match part {
            Part::All => None,
            Part::Head | Part::Face | Part::Torso => Some(clothes_mask(&*dataset.pixels(index)?)),
        };
        Ok(Plate::crop(&torso, clothes.as_deref()))
    }
}

/// How much of the head the clothes hide, 0..1, `[rows, columns]`: collar and neck do not move as one, so where clothes were
/// filmed they stay in front of the drawn neck. All of what is labelled torso hides it, less along the edge, where a filmed
/// pixel shows both: a pixel counts by the share of its 3×3 neighbours that are labelled torso.
pub fn clothes_mask(frame: &FramePixels) -> Vec<f32> {
    let (width, height) = (frame.width as usize, frame.height as usize);
    let clothes = |x: usize, y: usize| frame.labels[y * width + x] & Label::TORSO != 0;
    let around = |at: usize, side: usize| at.saturating_sub(1)..(at + 2).min(side);
    (0..width * height)
        .map(|i| {
            let (x, y) = (i % width, i / width);
            if !clothes(x, y) {
                return 0.0;
            }
            let (rows, columns) = (around(y, height), around(x, width));
            let seen = rows.len() * columns.len();
            let dressed =
                rows.flat_map(|v| columns.clone().map(move |u| (u, v))).filter(|(u, v)| clothes(*u, *v));
            dressed.count() as f32 / seen as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clothes_hide_the_head_where_they_were_filmed_and_softly_along_their_edge() {
        // Four rows of neck above three of clothes.
        let labels =
            [[Label::NECK; 5]; 4].concat().into_iter().chain([[Label::TORSO; 5]; 3].concat()).collect();
        let frame = FramePixels { width: 5, height: 7, rgb: vec![0; 105], labels };
        let mask = clothes_mask(&frame);
        for (row, expected) in [0.0, 0.0, 0.0, 0.0, 2.0 / 3.0, 1.0, 1.0].into_iter().enumerate() {
            let row_of_mask = &mask[5 * row..5 * row + 5];
            assert!(row_of_mask.iter().all(|v| (v - expected).abs() < 1e-6), "row {row}: {mask:?}");
        }
    }
}
