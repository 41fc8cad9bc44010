//! The frame of the files that viewers open. A head lives in the dataset's frame, y up and a fraction of a unit tall; programs of
//! the 3DGS family take a PLY as COLMAP has it, y down, and their near planes and first views are made for things of a few units.
//! So `point_cloud.ply`, `input.ply` and `cameras.json` are turned by half a turn about x and scaled, all three alike. The head
//! file keeps the head's own frame.

use super::init::Points;
use super::quaternion;
use super::surfels::Cloud;
use crate::Camera;

/// How tall a head is in viewers, units; a cloud's extent is taken for half of it.
const HEIGHT: f32 = 2.5;
/// What half a turn about x does to each function of the harmonics as 3DGS orders them, degrees 0 to 3: those that are odd in y and
/// z together change their sign.
const HARMONIC_SIGNS: [f32; 16] =
    [1.0, -1.0, -1.0, 1.0, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0, -1.0, 1.0];

/// Positions of a viewer are `scale · (x, −y, −z)` of a head's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ViewerFrame {
    scale: f32,
}

impl ViewerFrame {
    /// For a head whose initial cloud has this extent ([`super::init::extent`]), in the dataset's units.
    pub fn of_extent(extent: f32) -> Self {
        let scale = HEIGHT / 2.0 / extent;
        ViewerFrame { scale: if scale.is_finite() && scale > 0.0 { scale } else { 1.0 } }
    }

    /// What a file says of it, such as `viewer_from_head: 8.2 * (x, -y, -z)`.
    pub fn comment(&self) -> String {
        format!("viewer_from_head: {} * (x, -y, -z)", self.scale)
    }

    /// A position.
    pub fn position(&self, [x, y, z]: [f32; 3]) -> [f32; 3] {
        [self.scale * x, -self.scale * y, -self.scale * z]
    }

    /// The cloud: positions, rotations, scales, and harmonics of the turned directions.
    pub fn cloud(&self, cloud: &Cloud) -> Cloud {
        let turn = |q: &[f32; 4]| quaternion::product([0.0, 1.0, 0.0, 0.0], *q);
        let (positions, rotations) = (cloud.positions.as_chunks::<3>().0, cloud.rotations.as_chunks::<4>().0);
        let bands = cloud.bands();
        let sign = |at: usize| HARMONIC_SIGNS[at / 3 % bands];
        Cloud {
            positions: positions.iter().flat_map(|p| self.position(*p)).collect(),
            rotations: rotations.iter().flat_map(turn).collect(),
            log_scales: cloud.log_scales.iter().map(|s| s + self.scale.ln()).collect(),
            harmonics: cloud.harmonics.iter().enumerate().map(|(at, v)| sign(at) * v).collect(),
            ..cloud.clone()
        }
    }

    /// A camera that sees the turned cloud as `camera` sees the cloud.
    pub fn camera(&self, camera: &Camera) -> Camera {
        let scale = f64::from(self.scale);
        let row = |[x, y, z, t]: [f64; 4]| [x, -y, -z, scale * t];
        Camera { camera_from_world: camera.camera_from_world.map(row), ..*camera }
    }

    /// Positions and normals of points, to be written with the colours of `points`.
    pub fn points(&self, points: &Points<'_>) -> (Vec<[f32; 3]>, Option<Vec<[f32; 3]>>) {
        let turn = |[x, y, z]: &[f32; 3]| [*x, -y, -z];
        let positions = points.positions.iter().map(|p| self.position(*p)).collect();
        (positions, points.normals.map(|normals| normals.iter().map(turn).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::cloud::activate::activate;
    use crate::head::cloud::surfels::EMBEDDING;
    use crate::raster::cpu::CpuRasterizer;
    use crate::raster::{RasterSettings, Rasterizer};

    /// Discs in all attitudes, each with colours of its own from every side.
    fn cloud() -> Cloud {
        let n = 60;
        let value = |k: usize, salt: usize| ((k * 37 + salt * 101) % 97) as f32 / 97.0 - 0.5;
        Cloud {
            sh_degree: 3,
            positions: (0..3 * n).map(|k| 0.2 * value(k, 1)).collect(),
            rotations: (0..4 * n).map(|k| value(k, 2) + 0.01).collect(),
            log_scales: (0..2 * n).map(|k| -4.0 + value(k, 3)).collect(),
            opacity_logits: (0..n).map(|k| 1.0 + value(k, 4)).collect(),
            harmonics: (0..48 * n).map(|k| value(k, 5)).collect(),
            embedding: vec![0.0; EMBEDDING * n],
            ..Cloud::default()
        }
    }

    /// From above and from the side, so that no axis of the picture is one of the world.
    fn camera() -> Camera {
        let (a, b) = (0.4f64, 0.3f64);
        Camera {
            camera_from_world: [
                [a.cos(), 0.0, -a.sin(), 0.01],
                [b.sin() * a.sin(), -b.cos(), b.sin() * a.cos(), 0.02],
                [-b.cos() * a.sin(), -b.sin(), -b.cos() * a.cos(), 0.6],
            ],
            width: 64,
            height: 64,
            fx: 120.0,
            fy: 130.0,
            cx: 31.0,
            cy: 33.0,
        }
    }

    fn picture(cloud: &Cloud, camera: &Camera) -> Vec<f32> {
        let activated = activate(cloud, 3, None).expect("activated");
        let rasterizer = CpuRasterizer::<f32>::new();
        let settings = RasterSettings::default();
        rasterizer.forward(&activated.batch(), &[*camera], &settings).expect("drawn").color
    }

    #[test]
    fn a_viewer_sees_the_same_picture() {
        let frame = ViewerFrame::of_extent(0.15);
        let before = picture(&cloud(), &camera());
        let after = picture(&frame.cloud(&cloud()), &frame.camera(&camera()));
        let worst = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 2e-3, "{worst}");
        let lit = before.iter().filter(|v| **v > 0.1).count();
        assert!(lit > 1000, "only {lit} values of the picture are lit");
    }

    #[test]
    fn a_head_stands_upright_where_y_points_down_and_is_as_tall_as_viewers_expect() {
        let frame = ViewerFrame::of_extent(0.125);
        assert_eq!(frame.position([0.0, 0.125, 0.0]), [0.0, -1.25, 0.0], "the crown");
        assert_eq!(frame.position([0.0, -0.125, 0.05]), [0.0, 1.25, -0.5], "the chin, towards the viewer");
        assert_eq!(frame.comment(), "viewer_from_head: 10 * (x, -y, -z)");
    }

    #[test]
    fn points_are_turned_with_their_normals() {
        let points = Points {
            positions: &[[0.1, 0.2, 0.3]],
            normals: Some(&[[0.0, 0.6, 0.8]]),
            colors: None,
            faces: &[],
        };
        let (positions, normals) = ViewerFrame::of_extent(0.125).points(&points);
        assert_eq!((positions, normals), (vec![[1.0, -2.0, -3.0]], Some(vec![[0.0, -0.6, -0.8]])));
    }

    #[test]
    fn a_cloud_without_size_is_turned_alone() {
        for extent in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert_eq!(ViewerFrame::of_extent(extent).position([1.0, 2.0, 3.0]), [1.0, -2.0, -3.0]);
        }
    }
}
