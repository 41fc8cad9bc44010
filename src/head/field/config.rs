//! Sizes of the field, as they are written beside a model, and the box its planes cover.

use super::AUDIO_ROWS;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Channels that an audio row may have.
const MOST_CHANNELS: usize = 4096;

/// Which tokens hear their input; one that does not gets zeros (the frame code: frame 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenInputs {
    /// The audio rows.
    pub audio: bool,
    /// The blendshapes.
    pub expression: bool,
    /// The camera.
    pub camera: bool,
    /// The frame's index.
    pub frame: bool,
}

impl Default for TokenInputs {
    fn default() -> Self {
        TokenInputs { audio: true, expression: true, camera: true, frame: true }
    }
}

/// Sizes of the field. The defaults are SyncGaussianTalker's, except where a field says why not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FieldConfig {
    /// Channels of an audio row: 512 (AVE), 196 (speech), 80 (mel), 29 (DeepSpeech), 1024 (HuBERT).
    pub audio_channels: usize,
    /// Steps of an audio row: 1 (AVE, speech), 16 (mel, DeepSpeech), 2 (HuBERT). One step is read by a dense net,
    /// more by strided convolutions.
    pub audio_width: usize,
    /// Rows of the audio window before the frame's own.
    pub audio_rows_before: usize,
    /// The first audio channel that is heard, and the one after the last.
    pub audio_heard: [usize; 2],
    /// Principal components of the training's rows that the audio net is given in place of their channels; 0 for the channels.
    /// Only for rows of one step.
    pub audio_components: usize,
    /// The last channels of a row, which are given as they are beside the components.
    pub audio_direct: usize,
    /// Side of the planes, one number for each scale.
    pub plane_resolutions: Vec<usize>,
    /// Channels of a plane.
    pub plane_channels: usize,
    /// Length of a surfel's embedding.
    pub embedding: usize,
    /// Width of the query and the tokens.
    pub model_width: usize,
    /// Heads of the attention.
    pub attention_heads: usize,
    /// Layers of attention and feed-forward.
    pub layers: usize,
    /// Hidden width of the feed-forward nets.
    pub feed_width: usize,
    /// Hidden width of each output head. SyncGaussianTalker has 128; with five heads that is half of all the
    /// arithmetic, 64 takes a third off the whole field.
    pub head_width: usize,
    /// Degree of the colour deltas, 0..=3. SyncGaussianTalker moves all 16 bands; what a moving mouth changes is
    /// shading, which is smooth, so degree 1 is the default (12 numbers a surfel instead of 48).
    pub sh_degree: usize,
    /// Factor of the position head, as a part of the longest side of the bounds: 1 out of the head moves a surfel
    /// so far. Makes one learning rate good for metres and decimetres.
    pub position_range: f64,
    /// Gain of the Xavier initialisation of the last layer of each head. 0 starts the deformation at exactly zero,
    /// so the fine stage begins with the picture the coarse stage ended with. SyncGaussianTalker has 0.1, which was
    /// worse on a made-up mouth and brow: rms error 0.0037 against 0.0031 after 400 steps, held out 0.0039 against 0.0035.
    pub head_gain: f64,
    /// Whether the heads also follow sound and blendshapes linearly, as a blendshape model does, as far as a surfel attends to
    /// them. Layer norms bound what a token can say; a brow raised twice as high as ever in training should still go
    /// twice as far.
    pub driven_heads: bool,
    /// Which tokens hear their input.
    pub inputs: TokenInputs,
}

impl Default for FieldConfig {
    fn default() -> Self {
        FieldConfig {
            audio_channels: 512,
            audio_width: 1,
            audio_rows_before: AUDIO_ROWS / 2,
            audio_heard: [0, MOST_CHANNELS],
            audio_components: 0,
            audio_direct: 0,
            plane_resolutions: vec![64, 128],
            plane_channels: 32,
            embedding: crate::head::cloud::surfels::EMBEDDING,
            model_width: 64,
            attention_heads: 2,
            layers: 1,
            feed_width: 128,
            head_width: 64,
            sh_degree: 1,
            position_range: 0.1,
            head_gain: 0.3,
            driven_heads: true,
            inputs: TokenInputs::default(),
        }
    }
}

impl FieldConfig {
    /// Width of the tri-plane features: channels times scales.
    pub fn plane_features(&self) -> usize {
        self.plane_channels * self.plane_resolutions.len()
    }

    fn most_components(&self) -> usize {
        if self.audio_width == 1 { self.audio_projection().1 } else { 0 }
    }

    /// Components and the number of channels that they are of.
    pub(super) fn audio_projection(&self) -> (usize, usize) {
        (self.audio_components, self.audio_channels.saturating_sub(self.audio_direct))
    }

    /// Channels that the audio net is given.
    pub(super) fn audio_inputs(&self) -> usize {
        match self.audio_components {
            0 => self.audio_channels,
            components => components + self.audio_direct,
        }
    }

    /// Refuses sizes no field can have.
    ///
    /// # Errors
    /// [`Error::Input`] that names the key.
    pub fn check(&self) -> Result<()> {
        let ranges = [
            ("audio_channels", self.audio_channels, 1..=MOST_CHANNELS),
            ("audio_width", self.audio_width, 1..=16),
            ("audio_rows_before", self.audio_rows_before, 0..=AUDIO_ROWS - 1),
            ("audio_direct", self.audio_direct, 0..=self.audio_channels.saturating_sub(1)),
            ("audio_components", self.audio_components, 0..=self.most_components()),
            ("plane_resolutions", self.plane_resolutions.len(), 1..=4),
            ("plane_channels", self.plane_channels, 1..=128),
            ("embedding", self.embedding, 1..=256),
            ("model_width", self.model_width, 1..=1024),
            ("attention_heads", self.attention_heads, 1..=16),
            ("layers", self.layers, 1..=8),
            ("feed_width", self.feed_width, 1..=4096),
            ("head_width", self.head_width, 1..=1024),
            ("sh_degree", self.sh_degree, 0..=3),
        ];
        for (key, value, range) in ranges {
            if !range.contains(&value) {
                return Err(refuse(key, format!("{}..={}", range.start(), range.end()), value));
            }
        }
        if let Some(side) = self.plane_resolutions.iter().find(|r| !(2..=1024).contains(*r)) {
            return Err(refuse("plane_resolutions", "sides of 2..=1024".into(), side));
        }
        if !self.model_width.is_multiple_of(self.attention_heads) {
            let expected = format!("a multiple of attention_heads ({})", self.attention_heads);
            return Err(refuse("model_width", expected, self.model_width));
        }
        for (key, value) in [("position_range", self.position_range), ("head_gain", self.head_gain)] {
            if !(0.0..=10.0).contains(&value) {
                return Err(refuse(key, "0..=10".into(), value));
            }
        }
        Ok(())
    }
}

fn refuse(key: &str, expected: String, found: impl std::fmt::Display) -> Error {
    Error::input(
        format!("field configuration, {key}"),
        expected,
        found.to_string(),
        "correct it, or leave it out for the default",
    )
}

/// The axis-aligned box the planes cover, units of the dataset. Points outside see the border.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldBounds {
    /// Smallest x, y, z.
    pub min: [f32; 3],
    /// Largest x, y, z.
    pub max: [f32; 3],
}

impl FieldBounds {
    /// The box of a cloud, `[n, 3]`, made a twentieth of its longest side larger all around so that surfels may
    /// still move when the planes are laid. Planes of no thickness get some.
    ///
    /// # Errors
    /// [`Error::Internal`] for no points, or points that are not finite.
    pub fn around(positions: &[f32]) -> Result<Self> {
        let (mut min, mut max) = ([f32::INFINITY; 3], [f32::NEG_INFINITY; 3]);
        for point in positions.chunks_exact(3) {
            for k in 0..3 {
                min[k] = min[k].min(point[k]);
                max[k] = max[k].max(point[k]);
            }
        }
        if positions.len() < 3 || positions.iter().any(|v| !v.is_finite()) {
            return Err(Error::Internal("the field's bounds need at least one finite point".into()));
        }
        let margin = (FieldBounds { min, max }.longest() * 0.05).max(1e-6);
        Ok(FieldBounds { min: min.map(|v| v - margin), max: max.map(|v| v + margin) })
    }

    /// The longest side, units of the dataset.
    pub fn longest(&self) -> f32 {
        (0..3).map(|k| self.max[k] - self.min[k]).fold(0.0, f32::max)
    }

    /// Refuses a box that is empty or not finite.
    pub(super) fn check(&self) -> Result<()> {
        let sane =
            (0..3).all(|k| self.min[k].is_finite() && self.max[k].is_finite() && self.max[k] > self.min[k]);
        if sane { Ok(()) } else { Err(Error::Internal(format!("the field's bounds are empty: {self:?}"))) }
    }
}
