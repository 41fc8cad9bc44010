//! What a training step did: its losses and where its time went.

use super::position::Stage;
use crate::head::backend::StepTimes;
use crate::loss::LossTerms;
use std::time::Duration;

/// What a step did.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// Stage of the step.
    pub stage: Stage,
    /// Number of the step in its stage, from 1.
    pub step: u64,
    /// True for the last step of the stage.
    pub stage_ends: bool,
    /// Loss terms, means over the frames.
    pub terms: LossTerms,
    /// Surfels after the step.
    pub surfels: usize,
    /// Steps skipped so far because a number was not finite.
    pub skipped: u64,
    /// Waiting for frames to be read and targets to be made. Those of the next step are made while a step runs.
    pub load: Duration,
    /// Density control.
    pub density: Duration,
    /// The parts of the step itself.
    pub times: StepTimes,
}
