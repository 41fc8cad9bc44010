//! The camera every part of the product speaks of.

/// A pinhole camera: x right, y down, z forward; pixel `i` has its centre at coordinate `i`, as the 2DGS
/// rasterizer has it. A point p of the world lands on column `fx·x/z + cx` and row `fy·y/z + cy`, where
/// (x, y, z) = `camera_from_world` · (p, 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    /// World-to-camera, rows of [R | t]; units of the dataset.
    pub camera_from_world: [[f64; 4]; 3],
    /// Focal length along x, pixels.
    pub fx: f64,
    /// Focal length along y, pixels.
    pub fy: f64,
    /// Column of the principal point, pixels, centres at integers.
    pub cx: f64,
    /// Row of the principal point, pixels, centres at integers.
    pub cy: f64,
    /// Image width, pixels.
    pub width: u32,
    /// Image height, pixels.
    pub height: u32,
}

impl Camera {
    /// The camera of a dataset's frame (reference: SyncTalk's `transforms_*.json`). `world_from_camera` is
    /// OpenGL camera-to-world (x right, y up, looking along −z), row-major; `cx`, `cy` count from the image's
    /// edge, so a centred principal point is width / 2.
    pub fn from_opengl(
        world_from_camera: &[[f64; 4]; 4],
        focal: f64,
        cx: f64,
        cy: f64,
        size: [u32; 2],
    ) -> Self {
        let m = world_from_camera;
        let mut camera_from_world = [[0.0; 4]; 3];
        for (row, sign) in [1.0, -1.0, -1.0].into_iter().enumerate() {
            for column in 0..3 {
                camera_from_world[row][column] = sign * m[column][row];
            }
            camera_from_world[row][3] = -sign * (0..3).map(|k| m[k][row] * m[k][3]).sum::<f64>();
        }
        Camera {
            camera_from_world,
            fx: focal,
            fy: focal,
            cx: cx - 0.5,
            cy: cy - 0.5,
            width: size[0],
            height: size[1],
        }
    }

    /// Camera-to-world in OpenGL axes, the inverse of [`Camera::from_opengl`].
    pub fn to_opengl(&self) -> [[f64; 4]; 4] {
        let (r, c) = (&self.camera_from_world, self.center());
        std::array::from_fn(
            |k| if k < 3 { [r[0][k], -r[1][k], -r[2][k], c[k]] } else { [0.0, 0.0, 0.0, 1.0] },
        )
    }

    /// Where the camera stands in the world.
    pub fn center(&self) -> [f64; 3] {
        let m = &self.camera_from_world;
        std::array::from_fn(|k| -(0..3).map(|r| m[r][k] * m[r][3]).sum::<f64>())
    }

    /// The same view on an image of another size; the field of view stays.
    pub fn resized(&self, width: u32, height: u32) -> Self {
        let (sx, sy) = (width as f64 / self.width as f64, height as f64 / self.height as f64);
        Camera {
            fx: self.fx * sx,
            fy: self.fy * sy,
            cx: (self.cx + 0.5) * sx - 0.5,
            cy: (self.cy + 0.5) * sy - 0.5,
            width,
            height,
            ..*self
        }
    }

    /// The same lens at the origin of the world, which looks along −z with y up: for what stands still before the camera while
    /// the head moves.
    pub fn at_origin(&self) -> Self {
        let camera_from_world = [[1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0]];
        Camera { camera_from_world, ..*self }
    }

    /// What the camera sees after the world was turned about `pivot`: by `yaw` about the y axis, +z towards +x, then by `pitch` about
    /// the x axis, +z away from +y; radians.
    pub fn turned(&self, pivot: [f64; 3], yaw: f64, pitch: f64) -> Self {
        let ((sy, cy), (sp, cp)) = (yaw.sin_cos(), pitch.sin_cos());
        let turn = [[cy, 0.0, sy], [sp * sy, cp, -sp * cy], [-cp * sy, sp, cp * cy]];
        let offset: [f64; 3] =
            std::array::from_fn(|r| pivot[r] - (0..3).map(|k| turn[r][k] * pivot[k]).sum::<f64>());
        let camera_from_world = self.camera_from_world.map(|row| {
            std::array::from_fn(|column| match column {
                3 => row[3] + (0..3).map(|k| row[k] * offset[k]).sum::<f64>(),
                _ => (0..3).map(|k| row[k] * turn[k][column]).sum(),
            })
        });
        Camera { camera_from_world, ..*self }
    }

    /// Column, row and depth of a point of the world.
    pub fn project(&self, p: [f64; 3]) -> [f64; 3] {
        let m = &self.camera_from_world;
        let v: [f64; 3] = std::array::from_fn(|r| m[r][0] * p[0] + m[r][1] * p[1] + m[r][2] * p[2] + m[r][3]);
        [self.fx * v[0] / v[2] + self.cx, self.fy * v[1] / v[2] + self.cy, v[2]]
    }

    /// The 12 numbers of the field's camera token: the transposed rotation row by row, then the translation,
    /// as 3DGS stores them (`R.flatten() ++ T`).
    pub fn token(&self) -> [f32; 12] {
        let m = &self.camera_from_world;
        std::array::from_fn(|i| if i < 9 { m[i % 3][i / 3] as f32 } else { m[i - 9][3] as f32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned() -> [[f64; 4]; 4] {
        let (s, c) = (0.3f64.sin(), 0.3f64.cos());
        [[c, 0.0, s, 0.1], [0.0, 1.0, 0.0, -0.2], [-s, 0.0, c, 0.7], [0.0, 0.0, 0.0, 1.0]]
    }

    #[test]
    fn opengl_pose_survives_the_round_trip() {
        let camera = Camera::from_opengl(&turned(), 1000.0, 256.0, 256.0, [512, 512]);
        for (a, b) in camera.to_opengl().iter().flatten().zip(turned().iter().flatten()) {
            assert!((a - b).abs() < 1e-12);
        }
    }

    #[test]
    fn a_point_above_the_axis_lands_in_the_upper_half() {
        let mut pose = [[0.0; 4]; 4];
        (0..4).for_each(|k| pose[k][k] = 1.0);
        let camera = Camera::from_opengl(&pose, 100.0, 32.0, 32.0, [64, 64]);
        let [column, row, depth] = camera.project([0.1, 0.2, -2.0]);
        assert!((column - 36.5).abs() < 1e-9 && (row - 21.5).abs() < 1e-9 && (depth - 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_turned_world_stays_at_its_pivot_and_its_front_goes_aside() {
        let camera = Camera::from_opengl(&turned(), 1000.0, 256.0, 256.0, [512, 512]);
        let pivot = [0.02, 0.1, -0.05];
        let front = [pivot[0], pivot[1], pivot[2] + 0.1];
        let near = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
        let [aside, down] = [[0.3, 0.0], [0.0, 0.3]].map(|[yaw, pitch]| camera.turned(pivot, yaw, pitch));
        assert!(near(aside.project(pivot), camera.project(pivot)));
        let (sin, cos) = 0.3f64.sin_cos();
        let place = |x: f64, y: f64, z: f64| camera.project([pivot[0] + x, pivot[1] + y, pivot[2] + z]);
        assert!(near(aside.project(front), place(0.1 * sin, 0.0, 0.1 * cos)));
        assert!(near(down.project(front), place(0.0, -0.1 * sin, 0.1 * cos)));
    }

    #[test]
    fn resizing_keeps_the_field_of_view() {
        let camera = Camera::from_opengl(&turned(), 1000.0, 256.0, 256.0, [512, 512]);
        let half = camera.resized(256, 256);
        let (a, b) = (camera.project([0.0, 0.1, 0.0]), half.project([0.0, 0.1, 0.0]));
        assert!(((a[0] + 0.5) / 2.0 - 0.5 - b[0]).abs() < 1e-9);
    }
}
