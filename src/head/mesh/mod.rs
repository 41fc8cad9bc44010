//! A cloud as a triangle mesh: the depths that the cameras of its clip see are fused into a volume of signed distances, and the
//! surface where the distance is zero becomes triangles (2DGS, Huang et al. 2024, §5, after Curless and Levoy 1996).
//!
//! The mesh is closed where the cameras saw the head and open behind it: nothing is invented where nobody looked.

mod pieces;
mod smooth;
mod tetrahedra;
mod views;
mod volume;

#[cfg(test)]
mod tests;

use crate::head::cloud::Cloud;
use crate::head::cloud::activate::activate;
use crate::raster::cpu::CpuRasterizer;
use crate::raster::{Outputs, RasterSettings, Rasterizer};
use crate::{Camera, Error, Result};
use data_utils::formats::ply::PointCloud;
use glam::Vec3;
use volume::{View, Volume};

/// Height of a head in meshes, metres: programs that read them take a unit for a metre.
const HEIGHT: f32 = 0.25;

/// How fine a mesh becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeshOptions {
    /// Voxels along the longest side of the head, 16 to 512; memory grows with the third power, 20 bytes a voxel.
    pub resolution: usize,
    /// Most cameras of the clip that look, at least 1.
    pub views: usize,
}

impl Default for MeshOptions {
    fn default() -> Self {
        MeshOptions { resolution: 200, views: 48 }
    }
}

/// The mesh of `cloud` as `cameras` see it, in the cloud's own frame: y up, face towards +z, units of the dataset. Normals point
/// outwards; colours are the mean of what the cameras saw. `drawn` is told how many views of how many are done and may stop the
/// work by its error.
///
/// # Errors
/// [`Error::Input`] when the cameras see no surface; what `drawn` returns.
pub fn mesh(
    cloud: &Cloud,
    cameras: &[Camera],
    options: MeshOptions,
    mut drawn: impl FnMut(usize, usize) -> Result<()>,
) -> Result<PointCloud> {
    let activated = activate(cloud, cloud.sh_degree, None)?;
    let nothing = || {
        let remedy = "train the head for longer, or export another iteration";
        Error::input("the mesh", "a surface that the clip's cameras see", "none", remedy)
    };
    let mut volume = Volume::around(&activated.positions, options.resolution).ok_or_else(nothing)?;
    let rasterizer = CpuRasterizer::<f32>::new();
    let outputs = Outputs { median: true, normal: true, ..Outputs::NONE };
    let settings = RasterSettings { outputs, ..RasterSettings::default() };
    let chosen = views::apart(cameras, options.views);
    for (done, camera) in chosen.iter().enumerate() {
        let images = rasterizer.forward(&activated.batch(), &[*camera], &settings)?;
        volume.fuse(&View {
            camera,
            color: &images.color,
            alpha: &images.alpha,
            depth: &images.median,
            normal: &images.normal,
        });
        drawn(done + 1, chosen.len())?;
    }
    let mut mesh = pieces::without_specks(tetrahedra::surface(&volume));
    if mesh.faces.is_empty() {
        return Err(nothing());
    }
    smooth::smooth(&mut mesh.positions, &mesh.faces);
    mesh.normals = Some(normals(&mesh.positions, &mesh.faces));
    Ok(mesh)
}

/// Unit normals as the mean of the triangles around each point, by area.
fn normals(positions: &[[f32; 3]], faces: &[[u32; 3]]) -> Vec<[f32; 3]> {
    let mut normals = vec![Vec3::ZERO; positions.len()];
    for face in faces {
        let [a, b, c] = face.map(|at| Vec3::from(positions[at as usize]));
        let normal = (b - a).cross(c - a);
        face.iter().for_each(|at| normals[*at as usize] += normal);
    }
    normals.iter().map(|normal| normal.normalize_or_zero().to_array()).collect()
}

/// Scales `mesh` to metres, a head of this `extent` ([`crate::head::cloud::init::extent`], half of its height) to a quarter of
/// one.
pub fn in_metres(mesh: &mut PointCloud, extent: f32) {
    let scale = HEIGHT / 2.0 / extent;
    if scale.is_finite() && scale > 0.0 {
        mesh.positions.iter_mut().flatten().for_each(|value| *value *= scale);
    }
}
