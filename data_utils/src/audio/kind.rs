//! The kinds of audio features and the shape of their rows.

use super::{ave, mel, speech};
use crate::error::{Error, Result};

/// Which network, if any, the features come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AudioKind {
    /// SyncTalk's audio-visual encoder.
    Ave,
    /// The first layers of a network for speech, which are part of the program.
    Speech,
    /// Mel windows, needing no network.
    Mel,
    /// DeepSpeech 0.1.0 logits, from a file.
    DeepSpeech,
    /// HuBERT large, from a file.
    Hubert,
}

impl AudioKind {
    /// Every kind.
    pub const ALL: [AudioKind; 5] =
        [AudioKind::Ave, AudioKind::Speech, AudioKind::Mel, AudioKind::DeepSpeech, AudioKind::Hubert];

    /// The kind of this name, as [`AudioKind::name`] gives it.
    ///
    /// # Errors
    /// [`Error::Input`] for any other name.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(AudioKind::name).join(", ");
            Error::input("--asr", format!("one of {names}"), name, "choose one of them, or auto")
        })
    }

    /// `ave`, `speech`, `mel`, `deepspeech` or `hubert`.
    pub fn name(self) -> &'static str {
        match self {
            AudioKind::Ave => "ave",
            AudioKind::Speech => "speech",
            AudioKind::Mel => "mel",
            AudioKind::DeepSpeech => "deepspeech",
            AudioKind::Hubert => "hubert",
        }
    }

    /// What datasets call a file of these features, the most common name first.
    pub fn file_names(self) -> &'static [&'static str] {
        match self {
            AudioKind::Ave => &["aud_ave.npy"],
            AudioKind::Speech => &["aud_speech.npy"],
            AudioKind::Mel => &["aud_mel.npy"],
            AudioKind::DeepSpeech => &["aud_ds.npy", "aud.npy"],
            AudioKind::Hubert => &["aud_hu.npy"],
        }
    }

    /// Channels of one row.
    pub fn channels(self) -> usize {
        match self {
            AudioKind::Ave => ave::FEATURES,
            AudioKind::Speech => speech::FEATURES,
            AudioKind::Mel => mel::BANDS,
            AudioKind::DeepSpeech => 29,
            AudioKind::Hubert => 1024,
        }
    }

    /// The last channels of a row, which are few, mean something by themselves and are not to be mixed with the others.
    pub fn direct(self) -> usize {
        if self == AudioKind::Speech { speech::CURVES } else { 0 }
    }

    /// Steps of time in one row.
    pub fn width(self) -> usize {
        match self {
            AudioKind::Ave | AudioKind::Speech => 1,
            AudioKind::Mel => ave::WINDOW,
            AudioKind::DeepSpeech => 16,
            AudioKind::Hubert => 2,
        }
    }

    /// Values of one row.
    pub fn row_len(self) -> usize {
        self.channels() * self.width()
    }
}
