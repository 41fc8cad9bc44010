//! The surface where a volume's distance is zero, by marching tetrahedra (Doi and Koide 1991): every cube is cut into six
//! tetrahedra about one diagonal, neighbours alike, so that the triangles always close.

use super::volume::Volume;
use data_utils::formats::ply::PointCloud;
use glam::{UVec3, Vec3};
use std::collections::HashMap;

/// Corners of the six tetrahedra of a cube; bit 0 of a corner is x, bit 1 is y, bit 2 is z.
const TETRAHEDRA: [[usize; 4]; 6] =
    [[0, 1, 3, 7], [0, 3, 2, 7], [0, 2, 6, 7], [0, 6, 4, 7], [0, 4, 5, 7], [0, 5, 1, 7]];
/// A crossing is kept this far from both ends of its edge, so that no triangle shrinks to a point.
const LEAST_SHARE: f32 = 0.02;

/// The triangles between voxels that were all seen, corners in the order that makes normals point to where distances are
/// positive.
pub(super) fn surface(volume: &Volume) -> PointCloud {
    let mut surface =
        Surface { volume, crossings: HashMap::new(), mesh: PointCloud::default(), colors: vec![] };
    let UVec3 { x: columns, y: rows, z: layers } = volume.size;
    for z in 0..layers.saturating_sub(1) {
        for y in 0..rows.saturating_sub(1) {
            for x in 0..columns.saturating_sub(1) {
                surface.cube(UVec3::new(x, y, z));
            }
        }
    }
    PointCloud { colors: Some(surface.colors), ..surface.mesh }
}

struct Surface<'a> {
    volume: &'a Volume,
    /// The point on each edge of the grid that the surface crosses, by the voxels at its ends.
    crossings: HashMap<(usize, usize), u32>,
    mesh: PointCloud,
    colors: Vec<[u8; 3]>,
}

impl Surface<'_> {
    fn cube(&mut self, first: UVec3) {
        let size = self.volume.size;
        let corners: [UVec3; 8] = std::array::from_fn(|c| first + offset(c));
        let index = |at: UVec3| (at.x + size.x * (at.y + size.y * at.z)) as usize;
        let voxels = corners.map(|at| &self.volume.voxels[index(at)]);
        let inside = voxels.map(|voxel| voxel.distance < 0.0);
        if voxels.iter().any(|voxel| voxel.weight == 0.0) || inside.iter().all(|i| *i == inside[0]) {
            return;
        }
        for tetrahedron in TETRAHEDRA {
            let (within, without): (Vec<usize>, Vec<usize>) =
                tetrahedron.into_iter().partition(|c| inside[*c]);
            let polygon: Vec<(usize, usize)> = match (within.as_slice(), without.as_slice()) {
                ([a], [b, c, d]) => vec![(*a, *b), (*a, *c), (*a, *d)],
                ([b, c, d], [a]) => vec![(*b, *a), (*c, *a), (*d, *a)],
                ([a, b], [c, d]) => vec![(*a, *c), (*a, *d), (*b, *d), (*b, *c)],
                _ => continue,
            };
            let outward = middle(&without) - middle(&within);
            let middles: Vec<Vec3> = polygon.iter().map(|(a, b)| middle(&[*a, *b])).collect();
            let is_outward = (middles[1] - middles[0]).cross(middles[2] - middles[0]).dot(outward) > 0.0;
            let mut points: Vec<u32> =
                polygon.iter().map(|(a, b)| self.crossing([corners[*a], corners[*b]], index)).collect();
            if !is_outward {
                points.reverse();
            }
            (2..points.len()).for_each(|k| self.mesh.faces.push([points[0], points[k - 1], points[k]]));
        }
    }

    /// The point where the surface crosses an edge.
    fn crossing(&mut self, ends: [UVec3; 2], index: impl Fn(UVec3) -> usize) -> u32 {
        let [a, b] = if index(ends[0]) < index(ends[1]) { ends } else { [ends[1], ends[0]] };
        let (mesh, colors, volume) = (&mut self.mesh, &mut self.colors, self.volume);
        *self.crossings.entry((index(a), index(b))).or_insert_with(|| {
            let [from, to] = [a, b].map(|at| &volume.voxels[index(at)]);
            let share = from.distance / (from.distance - to.distance);
            let share = share.clamp(LEAST_SHARE, 1.0 - LEAST_SHARE);
            mesh.positions.push(volume.position(a.as_vec3().lerp(b.as_vec3(), share)).to_array());
            let color = match (from.color(), to.color()) {
                (Some(from), Some(to)) => from.lerp(to, share),
                (one, other) => one.or(other).unwrap_or_default(),
            };
            colors.push(color.to_array().map(|c| (255.0 * c.clamp(0.0, 1.0)).round() as u8));
            mesh.positions.len() as u32 - 1
        })
    }
}

fn offset(corner: usize) -> UVec3 {
    UVec3::new(corner as u32 & 1, (corner as u32 >> 1) & 1, corner as u32 >> 2)
}

/// The middle of some corners of the unit cube.
fn middle(corners: &[usize]) -> Vec3 {
    corners.iter().map(|c| offset(*c).as_vec3()).sum::<Vec3>() / corners.len().max(1) as f32
}
