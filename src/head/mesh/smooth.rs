//! A mesh without the steps of the grid it was made on (Taubin 1995, "A signal processing approach to fair surface design", §3).

use glam::Vec3;

/// Passes; each moves every point to its neighbours and a little farther back, so that the mesh does not shrink.
const PASSES: usize = 6;
/// Shares of the way to the neighbours' mean.
const INWARD: f32 = 0.5;
const OUTWARD: f32 = -0.52;

/// Smooths the positions; points on an open edge keep their place.
pub(super) fn smooth(positions: &mut [[f32; 3]], faces: &[[u32; 3]]) {
    let neighbours = neighbours(positions.len(), faces);
    for share in [INWARD, OUTWARD].repeat(PASSES) {
        let before: Vec<Vec3> = positions.iter().map(|p| Vec3::from(*p)).collect();
        for ((position, at), around) in positions.iter_mut().zip(&before).zip(&neighbours) {
            if !around.is_empty() {
                let mean = around.iter().map(|k| before[*k as usize]).sum::<Vec3>() / around.len() as f32;
                *position = at.lerp(mean, share).to_array();
            }
        }
    }
}

/// The points that share an edge with each point; none for points on an edge of one triangle alone.
fn neighbours(points: usize, faces: &[[u32; 3]]) -> Vec<Vec<u32>> {
    let edges = || faces.iter().flat_map(|[a, b, c]| [[*a, *b], [*b, *c], [*c, *a]]);
    let mut neighbours = vec![Vec::new(); points];
    edges().for_each(|[a, b]| neighbours[a as usize].push(b));
    // The triangle on the other side of an edge has it the other way round.
    let open: Vec<[u32; 2]> = edges().filter(|[a, b]| !neighbours[*b as usize].contains(a)).collect();
    open.into_iter().flatten().for_each(|at| neighbours[at as usize].clear());
    neighbours
}
