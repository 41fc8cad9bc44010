//! NumPy's `.npy` arrays (format versions 1.0, 2.0 and 3.0, NEP 1): numbers only, little endian.
//!
//! Every numeric type is converted to `f32` in C order; 64-bit integers and `f64` lose what `f32` cannot hold.
//! Object arrays are pickles in disguise and are refused by name, like big endian and structured types.

use crate::error::{Error, Result};
use crate::media::files::{self, open_plain};
use std::io::{BufReader, Read};
use std::path::Path;

/// The longest header accepted; NumPy writes 118 bytes for any plain array.
const HEADER_LIMIT: usize = 64 * 1024;
/// The most axes NumPy itself allows in every version.
const AXES_LIMIT: usize = 32;
const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// An array of numbers in C order (last axis fastest).
#[derive(Debug, Clone, PartialEq)]
pub struct NpyArray {
    /// Length along each axis; empty for a scalar.
    pub shape: Vec<usize>,
    /// The values, as many as the product of `shape`.
    pub data: Vec<f32>,
}

/// Reads the array at `path`.
///
/// # Errors
/// [`Error::Input`] when the file cannot be read, is not a plain numeric little-endian array, or its length is
/// not exactly what its header declares.
pub fn read(path: &Path) -> Result<NpyArray> {
    let file = open_plain(path).map_err(|e| Error::io(path, "a NumPy array", &e))?;
    let length = file.metadata().map_err(|e| Error::io(path, "a NumPy array", &e))?.len();
    read_from(&mut BufReader::new(file), length).map_err(|found| {
        Error::input(
            path.display(),
            "a NumPy array of numbers (.npy, little endian)",
            found,
            "save it again with numpy.save(name, array.astype('float32'))",
        )
    })
}

/// Writes `data`, in C order, as a little-endian `f32` array of the given shape; as a whole or not at all.
///
/// # Errors
/// [`Error::Internal`] when `shape` and `data` disagree, [`Error::Input`] when the place cannot be written.
pub fn write(path: &Path, shape: &[usize], data: &[f32]) -> Result<()> {
    let count = shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n));
    if count != Some(data.len()) {
        return Err(Error::Internal(format!("an array of shape {shape:?} was given {} values", data.len())));
    }
    let lengths: Vec<String> = shape.iter().map(|n| format!("{n},")).collect();
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", lengths.join(" "));
    // NumPy pads so that the values begin at a multiple of 64 and the header ends with a line feed.
    let unpadded = MAGIC.len() + 4 + header.len() + 1;
    header.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    header.push('\n');
    let declared = u16::try_from(header.len()).map_err(|_| {
        Error::Internal(format!("an array of {} axes does not fit a .npy header", shape.len()))
    })?;
    files::write_atomic(path, |out| {
        out.write_all(MAGIC)?;
        out.write_all(&[1, 0])?;
        out.write_all(&declared.to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        for part in data.chunks(4096) {
            let bytes: Vec<u8> = part.iter().flat_map(|v| v.to_le_bytes()).collect();
            out.write_all(&bytes)?;
        }
        Ok(())
    })
}

/// What one element looks like in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Float(usize),
    Signed(usize),
    Unsigned(usize),
    Bool,
}

impl Element {
    /// Reads NumPy's type string, such as `<f4`.
    fn parse(descr: &str) -> std::result::Result<Self, String> {
        let (order, kind) = descr.split_at_checked(1).ok_or("an empty type")?;
        if order == ">" {
            return Err(format!("big-endian values ({descr})"));
        }
        let kind = if matches!(order, "<" | "|" | "=") { kind } else { descr };
        if kind.starts_with('O') {
            return Err("an object array, which is a pickle that may run code".to_string());
        }
        match kind {
            "f2" => Ok(Element::Float(2)),
            "f4" => Ok(Element::Float(4)),
            "f8" => Ok(Element::Float(8)),
            "i1" => Ok(Element::Signed(1)),
            "i2" => Ok(Element::Signed(2)),
            "i4" => Ok(Element::Signed(4)),
            "i8" => Ok(Element::Signed(8)),
            "u1" => Ok(Element::Unsigned(1)),
            "u2" => Ok(Element::Unsigned(2)),
            "u4" => Ok(Element::Unsigned(4)),
            "u8" => Ok(Element::Unsigned(8)),
            "b1" | "?" => Ok(Element::Bool),
            _ => Err(format!("values of type {descr}")),
        }
    }

    pub(super) fn size(self) -> usize {
        match self {
            Element::Float(n) | Element::Signed(n) | Element::Unsigned(n) => n,
            Element::Bool => 1,
        }
    }

    /// The value of one element; `bytes` holds exactly `size()` of them.
    fn value(self, bytes: &[u8]) -> f32 {
        let mut wide = [0u8; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        let bits = u64::from_le_bytes(wide);
        match self {
            Element::Float(2) => half_to_f32(bits as u16),
            Element::Float(4) => f32::from_bits(bits as u32),
            Element::Float(_) => f64::from_bits(bits) as f32,
            Element::Signed(size) => {
                let unused = 64 - 8 * size as u32;
                ((bits << unused) as i64 >> unused) as f32
            }
            Element::Unsigned(_) => bits as f32,
            Element::Bool => f32::from(u8::from(bits != 0)),
        }
    }
}

/// IEEE 754 binary16 as `f32`, exact.
fn half_to_f32(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f32::from(bits & 0x3ff);
    match exponent {
        0 => sign * fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2f32.powi(exponent - 15),
    }
}

struct Header {
    element: Element,
    fortran_order: bool,
    shape: Vec<usize>,
}

/// Reads an array from a stream that holds `length` bytes in all; the error says what was found instead.
pub(super) fn read_from(reader: &mut impl Read, length: u64) -> std::result::Result<NpyArray, String> {
    let short = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => format!("a file that ends too early ({length} bytes)"),
        _ => e.to_string(),
    };
    let mut start = [0u8; 8];
    reader.read_exact(&mut start).map_err(short)?;
    if &start[..6] != MAGIC {
        return Err("a file that does not begin as one".to_string());
    }
    let (prefix, header_length) = match start[6] {
        1 => {
            let mut n = [0u8; 2];
            reader.read_exact(&mut n).map_err(short)?;
            (10u64, usize::from(u16::from_le_bytes(n)))
        }
        2 | 3 => {
            let mut n = [0u8; 4];
            reader.read_exact(&mut n).map_err(short)?;
            (12u64, u32::from_le_bytes(n) as usize)
        }
        version => return Err(format!("format version {version}")),
    };
    if header_length > HEADER_LIMIT {
        return Err(format!("a header of {header_length} bytes where {HEADER_LIMIT} are allowed"));
    }
    let mut text = vec![0u8; header_length];
    reader.read_exact(&mut text).map_err(short)?;
    let text = String::from_utf8(text).map_err(|_| "a header that is not text".to_string())?;
    let header = parse_header(&text)?;

    let available = length.saturating_sub(prefix + header_length as u64);
    let count = header.shape.iter().try_fold(1u64, |count, &n| count.checked_mul(n as u64));
    let needed = count.and_then(|count| count.checked_mul(header.element.size() as u64));
    if needed != Some(available) {
        return Err(format!("shape {:?} with {available} bytes of values", header.shape));
    }
    // The values are as long as the file is, so memory follows the file and not the header.
    let data = read_values(reader, header.element, (available / header.element.size() as u64) as usize)
        .map_err(short)?;
    let data = if header.fortran_order { to_c_order(&data, &header.shape) } else { data };
    Ok(NpyArray { shape: header.shape, data })
}

/// An array of its parts: NumPy's type string, the order of its axes, its shape and its bytes.
pub(super) fn assembled(
    descr: &str,
    fortran_order: bool,
    shape: &[usize],
    bytes: &[u8],
) -> std::result::Result<NpyArray, String> {
    let element = Element::parse(descr)?;
    let count = shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n));
    if count.and_then(|count| count.checked_mul(element.size())) != Some(bytes.len()) {
        return Err(format!("shape {shape:?} with {} bytes of values", bytes.len()));
    }
    let data: Vec<f32> = bytes.chunks_exact(element.size()).map(|b| element.value(b)).collect();
    let data = if fortran_order { to_c_order(&data, shape) } else { data };
    Ok(NpyArray { shape: shape.to_vec(), data })
}

/// What follows the header of an array of objects: a pickle.
pub(super) fn object_body(bytes: &[u8]) -> std::result::Result<&[u8], String> {
    let early = || format!("a file that ends too early ({} bytes)", bytes.len());
    if !bytes.starts_with(MAGIC) {
        return Err("a file that does not begin as a NumPy array".into());
    }
    let number = |from: usize, to: usize| {
        let part = bytes.get(from..to).ok_or_else(early)?;
        Ok::<usize, String>(part.iter().rev().fold(0, |n, b| n << 8 | usize::from(*b)))
    };
    let (start, length): (usize, usize) = match bytes.get(6) {
        Some(1) => (10, number(8, 10)?),
        Some(2 | 3) => (12, number(8, 12)?),
        _ => return Err("an array of an unknown version".into()),
    };
    let header = bytes.get(start..start.saturating_add(length.min(HEADER_LIMIT))).ok_or_else(early)?;
    if !header.windows(2).any(|w| w == b"|O") {
        return Err("an array that is no dict".into());
    }
    bytes.get(start + header.len()..).ok_or_else(early)
}

pub(super) fn read_values(
    reader: &mut (impl Read + ?Sized),
    element: Element,
    count: usize,
) -> std::io::Result<Vec<f32>> {
    let mut data = Vec::new();
    let mut buffer = vec![0u8; 8192 * element.size()];
    while data.len() < count {
        let part = (count - data.len()).min(8192) * element.size();
        reader.read_exact(&mut buffer[..part])?;
        data.extend(buffer[..part].chunks_exact(element.size()).map(|bytes| element.value(bytes)));
    }
    Ok(data)
}

/// Reorders values whose first axis runs fastest.
pub(super) fn to_c_order(data: &[f32], shape: &[usize]) -> Vec<f32> {
    let mut strides = vec![1usize; shape.len()];
    for axis in 1..shape.len() {
        strides[axis] = strides[axis - 1] * shape[axis - 1];
    }
    let mut index = vec![0usize; shape.len()];
    let mut ordered = Vec::with_capacity(data.len());
    for _ in 0..data.len() {
        let at: usize = index.iter().zip(&strides).map(|(i, s)| i * s).sum();
        ordered.push(data[at]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    ordered
}

/// Reads the header, a Python dict literal of exactly three keys.
fn parse_header(text: &str) -> std::result::Result<Header, String> {
    let broken = || {
        format!("a header that cannot be read: {:?}", text.trim_end().chars().take(120).collect::<String>())
    };
    let mut rest = text.trim().strip_prefix('{').and_then(|t| t.strip_suffix('}')).ok_or_else(broken)?.trim();
    let (mut descr, mut fortran_order, mut shape) = (None, None, None);
    while !rest.is_empty() {
        let (key, after) = quoted(rest).ok_or_else(broken)?;
        rest = after.trim_start().strip_prefix(':').ok_or_else(broken)?.trim_start();
        match key {
            "descr" if rest.starts_with('[') => return Err("a structured array".to_string()),
            "descr" => {
                let (value, after) = quoted(rest).ok_or_else(broken)?;
                descr = Some(value);
                rest = after;
            }
            "fortran_order" => {
                let (value, after) = match (rest.strip_prefix("True"), rest.strip_prefix("False")) {
                    (Some(after), _) => (true, after),
                    (_, Some(after)) => (false, after),
                    _ => return Err(broken()),
                };
                fortran_order = Some(value);
                rest = after;
            }
            "shape" => {
                let (value, after) =
                    rest.strip_prefix('(').and_then(|t| t.split_once(')')).ok_or_else(broken)?;
                shape = Some(parse_shape(value).ok_or_else(broken)?);
                rest = after;
            }
            _ => return Err(broken()),
        }
        rest = rest.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    match (descr, fortran_order, shape) {
        (Some(descr), Some(fortran_order), Some(shape)) => {
            Ok(Header { element: Element::parse(descr)?, fortran_order, shape })
        }
        _ => Err(broken()),
    }
}

/// The text of a quoted string at the start of `text`, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote)
}

/// The lengths of a Python tuple such as `3, 4,`; Python 2 wrote long integers as `3L`.
fn parse_shape(text: &str) -> Option<Vec<usize>> {
    let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.len() > AXES_LIMIT {
        return None;
    }
    parts.iter().map(|part| part.strip_suffix('L').unwrap_or(part).parse().ok()).collect()
}

#[cfg(test)]
#[path = "npy_tests.rs"]
mod tests;
