//! Weights of networks: PyTorch state dicts (zip archives and the older stream) and safetensors, told apart by
//! content and never by name. Nothing in a file is ever executed; see [`read`].

use super::{state_dict, torch_legacy, torch_zip};
use crate::error::{Error, Result};
use crate::media::files::{self, open_plain};
use candle_core::safetensors::Load;
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

const SAFETENSORS_LIMIT: u64 = 4 << 30;

/// Reads all tensors of `path` onto the CPU, by name.
///
/// Nested dicts are flattened with dots (`{"model": {"fc.bias": t}}` gives `model.fc.bias`), list items are
/// named by their index; whatever is no tensor is left out. Shapes are the file's; types are the file's too,
/// except that `bool` becomes `u8` and `i8` becomes `i16`. Views of shared storages become copies.
///
/// # Errors
/// [`Error::Input`] when the file cannot be read, is damaged, is none of these formats, or is a pickle that
/// names any function or class beyond what tensors need.
pub fn read(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let mut start = Vec::new();
    open_plain(path)
        .and_then(|file| file.take(512).read_to_end(&mut start))
        .map_err(|e| Error::io(path, "weights (PyTorch or safetensors)", &e))?;
    if start.starts_with(b"PK\x03\x04") {
        torch_zip::read(path)
    } else if start.starts_with(&torch_legacy::START) {
        torch_legacy::read(path)
    } else if start.get(8) == Some(&b'{') {
        read_safetensors(path)
    } else {
        let found = match start.as_slice() {
            [] => "an empty file".to_string(),
            tar if tar.get(257..262) == Some(b"ustar") => {
                "a tar archive, from PyTorch before 0.1.10".to_string()
            }
            [0x80, 2..=5, ..] => plain_pickle(path)?,
            other => format!("a file that begins with {:02x?}", &other[..other.len().min(8)]),
        };
        Err(Error::input(
            path.display(),
            "weights (PyTorch or safetensors)",
            found,
            "check that this is the right file, or download it again",
        ))
    }
}

/// What a pickle outside of PyTorch's formats is: one that names a function is refused by that name.
fn plain_pickle(path: &Path) -> Result<String> {
    let bytes = files::read_bounded(path, super::pickle::PICKLE_LIMIT)?;
    match super::pickle::load(&bytes) {
        Err(refusal) => Err(state_dict::refused(path, refusal)),
        Ok(_) => Ok("a bare pickle without tensors".to_string()),
    }
}

fn read_safetensors(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let bytes = files::read_bounded(path, SAFETENSORS_LIMIT)?;
    let broken = |found: String| {
        Error::input(
            path.display(),
            "tensors in safetensors format",
            found,
            "download it again or convert it again",
        )
    };
    let file = SafeTensors::deserialize(&bytes).map_err(|e| broken(e.to_string()))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        let tensor = match view.dtype() {
            safetensors::Dtype::BOOL => {
                let values: Vec<u8> = view.data().iter().map(|&b| u8::from(b != 0)).collect();
                Tensor::from_vec(values, view.shape(), &Device::Cpu)
            }
            safetensors::Dtype::I8 => {
                let values: Vec<i16> = view.data().iter().map(|&b| i16::from(b as i8)).collect();
                Tensor::from_vec(values, view.shape(), &Device::Cpu)
            }
            _ => view.load(&Device::Cpu),
        };
        tensors.insert(name.clone(), tensor.map_err(|e| broken(format!("{name}: {e}")))?);
    }
    Ok(tensors)
}
