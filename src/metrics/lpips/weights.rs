//! Which tensors make which network. Names are torchvision's (`features.3.squeeze.weight`) or those of a whole
//! LPIPS state dict (`net.slice2.3.squeeze.weight`); heads are `lin0.model.1.weight` or `lins.0.model.1.weight`.

use super::network::{Conv, Layer, Pool, host};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;

/// The network under LPIPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backbone {
    /// SqueezeNet 1.1 (`squeezenet1_1`).
    Squeeze,
    /// AlexNet (`alexnet`).
    Alex,
    /// VGG16 without batch normalisation (`vgg16`).
    Vgg,
}

impl Backbone {
    /// `squeeze`, `alex` or `vgg`, as LPIPS calls them.
    pub fn name(self) -> &'static str {
        match self {
            Backbone::Squeeze => "squeeze",
            Backbone::Alex => "alex",
            Backbone::Vgg => "vgg",
        }
    }

    /// Blocks of the network with their index among torchvision's `features`, one list for each tap.
    fn stages(self) -> Vec<Vec<(usize, Block)>> {
        use Block::{Conv, Fire, Pool, Relu};
        let vgg = |start: usize, pool: bool, channels: &[usize]| {
            let mut stage = if pool { vec![(start - 1, Pool(2, false))] } else { Vec::new() };
            for (k, &c) in channels.iter().enumerate() {
                stage.extend([(start + 2 * k, Conv(c, 3, 1, 1)), (start + 2 * k + 1, Relu)]);
            }
            stage
        };
        match self {
            Backbone::Squeeze => vec![
                vec![(0, Conv(64, 3, 2, 0)), (1, Relu)],
                vec![(2, Pool(3, true)), (3, Fire(16, 64)), (4, Fire(16, 64))],
                vec![(5, Pool(3, true)), (6, Fire(32, 128)), (7, Fire(32, 128))],
                vec![(8, Pool(3, true)), (9, Fire(48, 192))],
                vec![(10, Fire(48, 192))],
                vec![(11, Fire(64, 256))],
                vec![(12, Fire(64, 256))],
            ],
            Backbone::Alex => vec![
                vec![(0, Conv(64, 11, 4, 2)), (1, Relu)],
                vec![(2, Pool(3, false)), (3, Conv(192, 5, 1, 2)), (4, Relu)],
                vec![(5, Pool(3, false)), (6, Conv(384, 3, 1, 1)), (7, Relu)],
                vec![(8, Conv(256, 3, 1, 1)), (9, Relu)],
                vec![(10, Conv(256, 3, 1, 1)), (11, Relu)],
            ],
            Backbone::Vgg => vec![
                vgg(0, false, &[64, 64]),
                vgg(5, true, &[128, 128]),
                vgg(10, true, &[256, 256, 256]),
                vgg(17, true, &[512, 512, 512]),
                vgg(24, true, &[512, 512, 512]),
            ],
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Block {
    /// Channels out, side, stride, padding.
    Conv(usize, usize, usize, usize),
    Relu,
    /// Side, ceil mode.
    Pool(usize, bool),
    /// Channels of the squeeze, and of each of the two expansions.
    Fire(usize, usize),
}

struct Weights<'a> {
    tensors: &'a BTreeMap<String, Tensor>,
    origin: &'a str,
    device: &'a Device,
}

/// A network with its heads, put together from tensors.
pub(super) struct NetworkParts {
    pub backbone: Backbone,
    /// Layers up to each tap.
    pub stages: Vec<Vec<Layer>>,
    /// Weights of the channels of each tap.
    pub heads: Vec<Vec<f32>>,
    /// Mean and standard deviation the network expects of RGB in −1..1, `[1, 3, 1, 1]`.
    pub shift: Tensor,
    pub scale: Tensor,
}

/// Builds the network whose tensors are there.
pub(super) fn assemble(
    tensors: &BTreeMap<String, Tensor>,
    origin: &str,
    device: &Device,
) -> Result<NetworkParts> {
    let weights = Weights { tensors, origin, device };
    let backbone = weights.recognise()?;
    let mut stages = Vec::new();
    let mut heads = Vec::new();
    let mut channels = 3;
    for (tap, blocks) in backbone.stages().into_iter().enumerate() {
        let mut stage = Vec::new();
        for (index, block) in blocks {
            let prefixes = [format!("features.{index}"), format!("net.slice{}.{index}", tap + 1)];
            stage.push(match block {
                Block::Relu => Layer::Relu,
                Block::Pool(side, ceil) => Layer::Pool(Pool { side, ceil }),
                Block::Conv(out, side, stride, padding) => {
                    let conv = weights.conv(&prefixes, "", [out, channels, side], stride, padding)?;
                    channels = out;
                    Layer::Conv(conv)
                }
                Block::Fire(inner, outer) => {
                    let layer = Layer::Fire {
                        squeeze: weights.conv(&prefixes, ".squeeze", [inner, channels, 1], 1, 0)?,
                        one: weights.conv(&prefixes, ".expand1x1", [outer, inner, 1], 1, 0)?,
                        three: weights.conv(&prefixes, ".expand3x3", [outer, inner, 3], 1, 1)?,
                    };
                    channels = 2 * outer;
                    layer
                }
            });
        }
        let names = [format!("lin{tap}.model.1.weight"), format!("lins.{tap}.model.1.weight")];
        heads.push(host(&weights.tensor(&names, &[1, channels, 1, 1])?)?);
        stages.push(stage);
    }
    let constant = |name: &str, values: [f32; 3]| -> Result<Tensor> {
        let name = format!("scaling_layer.{name}");
        match tensors.contains_key(&name) {
            true => weights.tensor(&[name], &[1, 3, 1, 1]),
            false => Ok(Tensor::new(&values, device)?.reshape((1, 3, 1, 1))?),
        }
    };
    Ok(NetworkParts {
        backbone,
        stages,
        heads,
        shift: constant("shift", [-0.030, -0.088, -0.188])?,
        scale: constant("scale", [0.458, 0.448, 0.450])?,
    })
}

impl Weights<'_> {
    fn recognise(&self) -> Result<Backbone> {
        let dims =
            |names: &[&str]| names.iter().find_map(|n| self.tensors.get(*n)).map(|t| t.dims().to_vec());
        let first = dims(&["features.0.weight", "net.slice1.0.weight"]);
        let fire = dims(&["features.3.squeeze.weight", "net.slice2.3.squeeze.weight"]);
        match (first.as_deref(), fire) {
            (Some([64, 3, 3, 3]), Some(_)) => Ok(Backbone::Squeeze),
            (Some([64, 3, 11, 11]), None) => Ok(Backbone::Alex),
            (Some([64, 3, 3, 3]), None) => Ok(Backbone::Vgg),
            (first, _) => {
                let found = match first {
                    Some(dims) => format!("a first layer of {dims:?}"),
                    None => format!("{} tensors, none of them its first layer", self.tensors.len()),
                };
                let expected = "the weights of SqueezeNet 1.1, AlexNet or VGG16";
                let remedy = "give a whole LPIPS state dict, or torchvision's network and LPIPS's heads";
                Err(Error::input(self.origin, expected, found, remedy))
            }
        }
    }

    fn conv(
        &self,
        prefixes: &[String; 2],
        part: &str,
        [out, input, side]: [usize; 3],
        stride: usize,
        padding: usize,
    ) -> Result<Conv> {
        let named = |what: &str| prefixes.each_ref().map(|p| format!("{p}{part}.{what}"));
        let kernel = self.tensor(&named("weight"), &[out, input, side, side])?;
        let bias = self.tensor(&named("bias"), &[out])?;
        Ok(Conv::new(kernel, &bias, stride, padding)?)
    }

    /// The first of `names` that is there, as f32 on the device.
    fn tensor(&self, names: &[String], dims: &[usize]) -> Result<Tensor> {
        let remedy = "give a whole LPIPS state dict, or torchvision's network and LPIPS's heads";
        let expected = format!("`{}` {dims:?}", names[0]);
        let Some(tensor) = names.iter().find_map(|n| self.tensors.get(n)) else {
            return Err(Error::input(self.origin, expected, "no such tensor", remedy));
        };
        if tensor.dims() != dims {
            return Err(Error::input(self.origin, expected, format!("{:?}", tensor.dims()), remedy));
        }
        Ok(tensor.to_device(self.device)?.to_dtype(DType::F32)?.contiguous()?)
    }
}
