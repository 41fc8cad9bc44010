//! A sound file as the decoders see it: wav headers that leave the length open are completed, ones that promise
//! more than there is are refused.

use super::error::Failure;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use symphonia::core::io::MediaSource;

/// The most chunks looked at before the samples.
const CHUNK_LIMIT: usize = 4096;

/// Where a wav file declares the length of its samples and what it is in truth, when it left that open.
pub(super) type Patch = Option<(u64, [u8; 4])>;

/// Walks the chunks of a RIFF file up to its samples. Any length beyond the end of the file is a file cut off,
/// except for those that programs declare when they write into a pipe and mean "until the end".
pub(super) fn inspect_wav(
    file: &mut (impl Read + Seek),
    length: u64,
) -> std::io::Result<std::result::Result<Patch, Failure>> {
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
    for _ in 0..CHUNK_LIMIT {
        if !is_wav || at + 8 > length {
            break;
        }
        file.seek(SeekFrom::Start(at))?;
        let mut chunk = [0u8; 8];
        file.read_exact(&mut chunk)?;
        let size = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
        let available = length - at - 8;
        if &chunk[..4] == b"data" {
            if available == 0 || (size == 0 && is_complete) {
                patch = Err(Failure::NoSound("a wav file without samples".to_string()));
            } else if is_open(size) && u64::from(size.wrapping_sub(1)) >= available {
                let open = u32::try_from(available).unwrap_or(u32::MAX - 1);
                patch = Ok(Some((at + 4, open.to_le_bytes())));
            } else if u64::from(size) > available {
                patch =
                    Err(Failure::CutOff(format!("{available} bytes of samples where it declares {size}")));
            }
            break;
        }
        at += 8 + u64::from(size) + u64::from(size % 2);
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(patch)
}

/// Lengths declared by writers that do not know them: 0, and what is left of 2³¹ or 2³² bytes (sox, ffmpeg).
fn is_open(size: u32) -> bool {
    size == 0 || (0x7fff_f000..=0x7fff_ffff).contains(&size) || size >= 0xffff_f000
}

/// A file with four of its bytes replaced.
pub(super) struct Source {
    pub(super) file: File,
    pub(super) length: u64,
    pub(super) patch: Patch,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let at = self.file.stream_position()?;
        let read = self.file.read(buffer)?;
        if let Some((from, bytes)) = self.patch {
            for (offset, byte) in (from..).zip(bytes) {
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
