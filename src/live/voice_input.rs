//! From samples of a voice to the rows that a head hears, matched to the voice it was trained with.

use super::voice_match::VoiceMatch;
use crate::{Error, Result};
use data_utils::audio::Sound;
use data_utils::audio::ave::AveEncoder;
use data_utils::audio::features::{AudioFeatures, AudioKind};

/// Samples in, audio rows out.
pub(super) struct VoiceInput {
    kind: AudioKind,
    encoder: Option<AveEncoder>,
    matching: Option<VoiceMatch>,
    rate: Option<u32>,
    samples: Vec<f32>,
    is_finished: bool,
}

impl VoiceInput {
    pub(super) fn new(kind: AudioKind, encoder: Option<AveEncoder>, matching: Option<VoiceMatch>) -> Self {
        VoiceInput { kind, encoder, matching, rate: None, samples: Vec::new(), is_finished: false }
    }

    /// Values of one row.
    pub(super) fn row_len(&self) -> usize {
        self.kind.channels() * self.kind.width()
    }

    /// Takes samples and gives the rows that became ready.
    pub(super) fn push(&mut self, samples: &[f32], rate: u32) -> Result<Vec<f32>> {
        self.check_open()?;
        let first = *self.rate.get_or_insert(rate);
        if first != rate {
            let found = format!("{rate} Hz after {first} Hz");
            return Err(Error::input("the voice", "one sample rate", found, "convert it to one rate"));
        }
        self.samples.extend_from_slice(samples);
        Ok(Vec::new())
    }

    /// Takes rows that were extracted elsewhere and gives them as the head hears them.
    pub(super) fn push_rows(&mut self, mut rows: Vec<f32>) -> Result<Vec<f32>> {
        self.check_open()?;
        self.matched(&mut rows);
        Ok(rows)
    }

    /// Ends the voice and gives the remaining rows.
    pub(super) fn finish(&mut self) -> Result<Vec<f32>> {
        self.check_open()?;
        self.is_finished = true;
        let Some(rate) = self.rate else { return Ok(Vec::new()) };
        let sound = Sound { samples: std::mem::take(&mut self.samples), rate };
        let mut rows = match (self.kind, &self.encoder) {
            (AudioKind::Mel, _) => AudioFeatures::mel(&sound)?.values,
            (AudioKind::Ave, Some(encoder)) => AudioFeatures::ave(&sound, encoder)?.values,
            (AudioKind::Ave, None) => {
                let remedy = "name the weights, or give the voice's features";
                return Err(Error::input("ave_weights", "audio_visual_encoder.pth", "none", remedy));
            }
            (AudioKind::DeepSpeech | AudioKind::Hubert, _) => {
                let kind = self.kind.name();
                let expected = format!("{kind} features, which the head was trained with");
                let remedy = "extract the features of the voice and give the .npy file";
                return Err(Error::input("the voice", expected, "a sound", remedy));
            }
        };
        self.matched(&mut rows);
        Ok(rows)
    }

    fn matched(&mut self, rows: &mut [f32]) {
        if let Some(matching) = &mut self.matching {
            matching.apply(rows);
        }
    }

    fn check_open(&self) -> Result<()> {
        match self.is_finished {
            true => Err(Error::Internal("sound after the end of the voice".into())),
            false => Ok(()),
        }
    }
}
