//! Motion-JPEG and PCM in an AVI, written without any other program.
//!
//! Layout (Microsoft's AVI RIFF reference): `RIFF AVI { LIST hdrl { avih, a LIST strl for each stream }, LIST
//! movi { a JPEG and its 1/fps of sound, in turn }, idx1, LIST INFO }`. All numbers are little-endian u32, which bounds a
//! file to 4 GiB: about an hour of a face at 512×512.
//!
//! Why not a smaller codec: those written in Rust alone are AV1, which takes minutes where JPEG takes seconds
//! and which older players lack, and no AAC encoder is. Motion-JPEG in AVI plays in every desktop player.

use super::files::{AtomicFile, Durability};
use super::note::SYNTHETIC;
use super::track::Track;
use crate::error::{Error, Result};
use image::codecs::jpeg::JpegEncoder;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const JPEG_QUALITY: u8 = 92;
/// Room for the header fields that are filled in at the end, and a margin.
const LARGEST_FILE: u64 = u32::MAX as u64 - (1 << 20);
const AVIF_HASINDEX: u32 = 0x10;
const AVIF_ISINTERLEAVED: u32 = 0x100;
const AVIIF_KEYFRAME: u32 = 0x10;
const WAVE_FORMAT_PCM: u16 = 1;
/// Bytes of one sample: 16-bit mono.
const SAMPLE_BYTES: u32 = 2;

/// Writes the AVI. Dropped before its end it leaves nothing.
#[derive(Debug)]
pub(super) struct AviWriter {
    file: AtomicFile,
    path: PathBuf,
    size: [u32; 2],
    fps: u32,
    sound: Option<Track>,
    /// Chunks so far: four-character code, offset from the code `movi`, length.
    index: Vec<([u8; 4], u32, u32)>,
    /// Bytes written so far.
    length: u64,
    frames: u32,
}

/// A picture, RGB, `[rows, columns, 3]`, as JPEG.
pub(super) fn encode(rgb: &[u8], size: [u32; 2]) -> Result<Vec<u8>> {
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY)
        .encode(rgb, size[0], size[1], image::ExtendedColorType::Rgb8)
        .map_err(|e| Error::Internal(format!("a {size:?} picture as JPEG: {e}")))?;
    Ok(jpeg)
}

impl AviWriter {
    pub(super) fn create(path: &Path, size: [u32; 2], fps: u32, sound: Option<Track>) -> Result<Self> {
        let file = AtomicFile::create(path, Durability::Durable)?;
        let (path, index) = (path.to_path_buf(), Vec::new());
        let mut writer = AviWriter { file, path, size, fps, sound, index, length: 0, frames: 0 };
        // Its numbers are filled in at the end; its length is the same then.
        let header = writer.header(0);
        writer.put(&header)?;
        Ok(writer)
    }

    /// Adds a picture that [`encode`] made.
    pub(super) fn push(&mut self, jpeg: &[u8]) -> Result<()> {
        self.chunk(*b"00dc", jpeg)?;
        if let Some(sound) = &self.sound {
            let bytes = sound.bytes_of(self.frames.into(), u64::from(self.frames) + 1);
            self.chunk(*b"01wb", &bytes)?;
        }
        self.frames += 1;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<()> {
        let movi_end = self.length;
        let mut index = Vec::with_capacity(8 + 16 * self.index.len());
        index.extend_from_slice(b"idx1");
        index.extend(u32_bytes(16 * self.index.len() as u64));
        for (code, offset, length) in &self.index {
            index.extend_from_slice(code);
            [AVIIF_KEYFRAME, *offset, *length].iter().for_each(|v| index.extend(v.to_le_bytes()));
        }
        self.put(&index)?;
        self.put(&note())?;
        let header = self.header(movi_end);
        let rewritten = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.write_all(&header));
        rewritten.map_err(|e| Error::io(&self.path, "a place to write a video to", &e))?;
        self.file.commit()
    }

    fn chunk(&mut self, code: [u8; 4], data: &[u8]) -> Result<()> {
        let behind = 16 * (self.index.len() as u64 + 1) + note().len() as u64;
        if self.length + data.len() as u64 + behind > LARGEST_FILE {
            return Err(Error::input(
                self.path.display(),
                "a video below 4 GiB, which is what an AVI holds",
                format!("more, at frame {}", self.frames),
                "install ffmpeg, or render a shorter voice or a smaller picture",
            ));
        }
        let offset = self.length - self.header_length() + 4;
        self.index.push((code, offset as u32, data.len() as u32));
        self.put(&code)?;
        self.put(&u32_bytes(data.len() as u64))?;
        self.put(data)?;
        if data.len() % 2 == 1 { self.put(&[0]) } else { Ok(()) }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.length += bytes.len() as u64;
        let fail = |e| Error::io(&self.path, "a place to write a video to", &e);
        self.file.write_all(bytes).map_err(fail)
    }

    fn header_length(&self) -> u64 {
        // RIFF 12, LIST hdrl 12, avih 64, video strl 12 + 64 + 48, sound strl 12 + 64 + 24, LIST movi 12.
        224 + if self.sound.is_some() { 100 } else { 0 }
    }

    /// Everything before the first chunk of `movi`. `movi_end` is where the last one ends, 0 while not known.
    fn header(&self, movi_end: u64) -> Vec<u8> {
        let largest = |code: &[u8; 4]| {
            self.index.iter().filter(|entry| entry.0 == *code).map(|entry| entry.2).max().unwrap_or(0)
        };
        let [width, height] = self.size;
        let data: u64 = self.index.iter().map(|entry| u64::from(entry.2)).sum();
        let per_second = data * u64::from(self.fps) / u64::from(self.frames.max(1));
        let streams = 1 + u32::from(self.sound.is_some());
        let flags = AVIF_HASINDEX | AVIF_ISINTERLEAVED;

        let avih = [
            1_000_000 / self.fps, // µs per frame
            u32::try_from(per_second).unwrap_or(u32::MAX),
            0, // padding
            flags,
            self.frames,
            0, // initial frames
            streams,
            largest(b"00dc"),
            width,
            height,
            0,
            0,
            0,
            0,
        ];
        let mut hdrl = Vec::new();
        hdrl.extend_from_slice(b"hdrl");
        hdrl.extend(boxed(b"avih", &words(&avih)));
        hdrl.extend(stream(*b"vids", *b"MJPG", 1, self.fps, self.frames, largest(b"00dc"), 0, self.size, &{
            // BITMAPINFOHEADER: own size, width, height, one plane of 24 bits, MJPG, bytes of a raw picture.
            let format = u32::from_le_bytes(*b"MJPG");
            words(&[40, width, height, 1 | 24 << 16, format, width * height * 3, 0, 0, 0, 0])
        }));
        if let Some(sound) = &self.sound {
            let samples = sound.samples_before(self.frames.into()) as u32;
            let rate = sound.rate.saturating_mul(SAMPLE_BYTES);
            hdrl.extend(stream(
                *b"auds",
                [0; 4],
                SAMPLE_BYTES,
                rate,
                samples,
                largest(b"01wb"),
                SAMPLE_BYTES,
                [0; 2],
                &{
                    // WAVEFORMATEX without its extra size: PCM, one channel, rate, bytes a second, block, bits.
                    let pcm = u32::from(WAVE_FORMAT_PCM) | 1 << 16;
                    words(&[pcm, sound.rate, rate, SAMPLE_BYTES | 16 << 16])
                },
            ));
        }

        let behind = 8 + 16 * self.index.len() as u64 + note().len() as u64;
        let mut header = Vec::new();
        header.extend_from_slice(b"RIFF");
        header.extend(u32_bytes((movi_end + behind).saturating_sub(8)));
        header.extend_from_slice(b"AVI ");
        header.extend(boxed(b"LIST", &hdrl));
        header.extend_from_slice(b"LIST");
        // From after this length to the end of the last chunk, the code `movi` included.
        header.extend(u32_bytes(movi_end.saturating_sub(self.header_length() - 4)));
        header.extend_from_slice(b"movi");
        header
    }
}

/// The `LIST INFO` at the end of the file: what the video says of itself.
fn note() -> Vec<u8> {
    let text = [SYNTHETIC.as_bytes(), b"\0\0"].concat();
    boxed(b"LIST", &[b"INFO".as_slice(), &boxed(b"ICMT", &text)].concat())
}

/// A `LIST strl`: what kind of stream, its rate `rate / scale` a second, its length in that unit, its format.
#[expect(clippy::too_many_arguments, reason = "the fields of one record, in its order")]
fn stream(
    kind: [u8; 4],
    codec: [u8; 4],
    scale: u32,
    rate: u32,
    length: u32,
    largest_chunk: u32,
    sample_size: u32,
    size: [u32; 2],
    format: &[u8],
) -> Vec<u8> {
    let mut strh = Vec::new();
    strh.extend_from_slice(&kind);
    strh.extend_from_slice(&codec);
    // Flags, priority and language, initial frames; then scale, rate, start, length, buffer; quality −1: default.
    strh.extend(words(&[0, 0, 0, scale, rate, 0, length, largest_chunk, u32::MAX, sample_size]));
    // The rectangle shown: left and top, right and bottom, 16 bits each.
    strh.extend(words(&[0, size[0] | size[1] << 16]));
    let mut list = b"strl".to_vec();
    list.extend(boxed(b"strh", &strh));
    list.extend(boxed(b"strf", format));
    boxed(b"LIST", &list)
}

fn boxed(code: &[u8; 4], data: &[u8]) -> Vec<u8> {
    [&code[..], &u32_bytes(data.len() as u64), data].concat()
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

// Every length written is below LARGEST_FILE, which fits.
fn u32_bytes(value: u64) -> [u8; 4] {
    (value as u32).to_le_bytes()
}
