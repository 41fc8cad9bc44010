//! A bounded view of a FlatBuffers file: every offset is checked against the bytes that are there, nothing is
//! allocated, and what is wrong is said with its place.
//!
//! Layout (FlatBuffers "internals"): little endian; a table starts with the signed distance back to its
//! vtable; the vtable holds its own size, the table's size and one `u16` offset a field, 0 for an absent one;
//! strings, vectors and sub-tables are reached through forward `u32` offsets.

use std::fmt;

/// What a file did wrong, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Byte offset of the faulty reference.
    pub at: usize,
    /// What was being followed there.
    pub what: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {} leads outside the file", self.what, self.at)
    }
}

type Read<T> = std::result::Result<T, Malformed>;

/// A table inside a file.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    vtable: usize,
    vtable_size: usize,
}

/// A vector inside a file; `width` bytes an element, all inside the file.
#[derive(Debug, Clone, Copy)]
pub struct Vector<'a> {
    bytes: &'a [u8],
    start: usize,
    len: usize,
    width: usize,
}

impl<'a> Table<'a> {
    /// The root table of a file that carries `identifier` at byte 4.
    pub fn root(bytes: &'a [u8], identifier: &[u8; 4]) -> Read<Self> {
        if bytes.get(4..8) != Some(identifier.as_slice()) {
            return Err(Malformed { at: 4, what: "the file identifier" });
        }
        let root = fixed(bytes, 0, "the root offset").map(u32::from_le_bytes)?;
        Self::new(bytes, root as usize)
    }

    fn new(bytes: &'a [u8], at: usize) -> Read<Self> {
        let wrong = Malformed { at, what: "a table" };
        let back = i64::from(i32::from_le_bytes(fixed(bytes, at, wrong.what)?));
        let vtable = usize::try_from(at as i64 - back).map_err(|_| wrong)?;
        let vtable_size = u16::from_le_bytes(fixed(bytes, vtable, "a vtable")?) as usize;
        if vtable_size < 4 || vtable.checked_add(vtable_size).is_none_or(|end| end > bytes.len()) {
            return Err(Malformed { at: vtable, what: "a vtable" });
        }
        Ok(Table { bytes, at, vtable, vtable_size })
    }

    /// Where field number `slot` is, when it is present.
    fn field(&self, slot: usize) -> Read<Option<usize>> {
        let entry = 4 + 2 * slot;
        if entry + 2 > self.vtable_size {
            return Ok(None);
        }
        let offset = u16::from_le_bytes(fixed(self.bytes, self.vtable + entry, "a vtable entry")?) as usize;
        Ok((offset != 0).then_some(self.at + offset))
    }

    /// A signed byte, or `default` when absent.
    pub fn i8(&self, slot: usize, default: i8) -> Read<i8> {
        self.scalar(slot, default, i8::from_le_bytes)
    }

    /// A 32-bit integer, or `default` when absent.
    pub fn i32(&self, slot: usize, default: i32) -> Read<i32> {
        self.scalar(slot, default, i32::from_le_bytes)
    }

    /// An unsigned 32-bit integer, or `default` when absent.
    pub fn u32(&self, slot: usize, default: u32) -> Read<u32> {
        self.scalar(slot, default, u32::from_le_bytes)
    }

    fn scalar<T, const N: usize>(&self, slot: usize, default: T, decode: fn([u8; N]) -> T) -> Read<T> {
        match self.field(slot)? {
            Some(at) => fixed(self.bytes, at, "a field").map(decode),
            None => Ok(default),
        }
    }

    /// A sub-table, when present.
    pub fn table(&self, slot: usize) -> Read<Option<Table<'a>>> {
        self.field(slot)?.map(|at| Table::new(self.bytes, follow(self.bytes, at)?)).transpose()
    }

    /// A vector of elements of `width` bytes; an absent one is empty.
    pub fn vector(&self, slot: usize, width: usize) -> Read<Vector<'a>> {
        let Some(at) = self.field(slot)? else {
            return Ok(Vector { bytes: self.bytes, start: 0, len: 0, width });
        };
        let wrong = Malformed { at, what: "a vector" };
        let head = follow(self.bytes, at)?;
        let len = u32::from_le_bytes(fixed(self.bytes, head, wrong.what)?) as usize;
        let start = head + 4;
        let end = len.checked_mul(width).and_then(|size| start.checked_add(size)).ok_or(wrong)?;
        if end > self.bytes.len() {
            return Err(wrong);
        }
        Ok(Vector { bytes: self.bytes, start, len, width })
    }
}

impl<'a> Vector<'a> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The bytes of all elements.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes.get(self.start..self.start + self.len * self.width).unwrap_or_default()
    }

    /// The elements of a vector of 32-bit integers.
    pub fn i32s(&self) -> impl Iterator<Item = i32> + 'a {
        self.bytes().chunks_exact(4).map(|c| i32::from_le_bytes([c[0], c[1], c[2], c[3]]))
    }

    /// The elements of a vector of tables.
    pub fn tables(self) -> impl Iterator<Item = Read<Table<'a>>> {
        (0..self.len).map(move |i| Table::new(self.bytes, follow(self.bytes, self.start + i * 4)?))
    }
}

fn follow(bytes: &[u8], at: usize) -> Read<usize> {
    let offset = u32::from_le_bytes(fixed(bytes, at, "an offset")?) as usize;
    at.checked_add(offset).filter(|&to| to < bytes.len()).ok_or(Malformed { at, what: "an offset" })
}

fn fixed<const N: usize>(bytes: &[u8], at: usize, what: &'static str) -> Read<[u8; N]> {
    at.checked_add(N)
        .and_then(|end| bytes.get(at..end))
        .and_then(|slice| slice.try_into().ok())
        .ok_or(Malformed { at, what })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Root at 12; its vtable at 8 lies before it: size 6, table size 8, field 0 at +4 holds 7.
    fn tiny() -> Vec<u8> {
        let mut bytes = vec![16, 0, 0, 0];
        bytes.extend(b"TEST");
        bytes.extend([6, 0, 8, 0, 4, 0, 0, 0]);
        bytes.extend(8i32.to_le_bytes());
        bytes.extend(7i32.to_le_bytes());
        bytes
    }

    #[test]
    fn a_field_is_read_and_an_absent_one_takes_its_default() {
        let bytes = tiny();
        let root = Table::root(&bytes, b"TEST").expect("well formed");
        assert_eq!(root.i32(0, -1), Ok(7));
        assert_eq!(root.i32(1, -1), Ok(-1));
    }

    #[test]
    fn another_identifier_is_refused() {
        assert!(Table::root(&tiny(), b"NOPE").is_err());
    }

    #[test]
    fn every_truncation_is_an_error_or_a_default_and_never_a_panic() {
        let bytes = tiny();
        for end in 0..bytes.len() {
            let read = Table::root(&bytes[..end], b"TEST").and_then(|t| t.i32(0, -1));
            assert!(read.is_err(), "{end} bytes were read as a file");
        }
    }

    #[test]
    fn a_vtable_before_the_file_is_refused() {
        let mut bytes = tiny();
        bytes[16..20].copy_from_slice(&i32::MAX.to_le_bytes());
        assert!(Table::root(&bytes, b"TEST").is_err());
        bytes[16..20].copy_from_slice(&i32::MIN.to_le_bytes());
        assert!(Table::root(&bytes, b"TEST").is_err());
    }
}
