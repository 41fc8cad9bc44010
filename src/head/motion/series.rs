//! Poses and blendshapes as numbers with mean 0 and deviation 1 over a clip, and back.

use crate::Camera;
use crate::head::RigidPose;
use crate::head::field::{EXPRESSION, squashed, stretched};
use data_utils::linear::principal_components;
use glam::{DQuat, DVec3};

/// Numbers of a pose: a rotation vector and a translation.
pub const POSE: usize = 6;
/// Principal components of the blendshapes that are kept at most.
const COMPONENTS: usize = 6;
/// Deviations smaller than this are none.
const LEAST: f64 = 1e-6;

/// What the numbers of a frame mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Basis {
    /// Mean rotation of the head in the camera, quaternion (x, y, z, w).
    pub rotation: [f64; 4],
    /// Mean translation, units of the dataset.
    pub translation: [f64; 3],
    /// Mean of the stretched blendshapes.
    pub expression: [f64; EXPRESSION],
    /// Their principal components, `[count, EXPRESSION]`.
    pub components: Vec<f64>,
    /// Deviation of each number over the clip.
    pub deviations: Vec<f64>,
}

impl Basis {
    /// The basis of a clip's cameras and stretched blendshapes without blinks.
    pub(super) fn of(cameras: &[Camera], expressions: &[[f32; EXPRESSION]]) -> Self {
        let first = cameras.first().map_or(DQuat::IDENTITY, |camera| RigidPose::of(camera).rotation);
        let sum = cameras
            .iter()
            .map(|camera| RigidPose::of(camera).rotation)
            .fold(DQuat::from_xyzw(0.0, 0.0, 0.0, 0.0), |sum, q| {
                sum + if first.dot(q) < 0.0 { -q } else { q }
            });
        let rotation = if sum.length_squared() > 0.0 { sum.normalize() } else { DQuat::IDENTITY };
        let count = cameras.len().max(1) as f64;
        let translation: [f64; 3] =
            std::array::from_fn(|k| cameras.iter().map(|c| c.camera_from_world[k][3]).sum::<f64>() / count);
        let frames = expressions.len().max(1) as f64;
        let mean: [f64; EXPRESSION] =
            std::array::from_fn(|k| expressions.iter().map(|e| f64::from(e[k])).sum::<f64>() / frames);
        let rows: Vec<f32> = expressions
            .iter()
            .flat_map(|e| std::array::from_fn::<f32, EXPRESSION, _>(|k| e[k] - mean[k] as f32))
            .collect();
        let varies = rows.iter().any(|v| f64::from(v.abs()) > LEAST) && expressions.len() > COMPONENTS;
        let components = match varies {
            true => {
                principal_components(&rows, EXPRESSION, COMPONENTS).0.into_iter().map(f64::from).collect()
            }
            false => Vec::new(),
        };
        let mut basis = Basis {
            rotation: rotation.to_array(),
            translation,
            expression: mean,
            deviations: vec![1.0; POSE + components.len() / EXPRESSION],
            components,
        };
        let series: Vec<Vec<f64>> =
            cameras.iter().zip(expressions).map(|(camera, e)| basis.numbers(camera, e)).collect();
        basis.deviations = (0..basis.width())
            .map(|k| {
                let mean = series.iter().map(|x| x[k]).sum::<f64>() / count;
                (series.iter().map(|x| (x[k] - mean).powi(2)).sum::<f64>() / count).sqrt().max(LEAST)
            })
            .collect();
        basis
    }

    /// Numbers of a frame.
    pub fn width(&self) -> usize {
        self.deviations.len()
    }

    /// The numbers of a camera and of stretched blendshapes.
    pub fn numbers(&self, camera: &Camera, expression: &[f32; EXPRESSION]) -> Vec<f64> {
        let turn = RigidPose::of(camera).rotation * DQuat::from_array(self.rotation).inverse();
        let turn = if turn.w < 0.0 { -turn } else { turn };
        let mut numbers = turn.to_scaled_axis().to_array().to_vec();
        numbers.extend((0..3).map(|k| camera.camera_from_world[k][3] - self.translation[k]));
        for component in self.components.chunks_exact(EXPRESSION) {
            let part = |k: usize| (f64::from(expression[k]) - self.expression[k]) * component[k];
            numbers.push((0..EXPRESSION).map(part).sum());
        }
        numbers.iter().zip(&self.deviations).map(|(x, deviation)| x / deviation).collect()
    }

    /// The camera of a frame's numbers, with the lens of `lens`.
    pub fn camera(&self, numbers: &[f64], lens: &Camera) -> Camera {
        let value = |k: usize| numbers[k] * self.deviations[k];
        let turn = DQuat::from_scaled_axis(DVec3::new(value(0), value(1), value(2)));
        let rotation = (turn * DQuat::from_array(self.rotation)).normalize();
        let translation = DVec3::from_array(std::array::from_fn(|k| self.translation[k] + value(3 + k)));
        RigidPose { rotation, translation }.put_into(lens)
    }

    /// The blendshapes of a frame's numbers, 0..1, with `blink` added to their stretched values.
    pub fn expression(&self, numbers: &[f64], blink: &[f32; EXPRESSION]) -> [f32; EXPRESSION] {
        let parts =
            self.components.chunks_exact(EXPRESSION).zip(numbers.iter().zip(&self.deviations).skip(POSE));
        let mut sum = self.expression;
        for (component, (x, deviation)) in parts {
            sum.iter_mut().zip(component).for_each(|(to, c)| *to += x * deviation * c);
        }
        std::array::from_fn(|k| squashed(sum[k] as f32 + blink[k]))
    }
}

/// Stretched blendshapes.
pub(super) fn stretch(expression: &[f32; EXPRESSION]) -> [f32; EXPRESSION] {
    expression.map(stretched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pose_is_what_its_numbers_say() {
        let lens = Camera {
            camera_from_world: [[0.0; 4]; 3],
            fx: 100.0,
            fy: 100.0,
            cx: 31.5,
            cy: 31.5,
            width: 64,
            height: 64,
        };
        let camera = |t: f64| {
            let rotation = DQuat::from_euler(glam::EulerRot::YXZ, 0.3 + 0.1 * t, 0.2 * t, -0.1);
            RigidPose { rotation, translation: DVec3::new(0.1, -0.2 * t, 2.0 + t) }.put_into(&lens)
        };
        let cameras: Vec<Camera> = (0..40).map(|t| camera((f64::from(t) * 0.7).sin())).collect();
        let shapes: Vec<[f32; EXPRESSION]> = (0..40)
            .map(|t| std::array::from_fn(|k| stretched(0.3 + 0.2 * ((t * (1 + k % 2)) as f32).cos())))
            .collect();
        let basis = Basis::of(&cameras, &shapes);
        assert!(basis.width() > POSE, "two ways of moving the face");
        for (own, shape) in cameras.iter().zip(&shapes) {
            let numbers = basis.numbers(own, shape);
            let found = basis.camera(&numbers, &lens).camera_from_world;
            let errors = found.iter().flatten().zip(own.camera_from_world.iter().flatten());
            assert!(errors.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) < 1e-9);
            let face = basis.expression(&numbers, &[0.0; EXPRESSION]);
            assert!(face.iter().zip(shape).all(|(a, b)| (a - squashed(*b)).abs() < 1e-3));
        }
    }
}
