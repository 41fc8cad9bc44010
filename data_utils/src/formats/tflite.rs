//! Reads TFLite models (FlatBuffers schema `TFL3`, version 3), bounded, restricted to what small float
//! networks use: one subgraph, constants in f32, f16 or i32, 22 operators (see [`Op`]).
//!
//! Tensors are row-major; images are NHWC, convolution weights OHWI, depthwise weights 1HWC. f16 constants are
//! widened to f32 once, here. Shapes are what the file declares; whoever runs the network checks them against
//! each other. Schema: tensorflow/compiler/mlir/lite/schema/schema.fbs.

mod model;
mod read;

use crate::error::{Error, Result};
pub use model::{
    Binary, Constant, MAX_ELEMENTS, MAX_RANK, Model, Op, Operator, Padding, Tensor, Unary, Window,
};

/// Reads a model from the bytes of a file; `at` names the file in errors.
///
/// # Errors
/// [`Error::Input`] when the bytes are no TFLite model, lead outside themselves, hold more than fits or use an
/// operator, type or option outside those of [`Op`].
pub fn parse(bytes: &[u8], at: &str) -> Result<Model> {
    let refuse = |found: String| {
        Error::input(
            at,
            "a TFLite network of the supported operators",
            found,
            "check that the model file is whole",
        )
    };
    read::read(bytes).map_err(|fault| refuse(fault.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_kind_is_refused() {
        let error = parse(b"PK\x03\x04 not a network", "x.tflite").expect_err("no model");
        assert_eq!(error.exit_code(), 2);
    }
}
