//! Any sound file to mono at 16 kHz: symphonia for wav, mp3, m4a and flac, ffmpeg for what it cannot read.

use super::error::Failure;
use super::mp4_edits::{self, Edit};
use super::resample::{RATES, Resampler};
use super::source::{self, Source};
use super::{LONGEST, SAMPLE_RATE, Sound};
use crate::error::{Error, Result};
use crate::media;
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

/// Loads the sound of any file with an audio track (wav, mp3, m4a, mp4, flac; with ffmpeg installed anything it
/// reads) as mono at 16 kHz: channels averaged, resampled with a band limit, as `librosa.load(path, sr=16000)`.
///
/// # Errors
/// [`Error::Input`] when the file cannot be read, has no audio or no samples, is damaged, ends before the
/// length it declares, or is longer than [`LONGEST`].
pub fn load(path: &Path) -> Result<Sound> {
    load_with(path, true)
}

/// Loads as [`load`] does, but never starts ffmpeg: for files of strangers, whose bytes then only meet decoders
/// in safe Rust.
///
/// # Errors
/// As [`load`]; formats beyond wav, mp3, m4a, mp4 and flac too.
pub fn load_native(path: &Path) -> Result<Sound> {
    load_with(path, false)
}

/// Loads `path`; what symphonia cannot read goes to ffmpeg when `may_start_ffmpeg`.
fn load_with(path: &Path, may_start_ffmpeg: bool) -> Result<Sound> {
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
            with_ffmpeg(path).map_err(|ffmpeg| match ffmpeg {
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

/// Decodes the first audio track of `path` by ffmpeg.
fn with_ffmpeg(path: &Path) -> std::result::Result<Vec<f32>, Failure> {
    let samples = media::sound::read(path, SAMPLE_RATE, LONGEST + 1).map_err(Failure::Unsupported)?;
    match samples.len() as u64 {
        0 => Err(Failure::NoSound("a file without samples".to_string())),
        n if n > u64::from(LONGEST) * u64::from(SAMPLE_RATE) => Err(Failure::TooLong),
        _ if samples.iter().any(|s| !s.is_finite()) => {
            Err(Failure::NoSound("samples that are not finite numbers".to_string()))
        }
        _ => Ok(samples),
    }
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
    let Some(Heard { rate, resampler, mut samples, .. }) = heard else {
        return Err(Failure::NoSound("a file without samples".to_string()));
    };
    // MP4 may count in another unit than samples.
    let counts_samples = time_base.is_none_or(|base| base.numer.get() == 1 && base.denom.get() == rate);
    if let Some(declared) = declared.filter(|declared| counts_samples && frames + DECLARED_SLACK < *declared)
    {
        return Err(Failure::CutOff(format!("{frames} frames of sound where it declares {declared}")));
    }
    samples.extend(resampler.finish().map_err(|e| unsupported(&e))?);
    if samples.is_empty() {
        return Err(Failure::NoSound("a track of which nothing is heard".to_string()));
    }
    Ok(samples)
}

/// The part of a track that is heard, on its way to 16 kHz.
struct Heard {
    rate: u32,
    resampler: Resampler,
    /// What came out of it.
    samples: Vec<f32>,
    /// Samples still to be left out.
    skip: u64,
    /// Samples still to be heard.
    left: u64,
}

impl Heard {
    fn new(rate: u32, edit: Option<Edit>) -> std::result::Result<Self, Failure> {
        if !RATES.contains(&rate) {
            return Err(Failure::Unsupported(format!("{rate} samples per second")));
        }
        let mut resampler = Resampler::new(rate).map_err(|e| unsupported(&e))?;
        let mut samples = Vec::new();
        let (mut skip, mut left) = (0, u64::MAX);
        if let Some(edit) = edit {
            let wait = Edit::samples(edit.wait, rate);
            if wait > u64::from(rate) * u64::from(LONGEST_WAIT) {
                return Err(Failure::Unsupported(format!(
                    "a track that begins after {} s",
                    wait / u64::from(rate)
                )));
            }
            samples = resampler.push(&vec![0.0; wait as usize]).map_err(|e| unsupported(&e))?;
            skip = Edit::samples(edit.skip, rate);
            left = edit.length.map_or(u64::MAX, |length| Edit::samples(length, rate));
        }
        Ok(Heard { rate, resampler, samples, skip, left })
    }

    fn push(&mut self, samples: &[f32]) -> std::result::Result<(), Failure> {
        let skipped = self.skip.min(samples.len() as u64);
        let heard = self.left.min(samples.len() as u64 - skipped);
        self.skip -= skipped;
        self.left -= heard;
        let heard = &samples[skipped as usize..][..heard as usize];
        self.samples.extend(self.resampler.push(heard).map_err(|e| unsupported(&e))?);
        if self.resampler.received() / u64::from(self.rate) >= u64::from(LONGEST) {
            Err(Failure::TooLong)
        } else {
            Ok(())
        }
    }
}

/// The mean of all channels.
fn average(planes: &[Vec<f32>], mono: &mut Vec<f32>) {
    let scale = 1.0 / planes.len() as f32;
    mono.clear();
    mono.extend((0..planes[0].len()).map(|i| planes.iter().map(|plane| plane[i]).sum::<f32>() * scale));
}
