//! Named arrays and texts as the bytes of one safetensors file, with a checksum over names, shapes, numbers and texts so
//! that a damaged file is refused.

use crate::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Largest file that is read, bytes.
const LIMIT: u64 = 8 << 30;
/// Checksum over everything.
const CHECKSUM: &str = "checksum";
/// Checksum over the numbers alone, which earlier versions wrote.
const NUMBERS_CHECKSUM: &str = "crc32c";
const TEXTS: &str = "surfeltalk";

/// Named arrays of f32, f64 or bytes with their shapes, and named texts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Archive {
    arrays: BTreeMap<String, Array>,
    texts: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq)]
struct Array {
    shape: Vec<usize>,
    values: Values,
}

#[derive(Debug, Clone, PartialEq)]
enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bytes(Vec<u8>),
}

impl Values {
    fn bytes(&self) -> &[u8] {
        match self {
            Values::F32(values) => bytemuck::cast_slice(values),
            Values::F64(values) => bytemuck::cast_slice(values),
            Values::Bytes(values) => values,
        }
    }

    fn dtype(&self) -> Dtype {
        match self {
            Values::F32(_) => Dtype::F32,
            Values::F64(_) => Dtype::F64,
            Values::Bytes(_) => Dtype::U8,
        }
    }
}

impl Archive {
    /// Adds an array; its length is the product of `shape`.
    pub fn put(&mut self, name: impl Into<String>, shape: &[usize], values: Vec<f32>) {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len(), "shape and length");
        self.arrays.insert(name.into(), Array { shape: shape.to_vec(), values: Values::F32(values) });
    }

    /// Adds an array of f64; its length is the product of `shape`.
    pub fn put_f64(&mut self, name: impl Into<String>, shape: &[usize], values: Vec<f64>) {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len(), "shape and length");
        self.arrays.insert(name.into(), Array { shape: shape.to_vec(), values: Values::F64(values) });
    }

    /// Adds an array of bytes.
    pub fn put_bytes(&mut self, name: impl Into<String>, bytes: Vec<u8>) {
        self.arrays.insert(name.into(), Array { shape: vec![bytes.len()], values: Values::Bytes(bytes) });
    }

    /// Adds a text.
    pub fn put_text(&mut self, name: impl Into<String>, text: String) {
        self.texts.insert(name.into(), text);
    }

    /// Whether there is a text of that name.
    pub fn has_text(&self, name: &str) -> bool {
        self.texts.contains_key(name)
    }

    /// Whether there is an array of that name.
    pub fn has(&self, name: &str) -> bool {
        self.arrays.contains_key(name)
    }

    /// Removes an array of f32 and returns it. `at` names the file in errors.
    ///
    /// # Errors
    /// [`Error::Input`] when there is none of that name and type, or its length is not a multiple of `stride`.
    pub fn take(&mut self, at: &str, name: &str, stride: usize) -> Result<Vec<f32>> {
        match self.arrays.remove(name).map(|array| array.values) {
            Some(Values::F32(values)) => in_rows(at, name, stride, values),
            _ => Err(missing(at, format!("an array {name} of f32"))),
        }
    }

    /// Removes an array of f64 and returns it.
    ///
    /// # Errors
    /// As [`Archive::take`].
    pub fn take_f64(&mut self, at: &str, name: &str, stride: usize) -> Result<Vec<f64>> {
        match self.arrays.remove(name).map(|array| array.values) {
            Some(Values::F64(values)) => in_rows(at, name, stride, values),
            _ => Err(missing(at, format!("an array {name} of f64"))),
        }
    }

    /// Removes an array of bytes and returns it.
    ///
    /// # Errors
    /// As [`Archive::take`].
    pub fn take_bytes(&mut self, at: &str, name: &str) -> Result<Vec<u8>> {
        match self.arrays.remove(name).map(|array| array.values) {
            Some(Values::Bytes(bytes)) => Ok(bytes),
            _ => Err(missing(at, format!("an array {name} of bytes"))),
        }
    }

    /// Removes a text and returns it.
    ///
    /// # Errors
    /// [`Error::Input`] when there is none of that name.
    pub fn take_text(&mut self, at: &str, name: &str) -> Result<String> {
        self.texts.remove(name).ok_or_else(|| missing(at, format!("a text {name}")))
    }

    /// Adds every tensor of a safetensors file of ours, names behind `prefix`.
    ///
    /// # Errors
    /// [`Error::Internal`] when the bytes are no such file or a tensor is not f32.
    pub fn put_safetensors(&mut self, prefix: &str, bytes: &[u8]) -> Result<()> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| Error::Internal(e.to_string()))?;
        for (name, view) in tensors.tensors() {
            if view.dtype() != Dtype::F32 {
                return Err(Error::Internal(format!("{name} is {:?}, not F32", view.dtype())));
            }
            self.put(format!("{prefix}{name}"), view.shape(), bytemuck::pod_collect_to_vec(view.data()));
        }
        Ok(())
    }

    /// Removes every array behind `prefix` and returns them as the bytes of a safetensors file.
    ///
    /// # Errors
    /// [`Error::Internal`] when they cannot be put into one.
    pub fn take_safetensors(&mut self, prefix: &str) -> Result<Vec<u8>> {
        let names: Vec<String> =
            self.arrays.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        let taken: Vec<(String, Array)> =
            names.into_iter().filter_map(|name| self.arrays.remove_entry(&name)).collect();
        serialize(taken.iter().map(|(name, array)| (&name[prefix.len()..], array)), None)
    }

    /// The bytes of a safetensors file.
    ///
    /// # Errors
    /// [`Error::Internal`] when the arrays cannot be put into one.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut texts = self.texts.clone();
        texts.insert(CHECKSUM.into(), self.checksum().to_string());
        // One entry, because the order of several would follow a hash table's and the bytes with it.
        let texts = serde_json::to_string(&texts).map_err(|e| Error::Internal(e.to_string()))?;
        let texts = HashMap::from([(TEXTS.to_owned(), texts)]);
        serialize(self.arrays.iter().map(|(name, array)| (name.as_str(), array)), Some(texts))
    }

    /// Reads what [`Archive::to_bytes`] made. `at` names the file in errors.
    ///
    /// # Errors
    /// [`Error::Input`] when the bytes are truncated, damaged or of another kind.
    pub fn from_bytes(bytes: &[u8], at: &str) -> Result<Self> {
        let refuse = |found: String| {
            Error::input(
                at,
                "a whole safetensors file of surfeltalk",
                found,
                "use an earlier checkpoint or train again",
            )
        };
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| refuse(e.to_string()))?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| refuse(e.to_string()))?;
        let mut archive = Archive::default();
        for (name, view) in tensors.tensors() {
            let values = match view.dtype() {
                Dtype::F32 => Values::F32(bytemuck::pod_collect_to_vec(view.data())),
                Dtype::F64 => Values::F64(bytemuck::pod_collect_to_vec(view.data())),
                Dtype::U8 => Values::Bytes(view.data().to_vec()),
                other => return Err(refuse(format!("{name} of type {other:?}"))),
            };
            archive.arrays.insert(name, Array { shape: view.shape().to_vec(), values });
        }
        let texts = metadata
            .metadata()
            .as_ref()
            .and_then(|m| m.get(TEXTS))
            .ok_or_else(|| refuse("no settings".into()))?;
        archive.texts = serde_json::from_str(texts).map_err(|e| refuse(e.to_string()))?;
        let numbers = archive.texts.remove(NUMBERS_CHECKSUM);
        let (stored, actual) = match archive.texts.remove(CHECKSUM) {
            Some(stored) => (Some(stored), archive.checksum()),
            None => (numbers, archive.numbers_checksum()),
        };
        if stored != Some(actual.to_string()) {
            return Err(refuse("content that does not match its checksum".into()));
        }
        Ok(archive)
    }

    /// Writes the file atomically.
    ///
    /// # Errors
    /// [`Error::Input`] when the place cannot be written to or the disk is full; the old file is then untouched.
    pub fn write(&self, path: &Path) -> Result<()> {
        data_utils::media::files::write_bytes(path, &self.to_bytes()?)
    }

    /// Reads a file that [`Archive::write`] wrote.
    ///
    /// # Errors
    /// As [`Archive::from_bytes`], and when the file is missing.
    pub fn read(path: &Path) -> Result<Self> {
        Archive::from_bytes(
            &data_utils::media::files::read_bounded(path, LIMIT)?,
            &path.display().to_string(),
        )
    }

    fn numbers_checksum(&self) -> u32 {
        self.arrays.values().fold(0, |crc, array| crc32c::crc32c_append(crc, array.values.bytes()))
    }

    fn checksum(&self) -> u32 {
        let mut crc = self.numbers_checksum();
        // Each part after its length, so that no part can lend its end to the next.
        let mut add = |bytes: &[u8]| {
            crc = crc32c::crc32c_append(crc, &(bytes.len() as u64).to_le_bytes());
            crc = crc32c::crc32c_append(crc, bytes);
        };
        for (name, array) in &self.arrays {
            add(name.as_bytes());
            add(format!("{:?} {:?}", array.values.dtype(), array.shape).as_bytes());
        }
        for (name, text) in &self.texts {
            add(name.as_bytes());
            add(text.as_bytes());
        }
        crc
    }
}

fn missing(at: &str, expected: String) -> Error {
    Error::input(at, expected, "none", "use a file that this version of surfeltalk wrote")
}

fn in_rows<T>(at: &str, name: &str, stride: usize, values: Vec<T>) -> Result<Vec<T>> {
    if values.len().is_multiple_of(stride.max(1)) {
        return Ok(values);
    }
    let found = format!("{} values in {name}", values.len());
    let remedy = "use a file that this version of surfeltalk wrote";
    Err(Error::input(at, format!("rows of {stride}"), found, remedy))
}

fn serialize<'a>(
    arrays: impl Iterator<Item = (&'a str, &'a Array)>,
    texts: Option<HashMap<String, String>>,
) -> Result<Vec<u8>> {
    let fail = |e: safetensors::SafeTensorError| Error::Internal(e.to_string());
    let views: Vec<(&str, TensorView<'_>)> = arrays
        .map(|(name, array)| {
            let view = TensorView::new(array.values.dtype(), array.shape.clone(), array.values.bytes());
            Ok((name, view.map_err(fail)?))
        })
        .collect::<Result<_>>()?;
    safetensors::serialize(views, texts).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Archive {
        let mut archive = Archive::default();
        archive.put("b", &[2, 2], vec![1.0, -2.0, f32::MIN_POSITIVE, 4.0]);
        archive.put("a", &[0], vec![]);
        archive.put_f64("c", &[1, 2], vec![1.0 / 3.0, -7.5]);
        archive.put_bytes("d", vec![1, 2, 3]);
        archive.put_text("what", "größe".into());
        archive
    }

    #[test]
    fn what_is_written_is_read_back_bit_for_bit() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x/y.safetensors");
        archive().write(&path).expect("written");
        assert_eq!(Archive::read(&path).expect("read"), archive());
    }

    #[test]
    fn a_truncated_or_damaged_file_is_refused() {
        let whole = archive().to_bytes().expect("bytes");
        for cut in 0..whole.len() {
            let found = Archive::from_bytes(&whole[..cut], "y");
            assert!(matches!(found, Err(Error::Input(_))), "cut at {cut}");
        }
        let mut flipped = whole.clone();
        *flipped.last_mut().expect("not empty") ^= 1;
        assert!(Archive::from_bytes(&flipped, "y").is_err());
    }

    #[test]
    fn a_change_of_any_byte_is_refused_or_changes_nothing() {
        let whole = archive().to_bytes().expect("bytes");
        let mut refused = 0;
        for at in 0..whole.len() {
            for bit in [1, 2, 0x10] {
                let mut changed = whole.clone();
                changed[at] ^= bit;
                match Archive::from_bytes(&changed, "y") {
                    Err(error) => {
                        assert_eq!(error.exit_code(), 2, "{error}");
                        refused += 1;
                    }
                    Ok(mut read) => {
                        // Of the checksum's own name, or of spaces.
                        read.texts.retain(|name, _| archive().texts.contains_key(name));
                        assert_eq!(read, archive(), "byte {at}");
                    }
                }
            }
        }
        assert!(refused > 2 * whole.len(), "{refused} of {}", 3 * whole.len());
    }

    #[test]
    fn files_of_earlier_versions_are_read() {
        let old = archive();
        let mut texts = old.texts.clone();
        texts.insert(NUMBERS_CHECKSUM.into(), old.numbers_checksum().to_string());
        let texts = HashMap::from([(TEXTS.to_owned(), serde_json::to_string(&texts).expect("json"))]);
        let bytes =
            serialize(old.arrays.iter().map(|(name, a)| (name.as_str(), a)), Some(texts)).expect("bytes");
        assert_eq!(Archive::from_bytes(&bytes, "y").expect("read"), old);
    }

    #[test]
    fn an_array_of_another_type_is_no_such_array() {
        let error = archive().take("y", "d", 1).expect_err("bytes are not f32");
        assert!(error.to_string().contains("an array d of f32"), "{error}");
        assert!(archive().take_f64("y", "b", 1).is_err());
        assert!(archive().take_bytes("y", "a").is_err());
        assert!(archive().take("y", "b", 3).is_err());
    }
}
