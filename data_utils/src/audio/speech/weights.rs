//! The network's weights, which are part of the program.

use super::layers::{CONVOLUTIONS, Shape};
use super::spectrum::{BANDS, BINS};
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;
use std::sync::Arc;

/// `weights/NOTICE` says where they come from.
const FILE: &[u8] = include_bytes!("../../../weights/speech_trunk.safetensors");

/// Weights as they lie in the file.
pub(super) struct Weights {
    /// Mel bands, `[257, 32]`.
    pub(super) mel: Arc<[f32]>,
    /// Of each convolution, `[outputs, inputs, time, frequency]`, and its bias.
    pub(super) convolutions: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Weights {
    /// # Errors
    /// [`Error::Internal`] for a file that does not hold them.
    pub(super) fn load() -> Result<Self> {
        let tensors = read(FILE)?;
        let convolution = |(i, shape): (usize, &Shape)| {
            let [outputs, inputs, time, frequency] = *shape;
            let kernel = take(&tensors, &format!("{i}.weight"), &[outputs, inputs, time, frequency])?;
            Ok((kernel, take(&tensors, &format!("{i}.bias"), &[outputs])?))
        };
        Ok(Weights {
            mel: take(&tensors, "mel", &[BINS, BANDS])?.into(),
            convolutions: CONVOLUTIONS.iter().enumerate().map(convolution).collect::<Result<_>>()?,
        })
    }
}

/// The tensors of a file.
///
/// # Errors
/// [`Error::Internal`] for a damaged one.
pub(super) fn read(file: &[u8]) -> Result<HashMap<String, Tensor>> {
    Ok(candle_core::safetensors::load_buffer(file, &Device::Cpu)?)
}

/// The values of one of them.
///
/// # Errors
/// [`Error::Internal`] when it is missing or has another shape.
pub(super) fn take(tensors: &HashMap<String, Tensor>, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    match tensors.get(name) {
        Some(tensor) if tensor.dims() == shape => {
            Ok(tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?)
        }
        other => {
            let found = other.map(|tensor| tensor.dims().to_vec());
            Err(Error::Internal(format!("speech weights: {name} of shape {found:?} in place of {shape:?}")))
        }
    }
}
