//! A mesh rendered from a pose: the depth and the triangle at every pixel.

use super::math::{V3, sub};
use super::pose::{Lens, Pose};

/// Triangles in space.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mesh {
    /// Corners, metres, in the poses' world.
    pub vertices: Vec<V3>,
    /// Indices of corners, counter-clockwise seen from outside.
    pub triangles: Vec<[u32; 3]>,
}

/// Depth along the camera's z and triangle of every pixel, `[height, width]`; infinite where there is none.
#[derive(Debug, Clone)]
pub(crate) struct DepthMap {
    pub(crate) width: usize,
    pub(crate) depth: Vec<f32>,
    pub(crate) triangle: Vec<u32>,
}

/// Triangles nearer than this are left out, metres.
const NEAR: f64 = 0.01;

impl DepthMap {
    /// Draws the mesh; a triangle with an index beyond the vertices is left out.
    pub(crate) fn new(mesh: &Mesh, pose: &Pose, lens: &Lens, size: [u32; 2]) -> Self {
        let [width, height] = size.map(|v| v as usize);
        let mut map = DepthMap {
            width,
            depth: vec![f32::INFINITY; width * height],
            triangle: vec![u32::MAX; width * height],
        };
        let seen: Vec<V3> = mesh
            .vertices
            .iter()
            .map(|v| {
                let p = pose.to_camera(*v);
                let [x, y] = lens.project(p);
                [x, y, p[2]]
            })
            .collect();
        for (index, corners) in mesh.triangles.iter().enumerate() {
            let Some([a, b, c]) = corner_places(&seen, corners) else { continue };
            if [a, b, c].iter().all(|p| p[2] > NEAR && p.iter().all(|v| v.is_finite())) {
                map.draw(index as u32, [a, b, c], height);
            }
        }
        map
    }

    fn draw(&mut self, index: u32, [a, b, c]: [V3; 3], height: usize) {
        let area = edge(a, b, c[0], c[1]);
        if area == 0.0 {
            return;
        }
        let range = |k: usize, most: usize| {
            let low = a[k].min(b[k]).min(c[k]) - 0.5;
            let high = a[k].max(b[k]).max(c[k]) - 0.5;
            (low.ceil().max(0.0) as usize, (high.floor() + 1.0).clamp(0.0, most as f64) as usize)
        };
        let ((x0, x1), (y0, y1)) = (range(0, self.width), range(1, height));
        for y in y0..y1 {
            for x in x0..x1 {
                let (px, py) = (x as f64 + 0.5, y as f64 + 0.5);
                let shares =
                    [edge(b, c, px, py) / area, edge(c, a, px, py) / area, edge(a, b, px, py) / area];
                if shares.iter().any(|s| *s < -1e-9) {
                    continue;
                }
                // One over the depth is linear in the image.
                let depth = 1.0 / (shares[0] / a[2] + shares[1] / b[2] + shares[2] / c[2]);
                let at = y * self.width + x;
                if (depth as f32) < self.depth[at] {
                    self.depth[at] = depth as f32;
                    self.triangle[at] = index;
                }
            }
        }
    }
}

fn edge(a: V3, b: V3, x: f64, y: f64) -> f64 {
    (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])
}

/// The corners of a triangle; none when it names one that does not exist.
pub(crate) fn corner_places(points: &[V3], corners: &[u32; 3]) -> Option<[V3; 3]> {
    let at = |i: u32| points.get(i as usize).copied();
    Some([at(corners[0])?, at(corners[1])?, at(corners[2])?])
}

/// The normal of a triangle, as long as twice its area.
pub(crate) fn normal([a, b, c]: [V3; 3]) -> V3 {
    super::math::cross(sub(b, a), sub(c, a))
}

#[cfg(test)]
impl Mesh {
    /// A square sheet of `n × n` vertices around the origin, `side` metres wide, z by `depth` of x and y.
    pub(crate) fn sheet(n: usize, side: f64, depth: impl Fn(f64, f64) -> f64) -> Self {
        let at = |k: usize| (k as f64 / (n - 1) as f64 - 0.5) * side;
        let vertices = (0..n * n)
            .map(|i| {
                let (x, y) = (at(i % n), -at(i / n));
                [x, y, depth(x, y)]
            })
            .collect();
        let mut triangles = Vec::new();
        for y in 0..n - 1 {
            for x in 0..n - 1 {
                let at = |dx: usize, dy: usize| ((y + dy) * n + x + dx) as u32;
                triangles.push([at(0, 0), at(0, 1), at(1, 0)]);
                triangles.push([at(1, 0), at(0, 1), at(1, 1)]);
            }
        }
        Mesh { vertices, triangles }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_triangle_is_seen_and_its_depth_is_exact() {
        let slanted = |z: f64| [[-0.2, -0.2, z], [0.4, -0.2, z + 0.1], [-0.2, 0.4, z]];
        let mut vertices = slanted(0.0).to_vec();
        vertices.extend(slanted(-0.3));
        let mesh = Mesh { vertices, triangles: vec![[3, 4, 5], [0, 1, 2], [0, 1, 99]] };
        let pose = Pose {
            rotation: [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]],
            translation: [0.0, 0.0, 1.0],
        };
        let lens = Lens { focal: 100.0, center: [32.0, 32.0] };
        let map = DepthMap::new(&mesh, &pose, &lens, [64, 64]);
        let at = 32 * 64 + 32;
        assert_eq!(map.triangle[at], 1);
        // The plane z = (x + 0.2) / 6 along the ray through the pixel's centre.
        let ray = 0.5 / 100.0;
        let depth = (1.0 - 0.2 / 6.0) / (1.0 + ray / 6.0);
        assert!((f64::from(map.depth[at]) - depth).abs() < 1e-6, "{} {depth}", map.depth[at]);
        assert!(map.depth[0].is_infinite() && map.triangle[63] == u32::MAX);
    }
}
