//! Runs a small float network read by [`crate::formats::tflite`] on the CPU.
//!
//! [`Graph::new`] checks every shape against every other once and lays the work out: constants repacked,
//! values given places that are shared as soon as a value is no longer read, elementwise operators done where
//! their input lies. [`Graph::run`] then only computes. Meaning of each operator: the TFLite reference kernels.

mod channels;
mod conv;
mod misfit;
mod network;
mod ops;
mod plan;
mod window;

pub use network::Graph;

use crate::error::{Error, Result};
use crate::formats::tflite::Model;
use misfit::Misfit;

impl Graph {
    /// Lays out a network with one input; `at` names its file in errors.
    ///
    /// # Errors
    /// [`Error::Input`] when shapes contradict each other, an operator lacks an operand, or the network needs
    /// more work or memory than a face network has any reason to.
    pub fn new(model: &Model, at: &str) -> Result<Graph> {
        plan::plan(model).map_err(|Misfit(found)| {
            Error::input(
                at,
                "operators whose shapes fit together",
                found,
                "check that the model file is whole",
            )
        })
    }
}
