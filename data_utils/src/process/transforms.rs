//! Stage 10: the camera of every frame that is used, split into frames for training and frames held out.

use super::context::Context;
use super::frame_filter::FrameFilter;
use super::journal;
use super::track_params::{self, TrackParams};
use crate::dataset::write::write_transforms;
use crate::error::{Error, Result};

/// The files that make the folder a dataset.
pub const FILES: [&str; 2] = [TRAIN, HELD_OUT];
const TRAIN: &str = "transforms_train.json";
const HELD_OUT: &str = "transforms_val.json";

/// Writes `transforms_train.json` and `transforms_val.json`.
///
/// # Errors
/// What reading poses fails with.
pub fn run(context: &Context) -> Result<String> {
    let dir = context.dir();
    let filter = FrameFilter::read(dir)?;
    let cameras = TrackParams::read(dir)?.cameras();
    if cameras.len() != filter.count {
        return Err(Error::input(
            dir.join(track_params::FILE).display(),
            format!("{} poses", filter.count),
            cameras.len().to_string(),
            "run process again with --task 8 --redo",
        ));
    }
    let good = filter.used();
    let used = cameras.iter().enumerate().filter(|(i, _)| good[*i]);
    let poses: Vec<(u32, u32, crate::camera::Camera)> =
        used.map(|(i, camera)| (i as u32, i as u32, *camera)).collect();
    let folder = dir.join(journal::FOLDER);
    let [train, held_out] = write_transforms(&folder, &poses)?;
    // The training file is what makes the folder a dataset, so it comes last.
    for name in [HELD_OUT, TRAIN] {
        let fail = |e: std::io::Error| Error::io(&dir.join(name), "a place to write to", &e);
        context.make(name, |path| std::fs::rename(folder.join(name), path).map_err(fail))?;
    }
    Ok(format!("{train} frames for training, {held_out} held out"))
}
