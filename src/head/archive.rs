//! Named arrays and texts in one safetensors file, written as a whole or not at all, with a checksum over
//! the numbers so that a damaged file is refused rather than trained on.

use crate::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// More than any model of ours needs.
const LIMIT: u64 = 8 << 30;
const CHECKSUM: &str = "crc32c";
const TEXTS: &str = "surfeltalk";

/// Named f32 arrays with their shapes, and named texts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Archive {
    arrays: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    texts: BTreeMap<String, String>,
}

impl Archive {
    /// Adds an array; its length is the product of `shape`.
    pub fn put(&mut self, name: impl Into<String>, shape: &[usize], values: Vec<f32>) {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len(), "shape and length");
        self.arrays.insert(name.into(), (shape.to_vec(), values));
    }

    /// Adds a text.
    pub fn put_text(&mut self, name: impl Into<String>, text: String) {
        self.texts.insert(name.into(), text);
    }

    /// Takes an array out.
    ///
    /// # Errors
    /// [`Error::Input`] naming `at` when there is none of that name, or its length is not a multiple of `stride`.
    pub fn take(&mut self, at: &Path, name: &str, stride: usize) -> Result<Vec<f32>> {
        let (_, values) = self.arrays.remove(name).ok_or_else(|| {
            Error::input(at.display(), format!("an array {name}"), "none", "use a file this version wrote")
        })?;
        if !values.len().is_multiple_of(stride.max(1)) {
            let found = format!("{} numbers in {name}", values.len());
            return Err(Error::input(
                at.display(),
                format!("rows of {stride}"),
                found,
                "use a file this version wrote",
            ));
        }
        Ok(values)
    }

    /// Takes a text out.
    ///
    /// # Errors
    /// [`Error::Input`] naming `at` when there is none of that name.
    pub fn take_text(&mut self, at: &Path, name: &str) -> Result<String> {
        self.texts.remove(name).ok_or_else(|| {
            Error::input(at.display(), format!("a text {name}"), "none", "use a file this version wrote")
        })
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

    /// Takes every array behind `prefix` out, as the bytes of a safetensors file.
    ///
    /// # Errors
    /// [`Error::Internal`] when they cannot be put into one.
    pub fn take_safetensors(&mut self, prefix: &str) -> Result<Vec<u8>> {
        let fail = |e: safetensors::SafeTensorError| Error::Internal(e.to_string());
        let names: Vec<String> =
            self.arrays.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        let taken: Vec<_> = names.iter().filter_map(|name| Some((name, self.arrays.remove(name)?))).collect();
        let views: Vec<(&str, TensorView<'_>)> = taken
            .iter()
            .map(|(name, (shape, values))| {
                let view =
                    TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values)).map_err(fail)?;
                Ok((&name[prefix.len()..], view))
            })
            .collect::<Result<_>>()?;
        safetensors::serialize(views, None).map_err(fail)
    }

    /// Writes the file atomically.
    ///
    /// # Errors
    /// [`Error::Input`] when the place cannot be written to or the disk is full; the old file is then untouched.
    pub fn write(&self, path: &Path) -> Result<()> {
        let fail = |e: safetensors::SafeTensorError| Error::Internal(format!("{}: {e}", path.display()));
        let mut texts = self.texts.clone();
        texts.insert(CHECKSUM.into(), self.checksum().to_string());
        // One entry, because the order of several would follow a hash table's and the bytes with it.
        let texts =
            serde_json::to_string(&texts).map_err(|e| Error::Internal(format!("{}: {e}", path.display())))?;
        let texts = HashMap::from([(TEXTS.to_owned(), texts)]);
        let views: Vec<(&str, TensorView<'_>)> = self
            .arrays
            .iter()
            .map(|(name, (shape, values))| {
                let view =
                    TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values)).map_err(fail)?;
                Ok((name.as_str(), view))
            })
            .collect::<Result<_>>()?;
        let bytes = safetensors::serialize(views, Some(texts)).map_err(fail)?;
        data_utils::files::write_bytes(path, &bytes)
    }

    /// Reads a file this type wrote.
    ///
    /// # Errors
    /// [`Error::Input`] when the file is missing, truncated, damaged or of another kind.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = data_utils::files::read_bounded(path, LIMIT)?;
        let refuse = |found: String| {
            Error::input(
                path.display(),
                "a whole safetensors file",
                found,
                "use an earlier checkpoint or train again",
            )
        };
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| refuse(e.to_string()))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| refuse(e.to_string()))?;
        let mut archive = Archive::default();
        for (name, view) in tensors.tensors() {
            if view.dtype() != Dtype::F32 {
                return Err(refuse(format!("{name} of type {:?}", view.dtype())));
            }
            let values = bytemuck::pod_collect_to_vec::<u8, f32>(view.data());
            archive.arrays.insert(name, (view.shape().to_vec(), values));
        }
        let texts = metadata
            .metadata()
            .as_ref()
            .and_then(|m| m.get(TEXTS))
            .ok_or_else(|| refuse("no texts".into()))?;
        archive.texts = serde_json::from_str(texts).map_err(|e| refuse(e.to_string()))?;
        let stored = archive.texts.remove(CHECKSUM).and_then(|s| s.parse::<u32>().ok());
        if stored != Some(archive.checksum()) {
            return Err(refuse("numbers that do not match their checksum".into()));
        }
        Ok(archive)
    }

    fn checksum(&self) -> u32 {
        self.arrays
            .values()
            .fold(0, |crc, (_, values)| crc32c::crc32c_append(crc, bytemuck::cast_slice(values)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Archive {
        let mut archive = Archive::default();
        archive.put("b", &[2, 2], vec![1.0, -2.0, f32::MIN_POSITIVE, 4.0]);
        archive.put("a", &[0], vec![]);
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
    fn a_cut_or_flipped_file_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("y.safetensors");
        archive().write(&path).expect("written");
        let whole = std::fs::read(&path).expect("read");
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).expect("cut");
            assert!(matches!(Archive::read(&path), Err(Error::Input(_))), "cut at {cut}");
        }
        let mut flipped = whole.clone();
        *flipped.last_mut().expect("not empty") ^= 1;
        std::fs::write(&path, flipped).expect("flipped");
        assert!(Archive::read(&path).is_err());
    }
}
