//! See the module map in DESIGN; filled by its own change.

pub mod flatbuffer;
pub mod tflite;
