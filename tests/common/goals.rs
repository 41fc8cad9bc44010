//! Targets that have nothing to do with what is drawn.

use super::scene::{Random, Scene};
use data_utils::dataset::Rect;
use surfeltalk::loss::{BackgroundSample, MouthLabel, Target, Weights};

/// Every term counts.
pub const WEIGHTS: Weights = Weights {
    l1: 0.8,
    dssim: 0.2,
    lips: 0.4,
    eyes: 0.3,
    gradient: 0.6,
    // Patches need a network.
    lpips: 0.0,
    lpips_lips: 0.0,
    mask: 0.1,
    mouth: 0.6,
    normal: 0.3,
    distortion: 20.0,
    attention_audio: 0.5,
    attention_expression: 0.7,
    embedding: 5.0,
};

/// One target for each camera; in every `background_every`-th pixel, and a little more seldom from frame to frame, the
/// background is known.
pub fn random_targets(scene: &Scene<f32>, background_every: usize) -> Vec<Target> {
    let mut random = Random(99);
    let camera = scene.cameras[0];
    let (w, h) = (camera.width as usize, camera.height as usize);
    let n = w * h;
    let frame = |index: usize| {
        let mut numbers =
            |count: usize| -> Vec<f32> { (0..count).map(|_| random.uniform(0.0, 1.0) as f32).collect() };
        let (color, mask_confidence, place) = (numbers(3 * n), numbers(n), numbers(n));
        let sample = |pixel: usize| BackgroundSample { pixel, color: [0.3, 0.9, pixel as f32 / n as f32] };
        Target {
            color,
            mask: place.iter().map(|v| f32::from(u8::from(*v > 0.3))).collect(),
            mask_confidence,
            background: (0..n).step_by(background_every + index).map(sample).collect(),
            audio_mask: place.iter().map(|v| *v > 0.5).collect(),
            expression_mask: place.iter().map(|v| *v > 0.7).collect(),
            lips: Some(Rect { row0: h / 3, row1: h, col0: 2, col1: w / 2 }),
            // Some frames have no eyes, and some eyes reach over the edge.
            eyes: (index != 1).then_some(Rect { row0: 0, row1: h / 3, col0: w / 2, col1: w + 9 }),
            mouth: place
                .iter()
                .map(|v| match () {
                    () if *v > 0.6 => MouthLabel::Inside,
                    () if *v > 0.3 => MouthLabel::Outside,
                    () => MouthLabel::Unknown,
                })
                .collect(),
            // Of one frame only the lips count.
            lip_only: index == 2,
        }
    };
    (0..scene.cameras.len()).map(frame).collect()
}
