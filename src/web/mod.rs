//! The head in a page: what JavaScript holds of [`crate::head`] and [`crate::live`]. Compiled for wasm32 alone, feature `web`.
//!
//! Nothing here waits: a browser would stand still. Frames are drawn onto the page's canvas, and nothing is read back. Time is the
//! page's business; it knows how much sound was played.

mod canvas;
mod speaking_head;

pub use speaking_head::SpeakingHead;

use wasm_bindgen::prelude::*;

/// A text in the sample talker's voice, 16 kHz, full scale ±1.
///
/// # Errors
/// When nothing in it is English.
#[wasm_bindgen]
pub fn say(text: &str) -> Result<Vec<f32>, JsError> {
    Ok(crate::sample::say(text).map_err(JsError::from)?.samples)
}
