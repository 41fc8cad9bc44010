//! A steadier camera path: the head tracker trembles by a fraction of a pixel, and the eye sees it.
//!
//! Both filters work on the pose of the head in the camera (`camera_from_world`): rotation as a unit
//! quaternion, translation in the dataset's units. Intrinsics and image size stay each frame's own.

use crate::Camera;
use crate::head::RigidPose;
use glam::{DQuat, DVec3};

/// Averages every pose with its `half` neighbours on both sides (`--smooth_win`); 0 changes nothing.
///
/// `frames` are (frame number in the source video, camera) in ascending order. Only neighbours without a
/// gap in the numbers are used; past a gap or an end the last one before it counts for those missing, which
/// keeps the weights symmetric. Quaternions are brought to the sign of the frame's own before they are added
/// (q and −q are the same rotation, and trackers flip between them), and every mean is taken of the
/// unsmoothed poses.
pub fn window_mean(frames: &[(u32, Camera)], half: usize) -> Vec<Camera> {
    if half == 0 {
        return frames.iter().map(|(_, camera)| *camera).collect();
    }
    let poses: Vec<RigidPose> = frames.iter().map(|(_, camera)| RigidPose::of(camera)).collect();
    let follows = |a: usize, b: usize| frames[a].0.checked_add(1) == Some(frames[b].0);
    let mean = |i: usize| {
        let mut sum = Sum::new(poses[i]);
        let mut at = i;
        for step in 1..=half {
            if at == 0 || !follows(at - 1, at) {
                sum.add(poses[at], (half - step + 1) as f64);
                break;
            }
            at -= 1;
            sum.add(poses[at], 1.0);
        }
        at = i;
        for step in 1..=half {
            if at + 1 == poses.len() || !follows(at, at + 1) {
                sum.add(poses[at], (half - step + 1) as f64);
                break;
            }
            at += 1;
            sum.add(poses[at], 1.0);
        }
        sum.mean().put_into(&frames[i].1)
    };
    (0..frames.len()).map(mean).collect()
}

/// A camera that follows with a lag (`--smooth_coef`): each view goes the part `coefficient` of the way from
/// the last view to the frame's own, slerp for the rotation, lerp for the translation. Causal, so it works
/// live. 1 changes nothing, 0 stays at the first view.
#[derive(Debug, Clone)]
pub struct Lag {
    coefficient: f64,
    last: Option<RigidPose>,
}

impl Lag {
    /// A lag of `coefficient`; values outside 0..1 are brought to the nearer end.
    pub fn new(coefficient: f64) -> Self {
        Lag { coefficient: if coefficient.is_nan() { 1.0 } else { coefficient.clamp(0.0, 1.0) }, last: None }
    }

    /// The view shown when the frame's own view is `camera`.
    pub fn follow(&mut self, camera: &Camera) -> Camera {
        if self.coefficient == 1.0 {
            return *camera;
        }
        let target = RigidPose::of(camera);
        let pose = self.last.map_or(target, |last| between(last, target, self.coefficient));
        self.last = Some(pose);
        pose.put_into(camera)
    }
}

/// The pose that is `part` of the way from one to another.
fn between(from: RigidPose, to: RigidPose, part: f64) -> RigidPose {
    RigidPose {
        rotation: from.rotation.slerp(to.rotation, part),
        translation: from.translation.lerp(to.translation, part),
    }
}

/// A weighted sum of poses whose quaternions share the sign of the first.
struct Sum {
    first: DQuat,
    rotation: DQuat,
    translation: DVec3,
    weight: f64,
}

impl Sum {
    fn new(pose: RigidPose) -> Self {
        Sum { first: pose.rotation, rotation: pose.rotation, translation: pose.translation, weight: 1.0 }
    }

    fn add(&mut self, pose: RigidPose, weight: f64) {
        let sign = if self.first.dot(pose.rotation) < 0.0 { -weight } else { weight };
        self.rotation += pose.rotation * sign;
        self.translation += pose.translation * weight;
        self.weight += weight;
    }

    // The sum cannot vanish: every term has a part of at least zero along `first`, and `first` itself is in it.
    fn mean(&self) -> RigidPose {
        RigidPose { rotation: self.rotation.normalize(), translation: self.translation / self.weight }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(yaw_rad: f64, x: f64) -> Camera {
        let pose =
            RigidPose { rotation: DQuat::from_rotation_y(yaw_rad), translation: DVec3::new(x, 0.0, 0.6) };
        let plain = Camera {
            camera_from_world: [[0.0; 4]; 3],
            fx: 500.0,
            fy: 500.0,
            cx: 31.5,
            cy: 31.5,
            width: 64,
            height: 64,
        };
        pose.put_into(&plain)
    }

    fn yaw(camera: &Camera) -> f64 {
        let m = &camera.camera_from_world;
        m[0][2].atan2(m[0][0])
    }

    #[test]
    fn a_still_head_stays_where_it_is() {
        let frames: Vec<_> = (0..9).map(|i| (i, camera(0.2, 0.01))).collect();
        for smooth in window_mean(&frames, 3) {
            assert!((yaw(&smooth) - 0.2).abs() < 1e-12);
            assert!((smooth.camera_from_world[0][3] - 0.01).abs() < 1e-12);
        }
    }

    #[test]
    fn a_tremble_is_averaged_away() {
        let frames: Vec<_> =
            (0..30).map(|i| (i, camera(if i % 2 == 0 { 0.01 } else { -0.01 }, 0.0))).collect();
        let smooth = window_mean(&frames, 5);
        assert!(smooth[10..20].iter().all(|c| yaw(c).abs() < 0.001));
    }

    #[test]
    fn poses_whose_quaternions_flip_their_sign_do_not_cancel() {
        // Half a turn about an axis that passes the diagonal: there the largest component changes, and with it
        // the sign that a matrix's quaternion gets.
        let turned = |degrees: f64| {
            let (y, x) = degrees.to_radians().sin_cos();
            let rotation = DQuat::from_xyzw(x, y, 0.0, 0.0);
            RigidPose { rotation, translation: DVec3::ZERO }.put_into(&camera(0.0, 0.0))
        };
        let frames: Vec<_> = (0..5).map(|i| (i, turned(-45.0 + (f64::from(i) - 2.0)))).collect();
        let sign = RigidPose::of(&frames[1].1).rotation.dot(RigidPose::of(&frames[3].1).rotation);
        assert!(sign < 0.0, "the poses must flip for this to say anything");
        let middle = window_mean(&frames, 2)[2].camera_from_world;
        for (found, own) in middle.iter().flatten().zip(frames[2].1.camera_from_world.iter().flatten()) {
            assert!((found - own).abs() < 1e-9, "{middle:?}");
        }
    }

    #[test]
    fn smoothed_frames_do_not_feed_later_ones() {
        let frames = [0.0, 0.0, 3.0, 0.0, 0.0].iter().enumerate();
        let frames: Vec<_> = frames.map(|(i, x)| (i as u32, camera(0.0, *x))).collect();
        let x: Vec<f64> = window_mean(&frames, 1).iter().map(|c| c.camera_from_world[0][3]).collect();
        for (found, expected) in x.iter().zip([0.0, 1.0, 1.0, 1.0, 0.0]) {
            assert!((found - expected).abs() < 1e-12, "{x:?}");
        }
    }

    #[test]
    fn a_gap_in_the_numbers_is_not_averaged_over() {
        let frames =
            [(0, camera(0.0, 0.0)), (1, camera(0.0, 0.0)), (7, camera(0.0, 1.0)), (8, camera(0.0, 1.0))];
        let x: Vec<f64> = window_mean(&frames, 4).iter().map(|c| c.camera_from_world[0][3]).collect();
        assert_eq!(x, [0.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn no_window_and_no_lag_change_not_a_bit() {
        let frames: Vec<_> = (0..4).map(|i| (i, camera(0.3 * f64::from(i), 0.1))).collect();
        let mut lag = Lag::new(1.0);
        for ((_, own), smooth) in frames.iter().zip(window_mean(&frames, 0)) {
            assert_eq!(*own, smooth);
            assert_eq!(*own, lag.follow(own));
        }
    }

    #[test]
    fn an_endless_window_takes_no_endless_time() {
        let frames = [(0, camera(0.0, 0.0)), (1, camera(0.0, 1.0))];
        let x = window_mean(&frames, usize::MAX / 4)[0].camera_from_world[0][3];
        assert!((x - 0.5).abs() < 1e-6, "{x}");
    }

    #[test]
    fn a_lagging_camera_goes_its_part_of_the_way_each_frame() {
        let mut lag = Lag::new(0.25);
        lag.follow(&camera(0.0, 0.0));
        let view = lag.follow(&camera(0.4, 1.0));
        assert!((yaw(&view) - 0.1).abs() < 1e-9);
        assert!((view.camera_from_world[0][3] - 0.25).abs() < 1e-12);
        let view = lag.follow(&camera(0.4, 1.0));
        assert!((view.camera_from_world[0][3] - 0.4375).abs() < 1e-12);
    }
}
