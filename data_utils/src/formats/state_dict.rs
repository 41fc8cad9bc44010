//! From an unpickled PyTorch object to named tensors: nested dicts flattened with dots, strided views of
//! storages copied into contiguous tensors.

use super::pickle::{Outcome, Pickle, Refusal, Scalar, StorageRef, TensorRef, Value, broken};
use crate::error::Error;
use candle_core::{DType, Device, Tensor};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// How deep dicts may be nested, and how long a dotted name may be in bytes.
const DEPTH_LIMIT: usize = 16;
const NAME_LIMIT: usize = 1024;
/// The most leaves looked at, since parts may be shared many times over.
const VISIT_LIMIT: usize = 1 << 20;
/// Views of one storage may overlap, so tensors may hold more than the file does; this much more.
const SHARED_BYTES: u64 = 64 << 20;

/// The tensors of `value` by dotted name. Everything that is no tensor is left out; a tensor that stands alone
/// is called `tensor`.
pub(super) fn flatten<'p, 'a>(
    value: Value<'a>,
    pickle: &'p Pickle<'a>,
) -> Outcome<BTreeMap<String, &'p TensorRef<'a>>> {
    let mut found = BTreeMap::new();
    let mut visits = 0;
    // Names are taken apart on an explicit stack: the pickle may contain itself.
    let mut open = vec![(String::new(), value, 0)];
    while let Some((name, value, depth)) = open.pop() {
        visits += 1;
        if visits > VISIT_LIMIT || depth > DEPTH_LIMIT || name.len() > NAME_LIMIT {
            return broken("a state dict nested deeper or longer than any model's");
        }
        let below = |part: &str| if name.is_empty() { part.to_string() } else { format!("{name}.{part}") };
        match value {
            Value::Tensor(at) => {
                let name = if name.is_empty() { "tensor".to_string() } else { name };
                if found.insert(name.clone(), &pickle.tensors[at]).is_some() {
                    return broken(format!("two tensors named {name}"));
                }
            }
            Value::Dict(at) => {
                // A key set twice keeps its last value, as in Python.
                let mut last = BTreeMap::new();
                for (key, value) in &pickle.dicts[at] {
                    match key {
                        Value::Text(text) if text.len() > NAME_LIMIT => {
                            return broken("a state dict with an endless name");
                        }
                        Value::Text(text) => last.insert(below(text), *value),
                        Value::Int(n) => last.insert(below(&n.to_string()), *value),
                        _ => None,
                    };
                }
                open.extend(
                    last.into_iter().filter(|(_, value)| leads_on(*value)).map(|(n, v)| (n, v, depth + 1)),
                );
            }
            Value::List(at) | Value::Tuple(at) => {
                let items = pickle.sequences[at].iter().enumerate().filter(|(_, value)| leads_on(**value));
                open.extend(items.map(|(i, value)| (below(&i.to_string()), *value, depth + 1)));
            }
            _ => {}
        }
        if open.len() > VISIT_LIMIT {
            return broken("a state dict with more entries than any model's");
        }
    }
    Ok(found)
}

fn leads_on(value: Value<'_>) -> bool {
    matches!(value, Value::Tensor(_) | Value::Dict(_) | Value::List(_) | Value::Tuple(_))
}

/// Builds the tensors on the CPU. `bytes_of` reads one storage from the container; `source_bytes` is what the
/// container holds in all and bounds what the tensors may take.
pub(super) fn assemble(
    named: &BTreeMap<String, &TensorRef<'_>>,
    source_bytes: u64,
    mut bytes_of: impl FnMut(&StorageRef<'_>) -> Outcome<Vec<u8>>,
) -> Outcome<BTreeMap<String, Tensor>> {
    let mut total = 0u64;
    let mut keys = BTreeSet::new();
    for (name, tensor) in named {
        let bytes = tensor
            .shape
            .iter()
            .try_fold(tensor.storage.scalar.size() as u64, |n, &d| n.checked_mul(d as u64));
        total = bytes.and_then(|bytes| total.checked_add(bytes)).unwrap_or(u64::MAX);
        if total > source_bytes.saturating_mul(2).saturating_add(SHARED_BYTES) {
            return broken(format!("tensors larger than the file, up to {name} of shape {:?}", tensor.shape));
        }
        keys.insert(tensor.storage.key);
    }
    let mut tensors = BTreeMap::new();
    // One storage at a time, so that no more than one is held beside the tensors.
    for key in keys {
        let mut storage: Option<Vec<u8>> = None;
        for (name, tensor) in named.iter().filter(|(_, tensor)| tensor.storage.key == key) {
            let bytes = match &storage {
                Some(bytes) => bytes,
                None => storage.insert(bytes_of(&tensor.storage)?),
            };
            tensors.insert(name.clone(), build(name, tensor, bytes)?);
        }
    }
    Ok(tensors)
}

/// Copies one strided view of `storage` into a tensor.
fn build(name: &str, tensor: &TensorRef<'_>, storage: &[u8]) -> Outcome<Tensor> {
    let size = tensor.storage.scalar.size();
    if tensor.storage.count.checked_mul(size) != Some(storage.len()) {
        return broken(format!(
            "{name}: {} bytes for {} values of {size}",
            storage.len(),
            tensor.storage.count
        ));
    }
    let count: usize = tensor.shape.iter().product();
    let mut bytes = Vec::with_capacity(count * size);
    if count > 0 {
        let last =
            tensor.shape.iter().zip(&tensor.strides).try_fold(tensor.offset, |at, (&length, &stride)| {
                (length - 1).checked_mul(stride).and_then(|step| at.checked_add(step))
            });
        if last.is_none_or(|last| last >= tensor.storage.count) {
            return broken(format!("{name}: a view that reaches beyond its {} values", tensor.storage.count));
        }
        if is_contiguous(&tensor.shape, &tensor.strides) {
            bytes.extend_from_slice(&storage[tensor.offset * size..][..count * size]);
        } else {
            let mut index = vec![0usize; tensor.shape.len()];
            for _ in 0..count {
                let at = tensor.offset + index.iter().zip(&tensor.strides).map(|(i, s)| i * s).sum::<usize>();
                bytes.extend_from_slice(&storage[at * size..][..size]);
                advance(&mut index, &tensor.shape);
            }
        }
    }
    let (dtype, bytes) = match tensor.storage.scalar {
        Scalar::F64 => (DType::F64, bytes),
        Scalar::F32 => (DType::F32, bytes),
        Scalar::F16 => (DType::F16, bytes),
        Scalar::Bf16 => (DType::BF16, bytes),
        Scalar::I64 => (DType::I64, bytes),
        Scalar::I32 => (DType::I32, bytes),
        Scalar::I16 => (DType::I16, bytes),
        // candle has no 8-bit signed type.
        Scalar::I8 => (DType::I16, bytes.iter().flat_map(|&b| i16::from(b as i8).to_le_bytes()).collect()),
        Scalar::U8 => (DType::U8, bytes),
        Scalar::Bool => (DType::U8, bytes.iter().map(|&b| u8::from(b != 0)).collect()),
    };
    Tensor::from_raw_buffer(&bytes, dtype, &tensor.shape, &Device::Cpu)
        .or_else(|e| broken(format!("{name}: {e}")))
}

fn is_contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1;
    shape.iter().zip(strides).rev().all(|(&length, &stride)| {
        let fits = length == 1 || stride == expected;
        expected *= length;
        fits
    })
}

/// The next index in C order.
fn advance(index: &mut [usize], shape: &[usize]) {
    for (i, length) in index.iter_mut().zip(shape).rev() {
        *i += 1;
        if *i < *length {
            return;
        }
        *i = 0;
    }
}

/// The error for a user whose file was refused.
pub(super) fn refused(path: &Path, refusal: Refusal) -> Error {
    match refusal {
        Refusal::Forbidden(name) => Error::input(
            path.display(),
            "weights: a pickle of tensors alone",
            format!("one that names {name}, which could run code when Python loads it"),
            "do not load this file unless you trust who made it; ask for a state dict or for safetensors",
        ),
        Refusal::Broken(found) => Error::input(
            path.display(),
            "a PyTorch state dict",
            found,
            "download it again, or save it again with torch.save(model.state_dict(), name)",
        ),
    }
}
