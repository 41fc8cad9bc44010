//! Training: frames in, a head out.
//!
//! [`Session`] is a whole run (folder, checkpoints, logs); [`Trainer`] one step after another (numbers in, numbers
//! out). Adam lives here; losses are [`crate::loss`]'s, the head itself is [`crate::head`]'s. `own` is the seam between those who
//! learn the cloud's parameters, on the host or where the rasterizer keeps them, and the rest; `mover` is the same for the
//! field's.

pub(crate) mod adam;
mod augment;
mod checkpoint;
mod config;
mod draw;
mod evaluate;
mod events;
mod field_moments;
mod model_folder;
mod moments;
mod mover;
mod own;
mod sampler;
mod schedule;
mod session;
mod step;
mod targets;
mod trainer;
mod view;
mod weights;

pub use checkpoint::has_any as has_checkpoint;
pub use config::{TrainBackground, TrainConfig, merge};
pub use evaluate::{Evaluation, evaluate};
pub use session::{CONFIG_FILE, COPY_EVERY, Session, SessionOptions, Summary, Watcher};
pub use step::{Stage, StepReport, StepTimes};
pub use trainer::Trainer;
