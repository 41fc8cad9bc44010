//! surfeltalk learns a person's head from a short video and makes it talk with any voice. A head is a cloud of 2-D
//! Gaussian surfels, deformed for each frame by a small neural field that hears the voice.
//!
//! A voice to pictures:
//!
//! ```no_run
//! use std::sync::Arc;
//! use surfeltalk::{head::{Head, backend::CpuBackend}, live::performance::Performance};
//!
//! let head = Arc::new(Head::from_bytes(&std::fs::read("head.safetensors")?)?);
//! let voice = data_utils::audio::load("voice.wav".as_ref())?; // mono, any rate
//! let mut performance = Performance::new(&head, Box::new(CpuBackend::new()), Default::default())?;
//! performance.push_audio(&voice.samples, voice.rate)?; // as often as there is sound
//! performance.finish()?;
//! while let Some(frame) = performance.next_frame()? {
//!     let [width, height] = frame.size.map(|n| n as u32);
//!     let picture = image::RgbImage::from_raw(width, height, frame.picture).ok_or("a picture")?;
//!     picture.save(format!("{}.png", frame.number))?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `tests/examples/` has whole programs: a voice to pictures, a live source, a head on the caller's own device.
//!
//! # Map
//!
//! What uses what, never back (a test holds it):
//!
//! ```text
//! programs → cli → serve → { train, live, sample } → head → { loss, metrics } → { raster, composite } → gpu      all → data_utils
//! ```
//!
//! | room | what it holds |
//! |---|---|
//! | [`gpu`] | a device, its buffers and pipelines; the shaders are in `shaders/` |
//! | [`raster`] | surfels and cameras to images, and gradients back; on the CPU and on the GPU |
//! | [`composite`] | the head over its background: one finished picture |
//! | [`loss`] | how far drawn frames are from their targets, and the gradients: one file a term, on CPU and GPU |
//! | [`metrics`] | PSNR, SSIM, LPIPS, landmark distance, reports |
//! | [`head`] | a talking head: [`head::cloud`], [`head::field`], the head file |
//! | [`train`] | training from a dataset: batches, schedules, density control, checkpoints |
//! | [`live`] | a voice to frames: [`live::performance`] |
//! | [`sample`] | a made-up talker, for demonstrations and tests |
//! | `serve` | heads that speak live: sessions, HTTP, text to speech; feature `serve`, on by default |
//! | `web` | a head on the canvas of a page; feature `web`, for wasm32 |
//! | `cli` | flags, progress and exit codes of the programs; feature `cli`, on by default |
//!
//! Everything between a video or a sound and a dataset is in the crate `data_utils`. `src/README.md` shows how the parts
//! work together and how to add a loss, a token, a branch or an output.
//!
//! # Glossary
//!
//! | word | meaning |
//! |---|---|
//! | surfel | a 2-D Gaussian disc in space: position, rotation, two scales, opacity, colour (Huang et al. 2024, 2DGS) |
//! | cloud | all surfels of a branch, in the one space where the head rests |
//! | branch | a cloud with its field; a head is a list of branches: the head itself, and its torso where one was trained |
//! | field | the network that gives each surfel its deltas for a frame |
//! | embedding | a learned vector of each surfel that the field reads beside its place |
//! | tri-planes | three planes of features at several resolutions; a position is looked up in each and the features multiplied |
//! | token | what a surfel can attend to: audio, expression, camera, frame code |
//! | attention | how much a surfel listens to each token; drawn along as channels of the image |
//! | deltas | changes of the surfels' parameters in a frame, `[frames, surfels, columns]` |
//! | conditions | what the field is told for a frame: audio window, expression, camera, frame code |
//! | clip | the training video's poses, expressions, voice levels, background and torsos, as the head file keeps them |
//! | plate | a picture behind or before the head: the empty room, the torso of a frame |
//! | coarse, fine stage | training of the cloud alone; then of cloud and field together |
//! | density control | adding and removing surfels while training goes on |
//! | pair | one surfel in one tile of the picture; what the GPU sorts |
//! | AVE | audio-visual encoder, a network whose features follow the lips (SyncTalk, Peng et al. 2024) |
//! | speech | the first layers of a network for speech that are part of the program (Lin et al. 2020) |
//! | mel | the logarithm of a voice's energy in bands of pitch |
//! | blendshapes | weights of 52 facial movements, of which a head hears 22 |
//! | twin | the version of a GPU stage for the CPU; tests hold the two together |
//! | held-out frames | frames of the clip that training never sees, for scores |

// A program says things through `data_utils::cli::output`, which no closed pipe can end.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

#[cfg(feature = "cli")]
pub mod cli;
pub mod composite;
pub mod gpu;
pub mod head;
pub mod live;
pub mod loss;
pub mod metrics;
pub mod raster;
pub mod sample;
#[cfg(feature = "serve")]
pub mod serve;
// A page draws heads; it makes none.
#[cfg(not(target_arch = "wasm32"))]
pub mod train;
#[cfg(all(target_arch = "wasm32", feature = "web"))]
pub mod web;

pub use data_utils::camera::Camera;
pub use data_utils::error::{Error, Problem, Result};
