//! Image losses of a step and their gradients with respect to the drawn images (weights and sources:
//! SyncGaussianTalker's training, with its sums replaced by means so that image size does not matter).

use super::config::TrainConfig;
use super::shown::Shown;
use super::surface::normal_consistency;
use crate::metrics::ssim::SsimLoss;
pub use crate::raster::score::{Room, Score, Weights};
use crate::raster::{ImageGradients, Rendered};
use crate::{Camera, Result};
use data_utils::dataset::Rect;
use rayon::prelude::*;
use std::cell::Cell;

/// What one frame should look like.
pub struct Target {
    /// The frame inside the part's mask and where the room behind it is known, elsewhere the step's background; 0..1,
    /// `[3, rows, columns]`.
    pub color: Vec<f32>,
    /// 1 inside the part, 0 outside, `[rows, columns]`.
    pub mask: Vec<f32>,
    /// How much the mask is trusted, 0..1, `[rows, columns]`: less along its edge, where labels flicker.
    pub trust: Vec<f32>,
    /// Pixels in which the room behind the head is known.
    pub room: Vec<Room>,
    /// Where audio may be listened to: face and neck, `[rows, columns]`.
    pub face_or_neck: Vec<bool>,
    /// Where expression may be listened to: the face, `[rows, columns]`.
    pub face: Vec<bool>,
    /// The lips' crop, when landmarks are known.
    pub lips: Option<Rect>,
    /// The crop of eyes and brows, when landmarks are known.
    pub eyes: Option<Rect>,
    /// Whether nothing but the lips counts, as in a frame with borrowed blendshapes and pose.
    pub lips_alone: bool,
}

/// The weights of the static stage at `step`; `extent` is half the size of the initial cloud.
pub(super) fn coarse_weights(config: &TrainConfig, step: u64, extent: f32) -> Weights {
    let surface = step >= config.surface_from;
    Weights {
        dssim: config.lambda_dssim,
        mask: config.lambda_mask,
        normal: if surface { config.lambda_normal } else { 0.0 },
        distortion: if surface { config.lambda_distortion / (extent * extent) } else { 0.0 },
        ..Weights::default()
    }
}

/// The weights of the stage with the field at `step` of that stage.
pub(super) fn fine_weights(config: &TrainConfig, step: u64) -> Weights {
    let attention = if step >= config.attention_from { 1.0 } else { 0.0 };
    Weights {
        dssim: config.lambda_dssim,
        lips: config.lambda_lips,
        eyes: config.lambda_eyes,
        mask: config.lambda_mask,
        attention_audio: attention * config.lambda_attention_audio,
        attention_expression: attention * config.lambda_attention_expression,
        ..Weights::default()
    }
}

/// Loss, gradients and how hard each frame was.
pub struct Loss {
    /// The terms, means over the frames.
    pub terms: Score,
    /// With respect to the drawn images.
    pub gradients: ImageGradients,
    /// Mean |Δ| over lips, eyes and brows of each frame, what moves most; 0 where landmarks are not known.
    pub errors: Vec<f32>,
}

impl Loss {
    /// Of frames with these scores, without gradients of images.
    pub(super) fn without_gradients(frames: &[Score]) -> Self {
        Loss {
            terms: Score::mean(frames),
            gradients: ImageGradients::default(),
            errors: frames.iter().map(Score::hardness).collect(),
        }
    }
}

struct FrameLoss {
    terms: Score,
    color: Vec<f32>,
    alpha: Vec<f32>,
    attention: Vec<f32>,
    normal: Vec<f32>,
    depth: Vec<f32>,
    distortion: Vec<f32>,
}

impl FrameLoss {
    /// No loss and no gradient over `n` pixels, of the images that `weights` ask for.
    fn nothing(n: usize, weights: &Weights) -> Self {
        let zeros = |planes: usize, wanted: bool| vec![0.0; if wanted { planes * n } else { 0 }];
        let hears = weights.attention_audio > 0.0 || weights.attention_expression > 0.0;
        FrameLoss {
            terms: Score::default(),
            color: zeros(3, true),
            alpha: zeros(1, weights.mask > 0.0 || weights.normal > 0.0),
            attention: zeros(4, hears),
            normal: zeros(3, weights.normal > 0.0),
            depth: zeros(1, weights.normal > 0.0),
            distortion: zeros(1, weights.distortion > 0.0),
        }
    }
}

/// Scores a drawn batch, and what it `shown` over its room, against its targets; the colour's gradient is that of what is
/// shown ([`Shown::add_alpha_gradient`] takes it on to alpha). Frames are added in order, so the result does not depend on threads.
///
/// # Errors
/// [`crate::Error::Internal`] when the SSIM of an image cannot be taken.
pub fn image_loss(
    rendered: &Rendered,
    shown: &Shown,
    cameras: &[Camera],
    targets: &[Target],
    weights: &Weights,
) -> Result<Loss> {
    let frames: Vec<FrameLoss> = targets
        .par_iter()
        .enumerate()
        .map(|(frame, target)| frame_loss(rendered, shown, frame, &cameras[frame], target, weights))
        .collect::<Result<_>>()?;
    let mut gradients = ImageGradients::default();
    let share = 1.0 / targets.len() as f32;
    for frame in &frames {
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
    let frames: Vec<Score> = frames.iter().map(|f| f.terms).collect();
    Ok(Loss { gradients, ..Loss::without_gradients(&frames) })
}

thread_local! {
    /// Work space of the last frame: making it anew costs as much as using it.
    static SSIM: Cell<Option<SsimLoss>> = const { Cell::new(None) };
}

fn frame_loss(
    rendered: &Rendered,
    shown: &Shown,
    frame: usize,
    camera: &Camera,
    target: &Target,
    weights: &Weights,
) -> Result<FrameLoss> {
    let (w, h) = (rendered.width, rendered.height);
    let n = w * h;
    let color = &shown.color[frame * 3 * n..][..3 * n];
    let alpha = &rendered.alpha[frame * n..][..n];
    let mut terms = Score::default();
    if target.lips_alone {
        let mut found = FrameLoss::nothing(n, weights);
        if let Some(rect) = target.lips {
            found.terms.lips = crop_l1(color, &target.color, [h, w], rect, weights.lips, &mut found.color);
        }
        found.terms.total = weights.total(&found.terms);
        return Ok(found);
    }
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
        // Taken rather than borrowed: while this thread waits for others it may begin another frame.
        let kept = SSIM.take().filter(|ssim| ssim.size() == [3, h, w]);
        let mut ssim = kept.unwrap_or_else(|| SsimLoss::new(3, h, w));
        let value = ssim.value_and_gradient(color, &target.color, -weights.dssim, &mut d_color)?;
        SSIM.set(Some(ssim));
        terms.dssim = (1.0 - value) as f32;
    }

    for (rect, weight, term) in
        [(target.lips, weights.lips, &mut terms.lips), (target.eyes, weights.eyes, &mut terms.eyes)]
    {
        if let Some(rect) = rect {
            *term = crop_l1(color, &target.color, [h, w], rect, weight, &mut d_color);
        }
    }

    let mut d_alpha = vec![0.0; if weights.mask > 0.0 || weights.normal > 0.0 { n } else { 0 }];
    if weights.mask > 0.0 {
        terms.mask = cross_entropy(alpha, target, weights.mask, &mut d_alpha);
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
        let (mut audio, mut expression) = (0.0f64, 0.0f64);
        for at in (0..n).filter(|at| target.mask[*at] > 0.0) {
            if !target.face_or_neck[at] {
                audio += f64::from(a[at] - a[3 * n + at]);
                d_attention[at] += weights.attention_audio * each;
                d_attention[3 * n + at] -= weights.attention_audio * each;
            }
            if !target.face[at] {
                expression += f64::from(a[n + at]);
                d_attention[n + at] += weights.attention_expression * each;
            }
        }
        terms.attention_audio = audio as f32 * each;
        terms.attention_expression = expression as f32 * each;
    }
    terms.total = weights.total(&terms);
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

/// Mean |Δ| over a crop of planes `[3, rows, columns]`; adds its weighted gradient.
fn crop_l1(
    color: &[f32],
    target: &[f32],
    [h, w]: [usize; 2],
    rect: Rect,
    weight: f32,
    gradient: &mut [f32],
) -> f32 {
    let (rows, cols) = (rect.row0..rect.row1.min(h), rect.col0..rect.col1.min(w));
    let each = 1.0 / (3 * rows.len().max(1) * cols.len().max(1)) as f32;
    let mut sum = 0.0f64;
    for channel in 0..3 {
        for row in rows.clone() {
            for at in cols.clone().map(|col| channel * h * w + row * w + col) {
                let difference = color[at] - target[at];
                sum += f64::from(difference.abs());
                gradient[at] += weight * each * sign(difference);
            }
        }
    }
    sum as f32 * each
}

/// Mean cross-entropy of alpha against the mask as far as it is trusted; adds its weighted gradient. Alpha is kept a
/// little off 0 and 1, where the logarithm would blow up.
fn cross_entropy(alpha: &[f32], target: &Target, weight: f32, gradient: &mut [f32]) -> f32 {
    const EDGE: f32 = 1e-3;
    let each = 1.0 / alpha.len() as f32;
    let mut sum = 0.0f64;
    for (((a, m), trust), g) in alpha.iter().zip(&target.mask).zip(&target.trust).zip(gradient) {
        let c = a.clamp(EDGE, 1.0 - EDGE);
        sum -= f64::from(trust * (m * c.ln() + (1.0 - m) * (1.0 - c).ln()));
        *g += weight * each * trust * (c - m) / (c * (1.0 - c));
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
#[path = "loss_tests.rs"]
mod tests;
