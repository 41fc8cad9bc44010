//! Hair and the back of the head: an ellipsoid-like shell with the outline of the silhouettes and the depth of a head.

use super::super::depth::{DepthMap, Mesh};
use super::super::math::{V3, cross, dot, median, scale, sub, unit};
use super::super::pose::{Lens, Pose};
use super::view::View;

/// The plane of the widest outline, along the world's z, metres: about the ears.
const PLANE: f64 = -0.04;
/// Height of the middle of the outline, metres.
const MIDDLE: f64 = 0.02;
/// Extent of the shell in front of and behind the plane, metres.
const DEPTHS: [f64; 2] = [0.07, 0.10];
/// Directions of the outline.
const DIRECTIONS: usize = 240;
/// Rings from the back to the front.
const RINGS: usize = 72;
/// The outline is searched up to this distance in these steps, metres; gaps of a few steps in the mask are skipped.
const FARTHEST: f64 = 0.22;
const MARCH: f64 = 0.001;
const GAP: usize = 4;
/// Shell points nearer to the camera than the face, or less than this behind it, are left out, metres.
const BEHIND: f64 = 0.012;

/// Outlines of the head in the frames.
#[derive(Default)]
pub(super) struct Silhouette {
    /// Radii in each direction, one set for each frame, metres.
    radii: Vec<[f64; DIRECTIONS]>,
}

/// Points of the shell.
pub(super) struct Shell {
    pub(super) positions: Vec<V3>,
    pub(super) normals: Vec<V3>,
}

fn direction(k: usize) -> (f64, f64) {
    (k as f64 * std::f64::consts::TAU / DIRECTIONS as f64).sin_cos()
}

impl Silhouette {
    /// Measures one frame's outline around the head's middle.
    pub(super) fn add(&mut self, pose: &Pose, lens: &Lens, view: &View) {
        let (width, height) = view.picture.dimensions();
        let inside = |x: f64, y: f64| {
            let [column, row] = lens.project(pose.to_camera([x, MIDDLE + y, PLANE]));
            let on = column >= 0.0 && row >= 0.0 && column < f64::from(width) && row < f64::from(height);
            on && view.head[row as usize * width as usize + column as usize]
        };
        self.radii.push(std::array::from_fn(|k| {
            let (sine, cosine) = direction(k);
            let (mut radius, mut outside, mut at) = (0.0, 0, MARCH);
            while at < FARTHEST && outside <= GAP {
                if inside(at * cosine, at * sine) {
                    (radius, outside) = (at, 0);
                } else {
                    outside += 1;
                }
                at += MARCH;
            }
            radius
        }));
    }

    /// The points of the shell that are not in front of the face, as seen in the reference frame.
    pub(super) fn shell(&self, face: &Mesh, pose: &Pose, lens: &Lens, size: [u32; 2]) -> Shell {
        let middle = |k: usize| median(self.radii.iter().map(|r| r[k % DIRECTIONS]).collect());
        let radii: Vec<f64> = (0..DIRECTIONS).map(middle).collect();
        let map = DepthMap::new(face, pose, lens, size);
        let point = |k: usize, ring: usize| -> V3 {
            let (sine, cosine) = direction(k % DIRECTIONS);
            let up = ((ring as f64 + 0.5) / RINGS as f64 - 0.5) * std::f64::consts::PI;
            let depth = DEPTHS[usize::from(up < 0.0)] * up.sin();
            let r = radii[k % DIRECTIONS] * up.cos();
            [r * cosine, MIDDLE + r * sine, PLANE + depth]
        };
        let mut shell = Shell { positions: Vec::new(), normals: Vec::new() };
        for ring in 0..RINGS {
            // Fewer points where the ring is narrow.
            let up = ((ring as f64 + 0.5) / RINGS as f64 - 0.5) * std::f64::consts::PI;
            let every = (1.0 / up.cos()).round().max(1.0) as usize;
            for k in (0..DIRECTIONS).step_by(every) {
                let p = point(k, ring);
                if radii[k] <= 0.0 || hidden_by_or_before(&map, p, pose, lens) {
                    continue;
                }
                let around = sub(point(k + 1, ring), point(k + DIRECTIONS - 1, ring));
                let along = sub(point(k, (ring + 1).min(RINGS - 1)), point(k, ring.saturating_sub(1)));
                let normal = unit(cross(around, along));
                let out = sub(p, [0.0, MIDDLE, PLANE]);
                shell.normals.push(if dot(normal, out) < 0.0 { scale(normal, -1.0) } else { normal });
                shell.positions.push(p);
            }
        }
        shell
    }
}

/// True for a point in front of the face, or hardly behind it.
fn hidden_by_or_before(map: &DepthMap, p: V3, pose: &Pose, lens: &Lens) -> bool {
    let seen = pose.to_camera(p);
    let [x, y] = lens.project(seen);
    let rows = map.depth.len() / map.width.max(1);
    if !(x >= 0.0 && y >= 0.0 && x < map.width as f64 && y < rows as f64) {
        return false;
    }
    let depth = f64::from(map.depth[y as usize * map.width + x as usize]);
    depth.is_finite() && seen[2] < depth + BEHIND
}
