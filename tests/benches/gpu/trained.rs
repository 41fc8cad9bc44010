//! Frames of a head that was trained, as a step draws them: every surfel moved by the field, with its attention.

use super::common::scene::Scene;
use data_utils::dataset::{AudioChoice, Dataset, OpenOptions};
use std::path::Path;
use surfeltalk::Result;
use surfeltalk::head::cloud::activate::activate;
use surfeltalk::head::{Head, frame_conditions};
use surfeltalk::raster::{Outputs, RasterSettings};

/// Training frames of the dataset, evenly spread.
pub(super) fn scene(head: &Path, data: &Path, frames: usize) -> Result<Scene<f32>> {
    let head = Head::load(head)?;
    let head = head.first()?;
    let audio = AudioChoice::Kind(head.settings.audio);
    let dataset = Dataset::open(data, &OpenOptions { audio, ..OpenOptions::default() })?;
    let indices: Vec<usize> = dataset.train_indices().collect();
    let picks: Vec<usize> =
        (0..frames).filter_map(|k| indices.get(k * indices.len() / frames).copied()).collect();
    let conditions: Vec<_> = picks
        .iter()
        .map(|index| frame_conditions(&head.settings, &dataset, *index, true))
        .collect::<Result<_>>()?;
    let packed = head.deform(&conditions)?;
    let deltas = head.deltas(&packed, picks.len());
    let drawn = activate(&head.cloud, head.cloud.sh_degree, Some(&deltas))?;
    Ok(Scene {
        behind: None,
        surfels: drawn.surfels,
        copies: drawn.copies,
        positions: drawn.positions,
        rotations: drawn.rotations,
        scales: drawn.scales,
        opacities: drawn.opacities,
        colors: drawn.harmonics,
        degree: Some(drawn.sh_degree),
        attention: Some(drawn.attention),
        cameras: picks.iter().map(|index| dataset.frames[*index].camera).collect(),
        settings: RasterSettings {
            background: [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0],
            outputs: Outputs { attention: true, ..Outputs::default() },
        },
    })
}
