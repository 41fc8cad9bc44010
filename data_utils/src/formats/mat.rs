//! MATLAB's MAT-files of level 5 ("MAT-File Format", MathWorks): arrays of numbers by name, plain or deflated.

use super::npy::{Element, NpyArray, read_values, to_c_order};
use crate::error::{Error, Result};
use crate::media::files;
use flate2::read::ZlibDecoder;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// The largest file, and the most values in all arrays that are read together.
const FILE_LIMIT: u64 = 1 << 30;
const VALUE_LIMIT: usize = 1 << 27;
/// The most elements of a file, axes of an array, and bytes of a name.
const ELEMENT_LIMIT: usize = 4096;
const AXES_LIMIT: usize = 32;
const NAME_LIMIT: usize = 64;
/// Bytes before the first element.
const HEADER: usize = 128;
/// Kinds of elements.
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;

type Found<T> = std::result::Result<T, String>;

/// Reads the arrays of these names, as far as there are any; others may be of any kind. Axes keep MATLAB's order,
/// values come with the last axis fastest.
///
/// # Errors
/// [`Error::Input`] when the file cannot be read, is damaged, is no such file, or an array that is wanted holds other
/// than real numbers.
pub fn read_named(path: &Path, names: &[&str]) -> Result<BTreeMap<String, NpyArray>> {
    let bytes = files::read_bounded(path, FILE_LIMIT)?;
    arrays(&bytes, names).map_err(|found| {
        Error::input(
            path.display(),
            "a MAT-file of level 5 (MATLAB 5 to 7)",
            found,
            "use the published file, or save it again with save(..., '-v7')",
        )
    })
}

fn arrays(bytes: &[u8], names: &[&str]) -> Found<BTreeMap<String, NpyArray>> {
    let header = bytes.get(..HEADER).ok_or_else(|| format!("a file of {} bytes", bytes.len()))?;
    if header.starts_with(b"MATLAB 7.3") {
        return Err("a file of level 7.3 (HDF5)".into());
    }
    if !header.starts_with(b"MATLAB 5.0") || header[126..] != *b"IM" {
        return Err("a file that does not begin as one, or with big-endian values".into());
    }
    let mut rest = &bytes[HEADER..];
    let mut found = BTreeMap::new();
    let mut left = VALUE_LIMIT;
    for _ in 0..ELEMENT_LIMIT {
        if rest.is_empty() {
            return Ok(found);
        }
        let tag = Tag::read(&mut rest)?;
        let body = rest.get(..tag.size).ok_or("a file that ends too early")?;
        rest = &rest[tag.size..];
        let array = match tag.kind {
            COMPRESSED => {
                let mut inside = ZlibDecoder::new(body);
                let tag = Tag::read(&mut inside)?;
                if tag.kind == MATRIX { matrix(&mut inside, names, &mut left)? } else { None }
            }
            MATRIX => matrix(&mut { body }, names, &mut left)?,
            _ => None,
        };
        found.extend(array);
    }
    Err(format!("more than {ELEMENT_LIMIT} elements"))
}

/// What an element is, and how many bytes its values have.
struct Tag {
    kind: u32,
    size: usize,
    /// Values of at most four bytes lie in the tag.
    small: Option<[u8; 4]>,
}

impl Tag {
    fn read(from: &mut dyn Read) -> Found<Tag> {
        let mut bytes = [0u8; 8];
        exact(from, &mut bytes)?;
        let [a, b, c, d, e, f, g, h] = bytes;
        let (first, second) = (u32::from_le_bytes([a, b, c, d]), [e, f, g, h]);
        if first >> 16 != 0 {
            let size = (first >> 16) as usize;
            return if size <= 4 {
                Ok(Tag { kind: first & 0xffff, size, small: Some(second) })
            } else {
                Err(format!("a small element of {size} bytes"))
            };
        }
        Ok(Tag { kind: first, size: u32::from_le_bytes(second) as usize, small: None })
    }

    /// The bytes of a short element, at most `limit`, and what fills them up to eight.
    fn bytes(&self, from: &mut dyn Read, limit: usize) -> Found<Vec<u8>> {
        if let Some(small) = self.small {
            return Ok(small[..self.size].to_vec());
        }
        if self.size > limit {
            return Err(format!("an element of {} bytes where {limit} are allowed", self.size));
        }
        let mut bytes = vec![0u8; self.size.next_multiple_of(8)];
        exact(from, &mut bytes)?;
        bytes.truncate(self.size);
        Ok(bytes)
    }
}

/// Fills `bytes`.
fn exact(from: &mut dyn Read, bytes: &mut [u8]) -> Found<()> {
    from.read_exact(bytes).map_err(|e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => "a file that ends too early".into(),
        _ => e.to_string(),
    })
}

/// An array's parts: flags, lengths, name, values. None where it is not wanted.
fn matrix(from: &mut dyn Read, names: &[&str], left: &mut usize) -> Found<Option<(String, NpyArray)>> {
    let flags = Tag::read(from)?.bytes(from, 16)?;
    let &[class, bits, ..] = flags.as_slice() else { return Err("an array without flags".into()) };
    let lengths = Tag::read(from)?.bytes(from, 4 * AXES_LIMIT)?;
    let shape: Vec<usize> = lengths
        .chunks_exact(4)
        .map(|b| b.iter().rev().fold(0usize, |n, b| n << 8 | usize::from(*b)))
        .collect();
    let name = String::from_utf8_lossy(&Tag::read(from)?.bytes(from, NAME_LIMIT)?).into_owned();
    if !names.contains(&name.as_str()) {
        return Ok(None);
    }
    // Classes 6 to 15 are numbers; bit 3 says that they are complex.
    if !(6..=15).contains(&class) || bits & 8 != 0 {
        return Err(format!("{name} that is no array of real numbers"));
    }
    let tag = Tag::read(from)?;
    let element = element(tag.kind).ok_or_else(|| format!("{name} of an unknown type {}", tag.kind))?;
    let count = shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n));
    let count = count.filter(|n| n.checked_mul(element.size()) == Some(tag.size));
    let count = count.ok_or_else(|| format!("{name} of shape {shape:?} with {} bytes", tag.size))?;
    *left = left.checked_sub(count).ok_or_else(|| format!("more than {VALUE_LIMIT} values"))?;
    let early = |e: std::io::Error| format!("{name}: {e}");
    let data = match tag.small {
        Some(small) => read_values(&mut small.as_slice(), element, count).map_err(early)?,
        None => read_values(from, element, count).map_err(early)?,
    };
    // The first axis runs fastest.
    let data = to_c_order(&data, &shape);
    Ok(Some((name, NpyArray { shape, data })))
}

/// How values of a type are stored; MATLAB stores whole numbers in the smallest type that holds them.
fn element(kind: u32) -> Option<Element> {
    Some(match kind {
        1 => Element::Signed(1),
        2 => Element::Unsigned(1),
        3 => Element::Signed(2),
        4 => Element::Unsigned(2),
        5 => Element::Signed(4),
        6 => Element::Unsigned(4),
        7 => Element::Float(4),
        9 => Element::Float(8),
        12 => Element::Signed(8),
        13 => Element::Unsigned(8),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = include_bytes!("../../tests/data/bfm/plain.mat");
    const PACKED: &[u8] = include_bytes!("../../tests/data/bfm/packed.mat");

    #[test]
    fn arrays_are_scipys() {
        for bytes in [PLAIN, PACKED] {
            let found = arrays(bytes, &["table", "bytes", "one", "missing"]).expect("arrays");
            assert_eq!(found.len(), 3);
            assert_eq!(found["table"].shape, [2, 3]);
            assert_eq!(found["table"].data, [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]);
            assert_eq!(
                (found["bytes"].shape.clone(), found["bytes"].data.clone()),
                (vec![1, 3], vec![1.0, 2.0, 255.0])
            );
            assert_eq!(found["one"].data, [-7.25]);
        }
    }

    #[test]
    fn other_kinds_are_left_alone_and_refused_where_wanted() {
        for name in ["text", "complex", "cells"] {
            let refused = arrays(PLAIN, &[name]).expect_err("no real numbers");
            assert!(refused.contains(name), "{refused}");
        }
    }

    #[test]
    fn damage_is_refused() {
        for bytes in [PLAIN, PACKED] {
            for cut in (0..bytes.len()).step_by(7).filter(|cut| *cut != HEADER) {
                let found = arrays(&bytes[..cut], &["table", "bytes", "one"]);
                // A cut between two elements leaves fewer arrays, nothing else.
                assert!(found.is_err() || found.is_ok_and(|f| f.len() < 3), "{cut}");
            }
        }
        // Lengths that no memory holds.
        let mut large = PLAIN.to_vec();
        let shape = large.windows(8).position(|w| w == [2, 0, 0, 0, 3, 0, 0, 0]).expect("the table's shape");
        large[shape..shape + 8].fill(0xff);
        assert!(arrays(&large, &["table"]).is_err());
        let mut other = PLAIN.to_vec();
        other[..10].copy_from_slice(b"MATLAB 7.3");
        assert!(arrays(&other, &["table"]).expect_err("HDF5").contains("7.3"));
    }
}
