//! A talking head: one or more branches, each a cloud of surfels with the field that deforms it, and the clip they were
//! trained on. [`Head::from_bytes`] reads a head file, which holds everything a voice needs.

mod archive;
mod branch;
mod branch_file;
mod branch_settings;
mod clip;
pub mod cloud;
mod conditions;
pub mod field;
mod file;
#[cfg(test)]
mod file_tests;
pub mod folder;
mod laid;
mod voice_statistics;

pub use archive::Archive;
pub use branch::{Branch, PLY_DEGREE};
pub use branch_settings::BranchSettings;
pub use clip::{Clip, ClipFrame, Plate, Plates, clothes_mask};
pub use laid::Laid;
pub use voice_statistics::{ChannelLevels, VoiceStatistics};

use crate::{Error, Result};

/// A talking head, as its file holds it.
pub struct Head {
    /// What is drawn, each branch over the one before; at least one.
    pub branches: Vec<Branch>,
    /// Poses, voice levels, background and torsos of the clip it was trained on; `None` in files of version 1 and in those
    /// written while training goes on.
    pub clip: Option<Clip>,
}

impl Head {
    /// The first branch, whose settings name the part and the audio feature of the head.
    ///
    /// # Errors
    /// [`Error::Internal`] for a head without branches, which no file holds.
    pub fn first(&self) -> Result<&Branch> {
        self.branches.first().ok_or_else(|| Error::Internal("a head without a branch".into()))
    }
}
