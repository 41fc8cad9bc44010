//! The boxes of an MP4 file (ISO/IEC 14496-12 §4.2).

use std::io::{Read, Seek, SeekFrom};

/// The most boxes looked at on the top level, and the longest index accepted.
const BOX_LIMIT: usize = 4096;
const INDEX_LIMIT: u64 = 256 << 20;

/// A box on the top level of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TopBox {
    pub(crate) name: [u8; 4],
    /// Where its body begins and ends in the file, bytes.
    pub(crate) body: [u64; 2],
}

/// The boxes on the top level of a file of `length` bytes that lie in it whole. The second value is where the last
/// of them ends: the file's end, unless the file was cut or is of another kind.
pub(crate) fn top_boxes(file: &mut (impl Read + Seek), length: u64) -> std::io::Result<(Vec<TopBox>, u64)> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at + 8 <= length && found.len() < BOX_LIMIT {
        file.seek(SeekFrom::Start(at))?;
        let mut head = [0u8; 16];
        let have = (length - at).min(16) as usize;
        file.read_exact(&mut head[..have])?;
        let Some((name, header, size)) = header(&head[..have], length - at) else { break };
        if at == 0 && &name != b"ftyp" {
            break;
        }
        found.push(TopBox { name, body: [at + header, at + size] });
        at += size;
    }
    Ok((found, at))
}

/// The body of the `moov` box, wherever it lies.
pub(crate) fn read_index(file: &mut (impl Read + Seek), length: u64) -> std::io::Result<Option<Vec<u8>>> {
    let (boxes, _) = top_boxes(file, length)?;
    let Some(index) = boxes.iter().find(|b| &b.name == b"moov") else { return Ok(None) };
    let [start, end] = index.body;
    file.seek(SeekFrom::Start(start))?;
    let mut body = Vec::new();
    file.take((end - start).min(INDEX_LIMIT)).read_to_end(&mut body)?;
    Ok(Some(body))
}

/// Name, length of the header and length in all of the box at the start of `bytes`, which has `available` bytes
/// up to the end of what holds it.
fn header(bytes: &[u8], available: u64) -> Option<([u8; 4], u64, u64)> {
    let name = bytes.get(4..8)?.try_into().ok()?;
    let (header, size) = match u32_at(bytes, 0)? {
        0 => (8, available),
        1 => (16, u64_at(bytes, 8)?),
        size => (8, u64::from(size)),
    };
    (size >= header && size <= available).then_some((name, header, size))
}

/// The boxes inside a body, up to the first that does not fit.
pub(crate) fn boxes(body: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = body;
    std::iter::from_fn(move || {
        let (name, header, size) = header(rest, rest.len() as u64)?;
        let (this, after) = rest.split_at(size as usize);
        rest = after;
        Some((name, &this[header as usize..]))
    })
}

/// The first box of this name inside a body.
pub(crate) fn child<'a>(body: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(body).find(|(found, _)| found == name).map(|(_, body)| body)
}

/// The box at the end of a path of names inside a body.
pub(crate) fn descendant<'a>(body: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(body, |body, name| child(body, name))
}

/// Ticks per second of an `mvhd` or `mdhd`.
pub(crate) fn timescale(header: &[u8]) -> Option<u32> {
    let at = if header.first()? == &1 { 20 } else { 12 };
    u32_at(header, at).filter(|&rate| rate > 0)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_be_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_be_bytes)
}
