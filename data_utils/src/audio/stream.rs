//! Samples at 16 kHz in, one row of audio features per video frame out, as a voice comes.

use super::ave::AveEncoder;
use super::kind::AudioKind;
use super::mel_windows::{AVE_LOOK_AHEAD, MEL_LOOK_AHEAD, MelWindowStream};
use super::speech::{self, SpeechStream};
use super::window::WindowShape;
use crate::error::Result;

/// Samples at 16 kHz that must have come beyond the first sample of a frame before everything is known that the
/// network sees of it: the window of frame `j` is complete once `640·j + look_ahead` samples were pushed. The sum of the row's
/// and the window's look-ahead: 4120 (257.5 ms) for mel, 4040 (252.5 ms) for AVE, 4032 (252 ms) for speech. None for
/// features that only come from files.
pub const fn look_ahead(kind: AudioKind) -> Option<usize> {
    let row = match kind {
        AudioKind::Mel => MEL_LOOK_AHEAD,
        AudioKind::Ave => AVE_LOOK_AHEAD,
        AudioKind::Speech => speech::LOOK_AHEAD,
        AudioKind::DeepSpeech | AudioKind::Hubert => return None,
    };
    Some(row + WindowShape::of(kind).look_ahead())
}

/// Rows of features of a voice that is still coming.
pub struct FeatureStream(Source);

enum Source {
    Mel(Box<MelWindowStream>),
    Speech(Box<SpeechStream>),
}

impl FeatureStream {
    /// Mel windows of 16 columns centred on each video frame, `[80, 16]`, divided by 4 to lie in −1..1; silence beyond
    /// the ends.
    pub fn mel() -> Self {
        FeatureStream(Source::Mel(Box::new(MelWindowStream::mel())))
    }

    /// AVE features as SyncTalk makes them: one window for each video frame, moved back inside where it would pass the end,
    /// centred on the frame.
    pub fn ave(encoder: AveEncoder) -> Self {
        FeatureStream(Source::Mel(Box::new(MelWindowStream::ave(encoder))))
    }

    /// Speech features ([`super::speech`]), `[196]`, the middle of what each is made from on its video frame.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the weights in the program are damaged.
    pub fn speech() -> Result<Self> {
        Ok(FeatureStream(Source::Speech(Box::new(SpeechStream::new()?))))
    }

    /// What the rows are.
    pub fn kind(&self) -> AudioKind {
        match &self.0 {
            Source::Mel(stream) => stream.kind(),
            Source::Speech(_) => AudioKind::Speech,
        }
    }

    /// Values of a row: channels · width.
    pub fn row_len(&self) -> usize {
        self.kind().row_len()
    }

    /// Takes in samples at 16 kHz, full scale at ±1, and gives the rows that became ready, `[n, row_len]`.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the device fails.
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<f32>> {
        match &mut self.0 {
            Source::Mel(stream) => stream.push(samples),
            Source::Speech(stream) => stream.push(samples),
        }
    }

    /// Gives the remaining rows: in all one per video frame. The stream then begins anew.
    ///
    /// # Errors
    /// As [`FeatureStream::push`].
    pub fn finish(&mut self) -> Result<Vec<f32>> {
        match &mut self.0 {
            Source::Mel(stream) => stream.finish(),
            Source::Speech(stream) => stream.finish(),
        }
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
