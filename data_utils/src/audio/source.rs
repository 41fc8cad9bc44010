//! A sound file as the decoders see it: wav headers whose length cannot be true get the one that is.

use super::error::Failure;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use symphonia::core::io::MediaSource;

/// The most chunks looked at before the samples.
const CHUNK_LIMIT: usize = 4096;

/// The length of the samples of a wav file, where its header says more than there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patch {
    /// Where the length stands in the file.
    at: u64,
    /// What it is in truth.
    length: u32,
    /// What the header says, when that may be a file that was cut off. Programs that write into a pipe, or until they
    /// are stopped, leave numbers that mean "until the end".
    declared: Option<u32>,
}

/// Walks the chunks of a RIFF file up to its samples. A length beyond the end of the file is replaced by what there
/// is, in whole samples.
pub(super) fn inspect_wav(
    file: &mut (impl Read + Seek),
    length: u64,
) -> std::io::Result<std::result::Result<Option<Patch>, Failure>> {
    let mut head = [0u8; 12];
    if length == 0 {
        return Ok(Err(Failure::NoSound("an empty file".to_string())));
    }
    let is_wav = length >= 12 && {
        file.read_exact(&mut head)?;
        &head[..4] == b"RIFF" && &head[8..] == b"WAVE"
    };
    let is_complete = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]])) + 8 == length;
    let mut at = 12;
    let mut patch = Ok(None);
    let mut block = 1;
    for _ in 0..CHUNK_LIMIT {
        if !is_wav || at + 8 > length {
            break;
        }
        file.seek(SeekFrom::Start(at))?;
        let mut chunk = [0u8; 8];
        file.read_exact(&mut chunk)?;
        let size = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
        let available = length - at - 8;
        if &chunk[..4] == b"fmt " && available >= 14 {
            let mut format = [0u8; 14];
            file.read_exact(&mut format)?;
            block = u32::from(u16::from_le_bytes([format[12], format[13]])).max(1);
        }
        if &chunk[..4] == b"data" {
            if available == 0 || (size == 0 && is_complete) {
                patch = Err(Failure::NoSound("a wav file without samples".to_string()));
            } else if u64::from(size) > available || size == 0 {
                let whole = u32::try_from(available).unwrap_or(u32::MAX - 1);
                let length = whole - whole % block;
                // A header in the wrong place, or one sample less, is nothing to speak of.
                let lost = u64::from(size) - available.min(u64::from(size));
                let declared = (!is_open(size) && lost > HEADERS).then_some(size);
                patch = Ok(Some(Patch { at: at + 4, length, declared }));
            }
            break;
        }
        at += 8 + u64::from(size) + u64::from(size % 2);
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(patch)
}

/// Bytes that a length may be wrong by because it counts headers.
const HEADERS: u64 = 128;

/// Lengths declared by writers that do not know them: 0, what is left of 2³¹ or 2³² bytes (sox, ffmpeg), 2³¹ itself, and
/// round numbers from a thousand million on.
fn is_open(size: u32) -> bool {
    let is_round = size >= 1_000_000_000 && size.is_multiple_of(1_000_000);
    size == 0 || is_round || (0x7fff_f000..=0x8000_1000).contains(&size) || size >= 0xffff_f000
}

/// A file with four of its bytes replaced.
pub(super) struct Source {
    pub(super) file: File,
    pub(super) length: u64,
    pub(super) patch: Option<Patch>,
}

impl Source {
    /// That the file is shorter than its header says.
    pub(super) fn notes(&self) -> Vec<String> {
        let cut = self.patch.and_then(|patch| Some((patch.length, patch.declared?)));
        let words = |(length, declared)| {
            format!(
                "it holds {length} bytes of samples where its header says {declared}: what there is is used"
            )
        };
        cut.map(words).into_iter().collect()
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let at = self.file.stream_position()?;
        let read = self.file.read(buffer)?;
        if let Some(Patch { at: from, length, .. }) = self.patch {
            for (offset, byte) in (from..).zip(length.to_le_bytes()) {
                if let Some(i) = offset.checked_sub(at).filter(|&i| i < read as u64) {
                    buffer[i as usize] = byte;
                }
            }
        }
        Ok(read)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

impl MediaSource for Source {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.length)
    }
}
