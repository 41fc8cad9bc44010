//! A talking head: one or more branches, each a cloud of surfels with the field that deforms it, and the clip they were
//! trained on. [`Head::from_bytes`] reads a head file, which holds everything a voice needs.

mod archive;
pub mod backend;
mod branch;
mod branch_file;
mod branch_settings;
pub mod chance;
mod clip;
pub mod cloud;
mod conditions;
pub mod field;
mod file;
#[cfg(test)]
mod file_tests;
pub mod folder;
pub mod mesh;
pub mod motion;
mod numbers;
mod rigid_pose;
mod view;
mod voice_statistics;

pub use archive::Archive;
pub use branch::{Branch, PLY_DEGREE};
pub use branch_settings::BranchSettings;
pub use clip::{Clip, ClipFrame, Plate, Plates, clothes_mask};
pub use conditions::frame_conditions;
pub use file::Head;
pub use rigid_pose::RigidPose;
pub use view::view;
pub use voice_statistics::{ChannelLevels, VoiceStatistics};
