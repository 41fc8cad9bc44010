//! The initial cloud of a head: the fitted face as a dense mesh, and a shell of hair that fills the silhouettes, with
//! normals and colours from the frames (`fused.ply`).

mod colors;
mod normals;
mod shell;
mod smooth;
#[cfg(test)]
mod tests;
mod view;

pub use view::View;

use super::depth::Mesh;
use super::math::V3;
use super::pose::{Lens, Pose};
use super::stabilise::reference_frame;
use crate::error::{Error, Result};
use crate::formats::ply::PointCloud;
use normals::normals;

/// Frames that colours and silhouettes are taken from.
const VIEWS: usize = 28;
/// Least number of points of the face.
const FACE_POINTS: usize = 20_000;
/// Most subdivisions; each has about four times as many points as the one before.
const MOST_LEVELS: usize = 5;

/// Makes the cloud. `face` is the person's mean face with its triangles in the poses' world; `read` gives the frames
/// it is asked for, one at a time.
///
/// # Errors
/// Those of `read`; [`Error::Internal`] for a face without triangles, or views of different sizes.
pub fn fuse(
    face: &Mesh,
    poses: &[Pose],
    lens: &Lens,
    seen: &[bool],
    size: [u32; 2],
    read: &dyn Fn(usize) -> Result<View>,
) -> Result<PointCloud> {
    let Some(reference) = reference_frame(poses, seen) else {
        return Err(Error::Internal("a cloud of a clip without poses".into()));
    };
    let (mesh, normals) = dense(face)?;
    let known: Vec<usize> = (0..poses.len()).filter(|i| seen.get(*i) == Some(&true)).collect();
    let count = VIEWS.min(known.len());
    let chosen: Vec<usize> = (0..count).map(|k| known[k * known.len() / count]).collect();
    let mut face_colors = colors::Colors::new(mesh.vertices.len());
    let mut silhouette = shell::Silhouette::default();
    for i in &chosen {
        let view = checked(read(*i)?, size)?;
        face_colors.add(&mesh.vertices, &normals, &mesh, &poses[*i], lens, &view);
        silhouette.add(&poses[*i], lens, &view);
    }
    let hair = silhouette.shell(&mesh, &poses[reference], lens, size);
    let mut hair_colors = colors::Colors::new(hair.positions.len());
    for i in &chosen {
        let view = checked(read(*i)?, size)?;
        hair_colors.add(&hair.positions, &hair.normals, &mesh, &poses[*i], lens, &view);
    }
    let mut rgb = face_colors.finish(&mesh.vertices);
    rgb.extend(hair_colors.finish(&hair.positions));
    let narrow = |v: &V3| v.map(|c| c as f32);
    Ok(PointCloud {
        positions: mesh.vertices.iter().chain(&hair.positions).map(narrow).collect(),
        normals: Some(normals.iter().chain(&hair.normals).map(narrow).collect()),
        colors: Some(rgb),
        faces: mesh.triangles,
    })
}

fn checked(view: View, size: [u32; 2]) -> Result<View> {
    let pixels = size[0] as usize * size[1] as usize;
    if view.picture.dimensions() != (size[0], size[1]) || view.head.len() != pixels {
        return Err(Error::Internal(format!("a view that is not {} × {} pixels", size[0], size[1])));
    }
    Ok(view)
}

/// The face with enough points, and their normals.
fn dense(face: &Mesh) -> Result<(Mesh, Vec<V3>)> {
    let count = face.vertices.len();
    if face.triangles.is_empty() || face.triangles.as_flattened().iter().any(|i| *i as usize >= count) {
        return Err(Error::Internal("a face without triangles, or with some beyond its points".into()));
    }
    let mut mesh = face.clone();
    for _ in 0..MOST_LEVELS {
        if mesh.vertices.len() >= FACE_POINTS {
            break;
        }
        mesh = smooth::subdivide(&mesh);
    }
    let normals = normals(&mesh);
    Ok((mesh, normals))
}
