//! A torso is trained in a folder of its own, `torso` in the model folder of its head, and becomes a branch of the head's file.

use crate::head::cloud::model_dir::ModelDir;
use crate::head::{Branch, Head, folder};
use crate::{Error, Result};
use data_utils::dataset::Part;
use std::path::{Path, PathBuf};

/// Where the torso of the head in `model` is trained.
pub fn torso_folder(model: &Path) -> PathBuf {
    model.join("torso")
}

/// Puts the torso that was trained for the head in `model` into the newest file of that head, in place of an earlier one.
/// Returns that file; `None` when no torso was trained, or no head yet.
///
/// # Errors
/// [`Error::Input`] when one of the two was trained on other sound or on frames of another size, or a file cannot be read or
/// written.
pub fn attach_torso(model: &Path) -> Result<Option<PathBuf>> {
    let (Some(head_dir), Some(torso_dir)) = (newest(model)?, newest(&torso_folder(model))?) else {
        return Ok(None);
    };
    let (mut head, torso) = (Head::load(&head_dir)?, Head::load(&torso_dir)?);
    let (of_head, of_torso) = (&head.first()?.settings, &torso.first()?.settings);
    let said = |audio: &str, side: u32| format!("{audio} features and frames of {side} pixels");
    if (of_head.audio, of_head.max_side) != (of_torso.audio, of_torso.max_side) {
        return Err(Error::input(
            torso_dir.display(),
            format!("a torso trained on {}, as its head was", said(of_head.audio.name(), of_head.max_side)),
            said(of_torso.audio.name(), of_torso.max_side),
            "train the torso again with the head's --asr and --max_side",
        ));
    }
    head.branches.retain(|branch| branch.settings.part != Part::Torso);
    head.branches.extend(torso.branches);
    let branches: Vec<&Branch> = head.branches.iter().collect();
    folder::save(&head_dir, &branches, head.clip.as_ref())?;
    Ok(Some(folder::head_file(&head_dir)))
}

/// The folder of the newest iteration of a model.
fn newest(model: &Path) -> Result<Option<PathBuf>> {
    let model = ModelDir::new(model);
    Ok(model.iterations()?.last().map(|iteration| model.iteration_dir(*iteration)))
}
