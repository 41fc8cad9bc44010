//! What a drawn torso is compared with: neck and clothes of a frame, which go on a little under the head.

use super::edge_band::{EDGE_CONFIDENCE, EdgeBand};
use crate::Result;
use crate::loss::{BackgroundSample, MouthLabel, Target};
use crate::metrics::planes::masked_planes;
use data_utils::dataset::{Dataset, Label, Rect};

/// What the torso of frame `index` should look like in front of the colour `background`, and along its edge in front of the
/// filmed background. Which pixels show the neck, the layer behind the clothes, is told as the inside of the mouth is in a head.
///
/// # Errors
/// Those of reading the frame's files.
pub(super) fn torso_target(
    dataset: &Dataset,
    index: usize,
    background: [f32; 3],
    edge: &EdgeBand,
) -> Result<Target> {
    let (pixels, torso) = (dataset.pixels(index)?, dataset.torso(index)?);
    let [width, height] = [pixels.width as usize, pixels.height as usize];
    let mask: Vec<f32> = torso.pixels().map(|p| f32::from(p.0[3]) / 255.0).collect();
    let rgb: Vec<u8> = torso.pixels().flat_map(|p| [p.0[0], p.0[1], p.0[2]]).collect();
    let mut color = masked_planes(&rgb, &mask, background);
    let mut mask_confidence = vec![1.0; mask.len()];
    // Behind the head nothing was filmed: there the torso's own picture says where it ends.
    let samples: Vec<BackgroundSample> = edge
        .background(&pixels, &mask)
        .into_iter()
        .filter(|sample| pixels.labels[sample.pixel] & Label::HEAD == 0)
        .collect();
    for BackgroundSample { pixel, .. } in &samples {
        mask_confidence[*pixel] = EDGE_CONFIDENCE;
        for channel in 0..3 {
            color[channel * mask.len() + pixel] = f32::from(pixels.rgb[3 * pixel + channel]) / 255.0;
        }
    }
    let layer = |(label, mask): (&u8, &f32)| match (label & Label::TORSO != 0, *mask > 0.5) {
        (true, _) => MouthLabel::Outside,
        (false, true) => MouthLabel::Inside,
        (false, false) => MouthLabel::Unknown,
    };
    Ok(Target {
        color,
        mouth: pixels.labels.iter().zip(&mask).map(layer).collect(),
        audio_mask: vec![false; mask.len()],
        expression_mask: vec![false; mask.len()],
        mask,
        mask_confidence,
        background: samples,
        // The term over the layer behind looks at this crop.
        lips: Some(Rect { row0: 0, row1: height, col0: 0, col1: width }),
        eyes: None,
        lip_only: false,
    })
}
