//! The canonical cloud: its parameters, how it starts, how it grows and shrinks, and the files that hold it.

pub mod cloud;

pub use cloud::Cloud;
