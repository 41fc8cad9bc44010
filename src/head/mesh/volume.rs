//! Signed distances to the surface on a grid, fused from depth images (Curless and Levoy 1996; KinectFusion, Newcombe et al.
//! 2011, eq. 6 to 13).

use crate::Camera;
use glam::{UVec3, Vec3};
use rayon::prelude::*;

/// Voxels within which a distance is told apart from another; beyond them it is cut off.
const TRUNCATION: f32 = 4.0;
/// Voxels around the head.
const MARGIN: f32 = 6.0;
/// Alpha from which a pixel shows the head.
const SOLID: f32 = 0.5;
/// Pixels beside the head's edge that tell nothing.
const EDGE: usize = 2;
/// Least weight of a surface that is seen from the side.
const LEAST_WEIGHT: f32 = 0.05;
/// Share of the positions on each side of an axis that are taken for strays.
const STRAYS: f32 = 0.002;

/// What one camera saw.
pub(super) struct View<'a> {
    pub(super) camera: &'a Camera,
    /// RGB over black, `[3, rows, columns]`.
    pub(super) color: &'a [f32],
    /// `[rows, columns]`.
    pub(super) alpha: &'a [f32],
    /// Median depth, `[rows, columns]`; 0 where there is none.
    pub(super) depth: &'a [f32],
    /// Σ w·n in view space, `[3, rows, columns]`.
    pub(super) normal: &'a [f32],
}

/// One point of the grid.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Voxel {
    /// Mean distance to the surface, in truncations: −1 inside to 1 outside.
    pub(super) distance: f32,
    /// Sum of the views' weights; 0 where nobody looked.
    pub(super) weight: f32,
    /// Weighted sum of the colours of the surface near it.
    color: Vec3,
    /// Weights in that sum.
    color_weight: f32,
}

impl Voxel {
    /// Mean colour, RGB; `None` away from the surface.
    pub(super) fn color(&self) -> Option<Vec3> {
        (self.color_weight > 0.0).then(|| self.color / self.color_weight)
    }

    fn add(&mut self, weight: f32, distance: f32, color: Option<Vec3>) {
        self.weight += weight;
        self.distance += (distance - self.distance) * weight / self.weight;
        if let Some(color) = color {
            self.color += weight * color;
            self.color_weight += weight;
        }
    }
}

/// A box of voxels, x innermost.
pub(super) struct Volume {
    pub(super) size: UVec3,
    pub(super) voxels: Vec<Voxel>,
    origin: Vec3,
    side: f32,
}

impl Volume {
    /// Around positions `[points, 3]`, but for strays, with `resolution` voxels along the longest side; `None` when they have no
    /// size.
    pub(super) fn around(positions: &[f32], resolution: usize) -> Option<Self> {
        let (mut low, mut high) = (Vec3::ZERO, Vec3::ZERO);
        for axis in 0..3 {
            let mut values: Vec<f32> = positions.iter().skip(axis).step_by(3).copied().collect();
            values.sort_by(f32::total_cmp);
            let stray = (STRAYS * values.len() as f32) as usize;
            (low[axis], high[axis]) = (*values.get(stray)?, *values.get(values.len() - 1 - stray)?);
        }
        let side = (high - low).max_element() / resolution.clamp(16, 512) as f32;
        if !(side.is_finite() && side > 0.0) {
            return None;
        }
        let size = ((high - low) / side + 2.0 * MARGIN).ceil().as_uvec3() + UVec3::ONE;
        let voxels = vec![Voxel::default(); (size.x * size.y * size.z) as usize];
        Some(Volume { size, voxels, origin: low - MARGIN * side, side })
    }

    /// Where a place on the grid lies in the world.
    pub(super) fn position(&self, at: Vec3) -> Vec3 {
        self.origin + self.side * at
    }

    /// Adds what one camera saw: free space in front of the surface and where no head is, a distance near the surface, and
    /// nothing behind it. A surface counts by how squarely it is seen.
    pub(super) fn fuse(&mut self, view: &View<'_>) {
        let truncation = TRUNCATION * self.side;
        let (origin, side, size) = (self.origin, self.side, self.size);
        let nearby = nearby(view.alpha, view.camera.width as usize);
        let rows = self.voxels.par_chunks_mut(size.x as usize).enumerate();
        rows.for_each(|(row, voxels)| {
            let (y, z) = (row as u32 % size.y, row as u32 / size.y);
            for (x, voxel) in voxels.iter_mut().enumerate() {
                let place = origin + side * Vec3::new(x as f32, y as f32, z as f32);
                let Some((pixel, depth)) = seen(view.camera, place) else { continue };
                if nearby[pixel] < SOLID {
                    voxel.add(1.0, 1.0, None);
                    continue;
                }
                let alpha = view.alpha[pixel];
                let distance = (view.depth[pixel] - depth) / truncation;
                if alpha >= SOLID && view.depth[pixel] > 0.0 && distance >= -1.0 {
                    let image =
                        |image: &[f32]| Vec3::from_array([0, 1, 2].map(|c| image[c * nearby.len() + pixel]));
                    let weight = (image(view.normal).z.abs() / alpha).clamp(LEAST_WEIGHT, 1.0);
                    let color = (distance < 1.0).then(|| image(view.color) / alpha);
                    voxel.add(weight, distance.min(1.0), color);
                }
            }
        });
    }
}

/// The largest alpha within [`EDGE`] pixels of each.
fn nearby(alpha: &[f32], width: usize) -> Vec<f32> {
    let rows = alpha.len() / width.max(1);
    let largest = |image: &[f32], row: usize, column: usize, step: [usize; 2]| {
        (0..=2 * EDGE)
            .filter_map(|k| {
                let at = |from: usize, step: usize| (from + k * step).checked_sub(EDGE * step);
                let (row, column) = (at(row, step[0])?, at(column, step[1])?);
                (row < rows && column < width).then(|| image[row * width + column])
            })
            .fold(0.0, f32::max)
    };
    let over = |image: &[f32], step| -> Vec<f32> {
        (0..rows * width).map(|at| largest(image, at / width, at % width, step)).collect()
    };
    over(&over(alpha, [0, 1]), [1, 0])
}

/// Pixel and depth at which a camera sees a place of the world; `None` outside of its image.
fn seen(camera: &Camera, place: Vec3) -> Option<(usize, f32)> {
    let place = place.as_dvec3();
    let [x, y, z] = camera.camera_from_world.map(|[a, b, c, t]| a * place.x + b * place.y + c * place.z + t);
    let column = (camera.fx * x / z + camera.cx).round();
    let row = (camera.fy * y / z + camera.cy).round();
    let inside = z > 0.0
        && (0.0..f64::from(camera.width)).contains(&column)
        && (0.0..f64::from(camera.height)).contains(&row);
    inside.then(|| (row as usize * camera.width as usize + column as usize, z as f32))
}
