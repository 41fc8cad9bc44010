//! The face model of a folder, whichever it is.

use super::model::FaceModel;
use super::{bfm, ict};
use crate::error::{Error, Result};
use crate::face::CanonicalFace;
use std::path::{Path, PathBuf};

/// Reads the model of a folder: ICT-FaceKit or BFM-2009; `face` is MediaPipe's canonical face.
///
/// # Errors
/// [`Error::Input`] when the folder holds no known model, or a damaged one.
pub fn open_model(folder: &Path, face: &CanonicalFace) -> Result<FaceModel> {
    if folder.join(ict::FACE).is_file() {
        return FaceModel::ict(folder);
    }
    if folder.join(bfm::SHAPE).is_file() {
        return FaceModel::bfm(folder, face);
    }
    let known = format!(
        "a face model: ICT-FaceKit ({} and {}) or BFM-2009 ({})",
        ict::FACE,
        ict::ANCHORS,
        FaceModel::bfm_files().collect::<Vec<_>>().join(", ")
    );
    let remedy = "name the folder that holds them, or leave --face_model out";
    Err(Error::input(folder.display(), known, "none of its files", remedy))
}

/// The files of a folder that [`open_model`] reads.
pub fn model_files(folder: &Path) -> Vec<PathBuf> {
    let is_ict = folder.join(ict::FACE).is_file();
    let names: Vec<&str> =
        if is_ict { vec![ict::FACE, ict::ANCHORS] } else { FaceModel::bfm_files().collect() };
    names.into_iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::model::tests::egg;

    #[test]
    fn a_folder_without_a_model_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(open_model(folder.path(), &egg()).expect_err("refused").exit_code(), 2);
        assert!(model_files(folder.path()).is_empty());
    }
}
