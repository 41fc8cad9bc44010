//! Any sound file to mono at 16 kHz: symphonia for wav, mp3, m4a and flac, ffmpeg for what it cannot read.

use super::mp4_edits::{self, Edit};
use super::resample::ToSampleRate;
use super::source::{self, Source};
use super::{LONGEST, SAMPLE_RATE, Sound, ffmpeg};
use crate::error::{Error, Result};
use std::fs::File;
use std::path::Path;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as DecodeError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::well_known::FORMAT_ID_ISOMP4;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

/// Channels accepted in one track.
const CHANNEL_LIMIT: usize = 64;
/// How many frames a track may lack of its declared length before it counts as cut off. Encoders round up to
/// their own blocks (1,152 in MP3, 2,048 in HE-AAC); a cut file lacks more or ends inside a packet.
const DECLARED_SLACK: u64 = 2 * 2048;

/// How long a track in a film may wait before it begins, in seconds.
const LONGEST_WAIT: u32 = 60;

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

/// Loads `path`; what symphonia cannot read goes to ffmpeg when `may_start_ffmpeg`.
pub(super) fn load(path: &Path, may_start_ffmpeg: bool) -> Result<Sound> {
    let expected = "a sound file (wav, mp3, m4a, flac)";
    let mut file = File::open(path).map_err(|e| Error::io(path, expected, &e))?;
    let length = file.metadata().map_err(|e| Error::io(path, expected, &e))?.len();
    let patch = source::inspect_wav(&mut file, length).map_err(|e| Error::io(path, expected, &e))?;
    let decoded = match patch {
        Ok(patch) => with_symphonia(path, Source { file, length, patch }),
        Err(failure) => Err(failure),
    };
    let decoded = match decoded {
        Err(Failure::Unsupported(found)) if may_start_ffmpeg => {
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

fn unsupported(error: &dyn std::fmt::Display) -> Failure {
    Failure::Unsupported(error.to_string())
}

/// Decodes the first audio track of `path`, opened as `source`.
fn with_symphonia(path: &Path, source: Source) -> std::result::Result<Vec<f32>, Failure> {
    let length = source.length;
    let stream = MediaSourceStream::new(Box::new(source), Default::default());
    let mut hint = Hint::new();
    if let Some(extension) = path.extension().and_then(|e| e.to_str()) {
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

    let edit = match format.format_info().format {
        FORMAT_ID_ISOMP4 => {
            let mut file = File::open(path).map_err(|e| unsupported(&e))?;
            mp4_edits::find(&mut file, length, id)?
        }
        _ => None,
    };

    let mut heard: Option<Heard> = None;
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
        decoded.copy_to_vecs_planar(&mut planes);
        average(&planes[..channels], &mut mono);
        if mono.iter().any(|s| !s.is_finite()) {
            return Err(Failure::NoSound("samples that are not finite numbers".to_string()));
        }
        let heard = match &mut heard {
            Some(heard) => heard,
            None => heard.insert(Heard::new(rate, edit)?),
        };
        if heard.rate != rate {
            return Err(Failure::Unsupported("a sample rate that changes".to_string()));
        }
        heard.push(&mono)?;
        frames += mono.len() as u64;
    }
    let Some(Heard { rate, converter, .. }) = heard else {
        return Err(Failure::NoSound("a file without samples".to_string()));
    };
    // MP4 may count in another unit than samples.
    let counts_samples = time_base.is_none_or(|base| base.numer.get() == 1 && base.denom.get() == rate);
    if let Some(declared) = declared.filter(|declared| counts_samples && frames + DECLARED_SLACK < *declared)
    {
        return Err(Failure::CutOff(format!("{frames} frames of sound where it declares {declared}")));
    }
    let samples = converter.finish().map_err(Failure::Unsupported)?;
    if samples.is_empty() {
        return Err(Failure::NoSound("a track of which nothing is heard".to_string()));
    }
    Ok(samples)
}

/// The part of a track that is heard, on its way to 16 kHz.
struct Heard {
    rate: u32,
    converter: ToSampleRate,
    /// Samples still to be left out.
    skip: u64,
    /// Samples still to be heard.
    left: u64,
}

impl Heard {
    fn new(rate: u32, edit: Option<Edit>) -> std::result::Result<Self, Failure> {
        let mut converter = ToSampleRate::new(rate).map_err(Failure::Unsupported)?;
        let (mut skip, mut left) = (0, u64::MAX);
        if let Some(edit) = edit {
            let wait = Edit::samples(edit.wait, rate);
            if wait > u64::from(rate) * u64::from(LONGEST_WAIT) {
                return Err(Failure::Unsupported(format!(
                    "a track that begins after {} s",
                    wait / u64::from(rate)
                )));
            }
            converter.push(&vec![0.0; wait as usize]).map_err(Failure::Unsupported)?;
            skip = Edit::samples(edit.skip, rate);
            left = edit.length.map_or(u64::MAX, |length| Edit::samples(length, rate));
        }
        Ok(Heard { rate, converter, skip, left })
    }

    fn push(&mut self, samples: &[f32]) -> std::result::Result<(), Failure> {
        let skipped = self.skip.min(samples.len() as u64);
        let heard = self.left.min(samples.len() as u64 - skipped);
        self.skip -= skipped;
        self.left -= heard;
        self.converter.push(&samples[skipped as usize..][..heard as usize]).map_err(Failure::Unsupported)?;
        if self.converter.seconds() >= u64::from(LONGEST) { Err(Failure::TooLong) } else { Ok(()) }
    }
}

/// The mean of all channels.
fn average(planes: &[Vec<f32>], mono: &mut Vec<f32>) {
    let scale = 1.0 / planes.len() as f32;
    mono.clear();
    mono.extend((0..planes[0].len()).map(|i| planes.iter().map(|plane| plane[i]).sum::<f32>() * scale));
}
