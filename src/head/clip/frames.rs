//! The clip and its frames.

use super::plates::{Plates, decode};
use crate::Camera;
use crate::Result;
use crate::head::field::EXPRESSION;
use crate::head::motion::Motion;
use crate::head::voice_statistics::VoiceStatistics;
use image::RgbImage;

/// One frame of the clip, without its picture.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipFrame {
    /// Number in the source video; consecutive numbers are 1/25 s apart.
    pub img_id: u32,
    /// Row of the audio features spoken in this frame.
    pub audio_row: u32,
    /// True when the frame was not trained on.
    pub held_out: bool,
    /// Its camera; width and height are those of the clip.
    pub camera: Camera,
    /// Upper-face blendshapes, 0..1.
    pub expression: [f32; EXPRESSION],
}

/// What a new voice needs of the clip a head was trained on.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// Width and height of its frames, pixels.
    pub size: [u32; 2],
    /// Training frames in their order, then those held out.
    pub frames: Vec<ClipFrame>,
    /// Levels of the voice, for heads that listen to mel features.
    pub voice: Option<VoiceStatistics>,
    /// How the person moves; `None` in files of earlier versions and of clips that are too short.
    pub motion: Option<Motion>,
    /// The background plate as the bytes of a PNG or JPEG file; empty when the clip has none.
    pub background: Vec<u8>,
    /// Torso and clothes of each frame, compressed.
    pub plates: Plates,
}

impl Clip {
    /// The background plate, RGB; black when the clip has none.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when the plate cannot be decoded or has another size than the clip.
    pub fn background(&self) -> Result<RgbImage> {
        if self.background.is_empty() {
            return Ok(RgbImage::new(self.size[0], self.size[1]));
        }
        Ok(decode(&self.background, self.size, "the background plate")?.into_rgb8())
    }
}
