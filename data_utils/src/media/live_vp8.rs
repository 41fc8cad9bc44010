//! Live pictures as VP8 (RFC 6386), each as soon as it was given: ffmpeg's libvpx codes them in its realtime mode and hands them on
//! in IVF, a header of 32 bytes, then 12 bytes of length and number before each picture.

use super::ffmpeg::Ffmpeg;
use super::process::{Pipe, Process};
use crate::error::{Error, Result};
use std::io::{ErrorKind, Read};
use std::process::ChildStdout;

/// The header of the stream and of a picture, bytes.
const STREAM_HEADER: usize = 32;
const PICTURE_HEADER: usize = 12;
/// The largest coded picture that is read, bytes.
const LARGEST: u32 = 16 << 20;
/// Bits for a pixel of each picture, and the least and the most for a second.
const BITS: f64 = 0.32;
const RATES: [f64; 2] = [300_000.0, 4_000_000.0];

/// Takes pictures. Dropped it ends ffmpeg, and with it the stream of [`CodedPictures`].
#[derive(Debug)]
pub struct PictureCoder {
    process: Process,
    length: usize,
}

/// Gives coded pictures in the order in which they were written.
#[derive(Debug)]
pub struct CodedPictures {
    output: ChildStdout,
    has_begun: bool,
}

/// A coded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodedPicture {
    /// Counts the pictures that were written, from 0.
    pub number: u64,
    /// Whether it needs no earlier one.
    pub is_key: bool,
    /// VP8.
    pub data: Vec<u8>,
}

/// Whether there is an ffmpeg that codes VP8; otherwise what is missing.
///
/// # Errors
/// One sentence that says so.
pub fn find() -> std::result::Result<Ffmpeg, String> {
    let found = Ffmpeg::find()?;
    match found.has_vp8 {
        true => Ok(found),
        false => Err(format!("{} lacks libvpx", found.program.display())),
    }
}

/// Starts a coder of pictures of `size` pixels, `fps` a second. One in each second needs no earlier one, so that who lost some
/// sees again after that time. An odd side gets one more row or column, black.
///
/// # Errors
/// [`Error::Input`] without an ffmpeg that codes VP8.
pub fn start(size: [u32; 2], fps: u32) -> Result<(PictureCoder, CodedPictures)> {
    let fail =
        |found: String| Error::input("live video", "an ffmpeg that codes VP8", found, "install ffmpeg");
    let ffmpeg = find().map_err(fail)?;
    let pixels = f64::from(size[0]) * f64::from(size[1]);
    let rate = (pixels * f64::from(fps) * BITS).clamp(RATES[0], RATES[1]) as u64;
    let mut command = ffmpeg.command();
    command
        // No `-fflags nobuffer` and no `-analyzeduration 0`: with either, each picture waits for the next one.
        .args(["-probesize", "32", "-f", "rawvideo", "-pix_fmt", "rgb24"])
        .args(["-s", &format!("{}x{}", size[0], size[1]), "-r", &fps.to_string(), "-i", "pipe:0"])
        .args(["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p"])
        .args(["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0"])
        .args(["-auto-alt-ref", "0", "-error-resilient", "1", "-threads", "1", "-g", &fps.to_string()])
        .args(["-b:v", &rate.to_string(), "-maxrate", &rate.to_string(), "-bufsize", &(rate / 2).to_string()])
        .args(["-flush_packets", "1", "-f", "ivf", "pipe:1"]);
    let mut process = Process::start(&mut command, Pipe::Both, None).map_err(|e| fail(e.to_string()))?;
    let output = process.take_output().ok_or_else(|| Error::Internal("a pipe".into()))?;
    let length = 3 * size[0] as usize * size[1] as usize;
    Ok((PictureCoder { process, length }, CodedPictures { output, has_begun: false }))
}

impl PictureCoder {
    /// Writes a picture, RGB of the size that was told. Waits until ffmpeg has taken it.
    ///
    /// # Errors
    /// [`Error::Internal`] for another size, and with what ffmpeg said last when it has ended.
    pub fn write(&mut self, rgb: &[u8]) -> Result<()> {
        if rgb.len() != self.length {
            return Err(Error::Internal(format!("a picture of {} bytes, not {}", rgb.len(), self.length)));
        }
        let ended = |said| Error::Internal(format!("ffmpeg no longer codes pictures: {said}"));
        match self.process.write(rgb) {
            Ok(()) => Ok(()),
            Err(error) => Err(ended(self.process.finish(None).err().unwrap_or_else(|| error.to_string()))),
        }
    }

    /// Says that nothing more will be written: pictures that are being coded still come.
    pub fn finish(&mut self) {
        self.process.end_input();
    }
}

impl CodedPictures {
    /// Waits for the next picture; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Internal`] for what is no IVF.
    pub fn next_picture(&mut self) -> Result<Option<CodedPicture>> {
        if !self.has_begun {
            let mut header = [0; STREAM_HEADER];
            if !fill(&mut self.output, &mut header)? {
                return Ok(None);
            }
            if !header.starts_with(b"DKIF") {
                return Err(Error::Internal("ffmpeg writes no IVF".into()));
            }
            self.has_begun = true;
        }
        read_picture(&mut self.output)
    }
}

fn read_picture(from: &mut impl Read) -> Result<Option<CodedPicture>> {
    let mut header = [0; PICTURE_HEADER];
    if !fill(from, &mut header)? {
        return Ok(None);
    }
    let [a, b, c, d, number @ ..] = header;
    let length = u32::from_le_bytes([a, b, c, d]);
    if length > LARGEST {
        return Err(Error::Internal(format!("a coded picture of {length} bytes")));
    }
    let mut data = vec![0; length as usize];
    if !fill(from, &mut data)? {
        return Ok(None);
    }
    // The lowest bit of the first byte says that it needs earlier ones (RFC 6386, 9.1).
    let is_key = data.first().is_some_and(|byte| byte & 1 == 0);
    Ok(Some(CodedPicture { number: u64::from_le_bytes(number), is_key, data }))
}

/// Fills `bytes`; false when the stream ends before.
fn fill(from: &mut impl Read, bytes: &mut [u8]) -> Result<bool> {
    match from.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(Error::Internal(format!("coded pictures: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn each_picture_comes_before_the_next_is_written_and_one_a_second_stands_alone() {
        let (mut coder, mut coded) = start([33, 16], 25).unwrap();
        let mut keys = Vec::new();
        let begin = Instant::now();
        for number in 0..60_u64 {
            coder.write(&vec![(number * 4) as u8; 33 * 16 * 3]).unwrap();
            // Would wait for ever if it came with the next one.
            let picture = coded.next_picture().unwrap().unwrap();
            assert_eq!(picture.number, number);
            if picture.is_key {
                keys.push(number);
            }
        }
        assert!(begin.elapsed() < Duration::from_secs(30));
        assert_eq!(keys, [0, 25, 50]);
        assert!(coder.write(&[0; 3]).is_err());
        coder.finish();
        assert_eq!(coded.next_picture().unwrap(), None);
    }

    #[test]
    fn a_coder_that_is_dropped_ends_its_stream() {
        let (coder, mut coded) = start([16, 16], 25).unwrap();
        drop(coder);
        assert_eq!(coded.next_picture().unwrap(), None);
    }

    #[test]
    fn a_broken_stream_is_no_picture_and_no_panic() {
        let mut header = [0xff; PICTURE_HEADER];
        assert!(read_picture(&mut &header[..]).is_err());
        header[..4].copy_from_slice(&5_u32.to_le_bytes());
        assert_eq!(read_picture(&mut &header[..]).unwrap(), None);
        assert_eq!(read_picture(&mut &header[..7]).unwrap(), None);
    }
}
