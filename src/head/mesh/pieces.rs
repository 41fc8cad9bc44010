//! Parts of a mesh that hang together.

use data_utils::formats::ply::PointCloud;

/// Triangles a piece must have, as a share of those of the largest.
const LEAST_SHARE: f32 = 0.02;

/// The mesh without pieces that are small beside the largest: surfels that float around a head become specks.
pub(super) fn without_specks(mesh: PointCloud) -> PointCloud {
    let mut parents: Vec<u32> = (0..mesh.positions.len() as u32).collect();
    for [a, b, c] in &mesh.faces {
        join(&mut parents, *a, *b);
        join(&mut parents, *b, *c);
    }
    let pieces: Vec<u32> = mesh.faces.iter().map(|face| root(&mut parents, face[0])).collect();
    let mut sizes = vec![0usize; mesh.positions.len()];
    pieces.iter().for_each(|piece| sizes[*piece as usize] += 1);
    let least = LEAST_SHARE * sizes.iter().copied().max().unwrap_or(0) as f32;
    let faces = mesh.faces.iter().zip(&pieces);
    let faces = faces.filter(|(_, piece)| sizes[**piece as usize] as f32 >= least).map(|(face, _)| *face);
    with_points_of(&mesh, faces.collect())
}

/// The mesh with these triangles, and the points they name alone.
fn with_points_of(mesh: &PointCloud, mut faces: Vec<[u32; 3]>) -> PointCloud {
    let mut numbers = vec![u32::MAX; mesh.positions.len()];
    let mut kept = Vec::new();
    for at in faces.iter_mut().flatten() {
        let number = &mut numbers[*at as usize];
        if *number == u32::MAX {
            *number = kept.len() as u32;
            kept.push(*at as usize);
        }
        *at = *number;
    }
    PointCloud {
        positions: kept.iter().map(|at| mesh.positions[*at]).collect(),
        normals: mesh.normals.as_ref().map(|normals| kept.iter().map(|at| normals[*at]).collect()),
        colors: mesh.colors.as_ref().map(|colors| kept.iter().map(|at| colors[*at]).collect()),
        faces,
    }
}

fn root(parents: &mut [u32], mut at: u32) -> u32 {
    while parents[at as usize] != at {
        let above = parents[parents[at as usize] as usize];
        parents[at as usize] = above;
        at = above;
    }
    at
}

fn join(parents: &mut [u32], a: u32, b: u32) {
    let (a, b) = (root(parents, a), root(parents, b));
    parents[a.max(b) as usize] = a.min(b);
}
