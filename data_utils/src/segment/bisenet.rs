//! Face parsing by BiSeNet (Yu et al., ECCV 2018, arXiv:1808.00897) as trained on CelebAMask-HQ and published as
//! `79999_iter.pth`: 19 classes a pixel.
//!
//! A ResNet-18 gives features at 1/8, 1/16 and 1/32 of the size; two attention modules refine the coarse ones, a
//! fusion module joins them with the fine ones. Batch normalisation is folded into the convolutions. The two heads
//! that only help training are not read.

use super::regions::{self, FaceFrame};
use crate::dataset::Label;
use crate::error::{Error, Result};
use crate::face::Landmarks;
use crate::formats::weights;
use crate::network::{Conv, Named};
use candle_core::{D, Device, Tensor};
use image::RgbImage;
use std::collections::BTreeMap;
use std::path::Path;

/// Classes of the network.
pub const CLASSES: usize = 19;
/// Mean and deviation of ImageNet's colours, which inputs are normalised by.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];
/// What batch normalisation adds to the variance.
const EPSILON: f64 = 1e-5;
/// Channels of the four layers of the backbone.
const LAYERS: [usize; 4] = [64, 128, 256, 512];

/// Two convolutions and what goes past them.
#[derive(Debug, Clone)]
struct Block {
    first: Conv,
    second: Conv,
    beside: Option<Conv>,
}

impl Block {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.second.forward(&self.first.forward(x)?)?;
        let past = match &self.beside {
            Some(conv) => conv.forward(x)?,
            None => x.clone(),
        };
        Ok((past + y)?.relu()?)
    }
}

/// Attention refinement: features scaled, channel by channel, by what their mean says.
#[derive(Debug, Clone)]
struct Attention {
    conv: Conv,
    scale: Conv,
}

impl Attention {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let features = self.conv.forward(x)?;
        let scale = candle_nn::ops::sigmoid(&self.scale.forward(&pooled(&features)?)?)?;
        Ok(features.broadcast_mul(&scale)?)
    }
}

/// The network.
#[derive(Debug, Clone)]
pub struct BiSeNet {
    start: Conv,
    layers: Vec<Vec<Block>>,
    average: Conv,
    attention: [Attention; 2],
    heads: [Conv; 2],
    fusion: Conv,
    squeeze: [Conv; 2],
    out: [Conv; 2],
}

impl Named<'_> {
    /// A convolution `[to, from, side, side]`, with batch normalisation where it has one.
    fn conv(
        &self,
        name: &str,
        norm: Option<&str>,
        [to, from, side]: [usize; 3],
        stride: usize,
        relu: bool,
    ) -> Result<Conv> {
        let weight = self.tensor(&format!("{name}.weight"), &[to, from, side, side])?;
        let Some(norm) = norm else { return Ok(Conv { weight, bias: None, stride, relu }) };
        let of = |part: &str| self.tensor(&format!("{norm}.{part}"), &[to]);
        let scale = (of("weight")? / (of("running_var")? + EPSILON)?.sqrt()?)?;
        let bias = (of("bias")? - (of("running_mean")? * &scale)?)?.reshape((1, to, 1, 1))?;
        let weight = weight.broadcast_mul(&scale.reshape((to, 1, 1, 1))?)?;
        Ok(Conv { weight, bias: Some(bias), stride, relu })
    }

    /// A convolution `conv` with normalisation `bn` under one name.
    fn unit(&self, name: &str, shape: [usize; 3]) -> Result<Conv> {
        self.conv(&format!("{name}.conv"), Some(&format!("{name}.bn")), shape, 1, true)
    }

    fn block(&self, name: &str, [to, from]: [usize; 2], stride: usize) -> Result<Block> {
        let conv = |number: u8, from: usize, stride: usize, relu: bool| {
            let (conv, norm) = (format!("{name}.conv{number}"), format!("{name}.bn{number}"));
            self.conv(&conv, Some(&norm), [to, from, 3], stride, relu)
        };
        let beside = (stride != 1 || to != from).then(|| {
            let (conv, norm) = (format!("{name}.downsample.0"), format!("{name}.downsample.1"));
            self.conv(&conv, Some(&norm), [to, from, 1], stride, false)
        });
        Ok(Block {
            first: conv(1, from, stride, true)?,
            second: conv(2, to, 1, false)?,
            beside: beside.transpose()?,
        })
    }

    fn attention(&self, name: &str, from: usize) -> Result<Attention> {
        let (conv, norm) = (format!("{name}.conv_atten"), format!("{name}.bn_atten"));
        Ok(Attention {
            conv: self.unit(&format!("{name}.conv"), [128, from, 3])?,
            scale: self.conv(&conv, Some(&norm), [128, 128, 1], 1, false)?,
        })
    }
}

impl BiSeNet {
    /// Reads `79999_iter.pth` (or the same tensors as safetensors).
    ///
    /// # Errors
    /// [`Error::Input`] when the file is damaged, names code, or holds another network.
    pub fn open(path: &Path) -> Result<BiSeNet> {
        BiSeNet::from_tensors(path, &weights::read(path)?)
    }

    /// The network of tensors by their names; `origin` names their file in errors.
    ///
    /// # Errors
    /// [`Error::Input`] when a tensor is missing, has another shape, or numbers that are none.
    pub fn from_tensors(origin: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<BiSeNet> {
        let named = Named { tensors, origin, published: "79999_iter.pth" };
        let mut layers = Vec::new();
        let mut from = 64;
        for (k, to) in LAYERS.into_iter().enumerate() {
            let stride = if k == 0 { 1 } else { 2 };
            let name = |block: usize| format!("cp.resnet.layer{}.{block}", k + 1);
            layers
                .push(vec![named.block(&name(0), [to, from], stride)?, named.block(&name(1), [to, to], 1)?]);
            from = to;
        }
        Ok(BiSeNet {
            start: named.conv("cp.resnet.conv1", Some("cp.resnet.bn1"), [64, 3, 7], 2, true)?,
            layers,
            average: named.unit("cp.conv_avg", [128, 512, 1])?,
            attention: [named.attention("cp.arm16", 256)?, named.attention("cp.arm32", 512)?],
            heads: [
                named.unit("cp.conv_head16", [128, 128, 3])?,
                named.unit("cp.conv_head32", [128, 128, 3])?,
            ],
            fusion: named.unit("ffm.convblk", [256, 256, 1])?,
            squeeze: [
                named.conv("ffm.conv1", None, [64, 256, 1], 1, true)?,
                named.conv("ffm.conv2", None, [256, 64, 1], 1, false)?,
            ],
            out: [
                named.unit("conv_out.conv", [256, 256, 3])?,
                named.conv("conv_out.conv_out", None, [CLASSES, 256, 1], 1, false)?,
            ],
        })
    }

    /// The scores `[CLASSES, height / 8, width / 8]` of a picture whose sides are multiples of 32.
    ///
    /// # Errors
    /// [`Error::Input`] for other sides.
    pub fn scores(&self, picture: &RgbImage) -> Result<Tensor> {
        let (width, height) = picture.dimensions();
        if width == 0 || height == 0 || width % 32 != 0 || height % 32 != 0 {
            let found = format!("{width}×{height}");
            return Err(Error::input(
                "a picture",
                "sides that are multiples of 32",
                found,
                "scale it to 512×512",
            ));
        }
        let planes: Vec<f32> = (0..3)
            .flat_map(|k| picture.pixels().map(move |p| (f32::from(p.0[k]) / 255.0 - MEAN[k]) / DEVIATION[k]))
            .collect();
        let x = Tensor::from_vec(planes, (1, 3, height as usize, width as usize), &Device::Cpu)?;
        let x = self.start.forward(&x)?;
        // Values are at least 0 here, so a border of zeros never wins.
        let x = x.pad_with_zeros(2, 1, 1)?.pad_with_zeros(3, 1, 1)?.max_pool2d_with_stride(3, 2)?;
        let mut features = Vec::new();
        let mut x = x;
        for layer in &self.layers {
            for block in layer {
                x = block.forward(&x)?;
            }
            features.push(x.clone());
        }
        let [_, fine, middle, coarse] = features.as_slice() else {
            return Err(Error::Internal("a backbone of other than four layers".into()));
        };
        let average = like(&self.average.forward(&pooled(coarse)?)?, coarse)?;
        let coarse = (self.attention[1].forward(coarse)? + average)?;
        let coarse = self.heads[1].forward(&like(&coarse, middle)?)?;
        let middle = (self.attention[0].forward(middle)? + coarse)?;
        let context = self.heads[0].forward(&like(&middle, fine)?)?;
        let joined = self.fusion.forward(&Tensor::cat(&[fine, &context], 1)?)?;
        let scale = self.squeeze[1].forward(&self.squeeze[0].forward(&pooled(&joined)?)?)?;
        let scale = candle_nn::ops::sigmoid(&scale)?;
        let joined = (joined.broadcast_mul(&scale)? + &joined)?;
        Ok(self.out[1].forward(&self.out[0].forward(&joined)?)?.squeeze(0)?)
    }

    /// The class of each pixel, `[height, width]`: scores enlarged bilinearly, corners on corners, then the largest.
    ///
    /// # Errors
    /// As [`BiSeNet::scores`].
    pub fn classes(&self, picture: &RgbImage) -> Result<Vec<u8>> {
        let scores = self.scores(picture)?;
        let (count, rows, columns) = scores.dims3()?;
        let scores = scores.permute((1, 2, 0))?.flatten_all()?.to_vec1::<f32>()?;
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let place = |at: usize, length: usize, cells: usize| {
            let v = at as f32 * (cells - 1) as f32 / (length - 1).max(1) as f32;
            let low = (v as usize).min(cells - 1);
            (low, (low + 1).min(cells - 1), v - low as f32)
        };
        let mut classes = Vec::with_capacity(width * height);
        for y in 0..height {
            let (y0, y1, fy) = place(y, height, rows);
            for x in 0..width {
                let (x0, x1, fx) = place(x, width, columns);
                let cell = |r: usize, c: usize| &scores[(r * columns + c) * count..][..count];
                let (a, b, c, d) = (cell(y0, x0), cell(y0, x1), cell(y1, x0), cell(y1, x1));
                let (mut best, mut most) = (0, f32::NEG_INFINITY);
                for k in 0..count {
                    let top = a[k] + fx * (b[k] - a[k]);
                    let value = top + fy * (c[k] + fx * (d[k] - c[k]) - top);
                    if value > most {
                        (best, most) = (k as u8, value);
                    }
                }
                classes.push(best);
            }
        }
        Ok(classes)
    }

    /// The labels of a frame, bits of [`Label`], `[height, width]`; the inside of the mouth is the network's class or
    /// what lies between the lips.
    ///
    /// # Errors
    /// As [`BiSeNet::scores`].
    pub fn labels(&self, picture: &RgbImage, face: &Landmarks) -> Result<Option<Vec<u8>>> {
        if FaceFrame::of(face).is_none() {
            return Ok(None);
        }
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let mouth = regions::filled(face, &regions::MOUTH, width, height);
        let classes = self.classes(picture)?;
        Ok(Some(classes.iter().zip(mouth).map(|(class, mouth)| label(*class, mouth)).collect()))
    }
}

/// Classes to labels (SyncTalk's merging): 0 background, 1–13 and from 17 on head, 14 and 15 neck, 16 clothes;
/// 1–6 and 10–13 face; 11 the inside of the mouth.
fn label(class: u8, between_lips: bool) -> u8 {
    match class {
        0 => 0,
        14 | 15 => Label::NECK,
        16 => Label::TORSO,
        _ => {
            let face = if matches!(class, 1..=6 | 10..=13) { Label::FACE } else { 0 };
            Label::HEAD | face | if class == 11 || between_lips { Label::MOUTH } else { 0 }
        }
    }
}

/// The mean over the picture, `[1, channels, 1, 1]`.
fn pooled(x: &Tensor) -> Result<Tensor> {
    Ok(x.mean_keepdim(D::Minus1)?.mean_keepdim(D::Minus2)?)
}

/// Enlarged to the size of another, each pixel repeated.
fn like(x: &Tensor, other: &Tensor) -> Result<Tensor> {
    let (_, _, height, width) = other.dims4()?;
    Ok(x.upsample_nearest2d(height, width)?)
}

#[cfg(test)]
#[path = "bisenet_tests.rs"]
mod tests;
