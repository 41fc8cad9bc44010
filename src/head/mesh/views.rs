//! Which cameras of a clip look at the head for its mesh.

use crate::Camera;
use glam::DVec3;

/// Up to `count` of `cameras` that stand as far from each other as there are: the first, then again and again the one that is
/// farthest from all chosen. Cameras at the place of a chosen one are left out.
pub(super) fn apart(cameras: &[Camera], count: usize) -> Vec<Camera> {
    let places: Vec<DVec3> = cameras.iter().map(|camera| DVec3::from(camera.center())).collect();
    let mut distances = vec![f64::INFINITY; cameras.len()];
    let mut chosen = Vec::new();
    let mut next = (!cameras.is_empty()).then_some(0);
    while let Some(at) = next.filter(|_| chosen.len() < count) {
        chosen.push(cameras[at]);
        for (distance, place) in distances.iter_mut().zip(&places) {
            *distance = distance.min(place.distance_squared(places[at]));
        }
        let farthest = distances.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        next = farthest.filter(|(_, distance)| **distance > 0.0).map(|(at, _)| at);
    }
    chosen
}
