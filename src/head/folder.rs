//! A head on the disk: `point_cloud/iteration_N/` with the head file and, beside it, the PLY that viewers read.

use super::branch::{Branch, PLY_DEGREE};
use super::clip::Clip;
use super::cloud::{Cloud, ViewerFrame, ply};
use super::file::{self, Head};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Largest head file that is read, bytes.
const LIMIT: u64 = 8 << 30;

/// The head file in the folder of an iteration.
pub fn head_file(dir: &Path) -> PathBuf {
    dir.join("head.safetensors")
}

/// Writes the head file and `point_cloud.ply` (the first branch, in the [`ViewerFrame`]) into `dir`, each as a whole or not at all.
///
/// # Errors
/// [`Error::Input`] when the folder cannot be written to or the disk is full.
pub fn save(dir: &Path, branches: &[&Branch], clip: Option<&Clip>) -> Result<()> {
    data_utils::media::files::write_bytes(&head_file(dir), &file::to_bytes(branches, clip)?)?;
    match branches.first() {
        Some(branch) => {
            let frame = ViewerFrame::of_extent(branch.settings.extent);
            let cloud = frame.cloud(&padded(&branch.cloud));
            ply::write(&dir.join("point_cloud.ply"), &cloud, &[frame.comment()])
        }
        None => Err(Error::Internal("a head without a branch".into())),
    }
}

impl Head {
    /// Reads the head file in the folder of an iteration.
    ///
    /// # Errors
    /// As [`Head::from_bytes`], and when the file is missing.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = head_file(dir);
        file::from_bytes(&data_utils::media::files::read_bounded(&path, LIMIT)?, &path.display().to_string())
    }
}

/// The cloud with harmonics up to [`PLY_DEGREE`], the missing bands zero, as viewers' files have them.
pub fn padded(cloud: &Cloud) -> Cloud {
    let (have, want) = (3 * cloud.bands(), 3 * (PLY_DEGREE + 1).pow(2));
    let harmonics = cloud
        .harmonics
        .chunks_exact(have)
        .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0.0, want - have)))
        .collect();
    Cloud { sh_degree: PLY_DEGREE, harmonics, ..cloud.clone() }
}
