//! Stage 2: the frames of the crop, 25 a second.

use super::context::Context;
use super::crop;
use super::options::{RATE, SIDE};
use crate::error::{Error, Result};
use crate::media::pictures::read_picture;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use rayon::prelude::*;
use std::path::Path;

/// JPEG quality of frames, as the dataset's writer has it.
pub const QUALITY: u8 = 95;
/// Frames that are in memory at once.
pub const AT_ONCE: usize = 32;
/// The least number of frames of a dataset: three seconds.
pub const LEAST_FRAMES: usize = 75;

/// Name of a frame, relative to the dataset's folder.
pub fn frame_name(index: usize) -> String {
    format!("ori_imgs/{index}.jpg")
}

/// Reads a frame.
///
/// # Errors
/// [`Error::Input`] when it is not a picture of the size of a dataset's frames.
pub fn read_frame(dir: &Path, index: usize) -> Result<RgbImage> {
    let path = dir.join(frame_name(index));
    let refuse = |found: String| {
        Error::input(
            path.display(),
            format!("a picture of {SIDE}×{SIDE}"),
            found,
            "run process again with --task 2 --redo",
        )
    };
    let picture = read_picture(&path)?.to_rgb8();
    if picture.dimensions() != (SIDE, SIDE) {
        return Err(refuse(format!("{:?}", picture.dimensions())));
    }
    Ok(picture)
}

/// How many frames there are.
///
/// # Errors
/// [`Error::Input`] when they are not numbered from 0 without gaps.
pub fn count(dir: &Path) -> Result<usize> {
    let count = super::manifest::matching(dir, "ori_imgs/*.jpg")?.len();
    match (0..count).find(|i| !dir.join(frame_name(*i)).is_file()) {
        None => Ok(count),
        Some(gap) => Err(Error::input(
            dir.join(frame_name(gap)).display(),
            "frames without gaps",
            "no such file",
            "run process again with --task 2 --redo",
        )),
    }
}

/// A picture as the bytes of a JPEG file.
///
/// # Errors
/// [`Error::Internal`] for a picture that JPEG cannot hold.
pub fn jpeg(picture: &RgbImage, quality: u8) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .write_image(picture, picture.width(), picture.height(), ExtendedColorType::Rgb8)
        .map_err(|e| Error::Internal(format!("a picture as JPEG: {e}")))?;
    Ok(bytes)
}

/// Writes `ori_imgs/{i}.jpg`. Of a damaged video those frames are written that can be read.
///
/// # Errors
/// [`Error::Input`] when there are too few frames or no place to write to.
pub fn run(context: &Context) -> Result<String> {
    let options = context.options;
    let window = crop::window(context.dir())?;
    let info = context.tools()?.probe(&options.video)?;
    let expected = info.seconds.map_or(0, |s| (s * RATE).round() as usize);
    let progress = context.progress("frames", expected);
    let (mut done, mut broken) = (0, None);
    let mut stream = context.tools()?.window(&options.video, RATE, window, SIDE)?;
    while broken.is_none() {
        let mut batch = Vec::with_capacity(AT_ONCE);
        for frame in stream.by_ref().take(AT_ONCE) {
            match frame {
                Ok(frame) => batch.push(frame),
                Err(error) => broken = Some(error),
            }
        }
        if batch.is_empty() {
            break;
        }
        batch.par_iter().enumerate().try_for_each(|(k, frame)| {
            let name = frame_name(done + k);
            if context.is_done(&name) { Ok(()) } else { context.put(&name, &jpeg(frame, QUALITY)?) }
        })?;
        done += batch.len();
        progress.update(done as u64);
    }
    if done < LEAST_FRAMES {
        return Err(broken.unwrap_or_else(|| {
            let least = format!("at least {LEAST_FRAMES} frames at {RATE} a second");
            Error::input(options.video.display(), least, done.to_string(), "record one to five minutes")
        }));
    }
    let missing = expected.saturating_sub(done);
    // A difference of up to two frames is rounding.
    let damage = match missing {
        0..=2 => String::new(),
        _ => format!(", {missing} fewer than the {expected} the file promises: it is damaged or cut short"),
    };
    Ok(format!("{done} frames{damage}"))
}
