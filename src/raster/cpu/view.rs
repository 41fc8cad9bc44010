//! A camera as the stages of the CPU read it.

use crate::Camera;
use crate::raster::constants::TILE;

/// A camera, made ready for projecting.
#[derive(Debug, Clone, Copy)]
pub(in crate::raster) struct View {
    /// World to camera, rotation.
    pub(super) rotation: [[f64; 3]; 3],
    /// World to camera, translation.
    pub(super) translation: [f64; 3],
    /// Where it stands in the world.
    pub(super) position: [f64; 3],
    /// Focal lengths along x and y, pixels.
    pub(super) focal: [f64; 2],
    /// Principal point, pixels.
    pub(super) principal: [f64; 2],
    /// Columns and rows.
    pub(super) size: [usize; 2],
}

impl View {
    /// From the camera everybody else speaks of.
    pub(super) fn new(camera: &Camera) -> Self {
        let m = &camera.camera_from_world;
        View {
            rotation: std::array::from_fn(|r| [m[r][0], m[r][1], m[r][2]]),
            translation: std::array::from_fn(|r| m[r][3]),
            position: camera.center(),
            focal: [camera.fx, camera.fy],
            principal: [camera.cx, camera.cy],
            size: [camera.width as usize, camera.height as usize],
        }
    }

    /// Tiles across and down.
    pub(super) fn tiles(&self) -> [usize; 2] {
        self.size.map(|s| s.div_ceil(TILE))
    }
}
