//! Where in a run a step stands.

use super::config::TrainConfig;
use std::fmt;

/// The stage a run is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The cloud alone, the same for every frame.
    Coarse,
    /// The cloud and the field.
    Fine,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Stage::Coarse { "coarse" } else { "fine" })
    }
}

/// A step of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) stage: Stage,
    /// From 1 in its stage.
    pub(super) step: u64,
    /// Steps of the stage.
    pub(super) steps: u64,
}

impl Position {
    /// The step that comes after `done` steps.
    pub(super) fn after(done: u64, config: &TrainConfig) -> Self {
        match done.checked_sub(config.coarse_iterations) {
            None => Position { stage: Stage::Coarse, step: done + 1, steps: config.coarse_iterations },
            Some(fine) => Position { stage: Stage::Fine, step: fine + 1, steps: config.fine_iterations },
        }
    }

    /// Whether surfels are cloned, split and removed after this step, or statistics for that are gathered.
    pub(super) fn controls_density(&self, config: &TrainConfig) -> bool {
        self.stage == Stage::Coarse && self.step < config.densify_until
    }
}
