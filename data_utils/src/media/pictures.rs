//! Pictures of a dataset, JPEG and PNG: their size without decoding them, and decoding within bounds.

use super::files::{open_plain, read_bounded};
use crate::error::{Error, Result};
use image::{DynamicImage, ImageReader, Limits};
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

/// Largest side of a picture, pixels.
pub const MAX_SIDE: u32 = 8192;
/// Largest file of a picture, bytes.
const MAX_FILE: u64 = 256 << 20;
/// Bytes that decoding may take for each pixel, twice those of the widest kind, and for everything else.
const PIXEL_BYTES: u64 = 16;
const OTHER_BYTES: u64 = 1 << 20;

/// Decodes a JPEG or PNG of up to [`MAX_SIDE`] pixels a side. What a file carries beside its pixels, such as a colour
/// profile, takes no more memory than they do.
///
/// # Errors
/// [`Error::Input`] when the file cannot be read, is cut short, or is no such picture.
pub fn read_picture(path: &Path) -> Result<DynamicImage> {
    let bytes = read_bounded(path, MAX_FILE)?;
    decode_picture(&bytes).map_err(|found| {
        Error::input(
            path.display(),
            "a whole JPEG or PNG",
            found,
            "make this file again from the same frames",
        )
    })
}

/// Decodes the bytes of a JPEG or PNG; what is wrong is said in a few words.
///
/// # Errors
/// As [`read_picture`].
pub fn decode_picture(bytes: &[u8]) -> std::result::Result<DynamicImage, String> {
    let [width, height] = size_of(bytes).ok_or_else(|| no_picture(bytes.len() as u64))?;
    // A JPEG decoder fills what is missing with grey and calls it a success.
    if !has_end(bytes, &bytes[bytes.len().saturating_sub(1 << 10)..]) {
        return Err("a picture cut short".into());
    }
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(u64::from(width) * u64::from(height) * PIXEL_BYTES + OTHER_BYTES);
    reader.limits(limits);
    reader.decode().map_err(|e| e.to_string())
}

fn no_picture(length: u64) -> String {
    if length == 0 { "an empty file".into() } else { "neither a JPEG nor a PNG".into() }
}

/// Width and height of a JPEG or PNG by its first bytes, after a look at its last ones: a picture whose end is
/// missing is refused without decoding it. What is wrong is said in a few words.
///
/// # Errors
/// As [`read_picture`].
pub fn picture_size(path: &Path) -> std::result::Result<[u32; 2], String> {
    let mut file = open_plain(path).map_err(|e| io_words(&e))?;
    let length = file.metadata().map_err(|e| io_words(&e))?.len();
    let mut head = Vec::new();
    // Enough for a PNG and for a JPEG without embedded pictures; those with them are read further on.
    for most in [4 << 10, 1 << 20] {
        file.seek(SeekFrom::Start(0)).map_err(|e| io_words(&e))?;
        head.clear();
        (&file).take(most).read_to_end(&mut head).map_err(|e| io_words(&e))?;
        if size_of(&head).is_some() {
            break;
        }
    }
    let size = size_of(&head).ok_or_else(|| no_picture(length))?;
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(1 << 10))).map_err(|e| io_words(&e))?;
    file.take(1 << 10).read_to_end(&mut tail).map_err(|e| io_words(&e))?;
    if !has_end(&head, &tail) {
        return Err("a picture cut short".into());
    }
    if size.iter().any(|&s| s == 0 || s > MAX_SIDE) {
        return Err(format!("{}×{} pixels", size[0], size[1]));
    }
    Ok(size)
}

/// Whether the last bytes of a picture hold the mark that ends it.
fn has_end(head: &[u8], tail: &[u8]) -> bool {
    let mark: &[u8] = if head.starts_with(PNG) { b"IEND" } else { &[0xff, 0xd9] };
    tail.windows(mark.len()).any(|w| w == mark)
}

/// First bytes of every PNG.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn size_of(head: &[u8]) -> Option<[u32; 2]> {
    if head.starts_with(PNG) {
        let word = |at: usize| Some(u32::from_be_bytes(head.get(at..at + 4)?.try_into().ok()?));
        return Some([word(16)?, word(20)?]);
    }
    if !head.starts_with(&[0xff, 0xd8]) {
        return None;
    }
    // JPEG: segments of marker, length, body, until a start of frame (ITU-T T.81, B.2.2).
    let mut at = 2;
    loop {
        let [0xff, marker] = *head.get(at..at + 2)? else { return None };
        if marker == 0xff {
            at += 1;
            continue;
        }
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            let side = |at: usize| Some(u16::from_be_bytes([*head.get(at)?, *head.get(at + 1)?]) as u32);
            return Some([side(at + 7)?, side(at + 5)?]);
        }
        at += 2 + u16::from_be_bytes([*head.get(at + 2)?, *head.get(at + 3)?]) as usize;
    }
}

fn io_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_come_from_the_header_and_a_cut_tail_is_seen() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let picture = image::RgbImage::from_fn(37, 21, |x, y| image::Rgb([x as u8 * 5, y as u8 * 9, 80]));
        for name in ["a.png", "a.jpg"] {
            let path = dir.path().join(name);
            picture.save(&path).expect("saved");
            assert_eq!(picture_size(&path), Ok([37, 21]), "{name}");
            let bytes = std::fs::read(&path).expect("read");
            for cut in [0, 1, 10, 30, bytes.len() / 2, bytes.len() - 12] {
                std::fs::write(&path, &bytes[..cut]).expect("written");
                assert!(picture_size(&path).is_err(), "{name} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_colour_profile_takes_no_more_memory_than_the_picture() {
        // A PNG of 8×8 pixels whose profile unpacks to 64 MiB.
        let bytes = png_with_profile(64 << 20);
        assert!(bytes.len() < 200_000, "{}", bytes.len());
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.png");
        std::fs::write(&path, bytes).expect("written");
        let before = peak_memory();
        let picture = read_picture(&path).expect("a picture");
        assert_eq!((picture.width(), picture.height()), (8, 8));
        if let (Some(before), Some(after)) = (before, peak_memory()) {
            assert!(after - before < 16 << 20, "{} bytes more", after - before);
        }
    }

    /// The most memory this process has had, bytes.
    fn peak_memory() -> Option<u64> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
    }

    fn png_with_profile(length: usize) -> Vec<u8> {
        use flate2::{Compression, Crc, write::ZlibEncoder};
        use std::io::Write;
        let mut plain = Cursor::new(Vec::new());
        image::RgbImage::new(8, 8).write_to(&mut plain, image::ImageFormat::Png).expect("a PNG");
        let plain = plain.into_inner();
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&vec![0; length]).expect("packed");
        let mut chunk = b"iCCPname\0\0".to_vec();
        chunk.extend(packed.finish().expect("packed"));
        let mut crc = Crc::new();
        crc.update(&chunk);
        // After the signature and IHDR.
        let (head, rest) = plain.split_at(33);
        let mut bytes = head.to_vec();
        bytes.extend((chunk.len() as u32 - 4).to_be_bytes());
        bytes.extend(&chunk);
        bytes.extend(crc.sum().to_be_bytes());
        bytes.extend(rest);
        bytes
    }
}
