//! The sound of videos and of formats that only ffmpeg reads: one of the tracks, mono at 16 kHz, from the time at which the
//! file begins.

use super::error::Failure;
use super::listen::Loudness;
use super::native::{Decoded, add_levels, cancelled, mix};
use super::resample::{RATES, Resampler};
use super::{LONGEST, SAMPLE_RATE, Sound};
use crate::error::{Error, Result};
use crate::media::VideoInfo;
use crate::media::sound::Track;
use std::path::Path;

/// Rate and channels of a track whose own are not known.
const USUAL: (u32, usize) = (48_000, 1);
/// Channels that are looked at one by one.
const MOST_CHANNELS: usize = 8;

/// A start that is later than the file's by less than this is rounding, seconds.
const LATE: f64 = 0.02;

/// The sound of a video from the time at which the file begins, as its frames are: the first of its tracks in which
/// something is heard. What was chosen or filled with silence is said in a line each.
///
/// # Errors
/// [`Error::Input`] when no track can be decoded, or the sound is too long.
pub fn load_film(path: &Path, info: &VideoInfo) -> Result<(Sound, Vec<String>)> {
    let mut chosen: Option<(usize, Decoded)> = None;
    let mut failure = None;
    for (index, track) in info.sound.iter().enumerate() {
        let native = (track.rate > 0 && track.channels > 0).then_some((track.rate, track.channels));
        match read_track(path, index, native) {
            Ok(decoded) => {
                let sound = Sound { samples: decoded.samples, rate: SAMPLE_RATE };
                let is_silent = Loudness::of(&sound).is_silent();
                if chosen.is_none() || !is_silent {
                    chosen = Some((index, Decoded { samples: sound.samples, notes: decoded.notes }));
                }
                if !is_silent {
                    break;
                }
            }
            Err(why) => failure = failure.or(Some(why)),
        }
    }
    let Some((index, Decoded { samples, mut notes })) = chosen else {
        let found = match failure {
            Some(Failure::Unsupported(found) | Failure::NoSound(found)) => found,
            Some(Failure::TooLong) => format!("more than {} hours", LONGEST / 3600),
            Some(Failure::Cancelled(_)) | None => "none".into(),
        };
        return Err(Error::input(
            path.display(),
            "a sound track that ffmpeg decodes",
            found,
            "check that the video plays with its sound, or use --silent",
        ));
    };
    if info.sound.len() > 1 {
        let first = if index > 0 { ", since nothing is heard before it" } else { "" };
        notes.push(format!("track {} of its {} sound tracks is used{first}", index + 1, info.sound.len()));
    }
    let late = info.sound[index].start.map_or(0.0, |start| start - info.start);
    if late > LATE {
        notes.push(format!("it begins {late:.2} s after the file: silence is put before it"));
    }
    Ok((Sound { samples, rate: SAMPLE_RATE }, notes))
}

/// Decodes audio track `index` of `path`; `native` are its rate and channels, where they are known.
pub(super) fn read_track(
    path: &Path,
    index: usize,
    native: Option<(u32, usize)>,
) -> std::result::Result<Decoded, Failure> {
    let mut decoded = decode(path, index, native, None);
    if let Err(Failure::Cancelled(channel)) = decoded {
        decoded = decode(path, index, native, Some(channel)).map(|mut decoded| {
            let note = format!("its channels cancel each other: channel {} alone is used", channel + 1);
            decoded.notes.push(note);
            decoded
        });
    }
    decoded
}

fn decode(
    path: &Path,
    index: usize,
    native: Option<(u32, usize)>,
    only: Option<usize>,
) -> std::result::Result<Decoded, Failure> {
    let (rate, channels) = native.unwrap_or(USUAL);
    let rate = if RATES.contains(&rate) { rate } else { USUAL.0 };
    let channels = channels.clamp(1, MOST_CHANNELS);
    let broken = |e: crate::Error| Failure::Unsupported(e.to_string());
    let mut track = Track::open(path, index, rate, channels).map_err(Failure::Unsupported)?;
    let mut resampler = Resampler::new(rate).map_err(broken)?;
    let (mut samples, mut mono, mut levels) = (Vec::new(), Vec::new(), vec![0.0; channels + 1]);
    while let Some(planes) = track.next_block().map_err(Failure::Unsupported)? {
        mix(&planes, only, &mut mono);
        if mono.iter().any(|s| !s.is_finite()) {
            return Err(Failure::NoSound("samples that are not finite numbers".to_string()));
        }
        add_levels(&planes, &mono, &mut levels);
        samples.extend(resampler.push(&mono).map_err(broken)?);
        if samples.len() as u64 > u64::from(LONGEST) * u64::from(SAMPLE_RATE) {
            return Err(Failure::TooLong);
        }
    }
    let said = track.finish().map_err(Failure::Unsupported)?;
    if let (None, Some(channel)) = (only, cancelled(&levels)) {
        return Err(Failure::Cancelled(channel));
    }
    samples.extend(resampler.finish().map_err(broken)?);
    if samples.is_empty() {
        return Err(Failure::NoSound("a file without samples".to_string()));
    }
    let notes = (!said.is_empty()).then(|| {
        let first = said.split("; ").next().unwrap_or_default();
        format!("parts of its sound are damaged, there is silence in their place (ffmpeg: {first})")
    });
    Ok(Decoded { samples, notes: notes.into_iter().collect() })
}
