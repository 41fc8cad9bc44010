//! Normals of a mesh.

use crate::track::depth::{self, Mesh};
use crate::track::math::{V3, add, length, unit};

/// Unit normals of the points: the mean of their triangles', by area.
pub(super) fn normals(mesh: &Mesh) -> Vec<V3> {
    let mut sums = vec![[0.0; 3]; mesh.vertices.len()];
    for corners in &mesh.triangles {
        let Some(places) = depth::corner_places(&mesh.vertices, corners) else { continue };
        let normal = depth::normal(places);
        for i in corners {
            sums[*i as usize] = add(sums[*i as usize], normal);
        }
    }
    sums.into_iter().map(|n| if length(n) > 0.0 { unit(n) } else { [0.0, 0.0, 1.0] }).collect()
}
