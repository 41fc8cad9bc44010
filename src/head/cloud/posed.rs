//! The cloud in one frame, as parameters again, for files that know no field.

use super::activate::{Deltas, activate};
use super::init::logit;
use super::surfels::{Cloud, EMBEDDING};
use crate::Result;

/// Opacities are kept so far away from 0 and 1, where the logit is infinite.
const OPACITY_MARGIN: f32 = 1e-6;
/// Scales below this have no logarithm worth writing.
const LEAST_SCALE: f32 = 1e-12;

/// `cloud` moved by the deltas of a frame, the first of them. Embeddings are zero, and no surfel is marked as the inside of the
/// mouth.
///
/// # Errors
/// As [`activate`].
pub fn posed(cloud: &Cloud, deltas: &Deltas<'_>) -> Result<Cloud> {
    let n = cloud.len();
    let mut drawn = activate(cloud, cloud.sh_degree, Some(deltas))?;
    drawn.positions.truncate(3 * n);
    drawn.rotations.truncate(4 * n);
    drawn.harmonics.truncate(3 * n * cloud.bands());
    let opacity = |o: &f32| logit(o.clamp(OPACITY_MARGIN, 1.0 - OPACITY_MARGIN));
    Ok(Cloud {
        sh_degree: cloud.sh_degree,
        positions: drawn.positions,
        rotations: drawn.rotations,
        log_scales: drawn.scales.iter().take(2 * n).map(|s| s.max(LEAST_SCALE).ln()).collect(),
        opacity_logits: drawn.opacities.iter().take(n).map(opacity).collect(),
        harmonics: drawn.harmonics,
        embedding: vec![0.0; EMBEDDING * n],
        ..Cloud::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::cloud::delta_layout::DeltaLayout;

    #[test]
    fn a_posed_cloud_is_drawn_as_the_moved_one() {
        let n = 5;
        let value = |k: usize| ((k * 37) % 19) as f32 / 19.0 - 0.4;
        let cloud = Cloud {
            sh_degree: 1,
            positions: (0..3 * n).map(value).collect(),
            rotations: (0..4 * n).map(|k| value(k) + 0.05).collect(),
            log_scales: (0..2 * n).map(|k| value(k) - 4.0).collect(),
            opacity_logits: (0..n).map(value).collect(),
            harmonics: (0..12 * n).map(value).collect(),
            embedding: vec![0.5; EMBEDDING * n],
            ..Cloud::default()
        };
        let layout = DeltaLayout::packed(4);
        let values: Vec<f32> = (0..layout.width * n).map(|k| 0.3 * value(k + 7)).collect();
        let deltas = Deltas { layout: &layout, frames: 1, values: &values };
        let moved = activate(&cloud, 1, Some(&deltas)).expect("moved");
        let still = activate(&posed(&cloud, &deltas).expect("posed"), 1, None).expect("still");
        let near =
            |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near(&moved.positions, &still.positions) && near(&moved.rotations, &still.rotations));
        assert!(near(&moved.scales, &still.scales) && near(&moved.opacities, &still.opacities));
        assert!(near(&moved.harmonics, &still.harmonics));
        assert!(!near(&moved.positions, &cloud.positions), "nothing moved");
    }
}
