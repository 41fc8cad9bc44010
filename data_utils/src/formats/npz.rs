//! NumPy's `.npz`: a zip archive of `.npy` arrays, stored or deflated.

use super::npy::{self, NpyArray};
use crate::error::{Error, Result};
use crate::media::files::open_plain;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use zip::ZipArchive;

/// The most arrays, and the most bytes in all of them together once unpacked.
const ENTRY_LIMIT: usize = 4096;
const TOTAL_LIMIT: u64 = 1 << 30;
/// How much larger than its compressed form an array may be, beside the first mebibyte: numbers that were measured
/// hardly shrink.
const RATIO_LIMIT: u64 = 100;
const FREE: u64 = 1 << 20;

/// Reads every array of the archive at `path`, by its name without `.npy`. Memory grows with what is unpacked, never
/// with what an entry declares.
///
/// # Errors
/// [`Error::Input`] when the file cannot be read, is no such archive, unpacks to more than 1 GiB, or holds anything but
/// arrays that [`npy::read`] would take.
pub fn read(path: &Path) -> Result<BTreeMap<String, NpyArray>> {
    read_if(path, |_| true)
}

/// Reads the arrays of these names only, as far as there are any; others may be of any type.
///
/// # Errors
/// As [`read`], for the arrays that are read.
pub fn read_named(path: &Path, names: &[&str]) -> Result<BTreeMap<String, NpyArray>> {
    read_if(path, |name| names.contains(&name))
}

fn read_if(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, NpyArray>> {
    let file = open_plain(path).map_err(|e| Error::io(path, "NumPy arrays", &e))?;
    unpack(BufReader::new(file), wanted).map_err(|found| {
        Error::input(
            path.display(),
            "an archive of NumPy arrays of numbers (.npz)",
            found,
            "save it again with numpy.savez(name, key=array, …)",
        )
    })
}

fn unpack(
    file: BufReader<File>,
    wanted: impl Fn(&str) -> bool,
) -> std::result::Result<BTreeMap<String, NpyArray>, String> {
    let mut archive = ZipArchive::new(file).map_err(|e| e.to_string())?;
    if archive.len() > ENTRY_LIMIT {
        return Err(format!("{} entries where {ENTRY_LIMIT} are allowed", archive.len()));
    }
    let mut arrays = BTreeMap::new();
    let mut left = TOTAL_LIMIT;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|e| e.to_string())?;
        let name = entry.name().map_err(|e| e.to_string())?.into_owned();
        let Some(key) = name.strip_suffix(".npy") else {
            return Err(format!("an entry {name:?} that is no array"));
        };
        if !wanted(key) {
            continue;
        }
        let (declared, packed) = (entry.size(), entry.compressed_size());
        if declared > packed.saturating_mul(RATIO_LIMIT).saturating_add(FREE) {
            return Err(format!("{name}, which grows from {packed} to {declared} bytes"));
        }
        let limit = left.min(declared);
        let mut bytes = Vec::new();
        entry.take(limit + 1).read_to_end(&mut bytes).map_err(|e| format!("{name}: {e}"))?;
        let length = bytes.len() as u64;
        if length > declared {
            return Err(format!("{name}, of more than the {declared} bytes it declares"));
        }
        left = left.checked_sub(length).ok_or_else(|| format!("more than {TOTAL_LIMIT} bytes of arrays"))?;
        let array =
            npy::read_from(&mut bytes.as_slice(), length).map_err(|found| format!("{name}: {found}"))?;
        arrays.insert(key.to_string(), array);
    }
    Ok(arrays)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::write::{SimpleFileOptions, ZipWriter};

    fn archive(entries: &[(&str, &[u8])]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut zip = ZipWriter::new(file.as_file_mut());
        for (name, bytes) in entries {
            let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
            zip.start_file(*name, options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        file
    }

    fn array(values: &[f32]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        npy::write(&path, &[values.len()], values).unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn arrays_come_back_by_name() {
        let file = archive(&[("a.npy", &array(&[1.0, 2.5])), ("b__c.npy", &array(&[-3.0]))]);
        let arrays = read(file.path()).unwrap();
        assert_eq!(arrays["a"], NpyArray { shape: vec![2], data: vec![1.0, 2.5] });
        assert_eq!(arrays["b__c"].data, [-3.0]);
        assert_eq!(arrays.len(), 2);
    }

    #[test]
    fn an_entry_that_is_no_array_is_refused() {
        let message = read(archive(&[("a.npy", b"not an array")]).path()).unwrap_err().to_string();
        assert!(message.contains("a.npy"), "{message}");
        let message = read(archive(&[("readme.txt", b"hello")]).path()).unwrap_err().to_string();
        assert!(message.contains("readme.txt"), "{message}");
    }

    #[test]
    fn an_array_that_unpacks_to_far_more_than_its_file_is_refused() {
        let mut bomb = array(&[0.0; 16]);
        bomb.resize(64 << 20, 0);
        let file = archive(&[("a.npy", &bomb)]);
        assert!(file.as_file().metadata().unwrap().len() < 200_000);
        let message = read(file.path()).unwrap_err().to_string();
        assert!(message.contains("a.npy, which grows from"), "{message}");
        // An array of zeros of a reasonable size is none.
        assert_eq!(
            read(archive(&[("a.npy", &array(&[0.0; 200_000]))]).path()).unwrap()["a"].data.len(),
            200_000
        );
    }

    #[test]
    fn a_truncated_archive_is_refused() {
        let file = archive(&[("a.npy", &array(&[1.0; 100]))]);
        let length = file.as_file().metadata().unwrap().len();
        for cut in [0, 10, length / 2, length - 1] {
            file.as_file().set_len(cut).unwrap();
            assert_eq!(read(file.path()).unwrap_err().exit_code(), 2);
        }
    }
}
