//! Any sound file to mono at 16 kHz: symphonia for wav, mp3, m4a and flac, ffmpeg for what it cannot read.

use super::resample::ToSampleRate;
use super::{LONGEST, SAMPLE_RATE, Sound, ffmpeg};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as DecodeError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;

/// Channels accepted in one track.
const CHANNEL_LIMIT: usize = 64;
/// How many frames a track may lack of its declared length before it counts as cut off. Encoders round up to
/// their own blocks (1,152 in MP3, 2,048 in HE-AAC); a cut file lacks more or ends inside a packet.
const DECLARED_SLACK: u64 = 2 * 2048;

/// Why a file gave no sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// Not a format, or not a flavour of it, that this decoder reads: another one may.
    Unsupported(String),
    /// It holds no sound, and no decoder will find any.
    NoSound(String),
    /// It ends before the length it declares.
    CutOff(String),
    /// Longer than allowed.
    TooLong,
}

pub(super) fn load(path: &Path) -> Result<Sound> {
    let expected = "a sound file (wav, mp3, m4a, flac)";
    let mut file = File::open(path).map_err(|e| Error::io(path, expected, &e))?;
    let length = file.metadata().map_err(|e| Error::io(path, expected, &e))?.len();
    let patch = inspect_wav(&mut file, length).map_err(|e| Error::io(path, expected, &e))?;
    let decoded = match patch {
        Ok(patch) => {
            with_symphonia(Source { file, length, patch }, path.extension().and_then(|e| e.to_str()))
        }
        Err(failure) => Err(failure),
    };
    let decoded = match decoded {
        Err(Failure::Unsupported(found)) if length > 0 => {
            ffmpeg::decode(path).map_err(|ffmpeg| match ffmpeg {
                Failure::Unsupported(why) => Failure::Unsupported(format!("{found}; {why}")),
                other => other,
            })
        }
        other => other,
    };
    let (found, remedy) = match decoded {
        Ok(samples) => return Ok(Sound { samples, rate: SAMPLE_RATE }),
        Err(Failure::Unsupported(found)) => (found, "convert it to a 16-bit wav file".to_string()),
        Err(Failure::NoSound(found)) => (found, "check that this is the right file".to_string()),
        Err(Failure::CutOff(found)) => (found, "copy or download it again".to_string()),
        Err(Failure::TooLong) => {
            (format!("more than {} hours", LONGEST / 3600), "cut it into shorter pieces".to_string())
        }
    };
    Err(Error::input(path.display(), expected, found, remedy))
}

/// Where a wav file declares the length of its samples and what it is in truth, when it left that open.
type Patch = Option<(u64, [u8; 4])>;

/// Walks the chunks of a RIFF file up to its samples. A program that writes wav into a pipe declares a length of
/// 0 or 2³²−1 and means "until the end"; any other length beyond the end is a file cut off.
fn inspect_wav(
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
    let mut at = 12;
    let mut patch = Ok(None);
    while is_wav && at + 8 <= length {
        file.seek(SeekFrom::Start(at))?;
        let mut chunk = [0u8; 8];
        file.read_exact(&mut chunk)?;
        let size = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
        let available = length - at - 8;
        if &chunk[..4] == b"data" {
            if available == 0 {
                patch = Err(Failure::NoSound("a wav file without samples".to_string()));
            } else if size == 0 || size == u32::MAX {
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

/// A file with four of its bytes replaced.
struct Source {
    file: File,
    length: u64,
    patch: Patch,
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

fn unsupported(error: &dyn std::fmt::Display) -> Failure {
    Failure::Unsupported(error.to_string())
}

/// Decodes the first audio track.
fn with_symphonia(source: Source, extension: Option<&str>) -> std::result::Result<Vec<f32>, Failure> {
    let stream = MediaSourceStream::new(Box::new(source), Default::default());
    let mut hint = Hint::new();
    if let Some(extension) = extension {
        hint.with_extension(extension);
    }
    let mut format = symphonia::default::get_probe()
        .probe(&hint, stream, FormatOptions::default(), MetadataOptions::default())
        .map_err(|e| unsupported(&e))?;
    let Some(track) = format.default_track(TrackType::Audio) else {
        return Err(Failure::Unsupported("a file without an audio track".to_string()));
    };
    let (id, time_base) = (track.id, track.time_base);
    // An MP3 without a table of contents has its length only estimated from the bit rate.
    let is_estimate = format.format_info().short_name.starts_with("mp") && track.delay.is_none();
    let declared = track.num_frames.filter(|_| !is_estimate);
    let parameters = track
        .codec_params
        .as_ref()
        .and_then(|p| p.audio())
        .ok_or_else(|| unsupported(&"an unknown codec"))?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|e| unsupported(&e))?;

    let mut converter: Option<(u32, ToSampleRate)> = None;
    let mut planes: Vec<Vec<f32>> = Vec::new();
    let mut mono: Vec<f32> = Vec::new();
    let mut frames = 0u64;
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(DecodeError::IoError(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(Failure::CutOff(format!(
                    "a file that ends inside its sound, after {frames} frames"
                )));
            }
            Err(e) => return Err(unsupported(&e)),
        };
        if packet.track_id != id {
            continue;
        }
        let decoded = decoder.decode(&packet).map_err(|e| unsupported(&e))?;
        let (rate, channels) = (decoded.spec().rate(), decoded.num_planes());
        if decoded.is_empty() {
            continue;
        }
        if channels == 0 || channels > CHANNEL_LIMIT {
            return Err(Failure::Unsupported(format!("{channels} channels")));
        }
        if converter.as_ref().is_some_and(|(first, _)| *first != rate) {
            return Err(Failure::Unsupported("a sample rate that changes".to_string()));
        }
        decoded.copy_to_vecs_planar(&mut planes);
        average(&planes[..channels], &mut mono);
        if mono.iter().any(|s| !s.is_finite()) {
            return Err(Failure::NoSound("samples that are not finite numbers".to_string()));
        }
        let (_, converter) = match &mut converter {
            Some(converter) => converter,
            None => converter.insert((rate, ToSampleRate::new(rate).map_err(Failure::Unsupported)?)),
        };
        converter.push(&mono).map_err(Failure::Unsupported)?;
        frames += mono.len() as u64;
        if converter.seconds() >= u64::from(LONGEST) {
            return Err(Failure::TooLong);
        }
    }
    let Some((rate, converter)) = converter else {
        return Err(Failure::NoSound("a file without samples".to_string()));
    };
    // MP4 may count in another unit than samples.
    let counts_samples = time_base.is_none_or(|base| base.numer.get() == 1 && base.denom.get() == rate);
    if let Some(declared) = declared.filter(|declared| counts_samples && frames + DECLARED_SLACK < *declared)
    {
        return Err(Failure::CutOff(format!("{frames} frames of sound where it declares {declared}")));
    }
    converter.finish().map_err(Failure::Unsupported)
}

/// The mean of all channels.
fn average(planes: &[Vec<f32>], mono: &mut Vec<f32>) {
    let scale = 1.0 / planes.len() as f32;
    mono.clear();
    mono.extend((0..planes[0].len()).map(|i| planes.iter().map(|plane| plane[i]).sum::<f32>() * scale));
}
