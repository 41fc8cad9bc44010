//! Someone speaking: the sound, and the parameters of every frame.

use super::landmarks;
use super::params::Params;
use super::pose::{FaceMotion, HeadMotion};
use super::scene::camera;
use super::sentences::Sentence;
use super::speech::Speech;
use super::voice;
use crate::{Camera, Result};
use data_utils::audio::{FRAME_RATE, Sound};

/// A clip: all that a talker does while it says something.
#[derive(Debug, Clone)]
pub struct SampleClip {
    /// The words.
    pub text: Vec<String>,
    /// The voice, 16 kHz mono.
    pub sound: Sound,
    /// Parameters of every frame at 25 frames a second; as many as [`Sound::video_frames`].
    pub params: Vec<Params>,
}

/// The talker's voice alone: the sentences one after the other, 16 kHz. The same seed gives the same sound.
///
/// # Errors
/// As [`SampleClip::speak`].
pub fn speak(sentences: &[Sentence], seed: u64) -> Result<Sound> {
    Ok(Sound { samples: voice::speak(&Speech::new(sentences, seed)?, seed), rate: voice::RATE })
}

impl SampleClip {
    /// Says the sentences one after the other. Sound and mouth follow the phonemes; head, lids, brows and gaze
    /// processes of their own. The same seed gives the same clip.
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
                let time = (i as f32 + 0.5) / FRAME_RATE as f32;
                Params { mouth: speech.mouth(time), face: face.at(time), head: head.at(time) }
            })
            .collect();
        Ok(SampleClip { text: sentences.iter().map(|s| s.text.clone()).collect(), sound, params })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn speak(text: &str, seed: u64) -> SampleClip {
        SampleClip::speak(&[Sentence::new(text).unwrap()], seed).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_clip_to_the_last_bit() {
        let (a, b) = (speak("Hello there, papa!", 8), speak("Hello there, papa!", 8));
        assert_eq!(a.sound.samples, b.sound.samples);
        assert_eq!(a.params, b.params);
        assert_ne!(a.sound.samples, speak("Hello there, papa!", 9).sound.samples);
    }

    #[test]
    fn there_are_as_many_frames_as_the_sound_is_long() {
        let p = speak("The quick brown fox", 1);
        assert_eq!(p.frames(), p.sound.video_frames());
        assert_eq!(p.frames(), (p.sound.samples.len() * 25).div_ceil(16_000));
    }

    #[test]
    fn lids_brows_and_jaw_stand_in_the_blendshapes() {
        let p = speak("Good morning! Shall we go for a walk by the river?", 2);
        let rows = p.blendshapes();
        for (row, params) in rows.iter().zip(&p.params) {
            assert_eq!(row[8], params.face.blink[0]);
            assert_eq!(row[2], params.face.brow_inner);
            assert_eq!(row[24], params.mouth.jaw);
            assert_eq!(row[51], 0.0);
        }
        assert!(rows.iter().any(|r| r[8] > 0.8) && rows.iter().any(|r| r[24] > 0.5));
    }

    #[test]
    fn the_mouth_opening_is_a_few_pixels_in_speech_and_none_in_silence() {
        let p = speak("Papa bought a warm cup of coffee", 4);
        let openings = p.mouth_openings(192);
        assert!(openings[0] < 0.3 && openings[openings.len() - 1] < 0.3);
        let most = openings.iter().copied().fold(0.0, f32::max);
        assert!((4.0..14.0).contains(&most), "{most}");
    }
}
