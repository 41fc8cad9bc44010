//! The voice that `render` is given: a sound, or features that were extracted elsewhere.

use super::output;
use crate::Result;
use crate::head::VoiceStatistics;
use data_utils::audio::features::{AudioFeatures, AudioKind};
use data_utils::audio::listen::Loudness;
use data_utils::audio::{self, Sound};
use std::path::{Path, PathBuf};

/// Samples of a voice that are given at once.
pub(super) const PIECE: usize = 16_000;

/// A voice to be said.
pub(super) struct Voice {
    pub(super) sound: Option<Sound>,
    /// In place of the sound, when they were given.
    pub(super) features: Option<AudioFeatures>,
    /// Levels of its mel channels and the rows they were measured over.
    pub(super) levels: Option<(VoiceStatistics, usize)>,
}

impl Voice {
    /// Reads a voice, or its features of `kind`.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when it cannot be read.
    pub(super) fn read(path: &Path, kind: AudioKind) -> Result<Self> {
        let levels =
            |features: &AudioFeatures| VoiceStatistics::of(features).map(|levels| (levels, features.rows));
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy")) {
            let features = AudioFeatures::read(path, kind)?;
            return Ok(Voice {
                levels: levels(&features),
                sound: sound_beside(path)?,
                features: Some(features),
            });
        }
        let (sound, notes) = audio::load_with_notes(path)?;
        notes.iter().chain(&Loudness::of(&sound).silence()).for_each(output::note);
        // The whole voice is there, so its levels need not be learned while it is spoken.
        let levels = match kind {
            AudioKind::Mel => VoiceStatistics::of_sound(&sound, PIECE)?,
            _ => None,
        };
        Ok(Voice { levels, sound: Some(sound), features: None })
    }
}

/// The sound that lies beside a feature file under the same name, if there is one.
fn sound_beside(features: &Path) -> Result<Option<Sound>> {
    let stem = features.with_extension("");
    let stem = stem.to_string_lossy();
    let stems =
        [stem.as_ref(), stem.trim_end_matches("_ave").trim_end_matches("_ds").trim_end_matches("_hu")];
    for stem in stems {
        let wav = PathBuf::from(format!("{stem}.wav"));
        if wav.is_file() {
            return audio::load(&wav).map(Some);
        }
    }
    output::note(format!("no {stem}.wav beside the features; the video will be silent"));
    Ok(None)
}
