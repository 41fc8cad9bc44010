//! Sound files by symphonia, in safe Rust: wav, mp3, m4a and flac.
//!
//! A file is read as every player reads it: a packet that cannot be decoded becomes silence of its length, packets that
//! are missing between two others as well, and a file that was cut is used as far as it goes.

use super::error::Failure;
use super::mp4_edits::{self, Edit};
use super::resample::{RATES, Resampler};
use super::source::Source;
use crate::media::files::open_plain;
use std::path::Path;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as DecodeError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::well_known::FORMAT_ID_ISOMP4;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;
use symphonia::core::units::TimeBase;

/// Channels accepted in one track.
const CHANNEL_LIMIT: usize = 64;
/// How many frames a track may lack of its declared length before that is said. Encoders round up to their own blocks
/// (1,152 in MP3, 2,048 in HE-AAC).
const DECLARED_SLACK: u64 = 2 * 2048;
/// How long a track in a film may wait before it begins, and how long a hole in it may be, seconds.
const LONGEST_WAIT: u32 = 60;
/// Holes shorter than this are rounding of time stamps, seconds.
const SHORTEST_HOLE: f64 = 0.005;
/// The largest share of a track's packets that may be damaged; with more it is a codec that is not understood.
const MOST_DAMAGED: f64 = 0.2;

/// Sound of a file.
pub(super) struct Decoded {
    /// Mono at 16 kHz.
    pub(super) samples: Vec<f32>,
    /// What was replaced or left out, in a few words each.
    pub(super) notes: Vec<String>,
}

/// Decodes the first audio track of `path`, opened as `source`: the mean of its channels, or one of them. One of more than
/// `longest` seconds is refused.
pub(super) fn decode(
    path: &Path,
    source: Source,
    only: Option<usize>,
    longest: u32,
) -> Result<Decoded, Failure> {
    let (length, mut notes) = (source.length, source.notes());
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
            let mut file = open_plain(path).map_err(|e| unsupported(&e))?;
            mp4_edits::find(&mut file, length, id)?
        }
        _ => None,
    };

    let mut heard: Option<Heard> = None;
    let mut planes: Vec<Vec<f32>> = Vec::new();
    let mut mono: Vec<f32> = Vec::new();
    let (mut packets, mut damaged, mut end, mut silent) = (0u64, 0u64, None, 0u64);
    let mut levels = Vec::new();
    // Silence that is due before the rate is known, seconds.
    let mut due = 0.0;
    let mut stopped = None;
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(e) => {
                stopped = Some(e.to_string());
                break;
            }
        };
        if packet.track_id != id {
            continue;
        }
        packets += 1;
        let start = packet.pts.get();
        let hole = end.map_or(0, |end: i64| start.saturating_sub(end));
        let hole = seconds(hole, time_base);
        if hole > f64::from(LONGEST_WAIT) {
            return Err(Failure::Unsupported(format!("a hole of {hole:.0} s in its sound")));
        }
        end = Some(start.saturating_add_unsigned(packet.block_dur().get()));
        if hole > SHORTEST_HOLE {
            due += hole;
        }
        let decoded = match decoder.decode(&packet) {
            Ok(decoded) => decoded,
            Err(DecodeError::DecodeError(_) | DecodeError::IoError(_)) => {
                damaged += 1;
                due += seconds(i64::try_from(packet.dur.get()).unwrap_or(0), time_base);
                continue;
            }
            Err(e) => return Err(unsupported(&e)),
        };
        let (rate, channels) = (decoded.spec().rate(), decoded.num_planes());
        if decoded.is_empty() {
            continue;
        }
        if channels == 0 || channels > CHANNEL_LIMIT {
            return Err(Failure::Unsupported(format!("{channels} channels")));
        }
        decoded.copy_to_vecs_planar(&mut planes);
        let heard = match &mut heard {
            Some(heard) => heard,
            None => heard.insert(Heard::new(rate, edit, longest)?),
        };
        if heard.rate != rate {
            return Err(Failure::Unsupported("a sample rate that changes".to_string()));
        }
        silent += heard.push_silence(due)?;
        due = 0.0;
        mix(&planes[..channels], only, &mut mono);
        if mono.iter().any(|s| !s.is_finite()) {
            return Err(Failure::NoSound("samples that are not finite numbers".to_string()));
        }
        levels.resize(levels.len().max(channels + 1), 0.0);
        add_levels(&planes[..channels], &mono, &mut levels);
        heard.push(&mono)?;
    }
    if damaged as f64 > MOST_DAMAGED * packets as f64 {
        return Err(Failure::Unsupported(format!("{damaged} of {packets} packets that cannot be decoded")));
    }
    let Some(mut heard) = heard else {
        return Err(match stopped {
            Some(why) => Failure::Unsupported(why),
            None => Failure::NoSound("a file without samples".to_string()),
        });
    };
    if let (None, Some(channel)) = (only, cancelled(&levels)) {
        return Err(Failure::Cancelled(channel));
    }
    silent += heard.push_silence(due)?;
    let Heard { rate, resampler, mut samples, received, .. } = heard;
    // MP4 may count in another unit than samples.
    let counts_samples = time_base.is_none_or(|base| base.numer.get() == 1 && base.denom.get() == rate);
    let declared = declared.filter(|declared| counts_samples && received + DECLARED_SLACK < *declared);
    if silent > 0 {
        let seconds = silent as f64 / f64::from(rate);
        notes.push(format!(
            "{seconds:.3} s of its sound are damaged or missing: there is silence in their place"
        ));
    }
    if declared.is_some() || stopped.is_some() {
        let seconds = received as f64 / f64::from(rate);
        let declared = declared.map(|n| format!(" of the {:.2} s it declares", n as f64 / f64::from(rate)));
        let declared = declared.or(stopped.map(|why| format!(" ({why})"))).unwrap_or_default();
        notes.push(format!("it ends after {seconds:.2} s{declared}: what there is is used"));
    }
    samples.extend(resampler.finish().map_err(|e| unsupported(&e))?);
    if samples.is_empty() {
        return Err(Failure::NoSound("a track of which nothing is heard".to_string()));
    }
    Ok(Decoded { samples, notes })
}

fn unsupported(error: &dyn std::fmt::Display) -> Failure {
    Failure::Unsupported(error.to_string())
}

/// Ticks as seconds.
fn seconds(ticks: i64, base: Option<TimeBase>) -> f64 {
    base.map_or(0.0, |base| ticks as f64 * f64::from(base.numer.get()) / f64::from(base.denom.get()))
}

/// The part of a track that is heard, on its way to 16 kHz.
struct Heard {
    rate: u32,
    /// The most that is heard, seconds.
    longest: u32,
    resampler: Resampler,
    /// What came out of it.
    samples: Vec<f32>,
    /// Samples of the track that came so far.
    received: u64,
    /// Samples still to be left out.
    skip: u64,
    /// Samples still to be heard.
    left: u64,
}

impl Heard {
    fn new(rate: u32, edit: Option<Edit>, longest: u32) -> Result<Self, Failure> {
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
        Ok(Heard { rate, longest, resampler, samples, received: 0, skip, left })
    }

    /// Puts silence in; how many samples that are.
    fn push_silence(&mut self, seconds: f64) -> Result<u64, Failure> {
        let count = (seconds * f64::from(self.rate)).round() as u64;
        if count > u64::from(self.longest) * u64::from(self.rate) {
            return Err(Failure::TooLong);
        }
        let silence = [0.0; 4096];
        let mut left = count;
        while left > 0 {
            let part = left.min(silence.len() as u64);
            self.push(&silence[..part as usize])?;
            left -= part;
        }
        Ok(count)
    }

    fn push(&mut self, samples: &[f32]) -> Result<(), Failure> {
        self.received += samples.len() as u64;
        let skipped = self.skip.min(samples.len() as u64);
        let heard = self.left.min(samples.len() as u64 - skipped);
        self.skip -= skipped;
        self.left -= heard;
        let heard = &samples[skipped as usize..][..heard as usize];
        self.samples.extend(self.resampler.push(heard).map_err(|e| unsupported(&e))?);
        if self.resampler.received() / u64::from(self.rate) >= u64::from(self.longest) {
            Err(Failure::TooLong)
        } else {
            Ok(())
        }
    }
}

/// The mean of all channels, or one of them.
pub(super) fn mix(planes: &[Vec<f32>], only: Option<usize>, mono: &mut Vec<f32>) {
    mono.clear();
    match only.and_then(|channel| planes.get(channel)) {
        Some(plane) => mono.extend(plane),
        None => {
            let scale = 1.0 / planes.len() as f32;
            let length = planes.first().map_or(0, Vec::len);
            mono.extend((0..length).map(|i| planes.iter().map(|plane| plane[i]).sum::<f32>() * scale));
        }
    }
}

/// Adds the energy of the mixture, and then of each channel.
pub(super) fn add_levels(planes: &[Vec<f32>], mono: &[f32], levels: &mut [f64]) {
    let energy = |samples: &[f32]| samples.iter().map(|s| f64::from(*s) * f64::from(*s)).sum::<f64>();
    for (level, samples) in
        levels.iter_mut().zip(std::iter::once(mono).chain(planes.iter().map(Vec::as_slice)))
    {
        *level += energy(samples);
    }
}

/// The loudest channel, when the channels cancel each other in their mean.
pub(super) fn cancelled(levels: &[f64]) -> Option<usize> {
    let (mono, channels) = levels.split_first()?;
    let loudest = (0..channels.len()).rev().max_by(|a, b| channels[*a].total_cmp(&channels[*b]))?;
    // A voice in one channel of n alone has 1/n² of its energy left, which is no less than this for six.
    (channels.len() > 1 && *mono < channels[loudest] / 50.0).then_some(loudest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_that_cancel_are_told_from_a_voice_in_one_channel() {
        let wave: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.3).sin()).collect();
        let (inverse, silence) = (wave.iter().map(|v| -v).collect::<Vec<_>>(), vec![0.0; 1000]);
        let quieter = inverse.iter().map(|v| v * 0.9).collect::<Vec<_>>();
        let channel = |planes: &[Vec<f32>]| {
            let mut mono = Vec::new();
            mix(planes, None, &mut mono);
            let mut levels = vec![0.0; planes.len() + 1];
            add_levels(planes, &mono, &mut levels);
            cancelled(&levels)
        };
        assert_eq!(channel(&[wave.clone(), inverse]), Some(0));
        assert_eq!(channel(&[quieter, wave.clone()]), Some(1));
        assert_eq!(channel(&[wave.clone(), wave.clone()]), None);
        assert_eq!(channel(&[silence.clone(), wave.clone()]), None);
        let mut six = vec![silence; 5];
        six.push(wave.clone());
        assert_eq!((channel(&six), channel(&[wave])), (None, None));
    }
}
