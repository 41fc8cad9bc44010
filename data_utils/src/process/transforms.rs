//! Stage 10: which frames there are and where the camera stood, split into those for training and those held out.

use super::landmarks::Verdicts;
use super::stage::Context;
use super::track_params::{self, TrackParams};
use crate::dataset::write::write_transforms;
use crate::error::{Error, Result};
use std::path::Path;

/// The files that make the folder a dataset.
pub const FILES: [&str; 2] = ["transforms_train.json", "transforms_val.json"];

/// Writes `transforms_train.json` and `transforms_val.json`.
///
/// # Errors
/// What reading poses fails with.
pub fn run(context: &Context) -> Result<String> {
    let dir = context.dir();
    let verdicts = Verdicts::read(dir)?;
    let cameras = TrackParams::read(dir)?.cameras();
    if cameras.len() != verdicts.count {
        return Err(Error::input(
            dir.join(track_params::FILE).display(),
            format!("{} poses", verdicts.count),
            cameras.len().to_string(),
            "run again with --task 8",
        ));
    }
    let good = verdicts.good();
    let used = cameras.iter().enumerate().filter(|(i, _)| good[*i]);
    let poses: Vec<(u32, u32, crate::camera::Camera)> =
        used.map(|(i, camera)| (i as u32, i as u32, *camera)).collect();
    let [train, held_out] = write_transforms(dir, &poses)?;
    Ok(format!("{train} frames for training, {held_out} held out"))
}

/// Takes the mark of a finished dataset away: what it was made from is about to change.
///
/// # Errors
/// [`Error::Input`] when the files cannot be removed.
pub fn withdraw(dir: &Path) -> Result<()> {
    for name in FILES {
        let path = dir.join(name);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(&path, "a file that may be replaced", &e));
            }
            _ => {}
        }
    }
    Ok(())
}
