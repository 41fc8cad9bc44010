//! What a branch is seen with.

use crate::Camera;
use data_utils::dataset::Part;

/// The camera that a branch of `part` is drawn with where the head is drawn with `camera`. The head stands still and the camera
/// carries its motion; a torso stands still before a camera at rest, and the head's motion is one of its conditions.
pub fn view(part: Part, camera: &Camera) -> Camera {
    match part {
        Part::Torso => camera.at_origin(),
        Part::Head | Part::Face | Part::All => *camera,
    }
}
