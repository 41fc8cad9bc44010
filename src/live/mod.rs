//! From a voice to a talking head on the screen.
//!
//! ```text
//! drive (what each frame is driven by) → field, rasterizer → compose (one picture) → video (with its sound)
//! ```
//!
//! * [`drive`] audio rows and the dataset's poses to the conditions of each frame, offline and live alike
//! * [`voice_match`] a foreign voice brought to the levels of the one a head knows
//! * [`smooth`] a steadier camera path
//! * [`background`] what stands behind the head; [`compose`] the head over it; [`feather`] the seam between them
//! * [`video`] a playable file with sound, by ffmpeg or without it
//! * [`attention`] the four attention channels as pictures and videos
//! * [`sheet`] contact sheets and difference pictures, labelled by `font`
//! * [`perform`] the whole chain for one voice or set of frames; [`score`] how good it was

pub mod attention;
pub mod background;
pub mod compose;
pub mod drive;
#[cfg(test)]
mod drive_tests;
pub mod feather;
pub mod font;
pub mod perform;
pub mod score;
pub mod sheet;
pub mod smooth;
pub mod video;
pub mod voice_match;
