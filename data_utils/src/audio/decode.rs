//! Any sound file to mono at 16 kHz: symphonia for wav, mp3, m4a and flac, ffmpeg for what it cannot read.

use super::error::Failure;
use super::film;
use super::native::{self, Decoded};
use super::source::{self, Source};
use super::{LONGEST, SAMPLE_RATE, Sound};
use crate::error::{Error, Result};
use crate::media::files::open_plain;
use std::path::Path;

/// Loads the sound of any file with an audio track (wav, mp3, m4a, mp4, flac; with ffmpeg installed anything it
/// reads) as mono at 16 kHz: channels averaged, resampled with a band limit, as `librosa.load(path, sr=16000)`.
/// Damaged places become silence, and of a file that was cut is used what there is.
///
/// # Errors
/// [`Error::Input`] when the file cannot be read, has no audio or no samples, or is longer than [`LONGEST`].
pub fn load(path: &Path) -> Result<Sound> {
    load_with(path, true, LONGEST).map(|(sound, _)| sound)
}

/// Loads as [`load`] does, and says in a line each what was replaced or is missing.
///
/// # Errors
/// As [`load`].
pub fn load_with_notes(path: &Path) -> Result<(Sound, Vec<String>)> {
    load_with(path, true, LONGEST)
}

/// Loads as [`load`] does, but never starts ffmpeg: for files of strangers, whose bytes then only meet decoders
/// in safe Rust. No more than `longest` seconds are decoded, however small the file is.
///
/// # Errors
/// As [`load`]; also for formats beyond wav, mp3, m4a, mp4 and flac, and for a longer sound.
pub fn load_native(path: &Path, longest: u32) -> Result<Sound> {
    load_with(path, false, longest.min(LONGEST)).map(|(sound, _)| sound)
}

/// Loads `path`; what symphonia cannot read goes to ffmpeg when `may_start_ffmpeg`.
fn load_with(path: &Path, may_start_ffmpeg: bool, longest: u32) -> Result<(Sound, Vec<String>)> {
    let expected = "a sound file (wav, mp3, m4a, flac)";
    let mut decoded = with_symphonia(path, None, longest).map_err(|e| Error::io(path, expected, &e))?;
    if let Err(Failure::Cancelled(channel)) = decoded {
        decoded = with_symphonia(path, Some(channel), longest).map_err(|e| Error::io(path, expected, &e))?;
        let note = format!("its channels cancel each other: channel {} alone is used", channel + 1);
        decoded = decoded.map(|mut decoded| {
            decoded.notes.push(note);
            decoded
        });
    }
    let decoded = match decoded {
        Err(Failure::Unsupported(found)) if may_start_ffmpeg => {
            film::read_track(path, 0, None).map_err(|ffmpeg| match ffmpeg {
                Failure::Unsupported(why) => Failure::Unsupported(format!("{found}; {why}")),
                other => other,
            })
        }
        other => other,
    };
    let (found, remedy) = match decoded {
        Ok(Decoded { samples, notes }) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let notes = notes.into_iter().map(|note| format!("{name}: {note}")).collect();
            return Ok((Sound { samples, rate: SAMPLE_RATE }, notes));
        }
        Err(Failure::Unsupported(found)) => (found, "convert it to a 16-bit wav file".to_string()),
        Err(Failure::NoSound(found)) => (found, "check that this is the right file".to_string()),
        Err(Failure::Cancelled(_)) => ("channels that cancel each other".into(), "mix it to mono".into()),
        Err(Failure::TooLong) => {
            (format!("more than {} minutes", longest / 60), "cut it into shorter pieces".to_string())
        }
    };
    Err(Error::input(path.display(), expected, found, remedy))
}

fn with_symphonia(
    path: &Path,
    only: Option<usize>,
    longest: u32,
) -> std::io::Result<std::result::Result<Decoded, Failure>> {
    let mut file = open_plain(path)?;
    let length = file.metadata()?.len();
    let patch = source::inspect_wav(&mut file, length)?;
    Ok(patch.and_then(|patch| native::decode(path, Source { file, length, patch }, only, longest)))
}
