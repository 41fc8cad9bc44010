//! The pose of the head in one frame, and the projection of its points into the picture.

use super::math::{M3, V3, add, apply, apply_transposed, orthonormal, product, rotation};
use crate::camera::Camera;

/// The pose of the head in one frame: camera-from-world, x right, y down, z forward, metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pose {
    /// Rotation, rows first.
    pub rotation: M3,
    /// The world's origin in the camera, metres.
    pub translation: V3,
}

/// The lens all frames share. Pixels are counted from the image's edge here: the centre of pixel i is at i + 0.5.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lens {
    /// Focal length, pixels.
    pub focal: f64,
    /// Principal point from the image's edge: column, row.
    pub center: [f64; 2],
}

/// Derivatives of a projected point, for each of column and row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slope {
    /// By the point in the world.
    pub(crate) point: [V3; 2],
    /// By the pose: a rotation about the camera's axes (radians), then a translation (metres).
    pub(crate) pose: [[f64; 6]; 2],
    /// By the logarithm of the focal length.
    pub(crate) log_focal: [f64; 2],
}

impl Pose {
    /// A point of the world in camera coordinates.
    pub fn to_camera(&self, p: V3) -> V3 {
        add(apply(&self.rotation, p), self.translation)
    }

    /// A point in camera coordinates in the world.
    pub fn to_world(&self, p: V3) -> V3 {
        let t = self.translation;
        apply_transposed(&self.rotation, [p[0] - t[0], p[1] - t[1], p[2] - t[2]])
    }

    /// The pose after a rotation about the camera's axes and a translation, parametrised as in [`Slope`].
    pub(crate) fn moved(&self, step: &[f64]) -> Self {
        let turn = rotation([step[0], step[1], step[2]]);
        let shift = [step[3], step[4], step[5]];
        Pose {
            rotation: orthonormal(&product(&turn, &self.rotation)),
            translation: add(self.translation, shift),
        }
    }

    /// The pose of the same head in a world whose origin is at `origin` of this world.
    pub(crate) fn with_origin(&self, origin: V3) -> Self {
        Pose { rotation: self.rotation, translation: self.to_camera(origin) }
    }

    /// The camera in the convention of the rest of the product (pixel centres at integers).
    pub fn camera(&self, lens: &Lens, size: [u32; 2]) -> Camera {
        let (r, t) = (&self.rotation, self.translation);
        Camera {
            camera_from_world: std::array::from_fn(|k| [r[k][0], r[k][1], r[k][2], t[k]]),
            fx: lens.focal,
            fy: lens.focal,
            cx: lens.center[0] - 0.5,
            cy: lens.center[1] - 0.5,
            width: size[0],
            height: size[1],
        }
    }

    /// The pose of such a camera.
    pub fn from_camera(camera: &Camera) -> Self {
        let m = &camera.camera_from_world;
        Pose {
            rotation: std::array::from_fn(|r| [m[r][0], m[r][1], m[r][2]]),
            translation: std::array::from_fn(|r| m[r][3]),
        }
    }

    /// Euler angles e of SyncTalk's trackers, radians: R = Rx(e0)·Ry(e1)·Rz(e2) of the OpenGL camera, with
    /// Rx = [1 0 0; 0 c s; 0 −s c], Ry = [c 0 −s; 0 1 0; s 0 c], Rz = [c −s 0; s c 0; 0 0 1].
    pub fn euler(&self) -> V3 {
        let r = &self.rotation;
        // OpenGL's camera looks the other way along y and z.
        let (r01, r00, r02, r12, r22) = (r[0][1], r[0][0], r[0][2], -r[1][2], -r[2][2]);
        [r12.atan2(r22), -r02.clamp(-1.0, 1.0).asin(), (-r01).atan2(r00)]
    }
}

impl Lens {
    /// Projects a point in camera coordinates: column and row from the image's edge, pixels.
    pub fn project(&self, p: V3) -> [f64; 2] {
        [self.focal * p[0] / p[2] + self.center[0], self.focal * p[1] / p[2] + self.center[1]]
    }

    /// Projects a point of the world, with the derivatives of the projection.
    pub(crate) fn slope(&self, pose: &Pose, point: V3) -> ([f64; 2], Slope) {
        let turned = apply(&pose.rotation, point);
        let p = add(turned, pose.translation);
        let inverse = 1.0 / p[2];
        let (x, y) = (p[0] * inverse, p[1] * inverse);
        let f = self.focal * inverse;
        // By the point in camera coordinates.
        let along = [[f, 0.0, -f * x], [0.0, f, -f * y]];
        let slope = Slope {
            point: along.map(|a| apply_transposed(&pose.rotation, a)),
            pose: along.map(|a| {
                // a · (w × turned) = w · (turned × a)
                let turn = super::math::cross(turned, a);
                [turn[0], turn[1], turn[2], a[0], a[1], a[2]]
            }),
            log_focal: [self.focal * x, self.focal * y],
        };
        ([self.focal * x + self.center[0], self.focal * y + self.center[1]], slope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn some() -> (Pose, Lens) {
        let facing = [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]];
        let pose =
            Pose { rotation: product(&rotation([0.2, -0.3, 0.1]), &facing), translation: [0.02, -0.01, 0.6] };
        (pose, Lens { focal: 1100.0, center: [256.0, 250.0] })
    }

    #[test]
    fn slopes_are_the_differences() {
        let (pose, lens) = some();
        let point = [0.03, 0.05, 0.04];
        let (at, slope) = lens.slope(&pose, point);
        assert_eq!(at, lens.project(pose.to_camera(point)));
        let h = 1e-6;
        let check = |analytic: [f64; 2], go: &dyn Fn(f64) -> [f64; 2], name: &str| {
            let (a, b) = (go(h), go(-h));
            for axis in 0..2 {
                let numeric = (a[axis] - b[axis]) / (2.0 * h);
                let tolerance = 1e-5 * (1.0 + numeric.abs());
                assert!((numeric - analytic[axis]).abs() < tolerance, "{name}: {numeric} {analytic:?}");
            }
        };
        for k in 0..6 {
            let go = |h: f64| {
                let mut step = [0.0; 6];
                step[k] = h;
                lens.project(pose.moved(&step).to_camera(point))
            };
            check([slope.pose[0][k], slope.pose[1][k]], &go, "pose");
        }
        for k in 0..3 {
            let go = |h: f64| {
                let mut p = point;
                p[k] += h;
                lens.project(pose.to_camera(p))
            };
            check([slope.point[0][k], slope.point[1][k]], &go, "point");
        }
        let go = |h: f64| Lens { focal: lens.focal * h.exp(), ..lens }.project(pose.to_camera(point));
        check(slope.log_focal, &go, "focal");
    }

    #[test]
    fn a_pose_survives_the_camera_and_the_euler_angles() {
        let (pose, lens) = some();
        let camera = pose.camera(&lens, [512, 500]);
        let back = Pose::from_camera(&camera);
        assert_eq!(back, pose);
        let point = [0.03, 0.05, 0.04];
        let (a, b) = (lens.project(pose.to_camera(point)), camera.project(point));
        assert!((a[0] - b[0] - 0.5).abs() < 1e-9 && (a[1] - b[1] - 0.5).abs() < 1e-9);
        let e = pose.euler();
        let [c, s] = [e.map(f64::cos), e.map(f64::sin)];
        let x = [[1.0, 0.0, 0.0], [0.0, c[0], s[0]], [0.0, -s[0], c[0]]];
        let y = [[c[1], 0.0, -s[1]], [0.0, 1.0, 0.0], [s[1], 0.0, c[1]]];
        let z = [[c[2], -s[2], 0.0], [s[2], c[2], 0.0], [0.0, 0.0, 1.0]];
        let r = product(&product(&x, &y), &z);
        let gl = [pose.rotation[0], pose.rotation[1].map(|v| -v), pose.rotation[2].map(|v| -v)];
        for (a, b) in r.as_flattened().iter().zip(gl.as_flattened()) {
            assert!((a - b).abs() < 1e-12, "{r:?} {gl:?}");
        }
    }
}
