//! A talking head: one or more branches, each a cloud of surfels with the field that deforms it.

mod archive;
mod branch;
pub mod cloud;
mod conditions;
pub mod field;
mod folder;
mod laid;

pub use archive::Archive;
pub use branch::{Branch, PLY_DEGREE};
pub use folder::BranchSettings;
pub use laid::Laid;
