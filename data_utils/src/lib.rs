//! Everything between a video and a dataset: readers of the formats the field uses, audio features,
//! face landmarks, head poses, and the dataset folder itself.
//!
//! This crate knows neither the trainer nor the renderer, and no GPU API. Data flows one way:
//! `media`, `formats` → `audio`, `face` → `track` → `dataset`.
//!
//! Feature `native` (part of `cli`, the default) holds what needs files, threads or other programs; without it the crate
//! keeps what compiles for browsers: audio as streams, cameras, masks, errors.

// A library returns values, errors and messages; only programs print.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod audio;
pub mod camera;
#[cfg(feature = "cli")]
#[allow(clippy::print_stdout, clippy::print_stderr, reason = "the part of the programs")]
pub mod cli;
pub mod dataset;
pub mod error;
#[cfg(feature = "native")]
pub mod face;
#[cfg(feature = "native")]
pub mod formats;
pub mod linear;
pub mod media;
#[cfg(feature = "native")]
pub mod memory;
#[cfg(feature = "native")]
mod network;
#[cfg(feature = "cli")]
pub mod process;
#[cfg(feature = "native")]
pub mod segment;
#[cfg(feature = "native")]
pub mod track;
pub mod workspace;

pub use error::{Error, Problem, Result, plain};
