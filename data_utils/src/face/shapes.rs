//! Whether a network is the one that was meant.

use super::graph::Graph;
use crate::error::{Error, Result};

/// Refuses a network whose input and outputs are not those of the one that was meant.
pub(super) fn expect_shapes(
    graph: &Graph,
    at: &str,
    what: &str,
    input: &[usize],
    outputs: &[&[usize]],
) -> Result<()> {
    if graph.input_shape() != input || graph.output_shapes() != outputs {
        return Err(Error::input(
            at,
            format!("the {what}: {input:?} to {outputs:?}"),
            format!("{:?} to {:?}", graph.input_shape(), graph.output_shapes()),
            "use the published face_landmarker.task",
        ));
    }
    Ok(())
}
