//! A SqueezeNet with made-up weights under LPIPS.

use super::scene::Random;
use candle_core::{Device, Tensor};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use surfeltalk::metrics::lpips::Lpips;

/// The fire modules: number among torchvision's features, tap, channels in, squeezed, and of each expansion.
const FIRES: [[usize; 5]; 8] = [
    [3, 1, 64, 16, 64],
    [4, 1, 128, 16, 64],
    [6, 2, 128, 32, 128],
    [7, 2, 256, 32, 128],
    [9, 3, 256, 48, 192],
    [10, 4, 384, 48, 192],
    [11, 5, 384, 64, 256],
    [12, 6, 512, 64, 256],
];

/// A network of such weights.
pub fn made_up_lpips() -> Lpips {
    Lpips::from_tensors(&made_up_weights(), "made up", &Device::Cpu).expect("a network")
}

/// A file of them in `folder`.
pub fn made_up_file(folder: &Path) -> PathBuf {
    let path = folder.join("lpips.safetensors");
    let tensors: HashMap<String, Tensor> = made_up_weights().into_iter().collect();
    candle_core::safetensors::save(&tensors, &path).expect("written");
    path
}

/// Weights as He et al. 2015 would start them, and taps that all count.
fn made_up_weights() -> BTreeMap<String, Tensor> {
    let mut random = Random(7);
    let mut tensors = BTreeMap::new();
    let mut put = |name: String, dims: &[usize]| {
        let (low, high) = match dims {
            [1, ..] => (0.0, 1.0),
            [_, inner @ ..] if !inner.is_empty() => {
                let bound = (6.0 / inner.iter().product::<usize>() as f64).sqrt();
                (-bound, bound)
            }
            _ => (-0.1, 0.1),
        };
        let values: Vec<f32> = (0..dims.iter().product()).map(|_| random.uniform(low, high) as f32).collect();
        tensors.insert(name, Tensor::from_vec(values, dims, &Device::Cpu).expect("a tensor"));
    };
    put("features.0.weight".into(), &[64, 3, 3, 3]);
    put("features.0.bias".into(), &[64]);
    put("lin0.model.1.weight".into(), &[1, 64, 1, 1]);
    for [index, tap, input, inner, outer] in FIRES {
        let parts = [
            ("squeeze", [inner, input, 1]),
            ("expand1x1", [outer, inner, 1]),
            ("expand3x3", [outer, inner, 3]),
        ];
        for (part, [to, of, side]) in parts {
            put(format!("features.{index}.{part}.weight"), &[to, of, side, side]);
            put(format!("features.{index}.{part}.bias"), &[to]);
        }
        put(format!("lin{tap}.model.1.weight"), &[1, 2 * outer, 1, 1]);
    }
    tensors
}
