//! What must be known of a branch beside its parameters.

use crate::Result;
use crate::head::cloud::{Cloud, init};
use crate::head::field::{FieldBounds, FieldConfig};
use data_utils::audio::features::AudioKind;
use data_utils::audio::mel;
use data_utils::audio::window::WindowShape;
use data_utils::dataset::Part;
use serde::{Deserialize, Serialize};

/// What must be known to use a branch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BranchSettings {
    /// What was learned.
    pub part: Part,
    /// The audio feature it listens to.
    pub audio: AudioKind,
    /// Seed of the field's first parameters.
    pub seed: u64,
    /// Half the size of the initial cloud, units of the dataset.
    pub extent: f32,
    /// Corners of the box the planes cover.
    pub bounds: [[f32; 3]; 2],
    /// Longest side of the frames it was trained on, pixels.
    pub max_side: u32,
    /// Degree of the cloud's harmonics.
    pub sh_degree: usize,
    /// Sizes of the field.
    pub field: FieldConfig,
}

impl BranchSettings {
    /// Settings of a branch that starts from `cloud`; the field's audio sizes and bounds follow from the arguments.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the cloud is empty or not finite.
    pub fn new(
        part: Part,
        audio: AudioKind,
        max_side: u32,
        seed: u64,
        cloud: &Cloud,
        field: FieldConfig,
    ) -> Result<Self> {
        let bounds = FieldBounds::around(&cloud.positions)?;
        Ok(BranchSettings {
            part,
            audio,
            seed,
            max_side,
            extent: init::extent(&cloud.positions),
            bounds: [bounds.min, bounds.max],
            sh_degree: cloud.sh_degree,
            field: listening_to(audio, field),
        })
    }
}

/// Principal components of speech features that a field is given: with fewer it knows less, with all 192 it learns the one voice
/// by heart.
const SPEECH_COMPONENTS: usize = 64;
/// Lowest and highest middle of a mel band that is heard, Hz: what is below and above tells throats and microphones apart more
/// than it tells what the lips do.
const HEARD_HERTZ: [f64; 2] = [300.0, 3400.0];

/// The field's audio sizes for this feature.
fn listening_to(audio: AudioKind, field: FieldConfig) -> FieldConfig {
    let all = [0, audio.channels()];
    FieldConfig {
        audio_channels: audio.channels(),
        audio_width: audio.width(),
        audio_rows_before: WindowShape::of(audio).rows_before,
        audio_heard: if audio == AudioKind::Mel { mel::bands_between(HEARD_HERTZ) } else { all },
        audio_components: if audio == AudioKind::Speech { SPEECH_COMPONENTS } else { 0 },
        audio_direct: audio.direct(),
        ..field
    }
}
