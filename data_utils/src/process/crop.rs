//! Stage 0: the square of the video that holds the head. It does not move.

use super::context::Context;
use super::options::{RATE, SIDE};
use super::probe::{square, validate};
use crate::error::{Error, Result};
use crate::media::files;
use std::path::Path;

/// Names of the outputs.
const BOX: &str = "anchor_box.txt";
const CROP: &str = "anchor.mp4";

/// Writes `anchor_box.txt` and `anchor.mp4`.
///
/// # Errors
/// As reading the first frames of the video, and [`Error::Input`] when the place cannot be written to.
pub fn run(context: &Context) -> Result<String> {
    let options = context.options;
    let probe = context.resources.probe()?;
    validate(options, probe)?;
    let text: String = square(probe, options.scale).iter().map(|v| format!("{v}\n")).collect();
    context.put(BOX, text.as_bytes())?;
    let window = window(context.dir())?;
    // The crop itself may be the only video that is left.
    if context.dir().join(CROP) != options.video {
        context.make(CROP, |path| context.tools()?.write_window(&options.video, RATE, window, SIDE, path))?;
    }
    let [left, top, side, _] = window;
    let picture = &probe.info.picture;
    let has_zscale = picture.needs_conversion() && context.tools()?.has_zscale();
    let notes: String = picture.notes(has_zscale).iter().map(|note| format!("; {note}")).collect();
    Ok(format!("{side}×{side} pixels at {left}, {top} become {SIDE}×{SIDE}{notes}"))
}

/// Reads `anchor_box.txt`.
///
/// # Errors
/// [`Error::Input`] when it is not four numbers.
pub fn window(dir: &Path) -> Result<[u32; 4]> {
    let path = dir.join(BOX);
    let bytes = files::read_bounded(&path, 4 << 10)?;
    let text = String::from_utf8_lossy(&bytes);
    let numbers: Vec<u32> = text.split_whitespace().filter_map(|t| t.parse().ok()).collect();
    match numbers.as_slice() {
        &[left, top, width, height] if width > 0 && height > 0 => Ok([left, top, width, height]),
        _ => Err(Error::input(
            path.display(),
            "four numbers",
            text.trim(),
            "run process again with --task 0 --redo",
        )),
    }
}
