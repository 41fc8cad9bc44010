//! The audio features of a dataset: as asked for, or the best it has.

use super::check::Findings;
use super::rows::enough_rows;
use crate::audio::ave::AveEncoder;
use crate::audio::features::{AudioFeatures, AudioKind};
use crate::audio::listen::Loudness;
use crate::audio::{self, Sound};
use crate::error::{Error, Problem, Result};
use candle_core::Device;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// File name of SyncTalk's audio-visual encoder.
const AVE_WEIGHTS: &str = "audio_visual_encoder.pth";

/// Which audio features are wanted, `--asr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AudioChoice {
    /// AVE where its features or weights are found, otherwise speech.
    #[default]
    Auto,
    /// This kind and no other.
    Kind(AudioKind),
}

impl fmt::Display for AudioChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AudioChoice::Auto => "auto",
            AudioChoice::Kind(kind) => kind.name(),
        })
    }
}

impl FromStr for AudioChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "auto" { Ok(AudioChoice::Auto) } else { AudioKind::parse(text).map(AudioChoice::Kind) }
    }
}

/// Features of the dataset in `dir`, at least up to row `last`.
pub(super) fn read(
    dir: &Path,
    choice: AudioChoice,
    weights: Option<&Path>,
    last: u32,
    findings: &mut Findings,
    notes: &mut Vec<String>,
) -> Option<AudioFeatures> {
    let mut features = findings.take(choose(dir, choice, weights, notes))?;
    let name = format!("{} features", features.kind.name());
    // Only a few rows are ever added, so a wild row number costs no memory.
    if enough_rows(&name, features.rows, last, findings, notes) {
        features.fit(features.rows.max(last as usize + 1));
    }
    Some(features)
}

fn choose(
    dir: &Path,
    choice: AudioChoice,
    weights: Option<&Path>,
    notes: &mut Vec<String>,
) -> Result<AudioFeatures> {
    let kind = match choice {
        AudioChoice::Auto => AudioKind::Ave,
        AudioChoice::Kind(kind) => kind,
    };
    let stored = kind.file_names().iter().map(|n| dir.join(n)).find(|p| p.exists());
    if let Some(path) = stored {
        notes.push(format!("audio: {} features from {}", kind.name(), file_name(&path)));
        return AudioFeatures::read(&path, kind);
    }
    match kind {
        AudioKind::Speech => {
            notes.push("audio: speech features from aud.wav".into());
            AudioFeatures::speech(&sound(dir, notes)?)
        }
        AudioKind::Mel => {
            notes.push("audio: mel features from aud.wav".into());
            AudioFeatures::mel(&sound(dir, notes)?)
        }
        AudioKind::DeepSpeech | AudioKind::Hubert => {
            let names = kind.file_names().join(" or ");
            Err(Error::input(
                dir.join(kind.file_names()[0]).display(),
                format!("{} features in {names}", kind.name()),
                "no such file",
                "extract them with the program you have for them, or use --asr auto",
            ))
        }
        AudioKind::Ave => match weights.map(PathBuf::from).or_else(|| find_ave_weights(dir)) {
            Some(path) => {
                notes.push(format!("audio: ave features from aud.wav by {}", path.display()));
                let encoder = AveEncoder::open(&path, &Device::Cpu)?;
                AudioFeatures::ave(&sound(dir, notes)?, &encoder)
            }
            None if choice == AudioChoice::Auto => {
                choose(dir, AudioChoice::Kind(AudioKind::Speech), None, notes)
            }
            None => Err(Error::input(
                dir.join("aud_ave.npy").display(),
                format!("ave features, or {AVE_WEIGHTS} to make them with"),
                "neither",
                "name the weights, put them beside the dataset, or use --asr speech",
            )),
        },
    }
}

/// The weights in the dataset, beside it, or in `checkpoints` of the folder we run in.
pub fn find_ave_weights(dir: &Path) -> Option<PathBuf> {
    let beside = dir.parent().map(|p| p.join(AVE_WEIGHTS));
    let places = [Some(dir.join(AVE_WEIGHTS)), beside, Some(Path::new("checkpoints").join(AVE_WEIGHTS))];
    places.into_iter().flatten().find(|p| p.exists())
}

/// The dataset's sound; what is wrong with it is noted.
fn sound(dir: &Path, notes: &mut Vec<String>) -> Result<Sound> {
    let path = dir.join("aud.wav");
    if path.exists() {
        let (sound, heard) = audio::load_with_notes(&path)?;
        notes.extend(heard);
        notes.extend(Loudness::of(&sound).silence().map(|silence| format!("aud.wav is {silence}")));
        return Ok(sound);
    }
    let other = [AudioKind::DeepSpeech, AudioKind::Hubert];
    let has = |k: &AudioKind| k.file_names().iter().any(|n| dir.join(n).exists());
    let remedy = match other.into_iter().find(has) {
        Some(kind) => format!("extract the sound of the video, or use --asr {}", kind.name()),
        None => "extract the sound of the video".to_string(),
    };
    Err(Problem::new(path.display(), "the sound of the dataset", "no such file", remedy).into())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(dir: &Path, choice: &str, last: u32) -> (Option<AudioFeatures>, String, Result<()>) {
        let (mut findings, mut notes) = (Findings::default(), Vec::new());
        let choice = choice.parse().expect("a choice");
        let features = read(dir, choice, None, last, &mut findings, &mut notes);
        (features, notes.join("\n"), findings.into_result())
    }

    fn voice(dir: &Path, frames: usize) {
        let samples = (0..frames * 640).map(|i| (i as f32 * 0.2).sin() * 0.3).collect();
        audio::write_wav(&dir.join("aud.wav"), &Sound { samples, rate: 16_000 }).expect("written");
    }

    #[test]
    fn auto_takes_stored_ave_features_and_speech_where_there_are_none() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        voice(dir.path(), 10);
        let (features, notes, result) = outcome(dir.path(), "auto", 9);
        result.expect("no problem");
        assert_eq!(features.map(|f| (f.kind, f.rows)), Some((AudioKind::Speech, 10)));
        assert!(notes.contains("speech features from aud.wav"), "{notes}");
        crate::formats::npy::write(&dir.path().join("aud_ave.npy"), &[10, 1, 512], &[0.5; 5120])
            .expect("written");
        let (features, notes, _) = outcome(dir.path(), "auto", 9);
        assert_eq!(features.map(|f| (f.kind, f.rows)), Some((AudioKind::Ave, 10)));
        assert!(notes.contains("aud_ave.npy"), "{notes}");
    }

    #[test]
    fn sound_that_ends_a_little_early_goes_on_and_half_of_it_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        voice(dir.path(), 10);
        let (features, notes, result) = outcome(dir.path(), "mel", 12);
        result.expect("no problem");
        assert_eq!(features.map(|f| f.rows), Some(13));
        assert!(notes.contains("3 rows before"), "{notes}");
        assert!(outcome(dir.path(), "mel", 20).2.is_err());
    }

    #[test]
    fn what_was_asked_for_and_is_not_there_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (choice, said) in [
            ("auto", "aud.wav"),
            ("ave", "aud_ave.npy"),
            ("deepspeech", "aud_ds.npy"),
            ("hubert", "aud_hu.npy"),
        ] {
            let message = outcome(dir.path(), choice, 0).2.expect_err("refused").to_string();
            assert!(message.contains(said), "{message}");
        }
        crate::formats::npy::write(&dir.path().join("aud_hu.npy"), &[1, 2, 1024], &[0.0; 2048])
            .expect("written");
        let message = outcome(dir.path(), "auto", 0).2.expect_err("refused").to_string();
        assert!(message.contains("--asr hubert"), "{message}");
        assert!("loud".parse::<AudioChoice>().is_err());
    }
}
