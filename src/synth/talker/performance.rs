//! Someone speaking: the sound, and the parameters of every frame.

use super::landmarks;
use super::params::Params;
use super::pose::{FaceMotion, HeadMotion};
use super::scene::camera;
use super::sentences::Sentence;
use super::speech::Speech;
use super::voice;
use crate::{Camera, Result};
use data_utils::audio::Sound;

/// Frames a second.
pub const FPS: f32 = 25.0;

/// A performance: all that a talker does while it says something.
#[derive(Debug, Clone)]
pub struct Performance {
    /// The words.
    pub text: Vec<String>,
    /// The voice, 16 kHz mono.
    pub sound: Sound,
    /// Parameters of every frame at 25 frames a second; as many as [`Sound::video_frames`].
    pub params: Vec<Params>,
}

impl Performance {
    /// Says the sentences one after the other. Sound and mouth follow the phonemes; head, lids, brows and gaze
    /// processes of their own. The same seed gives the same performance.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when a sentence holds an unknown phoneme, which its constructors refuse.
    pub fn speak(sentences: &[Sentence], seed: u64) -> Result<Self> {
        let speech = Speech::new(sentences, seed)?;
        let sound = Sound { samples: voice::speak(&speech, seed), rate: voice::RATE };
        let head = HeadMotion::new(seed);
        let face = FaceMotion::new(seed, speech.duration);
        let params = (0..sound.video_frames())
            .map(|i| {
                // The middle of the frame's time.
                let time = (i as f32 + 0.5) / FPS;
                Params { mouth: speech.mouth(time), face: face.at(time), head: head.at(time) }
            })
            .collect();
        Ok(Performance { text: sentences.iter().map(|s| s.text.clone()).collect(), sound, params })
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.params.len()
    }

    /// The camera of every frame for square pictures of `size`.
    pub fn cameras(&self, size: u32) -> Vec<Camera> {
        self.params.iter().map(|p| camera(p, size)).collect()
    }

    /// The 52 blendshapes of every frame in the order of a dataset's `bs.npy`.
    pub fn blendshapes(&self) -> Vec<[f32; 52]> {
        self.params.iter().map(Params::blendshapes).collect()
    }

    /// True gap between the lips of every frame, pixels of a square picture of `size`.
    pub fn mouth_openings(&self, size: u32) -> Vec<f32> {
        self.params.iter().map(|p| landmarks::mouth_opening(p, size)).collect()
    }
}
