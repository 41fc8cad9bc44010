//! What a training step was and did: its stage, its losses and where its time went.

use crate::loss::LossTerms;
use std::fmt;
use std::time::{Duration, Instant};

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

/// Where the time of a step went.
#[derive(Debug, Clone, Copy, Default)]
pub struct StepTimes {
    /// Reading frames and making targets, as far as the step waits for it.
    pub load: Duration,
    /// The field, forward.
    pub field_forward: Duration,
    /// What the field says to whoever draws, and its gradient back, as far as that is not part of `scored`.
    pub copies: Duration,
    /// Parameters to drawn surfels, and gradients back.
    pub activate: Duration,
    /// Activating, drawing, scoring and going back in one go, where the rasterizer does that; copies from and to the
    /// host included.
    pub scored: Duration,
    /// Drawing.
    pub raster_forward: Duration,
    /// Scoring.
    pub loss: Duration,
    /// Gradients of the drawing.
    pub raster_backward: Duration,
    /// The field, backward.
    pub field_backward: Duration,
    /// Adam and density control.
    pub optimiser: Duration,
}

/// What a step did.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// Stage of the step.
    pub stage: Stage,
    /// Number of the step in its stage, from 1.
    pub step: u64,
    /// True for the last step of the stage.
    pub stage_ends: bool,
    /// Loss terms.
    pub terms: LossTerms,
    /// LPIPS of the step's patches, 0 where it was not taken.
    pub perceptual: f32,
    /// Surfels after the step.
    pub surfels: usize,
    /// Steps skipped so far because a number was not finite.
    pub skipped: u64,
    /// Where the time went.
    pub times: StepTimes,
}

/// Where the time of a step goes.
pub(super) struct Clock {
    last: Instant,
    pub(super) times: StepTimes,
}

impl Clock {
    pub(super) fn start() -> Self {
        Clock { last: Instant::now(), times: StepTimes::default() }
    }

    /// Counts the time since the last lap to `part`.
    pub(super) fn lap(&mut self, part: impl FnOnce(&mut StepTimes) -> &mut Duration) {
        let now = Instant::now();
        *part(&mut self.times) += now - self.last;
        self.last = now;
    }
}
