//! Colours of points from the frames that see them.

use super::super::depth::{DepthMap, Mesh};
use super::super::math::{V3, apply, dot, length, sub, unit};
use super::super::pose::{Lens, Pose};
use super::view::View;

/// A point that is farther than this behind the mesh is hidden, metres.
const BEHIND: f64 = 0.004;
/// Least cosine of the angle between normal and view at which a point gets a colour.
const FACING: f64 = 0.2;

/// Sums of colours over the frames.
pub(super) struct Colors {
    sums: Vec<[f64; 4]>,
}

impl Colors {
    pub(super) fn new(points: usize) -> Self {
        Colors { sums: vec![[0.0; 4]; points] }
    }

    /// Adds the colours of one frame at the points, weighted by the cosine of the viewing angle. Only pixels of the head
    /// are used.
    pub(super) fn add(
        &mut self,
        points: &[V3],
        normals: &[V3],
        mesh: &Mesh,
        pose: &Pose,
        lens: &Lens,
        view: &View,
    ) {
        let size = [view.picture.width(), view.picture.height()];
        let map = DepthMap::new(mesh, pose, lens, size);
        for ((sum, point), normal) in self.sums.iter_mut().zip(points).zip(normals) {
            let p = pose.to_camera(*point);
            let facing = -dot(apply(&pose.rotation, *normal), unit(p));
            let [x, y] = lens.project(p);
            let inside =
                p[2] > 0.0 && x >= 0.0 && y >= 0.0 && x < f64::from(size[0]) && y < f64::from(size[1]);
            if !inside || facing < FACING {
                continue;
            }
            let at = y as usize * map.width + x as usize;
            if view.head[at] && p[2] < f64::from(map.depth[at]) + BEHIND {
                let weight = facing * facing;
                let color = view.picture.get_pixel(x as u32, y as u32).0;
                (0..3).for_each(|k| sum[k] += weight * f64::from(color[k]));
                sum[3] += weight;
            }
        }
    }

    /// Mean colours; points that are visible in no frame get the colour of the nearest visible one.
    pub(super) fn finish(self, points: &[V3]) -> Vec<[u8; 3]> {
        let mean = |s: &[f64; 4]| (s[3] > 0.0).then(|| [0, 1, 2].map(|k| (s[k] / s[3]).round() as u8));
        let known: Vec<(usize, [u8; 3])> =
            self.sums.iter().enumerate().filter_map(|(i, s)| Some((i, mean(s)?))).collect();
        // A sparse subset is precise enough for points that are not visible.
        let sparse: Vec<_> = known.iter().step_by(known.len().div_ceil(2000).max(1)).collect();
        let nearest = |p: V3| {
            let far = |k: &&(usize, [u8; 3])| length(sub(points[k.0], p));
            let best = sparse.iter().copied().min_by(|a, b| far(a).total_cmp(&far(b)));
            best.map_or([128; 3], |k| k.1)
        };
        self.sums.iter().zip(points).map(|(s, p)| mean(s).unwrap_or_else(|| nearest(*p))).collect()
    }
}
