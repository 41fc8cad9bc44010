//! The dataset that a model was trained on, where a program needs it.

use crate::head::cloud::model_dir::{CfgValue, ModelDir};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// A model and what is known of its dataset.
pub(super) struct ModelSource<'a> {
    /// The model's folder.
    pub(super) folder: &'a ModelDir,
    /// The dataset that the user named.
    pub(super) source_path: Option<&'a Path>,
    /// Why a dataset is needed when none is named, to be put after "because"; `None` when it is not.
    pub(super) why: Option<&'static str>,
}

/// The dataset's folder: the one that was named, else, where one is needed, the one that training wrote into `cfg_args`.
///
/// # Errors
/// [`Error::Input`] when a dataset is needed and there is none.
pub(super) fn dataset_of(source: &ModelSource<'_>) -> Result<Option<PathBuf>> {
    if let Some(path) = source.source_path {
        return Ok(Some(path.to_path_buf()));
    }
    let Some(why) = source.why else { return Ok(None) };
    let written = source.folder.read_cfg_args().ok().and_then(|args| match args.get("source_path") {
        Some(CfgValue::Text(path)) => Some(PathBuf::from(path)),
        _ => None,
    });
    match written {
        Some(path) if path.is_dir() => Ok(Some(path)),
        other => {
            let found = other.map_or("none".into(), |path| format!("no folder {}", path.display()));
            let expected = format!("the dataset of the model, because {why}");
            Err(Error::input("--source_path", expected, found, "name the dataset folder by -s"))
        }
    }
}
