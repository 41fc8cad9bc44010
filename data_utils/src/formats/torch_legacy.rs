//! PyTorch files before 1.6 (`torch/serialization.py`, `_legacy_load`): five pickles in a row (magic number,
//! protocol version, system information, the object, the storage keys), then for each key, in order, a 64-bit
//! count and the values.

use super::pickle::{self, Outcome, Scalar, Value, broken};
use super::state_dict;
use crate::error::Result;
use crate::media::files;
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::path::Path;

/// How such a file begins: a protocol-2 pickle of the ten-byte magic number 0x1950a86a20f9469cfc6c.
pub(super) const START: [u8; 15] =
    [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];
const FILE_LIMIT: u64 = 2 << 30;
const PROTOCOL: i64 = 1001;

/// Reads the tensors of a legacy file by dotted name.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let bytes = files::read_bounded(path, FILE_LIMIT)?;
    read_stream(&bytes).map_err(|refusal| state_dict::refused(path, refusal))
}

fn read_stream(bytes: &[u8]) -> Outcome<BTreeMap<String, Tensor>> {
    let mut rest = bytes.get(START.len()..).unwrap_or_default();
    let (version, _, taken) = pickle::load(rest)?;
    if version != Value::Int(PROTOCOL) {
        return broken(format!("protocol {version:?} where {PROTOCOL} belongs"));
    }
    rest = &rest[taken..];
    let (_, _, taken) = pickle::load(rest)?;
    rest = &rest[taken..];
    let (object, parts, taken) = pickle::load(rest)?;
    rest = &rest[taken..];
    let (keys, key_parts, taken) = pickle::load(rest)?;
    rest = &rest[taken..];

    // Only the pickle knows the type of each storage.
    let mut scalars: BTreeMap<&str, Scalar> = BTreeMap::new();
    for storage in &parts.storages {
        if *scalars.entry(storage.key).or_insert(storage.scalar) != storage.scalar {
            return broken(format!("storage {} with two types", storage.key));
        }
    }
    let Value::List(keys) = keys else { return broken("a file without its list of storages") };
    let mut storages: BTreeMap<&str, &[u8]> = BTreeMap::new();
    for key in &key_parts.sequences[keys] {
        let Value::Text(key) = *key else { return broken("a storage without a name") };
        let Some(scalar) = scalars.get(key) else {
            return broken(format!("storage {key} that nothing uses"));
        };
        let Some((count, values)) = rest.split_first_chunk::<8>() else {
            return broken("a file that ends too early");
        };
        let count = i64::from_le_bytes(*count);
        let length = usize::try_from(count).ok().and_then(|count| count.checked_mul(scalar.size()));
        let Some((values, after)) = length.and_then(|length| values.split_at_checked(length)) else {
            return broken(format!("a file that ends too early: storage {key} of {count} values"));
        };
        storages.insert(key, values);
        rest = after;
    }
    if !rest.is_empty() {
        return broken(format!("{} bytes after the last storage", rest.len()));
    }
    let named = state_dict::flatten(object, &parts)?;
    state_dict::assemble(&named, bytes.len() as u64, |storage| match storages.get(storage.key) {
        Some(values) => Ok(values.to_vec()),
        None => broken(format!("a file without storage {}", storage.key)),
    })
}
