//! The files that `surfeltalk export` writes.

use crate::head::cloud::{Cloud, ViewerFrame, ply, splat};
use crate::head::mesh::{MeshOptions, in_metres, mesh};
use crate::head::{Branch, folder, view};
use crate::{Camera, Error, Result};
use data_utils::formats::{glb, obj, ply as mesh_ply};
use std::path::{Path, PathBuf};

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// All that the surfels have, as 3DGS writes them.
    Ply,
    /// One colour a surfel.
    Splat,
    /// Triangles.
    Mesh(MeshFormat),
}

/// A file format of meshes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MeshFormat {
    Glb,
    Obj,
    Ply,
}

impl Format {
    /// By the ending of `path`; a `.ply` holds surfels unless a mesh is asked for.
    ///
    /// # Errors
    /// [`Error::Input`] for another ending, or one that holds no mesh where one is asked for.
    pub(super) fn of(path: &Path, is_mesh: bool) -> Result<Self> {
        let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
        match (ending.as_ref().and_then(|ending| ending.to_str()), is_mesh) {
            (Some("ply"), false) => Ok(Format::Ply),
            (Some("splat"), false) => Ok(Format::Splat),
            (Some("ply"), true) => Ok(Format::Mesh(MeshFormat::Ply)),
            (Some("glb"), _) => Ok(Format::Mesh(MeshFormat::Glb)),
            (Some("obj"), _) => Ok(Format::Mesh(MeshFormat::Obj)),
            (_, true) => {
                let expected = "a name that ends in .glb, .obj or .ply for --mesh";
                Err(Error::input(path.display(), expected, "another", "rename it"))
            }
            (_, false) => {
                let expected = "a name that ends in .ply, .splat, .glb or .obj";
                Err(Error::input(path.display(), expected, "another", "rename it"))
            }
        }
    }
}

/// Writes clouds of one branch to files of one format.
pub(super) struct Exporter<'a> {
    pub(super) format: Format,
    pub(super) branch: &'a Branch,
    /// Cameras of the clip, for meshes.
    pub(super) cameras: Vec<Camera>,
    pub(super) mesh: MeshOptions,
}

impl Exporter<'_> {
    /// Writes `cloud`; `drawn` as [`mesh`] has it.
    ///
    /// # Errors
    /// [`Error::Input`] when the place cannot be written to, and those of [`mesh`].
    pub(super) fn write(
        &self,
        path: &Path,
        cloud: &Cloud,
        drawn: impl FnMut(usize, usize) -> Result<()>,
    ) -> Result<()> {
        let extent = self.branch.settings.extent;
        let frame = ViewerFrame::of_extent(extent);
        match self.format {
            Format::Ply => ply::write(path, &frame.cloud(&folder::padded(cloud)), &[frame.comment()]),
            Format::Splat => splat::write(path, &frame.cloud(&folder::padded(cloud))),
            Format::Mesh(format) => {
                let part = self.branch.settings.part;
                let cameras: Vec<Camera> = self.cameras.iter().map(|camera| view(part, camera)).collect();
                let mut mesh = mesh(cloud, &cameras, self.mesh, drawn)?;
                in_metres(&mut mesh, extent);
                match format {
                    MeshFormat::Glb => glb::write(path, &mesh),
                    MeshFormat::Obj => obj::write(path, &mesh),
                    MeshFormat::Ply => mesh_ply::write_points(path, &mesh),
                }
            }
        }
    }
}

/// `head.ply` to `head_00012.ply`.
pub(super) fn numbered(path: &Path, number: usize) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}_{number:05}.{ending}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_names_the_format() {
        let of = |name: &str, is_mesh| Format::of(Path::new(name), is_mesh);
        assert_eq!(of("a/b.PLY", false).ok(), Some(Format::Ply));
        assert_eq!(of("a/b.ply", true).ok(), Some(Format::Mesh(MeshFormat::Ply)));
        assert_eq!(of("b.splat", false).ok(), Some(Format::Splat));
        assert_eq!(of("b.glb", false).ok(), Some(Format::Mesh(MeshFormat::Glb)));
        assert_eq!(of("b.obj", true).ok(), Some(Format::Mesh(MeshFormat::Obj)));
        for (name, is_mesh) in [("b.stl", false), ("b.splat", true), ("b", true)] {
            assert_eq!(of(name, is_mesh).expect_err("refused").exit_code(), 2);
        }
        assert_eq!(numbered(Path::new("a/b.ply"), 7), Path::new("a/b_00007.ply"));
    }
}
