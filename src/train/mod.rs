//! Training: frames in, a head out.
//!
//! [`Session`] is a whole run (folder, checkpoints, logs); [`Trainer`] one step after another (numbers in, numbers
//! out). What a step does is [`crate::head::backend`]'s, losses are [`crate::loss`]'s; here is which frames a step is trained
//! on, with which rates, and when surfels are cloned, split and removed.

mod augment;
mod batch;
mod checkpoint;
mod config;
mod config_ranges;
mod edge_band;
mod evaluate;
mod events;
mod face_measures;
mod first_cloud;
mod memory;
mod model_folder;
mod mouth_labels;
mod mouth_points;
mod position;
mod rest;
mod sampler;
mod schedule;
mod session;
mod step;
mod targets;
mod torso_branch;
mod torso_points;
mod torso_target;
mod trainer;
mod weights;

pub use checkpoint::has_any as has_checkpoint;
pub use config::{FLAGS, TrainBackground, TrainConfig, meaningless_keys, merge};
pub use evaluate::{Evaluation, evaluate};
pub use memory::MemoryPlan;
pub use model_folder::CONFIG_FILE;
pub use position::Stage;
pub use session::{SNAPSHOT_EVERY, Session, SessionOptions, Summary, Watcher};
pub use step::StepReport;
pub use torso_branch::{attach_torso, torso_folder};
pub use trainer::Trainer;
