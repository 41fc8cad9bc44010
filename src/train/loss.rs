//! Image losses of a step and their gradients with respect to the drawn images (weights and sources:
//! SyncGaussianTalker's training, with its sums replaced by means so that image size does not matter).

use super::config::TrainConfig;
use super::surface::normal_consistency;
use crate::metrics::ssim::SsimLoss;
use crate::raster::{ImageGradients, Rendered};
use crate::{Camera, Result};
use data_utils::dataset::Rect;
use rayon::prelude::*;

/// What one frame should look like.
pub struct Target {
    /// The frame inside the part's mask, the step's background outside, 0..1, `[3, rows, columns]`.
    pub color: Vec<f32>,
    /// 1 inside the part, 0 outside, `[rows, columns]`.
    pub mask: Vec<f32>,
    /// Where audio may be listened to: face and neck, `[rows, columns]`.
    pub face_or_neck: Vec<bool>,
    /// Where expression may be listened to: the face, `[rows, columns]`.
    pub face: Vec<bool>,
    /// The lips' crop, when landmarks are known.
    pub lips: Option<Rect>,
}

/// Which terms count in this step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// 1 − SSIM; L1 gets the rest.
    pub dssim: f32,
    /// L1 over the lips' crop.
    pub lips: f32,
    /// Cross-entropy of alpha and mask.
    pub mask: f32,
    /// Normal consistency.
    pub normal: f32,
    /// Distortion.
    pub distortion: f32,
    /// Audio attention outside face and neck.
    pub attention_audio: f32,
    /// Expression attention outside the face.
    pub attention_expression: f32,
}

impl Weights {
    /// The static stage at `step`; `extent` is half the size of the initial cloud.
    pub fn coarse(config: &TrainConfig, step: u64, extent: f32) -> Self {
        let surface = step >= config.surface_from;
        Weights {
            dssim: config.lambda_dssim,
            lips: 0.0,
            mask: config.lambda_mask,
            normal: if surface { config.lambda_normal } else { 0.0 },
            distortion: if surface { config.lambda_distortion / (extent * extent) } else { 0.0 },
            attention_audio: 0.0,
            attention_expression: 0.0,
        }
    }

    /// The stage with the field at `step` of that stage.
    pub fn fine(config: &TrainConfig, step: u64) -> Self {
        let attention = if step >= config.attention_from { 1.0 } else { 0.0 };
        Weights {
            dssim: config.lambda_dssim,
            lips: config.lambda_lips,
            mask: config.lambda_mask,
            normal: 0.0,
            distortion: 0.0,
            attention_audio: attention * config.lambda_attention_audio,
            attention_expression: attention * config.lambda_attention_expression,
        }
    }

    /// The images the terms need.
    pub fn outputs(&self) -> crate::raster::Outputs {
        crate::raster::Outputs {
            attention: self.attention_audio > 0.0 || self.attention_expression > 0.0,
            depth: self.normal > 0.0,
            median: false,
            normal: self.normal > 0.0,
            distortion: self.distortion > 0.0,
        }
    }
}

/// The terms of a step, each a mean over the batch, before its weight.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct LossTerms {
    /// What was descended.
    pub total: f32,
    /// Mean |Δ| per pixel of the mask and channel.
    pub l1: f32,
    /// 1 − SSIM.
    pub dssim: f32,
    /// Mean |Δ| over the lips' crop.
    pub lips: f32,
    /// Cross-entropy of alpha and mask.
    pub mask: f32,
    /// Normal consistency.
    pub normal: f32,
    /// Mean distortion.
    pub distortion: f32,
    /// Audio attention outside face and neck.
    pub attention_audio: f32,
    /// Expression attention outside the face.
    pub attention_expression: f32,
}

/// Loss, gradients and the mouth error of each frame.
pub struct Loss {
    /// The terms.
    pub terms: LossTerms,
    /// With respect to the drawn images.
    pub gradients: ImageGradients,
    /// Mean |Δ| over the lips' crop of each frame, 0 where it is not known.
    pub mouth_errors: Vec<f32>,
}

struct FrameLoss {
    terms: LossTerms,
    color: Vec<f32>,
    alpha: Vec<f32>,
    attention: Vec<f32>,
    normal: Vec<f32>,
    depth: Vec<f32>,
    distortion: Vec<f32>,
}

/// Scores a drawn batch against its targets. Frames are added in order, so the result does not depend on threads.
///
/// # Errors
/// [`crate::Error::Internal`] when the SSIM of an image cannot be taken.
pub fn image_loss(
    rendered: &Rendered,
    cameras: &[Camera],
    targets: &[Target],
    weights: &Weights,
) -> Result<Loss> {
    let frames: Vec<FrameLoss> = targets
        .par_iter()
        .enumerate()
        .map(|(frame, target)| frame_loss(rendered, frame, &cameras[frame], target, weights))
        .collect::<Result<_>>()?;
    let mut gradients = ImageGradients::default();
    let mut terms = LossTerms::default();
    let share = 1.0 / targets.len() as f32;
    let mut mouth_errors = Vec::with_capacity(frames.len());
    for frame in &frames {
        let t = &frame.terms;
        mouth_errors.push(t.lips);
        for (sum, value) in [
            (&mut terms.l1, t.l1),
            (&mut terms.dssim, t.dssim),
            (&mut terms.lips, t.lips),
            (&mut terms.mask, t.mask),
            (&mut terms.normal, t.normal),
            (&mut terms.distortion, t.distortion),
            (&mut terms.attention_audio, t.attention_audio),
            (&mut terms.attention_expression, t.attention_expression),
        ] {
            *sum += share * value;
        }
        for (all, one) in [
            (&mut gradients.color, &frame.color),
            (&mut gradients.alpha, &frame.alpha),
            (&mut gradients.attention, &frame.attention),
            (&mut gradients.normal, &frame.normal),
            (&mut gradients.depth, &frame.depth),
            (&mut gradients.distortion, &frame.distortion),
        ] {
            all.extend(one.iter().map(|g| g * share));
        }
    }
    terms.total = (1.0 - weights.dssim) * terms.l1
        + weights.dssim * terms.dssim
        + weights.lips * terms.lips
        + weights.mask * terms.mask
        + weights.normal * terms.normal
        + weights.distortion * terms.distortion
        + weights.attention_audio * terms.attention_audio
        + weights.attention_expression * terms.attention_expression;
    Ok(Loss { terms, gradients, mouth_errors })
}

fn frame_loss(
    rendered: &Rendered,
    frame: usize,
    camera: &Camera,
    target: &Target,
    weights: &Weights,
) -> Result<FrameLoss> {
    let (w, h) = (rendered.width, rendered.height);
    let n = w * h;
    let color = &rendered.color[frame * 3 * n..][..3 * n];
    let alpha = &rendered.alpha[frame * n..][..n];
    let mut terms = LossTerms::default();
    let inside = target.mask.iter().sum::<f32>().max(1.0);

    let mut d_color = vec![0.0; 3 * n];
    let each = 1.0 / (3.0 * inside);
    let mut l1 = 0.0f64;
    for ((g, c), t) in d_color.iter_mut().zip(color).zip(&target.color) {
        l1 += f64::from((c - t).abs());
        *g = (1.0 - weights.dssim) * each * sign(c - t);
    }
    terms.l1 = l1 as f32 * each;

    if weights.dssim > 0.0 {
        let mut ssim = SsimLoss::new(3, h, w);
        let value = ssim.value_and_gradient(color, &target.color, -weights.dssim, &mut d_color)?;
        terms.dssim = (1.0 - value) as f32;
    }

    if let Some(rect) = target.lips {
        let (rows, cols) = (rect.row0..rect.row1.min(h), rect.col0..rect.col1.min(w));
        let each = 1.0 / (3 * rows.len().max(1) * cols.len().max(1)) as f32;
        let mut sum = 0.0f64;
        for channel in 0..3 {
            for row in rows.clone() {
                for at in cols.clone().map(|col| channel * n + row * w + col) {
                    let difference = color[at] - target.color[at];
                    sum += f64::from(difference.abs());
                    d_color[at] += weights.lips * each * sign(difference);
                }
            }
        }
        terms.lips = sum as f32 * each;
    }

    let mut d_alpha = vec![0.0; if weights.mask > 0.0 || weights.normal > 0.0 { n } else { 0 }];
    if weights.mask > 0.0 {
        terms.mask = cross_entropy(alpha, &target.mask, weights.mask, &mut d_alpha);
    }

    let (mut d_normal, mut d_depth) = (Vec::new(), Vec::new());
    if weights.normal > 0.0 {
        let normals = &rendered.normal[frame * 3 * n..][..3 * n];
        let mut found = normal_consistency(camera, normals, &rendered.depth[frame * n..][..n], alpha);
        terms.normal = found.value;
        for g in found.normal.iter_mut().chain(&mut found.depth).chain(&mut found.alpha) {
            *g *= weights.normal;
        }
        d_alpha.iter_mut().zip(&found.alpha).for_each(|(g, a)| *g += a);
        (d_normal, d_depth) = (found.normal, found.depth);
    }

    let mut d_distortion = Vec::new();
    if weights.distortion > 0.0 {
        let map = &rendered.distortion[frame * n..][..n];
        terms.distortion = (map.iter().map(|d| f64::from(*d)).sum::<f64>() / n as f64) as f32;
        d_distortion = vec![weights.distortion / n as f32; n];
    }

    let mut d_attention = Vec::new();
    if weights.attention_audio > 0.0 || weights.attention_expression > 0.0 {
        let a = &rendered.attention[frame * 4 * n..][..4 * n];
        d_attention = vec![0.0; 4 * n];
        let each = 1.0 / n as f32;
        for at in (0..n).filter(|at| target.mask[*at] > 0.0) {
            if !target.face_or_neck[at] {
                terms.attention_audio += each * (a[at] - a[3 * n + at]);
                d_attention[at] += weights.attention_audio * each;
                d_attention[3 * n + at] -= weights.attention_audio * each;
            }
            if !target.face[at] {
                terms.attention_expression += each * a[n + at];
                d_attention[n + at] += weights.attention_expression * each;
            }
        }
    }
    Ok(FrameLoss {
        terms,
        color: d_color,
        alpha: d_alpha,
        attention: d_attention,
        normal: d_normal,
        depth: d_depth,
        distortion: d_distortion,
    })
}

/// Mean cross-entropy of alpha against the mask; adds its weighted gradient. Alpha is kept a little off 0 and 1,
/// where the logarithm would blow up.
fn cross_entropy(alpha: &[f32], mask: &[f32], weight: f32, gradient: &mut [f32]) -> f32 {
    const EDGE: f32 = 1e-3;
    let each = 1.0 / alpha.len() as f32;
    let mut sum = 0.0f64;
    for ((a, m), g) in alpha.iter().zip(mask).zip(gradient) {
        let c = a.clamp(EDGE, 1.0 - EDGE);
        sum -= f64::from(m * c.ln() + (1.0 - m) * (1.0 - c).ln());
        *g += weight * each * (c - m) / (c * (1.0 - c));
    }
    sum as f32 * each
}

fn sign(v: f32) -> f32 {
    if v > 0.0 {
        1.0
    } else if v < 0.0 {
        -1.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize, seed: u32) -> Vec<f32> {
        (0..n as u32)
            .map(|i| {
                ((i.wrapping_mul(2654435761).wrapping_add(seed.wrapping_mul(40503)) >> 8) % 1000) as f32
                    / 1000.0
            })
            .collect()
    }

    fn case() -> (Rendered, Vec<Camera>, Vec<Target>, Weights) {
        let (w, h) = (24usize, 20usize);
        let n = w * h;
        let rendered = Rendered {
            frames: 2,
            width: w,
            height: h,
            color: noise(6 * n, 1),
            attention: noise(8 * n, 2),
            alpha: noise(2 * n, 3).iter().map(|a| 0.2 + 0.6 * a).collect(),
            depth: noise(2 * n, 4).iter().map(|a| 1.0 + 0.02 * a).collect(),
            median: Vec::new(),
            normal: noise(6 * n, 5),
            distortion: noise(2 * n, 6),
            radii: Vec::new(),
            state: Box::new(()),
        };
        let camera_from_world = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
        let camera = Camera {
            camera_from_world,
            fx: 40.0,
            fy: 40.0,
            cx: 11.5,
            cy: 9.5,
            width: w as u32,
            height: h as u32,
        };
        let target = |seed| Target {
            color: noise(3 * n, seed),
            mask: noise(n, seed + 1).iter().map(|v| v.round()).collect(),
            face_or_neck: noise(n, seed + 2).iter().map(|v| *v > 0.4).collect(),
            face: noise(n, seed + 2).iter().map(|v| *v > 0.6).collect(),
            lips: Some(Rect { row0: 8, row1: 14, col0: 6, col1: 16 }),
        };
        let weights = Weights {
            dssim: 0.2,
            lips: 0.4,
            mask: 0.1,
            normal: 0.0,
            distortion: 0.3,
            attention_audio: 0.4,
            attention_expression: 0.4,
        };
        (rendered, vec![camera; 2], vec![target(10), target(20)], weights)
    }

    #[test]
    fn gradients_agree_with_central_differences_of_the_total() {
        let (mut rendered, cameras, targets, weights) = case();
        let loss = image_loss(&rendered, &cameras, &targets, &weights).expect("scored");
        let n = 24 * 20;
        type Pick = fn(&mut Rendered) -> &mut Vec<f32>;
        let cases: [(Pick, &Vec<f32>, usize); 4] = [
            (|r| &mut r.color, &loss.gradients.color, 6 * n),
            (|r| &mut r.alpha, &loss.gradients.alpha, 2 * n),
            (|r| &mut r.attention, &loss.gradients.attention, 8 * n),
            (|r| &mut r.distortion, &loss.gradients.distortion, 2 * n),
        ];
        for (kind, (pick, gradient, len)) in cases.into_iter().enumerate() {
            assert_eq!(gradient.len(), len);
            for at in (0..len).step_by(len / 23) {
                let h = 2e-3f32;
                let keep = pick(&mut rendered)[at];
                let mut at_value = |v: f32| {
                    pick(&mut rendered)[at] = v;
                    f64::from(
                        image_loss(&rendered, &cameras, &targets, &weights).expect("scored").terms.total,
                    )
                };
                let slope = ((at_value(keep + h) - at_value(keep - h)) / f64::from(2.0 * h)) as f32;
                at_value(keep);
                assert!(
                    (slope - gradient[at]).abs() < 0.05 * slope.abs() + 1e-4,
                    "image {kind} at {at}: {} against {slope}",
                    gradient[at]
                );
            }
        }
    }

    #[test]
    fn a_perfect_picture_has_no_colour_loss() {
        let (mut rendered, cameras, targets, weights) = case();
        rendered.color = targets.iter().flat_map(|t| t.color.clone()).collect();
        let terms = image_loss(&rendered, &cameras, &targets, &weights).expect("scored").terms;
        assert!(terms.l1 == 0.0 && terms.lips == 0.0 && terms.dssim.abs() < 1e-5);
    }
}
