//! A camera's place as a rotation and a translation that can be turned, averaged and put back.

use crate::Camera;
use glam::{DMat3, DQuat, DVec3};

/// Rotation and translation from the world to the camera.
#[derive(Debug, Clone, Copy)]
pub struct RigidPose {
    /// A unit quaternion.
    pub rotation: DQuat,
    /// Units of the dataset.
    pub translation: DVec3,
}

impl RigidPose {
    /// That of a camera.
    pub fn of(camera: &Camera) -> Self {
        let m = &camera.camera_from_world;
        let column = |k: usize| DVec3::new(m[0][k], m[1][k], m[2][k]);
        let matrix = DMat3::from_cols(column(0), column(1), column(2));
        RigidPose { rotation: DQuat::from_mat3(&matrix).normalize(), translation: column(3) }
    }

    /// `camera` at this place.
    pub fn put_into(self, camera: &Camera) -> Camera {
        let matrix = DMat3::from_quat(self.rotation);
        let mut camera_from_world = [[0.0; 4]; 3];
        for (row, to) in camera_from_world.iter_mut().enumerate() {
            let r = matrix.row(row);
            *to = [r.x, r.y, r.z, self.translation[row]];
        }
        Camera { camera_from_world, ..*camera }
    }
}
