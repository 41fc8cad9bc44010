//! How well held-out frames are drawn while training goes on.

use super::position::Stage;
use super::targets;
use super::trainer::Trainer;
use crate::Result;
use crate::head::backend::{Output, RenderRequest};
use crate::head::view;
use crate::loss::Composite;
use crate::metrics::psnr::psnr_masked;
use crate::metrics::ssim::ssim;
use crate::raster::Outputs;
use data_utils::dataset::Part;
use image::RgbImage;
use std::fmt;

/// Frames shown in the evaluation's picture.
const SHOWN: usize = 3;

/// Means over the held-out frames looked at: truth and drawing cut by the mask of the truth, on black.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// PSNR over the pixels of the part's mask, dB.
    pub psnr: f64,
    /// SSIM of the whole picture.
    pub ssim: f64,
    /// Mean |Δ| per pixel of the mask and channel.
    pub l1: f64,
    /// Truth above, drawn below.
    pub picture: Option<RgbImage>,
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PSNR {:.2} dB, SSIM {:.4}, L1 {:.4}", self.psnr, self.ssim, self.l1)
    }
}

/// Draws up to `count` held-out frames, evenly spread, and scores them. In the coarse stage the cloud is drawn as it is.
///
/// # Errors
/// Those of reading frames and of drawing.
pub fn evaluate(trainer: &mut Trainer<'_>, count: usize) -> Result<Evaluation> {
    let dataset = trainer.dataset;
    let val = dataset.val_indices();
    let held_out: Vec<usize> = if val.is_empty() { dataset.train_indices() } else { val }.collect();
    let count = count.clamp(1, held_out.len());
    let part: Part = trainer.config.part;
    let (stage, _) = trainer.position();
    let mut sums = [0.0f64; 3];
    let mut pairs = Vec::new();
    for k in 0..count {
        let index = held_out[k * held_out.len() / count];
        let camera = view(part, &dataset.frames[index].camera);
        let conditions = match stage {
            Stage::Coarse => Vec::new(),
            Stage::Fine => vec![trainer.conditions(index, true)?],
        };
        let request = RenderRequest {
            conditions: &conditions,
            cameras: &[camera],
            background: [0.0; 7],
            outputs: Outputs::default(),
            output: Output::Planes,
        };
        let rendered = trainer.backend.render(&request)?.wait()?.planes;
        let target = [targets::target(dataset, index, part, [0.0; 3], &trainer.edge, false)?];
        let composite = Composite::new(&rendered, [0.0; 3], &target);
        let [target] = target;
        let truth: Vec<f32> = cut(&target.color, &target.mask);
        let drawn = cut(&composite.color, &target.mask);
        let size = [rendered.height, rendered.width];
        sums[0] += psnr_masked(&drawn, &truth, &target.mask)?.unwrap_or(0.0);
        sums[1] += ssim(&drawn, &truth, size, None)?.unwrap_or(0.0);
        let inside = f64::from(target.mask.iter().sum::<f32>().max(1.0));
        let difference = |(d, t): (&f32, &f32)| f64::from((d - t).abs());
        sums[2] += drawn.iter().zip(&truth).map(difference).sum::<f64>() / (3.0 * inside);
        if pairs.len() < SHOWN {
            pairs.push((truth, drawn));
        }
    }
    let [width, height] = dataset.size;
    let share = 1.0 / count as f64;
    let picture = Some(sheet(&pairs, width, height));
    Ok(Evaluation { psnr: sums[0] * share, ssim: sums[1] * share, l1: sums[2] * share, picture })
}

/// Planes `[3, rows, columns]` inside the mask, clipped to 0..1; black outside.
fn cut(planes: &[f32], mask: &[f32]) -> Vec<f32> {
    planes.iter().enumerate().map(|(at, c)| c.clamp(0.0, 1.0) * mask[at % mask.len()]).collect()
}

fn sheet(pairs: &[(Vec<f32>, Vec<f32>)], width: u32, height: u32) -> RgbImage {
    let n = (width * height) as usize;
    RgbImage::from_fn(width * pairs.len() as u32, 2 * height, |x, y| {
        let (truth, drawn) = &pairs[(x / width) as usize];
        let planes = if y < height { truth } else { drawn };
        let at = ((y % height) * width + x % width) as usize;
        image::Rgb(std::array::from_fn(|c| (planes[c * n + at] * 255.0).round() as u8))
    })
}
