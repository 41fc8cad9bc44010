//! A pickle reader that builds plain data and can run nothing.
//!
//! Pickles (Python's `pickletools`, protocols 0 to 5) are programs for a stack machine, and two of their
//! instructions, GLOBAL and REDUCE, import and call any function. Here a global is looked up in a fixed table
//! of what a PyTorch state dict is made of; any other name is refused, whether or not it would be called.
//! Calls only ever assemble [`Value`]s.
//!
//! Containers live in one arena and refer to each other by index, so cycles, deep nesting and shared parts are
//! harmless to build and to drop. Stack, memo and arena are capped; strings are borrowed from the input.

use super::pickle_machine::Machine;
pub(super) use super::pickle_value::{
    Outcome, Pickle, Refusal, Scalar, StorageRef, TensorRef, Value, broken,
};

/// The longest pickle accepted. A state dict needs about 200 bytes per tensor.
pub(super) const PICKLE_LIMIT: u64 = 16 << 20;

/// As [`load`], for files whose arrays lie inside the pickle; the caller bounds their length.
pub(super) fn load_arrays(bytes: &[u8]) -> Outcome<(Value<'_>, Pickle<'_>, usize)> {
    Machine::new(bytes).run()
}

/// Reads one pickle from the start of `bytes`; gives its value, its parts, and the number of bytes it took.
pub(super) fn load(bytes: &[u8]) -> Outcome<(Value<'_>, Pickle<'_>, usize)> {
    Machine::new(&bytes[..bytes.len().min(PICKLE_LIMIT as usize)]).run()
}

#[cfg(test)]
#[path = "pickle_tests.rs"]
mod tests;
