//! Stage 0, its second part: what it takes to go back from the crop to the original video.

use super::context::Context;
use super::crop;
use super::options::RATE;
use crate::dataset::SourceVideo;
use crate::error::Result;

/// Name of the output.
pub const FILE: &str = crate::dataset::SOURCE_VIDEO;

/// Writes `source.json`.
///
/// # Errors
/// As reading the video.
pub fn run(context: &Context) -> Result<String> {
    let options = context.options;
    let info = context.tools()?.probe(&options.video)?;
    let size = [info.width, info.height];
    let source =
        SourceVideo::of(context.dir(), &options.video, size, RATE as u32, crop::window(context.dir())?)?;
    context.put(FILE, &source.to_json()?)?;
    // Its name alone: the same video makes the same report anywhere.
    let name = options.video.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("{} of {}×{} pixels is the original", name, size[0], size[1]))
}
