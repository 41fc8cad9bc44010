//! A dict of arrays saved by `numpy.save`, as face models are: an array of one object, which is a pickle. It is read by
//! the same machine as weights, so nothing in it can run.

use super::npy::{self, NpyArray};
use super::pickle::{self, Outcome, Refusal, Value, broken};
use crate::error::{Error, Result};
use crate::media::files;
use std::collections::BTreeMap;
use std::path::Path;

/// The largest file that is read; the published expression basis has 70 MB.
const FILE_LIMIT: u64 = 1 << 30;

/// Reads the arrays of the dict at `path` by their keys; what is no array of numbers is left out.
///
/// # Errors
/// [`Error::Input`] when the file cannot be read, is damaged, holds no dict, or names any function or class beyond
/// what arrays need.
pub fn read(path: &Path) -> Result<BTreeMap<String, NpyArray>> {
    let bytes = files::read_bounded(path, FILE_LIMIT)?;
    arrays(&bytes).map_err(|refusal| {
        let found = match refusal {
            Refusal::Forbidden(name) => format!("a pickle that names {name}, which could run code"),
            Refusal::Broken(found) => found,
        };
        let expected = "a dict of NumPy arrays (numpy.save of a dict)";
        Error::input(path.display(), expected, found, "use the published file, or save it again")
    })
}

fn arrays(bytes: &[u8]) -> Outcome<BTreeMap<String, NpyArray>> {
    let body = npy::object_body(bytes).or_else(broken)?;
    let (value, parts, _) = pickle::load_arrays(body)?;
    let Value::Array(outer) = value else { return broken("a pickle of no array") };
    let dict = parts.arrays.get(outer).and_then(|a| a.data).and_then(|data| match data {
        Value::List(items) => match parts.sequences.get(items)?.as_slice() {
            [Value::Dict(at)] => parts.dicts.get(*at),
            _ => None,
        },
        _ => None,
    });
    let Some(dict) = dict else { return broken("an array of something else than one dict") };
    let mut found = BTreeMap::new();
    for (key, value) in dict {
        let (Value::Text(key), Value::Array(at)) = (key, value) else { continue };
        let Some(array) = parts.arrays.get(*at) else { continue };
        let Some(bytes) = array.data.and_then(|data| parts.bytes(data)) else { continue };
        let (kind, order) = (array.dtype.kind, array.dtype.order);
        let array = npy::assembled(&format!("{order}{kind}"), array.fortran_order, &array.shape, bytes)
            .or_else(|found| broken(format!("{key}: {found}")))?;
        found.insert((*key).to_owned(), array);
    }
    Ok(found)
}
