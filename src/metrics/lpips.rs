//! Learned perceptual distance (LPIPS v0.1, Zhang et al. 2018, eq. 1) on SqueezeNet 1.1, AlexNet or VGG16.
//!
//! Both pictures go through the network; at each tap features are brought to unit length along channels,
//! their squared differences weighted per channel, averaged over space, and summed over taps. Pictures are planar
//! f32 `[3, height, width]` in 0..1. The way back is written out layer by layer, because the weights are fixed:
//! general autograd would also spend time on their gradients.

use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

pub mod device;
mod network;
mod packed;
mod schedule;
mod tap;
mod uniforms;
mod weights;

use network::{Layer, Tape, host};
use tap::tap;
pub use weights::Backbone;
use weights::NetworkParts;

/// Smallest side of a picture that reaches the last tap of every network, pixels.
pub const SMALLEST: usize = 32;

/// A network with its heads.
#[derive(Debug)]
pub struct Lpips {
    backbone: Backbone,
    device: Device,
    /// Layers up to each tap.
    stages: Vec<Vec<Layer>>,
    /// Weights of the channels of each tap.
    heads: Vec<Vec<f32>>,
    /// Mean and standard deviation the network expects of RGB in −1..1, `[1, 3, 1, 1]`.
    shift: Tensor,
    scale: Tensor,
}

impl Lpips {
    /// Reads the weights from one file or several that together hold a network and its heads: a whole LPIPS state
    /// dict, or torchvision's `squeezenet1_1`, `alexnet` or `vgg16` and the heads of LPIPS v0.1 beside it.
    ///
    /// # Errors
    /// [`Error::Input`] naming the file and what is missing in it or has another shape.
    pub fn open(paths: &[impl AsRef<Path>], device: &Device) -> Result<Self> {
        let mut tensors = BTreeMap::new();
        for path in paths {
            tensors.extend(data_utils::formats::weights::read(path.as_ref())?);
        }
        let names: Vec<String> = paths.iter().map(|p| p.as_ref().display().to_string()).collect();
        Self::from_tensors(&tensors, &names.join(" and "), device)
    }

    /// The same from tensors; `origin` says in errors where they are from.
    ///
    /// # Errors
    /// [`Error::Input`] naming what is missing or has another shape.
    pub fn from_tensors(tensors: &BTreeMap<String, Tensor>, origin: &str, device: &Device) -> Result<Self> {
        let NetworkParts { backbone, stages, heads, shift, scale } =
            weights::assemble(tensors, origin, device)?;
        Ok(Lpips { backbone, device: device.clone(), stages, heads, shift, scale })
    }

    /// Which network it is.
    pub fn backbone(&self) -> Backbone {
        self.backbone
    }

    /// Distance of two pictures; 0 when they are equal.
    ///
    /// # Errors
    /// [`Error::Input`] when they are too small for the network, [`Error::Internal`] when lengths disagree.
    pub fn distance(&self, a: &[f32], b: &[f32], size: [usize; 2]) -> Result<f64> {
        let (mut x, mut y) = (self.input(a, size)?, self.input(b, size)?);
        let mut sum = 0.0;
        for (stage, head) in self.stages.iter().zip(&self.heads) {
            x = network::forward(stage, x, None)?;
            y = network::forward(stage, y, None)?;
            sum += tap(&host(&x)?, &host(&y)?, head, None);
        }
        Ok(sum)
    }

    /// Distance of two pictures and its gradient with respect to the first, `[3, height, width]`.
    ///
    /// # Errors
    /// As [`Lpips::distance`].
    pub fn distance_and_gradient(&self, a: &[f32], b: &[f32], size: [usize; 2]) -> Result<(f64, Vec<f32>)> {
        let (mut x, mut y) = (self.input(a, size)?, self.input(b, size)?);
        let mut sum = 0.0;
        let mut steps: Vec<(Tape, Tensor)> = Vec::with_capacity(self.stages.len());
        for (stage, head) in self.stages.iter().zip(&self.heads) {
            let mut tape = Tape::new();
            x = network::forward(stage, x, Some(&mut tape))?;
            y = network::forward(stage, y, None)?;
            let mut gradient = vec![0.0; x.elem_count()];
            sum += tap(&host(&x)?, &host(&y)?, head, Some(&mut gradient));
            steps.push((tape, Tensor::from_vec(gradient, x.dims(), &self.device)?));
        }
        let mut back: Option<Tensor> = None;
        for (stage, (tape, gradient)) in self.stages.iter().zip(steps).rev() {
            let here = match back {
                Some(later) => (later + gradient)?,
                None => gradient,
            };
            back = Some(network::backward(stage, here, tape)?);
        }
        let back = back.ok_or_else(|| Error::Internal("LPIPS: a network without stages".into()))?;
        let back = (back * 2.0)?.broadcast_div(&self.scale)?;
        Ok((sum, back.flatten_all()?.to_vec1()?))
    }

    /// Mean and standard deviation the network expects of RGB in −1..1.
    fn normalization(&self) -> Result<[[f32; 3]; 2]> {
        let rgb = |tensor: &Tensor| -> Result<[f32; 3]> {
            let values = host(tensor)?;
            <[f32; 3]>::try_from(values).map_err(|v| Error::Internal(format!("LPIPS: {} colours", v.len())))
        };
        Ok([rgb(&self.shift)?, rgb(&self.scale)?])
    }

    fn input(&self, picture: &[f32], size: [usize; 2]) -> Result<Tensor> {
        check_picture(picture, size)?;
        let [height, width] = size;
        let x = Tensor::from_slice(picture, (1, 3, height, width), &self.device)?;
        Ok(x.affine(2.0, -1.0)?.broadcast_sub(&self.shift)?.broadcast_div(&self.scale)?)
    }
}

/// Whether a picture has `[height, width]` pixels, enough for every network.
fn check_picture(picture: &[f32], [height, width]: [usize; 2]) -> Result<()> {
    if picture.len() != 3 * height * width {
        let found = format!("{} values for 3 × {height} × {width}", picture.len());
        return Err(Error::Internal(format!("LPIPS of {found}")));
    }
    if height < SMALLEST || width < SMALLEST {
        let expected = format!("pictures of at least {SMALLEST}×{SMALLEST} pixels");
        return Err(Error::input("LPIPS", expected, format!("{width}×{height}"), "render at a larger size"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "lpips_tests.rs"]
mod tests;
