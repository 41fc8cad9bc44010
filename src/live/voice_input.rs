//! From samples of a voice to the rows that a head hears, matched to the voice it was trained with.

use super::voice_match::VoiceMatch;
use crate::{Error, Result};
use data_utils::audio::ave::AveEncoder;
use data_utils::audio::features::{AudioKind, FeatureStream};
use data_utils::audio::resample::Resampler;

/// Samples in, audio rows out.
pub(super) struct VoiceInput {
    kind: AudioKind,
    /// None where rows come from elsewhere only.
    stream: Option<FeatureStream>,
    matching: Option<VoiceMatch>,
    /// The rate of the samples and the way from it to 16 kHz, once samples have come.
    source: Option<(u32, Resampler)>,
    is_finished: bool,
}

impl VoiceInput {
    pub(super) fn new(
        kind: AudioKind,
        encoder: Option<AveEncoder>,
        matching: Option<VoiceMatch>,
    ) -> Result<Self> {
        let stream = match kind {
            AudioKind::Mel => Some(FeatureStream::mel()),
            AudioKind::Speech => Some(FeatureStream::speech()?),
            AudioKind::Ave => encoder.map(FeatureStream::ave),
            AudioKind::DeepSpeech | AudioKind::Hubert => None,
        };
        Ok(VoiceInput { kind, stream, matching, source: None, is_finished: false })
    }

    /// Values of one row.
    pub(super) fn row_len(&self) -> usize {
        self.kind.row_len()
    }

    /// Takes samples and gives the rows that became ready.
    pub(super) fn push(&mut self, samples: &[f32], rate: u32) -> Result<Vec<f32>> {
        self.check_open()?;
        let Some(stream) = &mut self.stream else { return Err(no_stream(self.kind)) };
        let (first, resampler) = match &mut self.source {
            Some(source) => source,
            None => self.source.insert((rate, Resampler::new(rate)?)),
        };
        if *first != rate {
            let found = format!("{rate} Hz after {first} Hz");
            return Err(Error::input("the voice", "one sample rate", found, "convert it to one rate"));
        }
        let mut rows = stream.push(&resampler.push(samples)?)?;
        self.matched(&mut rows);
        Ok(rows)
    }

    /// Takes rows that were extracted elsewhere and gives them as the head hears them.
    pub(super) fn push_rows(&mut self, mut rows: Vec<f32>) -> Result<Vec<f32>> {
        self.check_open()?;
        self.matched(&mut rows);
        Ok(rows)
    }

    /// Forgets the sound of which rows are still to come; the next sample begins a row.
    pub(super) fn restart(&mut self) -> Result<()> {
        self.check_open()?;
        self.source = None;
        if let Some(stream) = &mut self.stream {
            stream.finish()?;
        }
        Ok(())
    }

    /// Ends the voice and gives the remaining rows.
    pub(super) fn finish(&mut self) -> Result<Vec<f32>> {
        self.check_open()?;
        self.is_finished = true;
        let (Some((_, resampler)), Some(stream)) = (self.source.take(), &mut self.stream) else {
            return Ok(Vec::new());
        };
        let mut rows = stream.push(&resampler.finish()?)?;
        rows.extend(stream.finish()?);
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

/// Why a sound gives no rows of this kind.
fn no_stream(kind: AudioKind) -> Error {
    match kind {
        AudioKind::Ave => {
            let remedy = "name the weights, or give the voice's features";
            Error::input("ave_weights", "audio_visual_encoder.pth", "none", remedy)
        }
        _ => {
            let expected = format!("{} features, which the head was trained with", kind.name());
            let remedy = "extract the features of the voice and give the .npy file";
            Error::input("the voice", expected, "a sound", remedy)
        }
    }
}
